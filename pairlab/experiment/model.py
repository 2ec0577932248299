"""The common ground of every model in an experiment: frozen, closed to unknown keys, finite numbers only."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class FrozenModel(BaseModel):
    """A value that form, YAML, REST, command line and trainer share; unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, str_strip_whitespace=True, use_attribute_docstrings=True
    )

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401, ARG002  (pydantic's signature)
        """Counts tags and versions as set, so that a shortened dump still says which method or protocol it is."""
        for name, field in type(self).model_fields.items():
            if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
                self.model_fields_set.add(name)

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, given: object) -> object:
        for name, value in given.items() if isinstance(given, Mapping) else ():
            field = cls.model_fields.get(name)
            if field is None or {bool, Any} & {field.annotation, *get_args(field.annotation)}:
                continue
            for entry in value if isinstance(value, list | tuple) else [value]:
                if isinstance(entry, bool):
                    raise ValueError(f"{name} cannot be true or false, got {str(entry).lower()}")
        return given


def content_hash(value: BaseModel | dict[str, Any]) -> str:
    """Returns the SHA-256 (64 hex digits) of canonical JSON: keys sorted, no white space, no negative zero."""
    content = _without_negative_zero(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _without_negative_zero(value: Any) -> Any:  # noqa: ANN401  (a JSON tree)
    """Returns the value with −0.0 as 0.0: they are equal, so the models that hold them must hash alike."""
    if isinstance(value, dict):
        return {key: _without_negative_zero(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_negative_zero(entry) for entry in value]
    return value + 0.0 if isinstance(value, float) else value
