"""Which arms of an experiment are rungs of one ladder: the file says it, before the run."""

from pairlab.experiment.experiment import Arm, Experiment

KNOBS = ("rate", "mismatch_rate", "shift_px")
"""Of pairing.noise, in this order; more of it disturbs more."""


def ladders_of(experiment: Experiment) -> tuple[tuple[str, ...], ...]:
    """Returns the ladders among the arms that get a verdict, least disturbed rung first.

    Two or more arms are a ladder where they differ in one of the knobs and in nothing else. The reference may be its
    lowest rung, and is left out; where it would stand higher, its neighbours have no order and are judged one by one.
    An arm is in one ladder only, that of the first knob.
    """
    found: list[tuple[str, ...]] = []
    for knob in KNOBS:
        taken = {name for ladder in found for name in ladder}
        groups: dict[str, dict[str, float]] = {}
        for name, arm in experiment.arms.items():
            if (
                arm.pairing is not None
                and name not in taken
                and (value := getattr(arm.pairing.noise, knob)) is not None
            ):
                groups.setdefault(_without(arm, knob), {})[name] = value
        for values in groups.values():
            start = values.pop(experiment.reference, None)
            if len(set(values.values())) == len(values) >= 2 and (start is None or start <= min(values.values())):
                found.append(tuple(sorted(values, key=values.__getitem__)))
    return tuple(found)


def _without(arm: Arm, knob: str) -> str:
    return arm.model_dump_json(exclude={"pairing": {"noise": {knob}}})
