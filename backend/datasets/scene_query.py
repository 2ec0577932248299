"""Which scenes a request asks for, and in which order: the query parameters that all lists of scenes share."""

import math
import re
from collections.abc import Awaitable, Callable, Hashable
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs

import numpy as np
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import InvalidError
from pairlab.experiment.scene_filter import Range, SceneFilter, SplitName
from pairlab.scenes.filtering import column_named, is_number
from pairlab.scenes.index import SceneTable

MOST_VALUES = 200
"""Of one repeatable parameter."""
COLUMN_PREFIX = "column/"
FIELDS = ("change_share", "object_change_share", "no_data_share", "offset", "objects")
SORTS = ("name", *FIELDS)
_SORT = re.compile(rf"-?({'|'.join(SORTS)}|{COLUMN_PREFIX}.+)")

Query = TypeVar("Query", bound="SceneQuery")
Text = Annotated[str, Field(max_length=500)]
LowShare = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Length = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SceneQuery(BaseModel):
    """A filter; everything given must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: list[Text] = Field(default=[], max_length=MOST_VALUES, description="Any of these events (repeatable).")
    split: list[SplitName] = Field(default=[], max_length=MOST_VALUES, description="Any of these splits (repeatable).")
    object: list[Text] = Field(
        default=[], max_length=MOST_VALUES, description="Shows an object of any of these classes (repeatable)."
    )
    min_change: LowShare | None = Field(default=None, description="Least change share.")
    max_change: LowShare | None = Field(default=None, description="Greatest change share.")
    min_object_change: LowShare | None = Field(default=None, description="Least object change share.")
    max_object_change: LowShare | None = Field(default=None, description="Greatest object change share.")
    min_no_data: LowShare | None = Field(default=None, description="Least no-data share.")
    max_no_data: LowShare | None = Field(default=None, description="Greatest no-data share.")
    min_offset: Length | None = Field(default=None, description="Least offset between the acquisitions, pixels.")
    max_offset: Length | None = Field(default=None, description="Greatest offset, pixels.")
    where: list[Text] = Field(
        default=[],
        max_length=MOST_VALUES,
        description="The dataset's own columns (repeatable): `column=text`, any of the texts given for a column, or "
        "`column=low..high`, where either end may be left out.",
        examples=[["pre_sensor=GEOEYE01", "pre_off_nadir_angle=10..25"]],
    )
    q: str = Field(default="", max_length=200, description="Part of the scene's name, whatever its case.")
    flagged: bool | None = Field(default=None, description="Scenes that are flagged, or those that are not.")

    def key(self) -> tuple[Hashable, ...]:
        """Returns what tells this filter from others."""
        return tuple(
            tuple(sorted(value)) if isinstance(value, list) else value
            for value in (getattr(self, name) for name in SceneQuery.model_fields)
        )


class OrderedQuery(SceneQuery):
    """A filter and an order."""

    sort: Text = Field(
        default="name",
        pattern=f"^{_SORT.pattern}$",
        description=f"{', '.join(SORTS)} or {COLUMN_PREFIX}NAME; `-` in front is descending. Scenes without a value "
        "come last.",
    )


class ListQuery(OrderedQuery):
    """A page of a filtered, sorted list."""

    cursor: str | None = Field(
        default=None, max_length=2000, description="`next_cursor` of the page before; leave it out for the first page."
    )
    place: int | None = Field(
        default=None, ge=0, le=2**53, description="Begin at this place of the list, from 0; instead of a cursor."
    )
    limit: int = Field(default=24, ge=1, le=200, description="Scenes of one page.")


def scene_query(model: type[Query]) -> Callable[[Request], Awaitable[Query]]:
    """Returns a dependency that reads query parameters into a model.

    FastAPI can do so too, but looks at the type of each field again for every request: of a list of scenes, that would
    take most of the time. The parameters' description is `described`.
    """
    repeatable = frozenset(name for name, field in model.model_fields.items() if field.default == [])

    async def read(request: Request) -> Query:
        given = parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        values = {name: each if name in repeatable else each[-1] for name, each in given.items()}
        try:
            return model.model_validate(values)
        except ValidationError as error:
            details = [{**detail, "loc": ("query", *detail["loc"])} for detail in error.errors(include_url=False)]
            raise RequestValidationError(details) from error

    return read


def described(model: type[SceneQuery]) -> dict[str, Any]:
    """Returns the query parameters of a model as OpenAPI describes them, for `openapi_extra`."""
    fields = model.model_json_schema()["properties"]
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": schema.pop("description"), "schema": schema}
            for name, schema in fields.items()
        ]
    }


def filter_of(query: SceneQuery, table: SceneTable) -> SceneFilter:
    """Returns the filter as experiments take it, without what the user marked.

    Args:
        query: as it came.
        table: the dataset's scenes, whose columns say what `where` means.

    Raises:
        InvalidError: a range whose ends are the wrong way round, or a column that the dataset does not have.
    """
    return SceneFilter(
        events=tuple(sorted(set(query.event))),
        splits=tuple(sorted(set(query.split))),
        objects=tuple(sorted(set(query.object))),
        change_share=_share_range("change", query.min_change, query.max_change),
        object_change_share=_share_range("object_change", query.min_object_change, query.max_object_change),
        no_data_share=_share_range("no_data", query.min_no_data, query.max_no_data),
        offset=_range("offset", query.min_offset, query.max_offset, ends=_ends(table.offset_length)),
        where=_where(query.where, table),
        name=query.q,
    )


def _share_range(name: str, low: float | None, high: float | None) -> Range | None:
    return _range(name, low, high, ends=(0.0, 1.0))


def _range(name: str, low: float | None, high: float | None, *, ends: Range) -> Range | None:
    """Returns both ends of a range; one that is left open is that of the values, so that it is a number everywhere."""
    if low is None and high is None:
        return None
    if low is not None and high is not None and low > high:
        raise InvalidError(f"{name}: from {low:g} to {high:g} is no range: swap its ends")
    if low is None:
        low = ends[0] if high is None else min(ends[0], high)
    return low, max(ends[1], low) if high is None else high


def _ends(values: NDArray[np.float64]) -> Range:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def _where(conditions: list[str], table: SceneTable) -> dict[str, tuple[str, ...] | Range]:
    ranges: dict[str, Range] = {}
    texts: dict[str, set[str]] = {}
    for condition in conditions:
        column, wanted = _split(condition, table)
        values = column_named(table, column)
        if not is_number(values):
            texts.setdefault(column, set()).add(wanted)
        elif column in ranges:
            raise InvalidError(f"where: column {column!r} is given two ranges: give one")
        else:
            ranges[column] = _number_range(column, wanted, values)
    return {**ranges, **{column: tuple(sorted(wanted)) for column, wanted in texts.items()}}


def _split(condition: str, table: SceneTable) -> tuple[str, str]:
    """Returns column and value; the name of a column may itself hold `=`."""
    named = [column for column in table.columns if condition.startswith(f"{column}=")]
    column = max(named, key=len) if named else condition.partition("=")[0]
    if "=" not in condition:
        raise InvalidError(f"where: must be column=text or column=low..high (got {condition[:80]!r})")
    return column, condition[len(column) + 1 :]


def _number_range(column: str, wanted: str, values: NDArray[np.float64]) -> Range:
    low, separator, high = wanted.partition("..")
    try:
        ends = [None if end == "" and separator else float(end) for end in (low, high if separator else low)]
    except ValueError:
        ends = [math.nan]
    if any(end is not None and not math.isfinite(end) for end in ends):
        raise InvalidError(f"where: column {column!r} holds numbers: give low..high, not {wanted[:80]!r}")
    found = _range(f"where: column {column!r}", ends[0], ends[1], ends=_ends(values))
    return _ends(values) if found is None else found
