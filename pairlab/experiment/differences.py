"""In what two experiments differ, field by field."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pairlab.experiment.experiment import Experiment

KINDS = {"method": "name", "score": "name", "filter": "by", "initial": "source"}
"""Fields of several kinds, and what names the kind: values of two kinds have hardly a field in common."""


class Difference(NamedTuple):
    """One field that differs; None is the value of one that is not there."""

    path: tuple[str, ...]
    """Names of the fields, the outermost first; protocols stand under their names."""
    old: Any
    """Plain values, as a file holds them."""
    new: Any


def differences(old: Experiment, new: Experiment) -> list[Difference]:
    """Returns the fields in which `new` differs from `old`, in the order of the file.

    Values count, not their notation: a default that is written out equals one that is left out. An arm, method, score,
    filter or source of initial weights that only one of both has is a single difference, and so is the order of the
    protocols, whose last one is the primary one.
    """
    before, after = (each.model_dump(mode="json") for each in (old, new))
    written_before, written_after = (each.model_dump(mode="json", exclude_unset=True) for each in (old, new))
    orders = [[protocol["name"] for protocol in content["protocols"]] for content in (before, after)]
    for content in (before, after, written_before, written_after):
        content["protocols"] = {protocol["name"]: protocol for protocol in content.get("protocols", [])}
    found = list(_differing((), before, after, written_before, written_after))
    if orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1]):
        found.append(Difference(("protocols",), *orders))
    return found


def _differing(path: tuple[str, ...], old: Any, new: Any, written_old: Any, written_new: Any) -> Iterator[Difference]:  # noqa: ANN401  (plain values)
    """Yields what differs; what is written is the same values without the defaults that the file leaves out."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping) and _kind(path, old) == _kind(path, new):
        for name in dict.fromkeys([*old, *new]):
            values = (old.get(name), new.get(name), _entry(written_old, name), _entry(written_new, name))
            yield from _differing((*path, name), *values)
    else:
        yield Difference(path, _shortened(old, written_old), _shortened(new, written_new))


def _kind(path: tuple[str, ...], value: Mapping[str, Any]) -> object:
    return value.get(KINDS[path[-1]]) if path and path[-1] in KINDS else None


def _entry(written: Any, name: str) -> Any:  # noqa: ANN401
    return written.get(name) if isinstance(written, Mapping) else None


def _shortened(value: Any, written: Any) -> Any:  # noqa: ANN401
    return written if isinstance(value, Mapping) and isinstance(written, Mapping) else value
