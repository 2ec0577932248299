"""Says what is wrong with an experiment file in sentences: which field, which value, what is allowed."""

import difflib
import json
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

MAX_PROBLEMS = 50


class ExperimentError(ValueError):
    """An experiment file that cannot be read; `problems` names each field, its value and what is allowed."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def problems_of(error: ValidationError, *, model: type[BaseModel] | None = None) -> list[str]:
    """Returns one sentence for each thing pydantic found wrong: the field, what is wrong, and the value given.

    Args:
        error: what pydantic raised.
        model: the model that was validated; with it, paths are those of the file (without the tags of unions), and an
            unknown key is answered with the keys there are.
    """
    details = [detail for detail in error.errors(include_url=False) if not _follows_from_others(detail, error)]
    sentences = [_sentence(detail, model) for detail in details[:MAX_PROBLEMS]]
    if len(details) > MAX_PROBLEMS:
        sentences.append(f"and {len(details) - MAX_PROBLEMS} more problems of this kind")
    return sentences


def _follows_from_others(detail: ErrorDetails, error: ValidationError) -> bool:
    """Whether a list is too short only because entries of it are wrong, which is told anyway."""
    start = len(detail["loc"])
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > start and other["loc"][:start] == detail["loc"] for other in error.errors(include_url=False)
    )


def _sentence(detail: ErrorDetails, model: type[BaseModel] | None) -> str:
    loc = detail["loc"]
    if loc and loc[-1] == "[key]":
        return f"{_path(loc[:-1], model)}: as a name, {_lowered(detail['msg'])}{_given(detail)}"
    path, context = _path(loc, model), detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return f"{path}: is missing"
        case "extra_forbidden":
            return f"{path}: unknown key{_instead(str(loc[-1]), _annotation(loc[:-1], model))}"
        case "too_short" | "too_long":
            least, most, found = context.get("min_length"), context.get("max_length"), context["actual_length"]
            bound = f"at most {most}" if least is None else f"at least {least}"
            return f"{path}: must have {bound} entries, has {found}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{path}: must be a mapping of fields{_given(detail)}"
        case "union_tag_not_found":
            tags = ", ".join(repr(tag) for tag in _tags(_annotation(loc, model)))
            return f"{_below(path, context)}: is missing" + (f"; it is one of {tags}" if tags else "")
        case "union_tag_invalid":
            return f"{_below(path, context)}: {context['tag']!r} is not one of {context['expected_tags']}"
    return f"{path}: {_lowered(detail['msg'])}{_given(detail)}"


def _below(path: str, context: dict[str, Any]) -> str:
    return f"{path}.{str(context['discriminator']).strip(chr(39))}"


def _lowered(message: str) -> str:
    """Returns pydantic's message as the rest of a sentence that began with the field."""
    message = message.removeprefix("Value error, ")
    for beginning, ours in (("Input should ", "must "), ("String should ", "must "), ("Keys should ", "must ")):
        if message.startswith(beginning):
            return ours + message.removeprefix(beginning)
    return message


def _given(detail: ErrorDetails) -> str:
    value = detail["input"]
    if isinstance(value, dict | list | tuple | set | BaseModel):
        return ""
    shown = json.dumps(value) if isinstance(value, bool | None) else repr(value)
    if detail["type"] == "string_type" and value is not None:
        return f" (got {value}): put it in quotes"
    return f" (got {shown})" if len(shown) <= 80 else ""


def _instead(key: str, annotation: Any) -> str:  # noqa: ANN401  (a type annotation)
    """Returns what to write in place of an unknown key, if the model is known."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return ""
    keys = list(annotation.model_fields)
    if close := difflib.get_close_matches(key, keys, n=1):
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(keys)}"


def _path(loc: tuple[int | str, ...], model: type[BaseModel] | None) -> str:
    parts = [str(part) for part, tag, _ in _steps(loc, model) if not tag]
    return ".".join(part if part.isprintable() else repr(part) for part in parts) or "experiment"


def _annotation(loc: tuple[int | str, ...], model: type[BaseModel] | None) -> Any:  # noqa: ANN401  (a type annotation)
    """Returns the type that belongs at `loc`; None where it is not known."""
    return _bare([model, *(annotation for _, _, annotation in _steps(loc, model))][-1])


def _steps(loc: tuple[int | str, ...], model: type[BaseModel] | None) -> Iterator[tuple[int | str, bool, Any]]:
    """Yields each part of a location, whether it is the tag of a union, and the type below it."""
    annotation: Any = model
    for part in loc:
        annotation = _bare(annotation)
        chosen = _tags(annotation).get(part)
        annotation = _child(annotation, part) if chosen is None else chosen
        yield part, chosen is not None, annotation


def _child(annotation: Any, part: int | str) -> Any:  # noqa: ANN401  (a type annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return arguments[1]
    if get_origin(annotation) in (tuple, list) and isinstance(part, int):
        return arguments[part] if part < len(arguments) and arguments[-1] is not Ellipsis else arguments[0]
    return None


def _tags(annotation: Any) -> dict[Any, type[BaseModel]]:  # noqa: ANN401  (a type annotation)
    """Returns the models of a union by the values that tell them apart; empty where there is no such union."""
    members = [member for member in get_args(annotation) if isinstance(member, type) and issubclass(member, BaseModel)]
    if get_origin(annotation) not in (Union, UnionType) or len(members) < 2:
        return {}
    return {
        tag: member
        for member in members
        for field in member.model_fields.values()
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
        for tag in get_args(field.annotation)
    }


def _bare(annotation: Any) -> Any:  # noqa: ANN401  (a type annotation)
    """Returns the type without Annotated and without `| None`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    members = [member for member in get_args(annotation) if member is not type(None)]
    if get_origin(annotation) in (Union, UnionType) and len(members) == 1:
        return _bare(members[0])
    return annotation
