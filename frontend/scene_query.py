"""Which scenes of a dataset are asked for, and in what order: the same parameters in a page's address and the API's."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, TypeGuard

Bounds = tuple[float | None, float | None]
"""Least and greatest value that passes; None is no bound."""
Condition = tuple[str, ...] | Bounds
"""Of a column: one of these texts, or a range."""
Params = dict[str, list[str]]

RANGES: Final = ("change", "object_change", "no_data", "offset")
"""Quantities with a `min_` and a `max_` parameter: shares in [0, 1], the offset in pixels."""
COLUMN: Final = "column/"
"""Begins the sort key of a column."""
SORTS: Final = ("name", "change_share", "object_change_share", "no_data_share", "offset", "objects")
FILTER_PARAMETERS: Final = (
    "event",
    "split",
    "object",
    *(f"{end}_{name}" for name in RANGES for end in ("min", "max")),
    "where",
    "q",
    "flagged",
)


@dataclass(frozen=True, slots=True)
class SceneQuery:
    """A filter and an order of scenes; what is left out lets all pass."""

    events: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    """Shows an object of any of these classes."""
    ranges: Mapping[str, Bounds] = field(default_factory=dict)
    """By a name of RANGES."""
    where: Mapping[str, Condition] = field(default_factory=dict)
    """By a column of the dataset."""
    name: str = ""
    """Part of the scene's name."""
    flagged: bool | None = None
    """Those with a flag, or those without; None is both."""
    sort: str = "name"
    """Of SORTS, or `column/<name>`; `-` in front is descending."""

    @classmethod
    def from_params(cls, params: Mapping[str, Sequence[str]], columns: Mapping[str, str]) -> Self:
        """Returns what parameters say; what they say wrongly is left out.

        Args:
            params: values per parameter.
            columns: the dataset's own, each `text` or `number`.
        """
        ranges = {}
        for name in RANGES:
            bounds = (_number(_first(params, f"min_{name}")), _number(_first(params, f"max_{name}")))
            if bounds != (None, None):
                ranges[name] = bounds
        sort = _first(params, "sort")
        key = sort.removeprefix("-")
        known = key in SORTS or key.removeprefix(COLUMN) in columns
        return cls(
            events=tuple(params.get("event", ())),
            splits=tuple(params.get("split", ())),
            objects=tuple(params.get("object", ())),
            ranges=ranges,
            where=_conditions(params.get("where", ()), columns),
            name=_first(params, "q"),
            flagged={"true": True, "false": False}.get(_first(params, "flagged")),
            sort=sort if known else "name",
        )

    def filter_params(self) -> Params:
        """Returns the parameters of the filter alone."""
        params: Params = {
            "event": list(self.events),
            "split": list(self.splits),
            "object": list(self.objects),
            "q": [self.name] if self.name else [],
            "flagged": [] if self.flagged is None else [str(self.flagged).lower()],
        }
        for name, bounds in self.ranges.items():
            for end, value in zip(("min", "max"), bounds, strict=True):
                params[f"{end}_{name}"] = [] if value is None else [shown_number(value)]
        params["where"] = [
            f"{column}={text}" for column, condition in self.where.items() for text in _texts_of(condition)
        ]
        return {name: values for name, values in params.items() if values}

    def to_params(self) -> Params:
        """Returns the parameters of filter and order."""
        return {**self.filter_params(), **({} if self.sort == "name" else {"sort": [self.sort]})}

    @property
    def restricts(self) -> bool:
        """Whether any scene may be left out."""
        return bool(self.filter_params())

    @property
    def descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.sort.startswith("-")

    @property
    def sort_key(self) -> str:
        """What the order goes by, whichever way."""
        return self.sort.removeprefix("-")

    def with_range(self, name: str, bounds: Bounds) -> "SceneQuery":
        """Returns the query with other bounds of a quantity; none at all removes it."""
        others = {each: known for each, known in self.ranges.items() if each != name}
        return replace(self, ranges=others if bounds == (None, None) else {**others, name: bounds})

    def with_condition(self, column: str, condition: Condition) -> "SceneQuery":
        """Returns the query with another condition on a column; no texts and no bounds remove it."""
        others = {each: known for each, known in self.where.items() if each != column}
        return replace(self, where=others if condition in ((), (None, None)) else {**others, column: condition})


def query_of_filter(content: Mapping[str, Any]) -> SceneQuery:
    """Returns the query that shows an experiment's scenes, but for those that its filter names one by one."""
    names = {"change_share": "change", "object_change_share": "object_change", "no_data_share": "no_data"}
    ranges = {
        names.get(name, name): (bounds[0], bounds[1])
        for name in (*names, "offset")
        if (bounds := content.get(name)) is not None
    }
    return SceneQuery(
        events=tuple(content.get("events", ())),
        splits=tuple(content.get("splits", ())),
        objects=tuple(content.get("objects", ())),
        ranges=ranges,
        where={column: tuple(condition) for column, condition in content.get("where", {}).items()},
        name=content.get("name", ""),
    )


def is_range(condition: Condition) -> TypeGuard[Bounds]:
    """Whether a column's condition is a range, not texts."""
    return len(condition) == 2 and not any(isinstance(each, str) for each in condition)


def shown_number(value: float) -> str:
    """Returns a number in as few digits as tell it from others."""
    return f"{value:.10g}"


def _texts_of(condition: Condition) -> list[str]:
    if not is_range(condition):
        return [str(text) for text in condition]
    low, high = ("" if value is None else shown_number(float(value)) for value in condition)
    return [f"{low}..{high}"]


def _conditions(texts: Collection[str], columns: Mapping[str, str]) -> dict[str, Condition]:
    conditions: dict[str, Condition] = {}
    for text in texts:
        # The name of a column may hold an equals sign itself.
        named = [column for column in columns if text.startswith(f"{column}=")]
        if not named:
            continue
        column = max(named, key=len)
        value = text.removeprefix(f"{column}=")
        if columns[column] == "text":
            known = conditions.get(column, ())
            conditions[column] = (*(str(each) for each in known), value)
            continue
        low, dots, high = value.partition("..")
        bounds = (_number(low), _number(high if dots else low))
        if bounds != (None, None):
            conditions[column] = bounds
    return conditions


def _first(params: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(params.get(name, ())), "")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
