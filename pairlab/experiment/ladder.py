"""A ladder: arms that differ from one another in the values of one or more knobs of their pairing."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from pairlab.experiment.experiment import Arm, Experiment, Seed
from pairlab.experiment.model import FrozenModel, Share
from pairlab.experiment.pairing import ChangeScoreFilter, Extent, PairFilter
from pairlab.experiment.problems import ExperimentError, problems_of

MAX_ARMS = 100
MAX_NAME = 60
Knob = Literal["filter", "extent", "mismatch_rate", "shift_px", "rate"]
NEUTRAL: dict[Knob, object] = {"mismatch_rate": 0.0, "shift_px": 0.0}
"""Values that need not be written."""
SPOKEN: tuple[Knob, ...] = ("rate", "extent", "mismatch_rate", "shift_px", "filter")
"""The order of the words in a name."""


class Rungs(FrozenModel):
    """The values that each knob takes; an empty list leaves it as the arm has it."""

    policies: tuple[Literal["same_image", "temporal"], ...] = ()
    """same_image is one rung, whatever the other knobs take: an image paired with itself has no noise."""
    rates: tuple[Share, ...] = ()
    """A rate of 0 is one rung, whatever the extents: it has no noisy pair."""
    extents: tuple[Extent, ...] = ()
    mismatch_rates: tuple[Share, ...] = ()
    shifts_px: tuple[Annotated[float, Field(ge=0.0, le=64.0)], ...] = ()
    filters: tuple[PairFilter, ...] = ()
    seeds: tuple[Seed, ...] = ()
    """Of the whole experiment; empty leaves those that it has."""

    @property
    def knobs(self) -> dict[Knob, Sequence[Any]]:
        """Values of the knobs that take any, each once, the least disturbed first, the outermost knob first."""
        found: dict[Knob, Sequence[Any]] = {
            "filter": list(dict.fromkeys(self.filters)),
            "extent": sorted(set(self.extents)),
            "mismatch_rate": sorted(set(self.mismatch_rates)),
            "shift_px": sorted(set(self.shifts_px)),
            "rate": sorted(set(self.rates)),
        }
        return {knob: values for knob, values in found.items() if values}


class Rung(NamedTuple):
    """One arm of a ladder."""

    name: str
    arm: Arm


def build_ladder(experiment: Experiment, rungs: Rungs, *, of: str, keep: Sequence[str] = ()) -> dict[str, Any]:
    """Returns new values of the experiment's fields `arms`, `reference` and, where rungs name them, `seeds`.

    Every combination of values is an arm, named after them. The reference stays if it is kept; otherwise it is the
    first temporal rung, which has the least of every knob, or the same image where no other knob takes values. A rung
    that equals a kept arm is that arm and does not come twice.

    Args:
        experiment: which the ladder is built in.
        rungs: values of the knobs.
        of: the arm that gives all rungs their other knobs, method, dataset and scenes.
        keep: arms that stay beside the ladder.

    Raises:
        ExperimentError: there is no such arm, it is a baseline, no knob takes values, a combination contradicts itself,
            or there would be more than 100 arms.
    """
    for name in (of, *keep):
        if name not in experiment.arms:
            raise ExperimentError([f"there is no arm {name!r}; the arms are: {', '.join(experiment.arms)}"])
    if not (rungs.knobs or rungs.policies):
        raise ExperimentError(["a ladder needs values of at least one knob: noise rates, extents, shifts, …"])
    arms = {name: arm for name, arm in experiment.arms.items() if name in keep}
    ladder: list[Rung] = []
    for rung in _rungs(experiment.arms[of], rungs, of):
        known = next((name for name, arm in arms.items() if arm == rung.arm), None)
        name = known or _free(rung.name, arms)
        ladder.append(Rung(name, rung.arm))
        arms.setdefault(name, rung.arm)
    if len(arms) > MAX_ARMS:
        raise ExperimentError([f"the experiment would have {len(arms)} arms; at most {MAX_ARMS} are allowed"])
    edit: dict[str, Any] = {
        "arms": {name: arm.model_dump(mode="json", exclude_unset=True) for name, arm in arms.items()},
        "reference": experiment.reference if experiment.reference in keep else _reference(ladder, rungs),
    }
    return edit | ({"seeds": list(dict.fromkeys(rungs.seeds))} if rungs.seeds else {})


def _reference(ladder: Sequence[Rung], rungs: Rungs) -> str:
    temporal = (rung.name for rung in ladder if rung.arm.pairing and rung.arm.pairing.policy == "temporal")
    return next(temporal, ladder[0].name) if rungs.knobs else ladder[0].name


def _rungs(arm: Arm, rungs: Rungs, of: str) -> Iterator[Rung]:
    """Yields the rungs, same image first; those that come to the same arm once."""
    if arm.pairing is None:
        raise ExperimentError([f"arm {of!r} is a baseline and draws no pairs: build the ladder from another arm"])
    content = arm.model_dump(mode="json", exclude_unset=True)
    old = content["pairing"]
    policies = rungs.policies or (("temporal",) if rungs.knobs else (arm.pairing.policy,))
    if "temporal" not in policies and rungs.knobs:
        raise ExperimentError(["an image paired with itself has no noise and no filter: add the policy temporal"])
    if "extent" in rungs.knobs and "rate" not in rungs.knobs and arm.pairing.noise.rate == 0:
        raise ExperimentError([f"arm {of!r} has rate 0, so no pair has an extent: add rates above 0"])
    if "same_image" in policies:
        pairing = old if arm.pairing.policy == "same_image" else {"policy": "same_image", **_of_every_policy(old)}
        yield Rung("same image", _arm({**content, "pairing": pairing}, "same image"))
    if "temporal" in policies:
        pairing = old if arm.pairing.policy == "temporal" else {"policy": "temporal", **_of_every_policy(old)}
        seen: list[Arm] = []
        for values in product(*rungs.knobs.values()):
            knobs = dict(zip(rungs.knobs, values, strict=True))
            name = _name(knobs)
            rung = Rung(name, _arm({**content, "pairing": _turned(pairing, knobs)}, name))
            if rung.arm not in seen:
                seen.append(rung.arm)
                yield rung


def _of_every_policy(pairing: dict[str, Any]) -> dict[str, Any]:
    return {"pairs": pairing["pairs"]} if "pairs" in pairing else {}


def _turned(pairing: dict[str, Any], knobs: dict[Knob, Any]) -> dict[str, Any]:
    """Returns a pairing's fields with these values; what is the default is left out."""
    turned, noise = dict(pairing), dict(pairing.get("noise") or {})
    if "filter" in knobs:
        turned.pop("filter", None)
        if knobs["filter"].by != "none":
            turned["filter"] = knobs["filter"].model_dump(mode="json", exclude_unset=True)
    for knob, value in knobs.items():
        if knob != "filter":
            noise[knob] = list(value) if knob == "extent" else value
            if value == NEUTRAL.get(knob):
                noise.pop(knob)
    if "extent" in knobs:
        if noise.setdefault("rate", 1.0) is None:
            noise["rate"] = 1.0
        if noise["rate"] == 0:
            noise.pop("extent")
    turned.pop("noise", None)
    return {**turned, "noise": noise} if noise else turned


def _arm(content: dict[str, Any], name: str) -> Arm:
    try:
        return Arm.model_validate(content)
    except ValidationError as error:
        raise ExperimentError([f"rung {name!r}: {problem}" for problem in problems_of(error, model=Arm)]) from error


def _name(knobs: dict[Knob, Any]) -> str:
    """Returns the values in words, as many of them as a name may hold."""
    if not knobs:
        return "temporal"
    named = [knob for knob in SPOKEN if knob in knobs and not (knob == "extent" and knobs.get("rate") == 0)]
    words = [_words(knob, knobs[knob]) for knob in named]
    long, short = (", ".join(each[place] for each in words) for place in (0, 1))
    return (long if len(long) <= MAX_NAME else short)[:MAX_NAME].rstrip(" ,")


def _words(knob: Knob, value: Any) -> tuple[str, str]:  # noqa: ANN401  (a number, an extent or a filter)
    """Returns a value in words, and in fewer."""
    match knob:
        case "rate":
            return (f"noise {_percent(value)} %", f"noise {_percent(value)}")
        case "extent":
            low, high = map(_percent, value)
            return (f"extent {low}–{high} %", f"ext {low}–{high}")
        case "mismatch_rate":
            return (f"mismatch {_percent(value)} %", f"mism {_percent(value)}")
        case "shift_px":
            return (f"shift {value:g} px", f"shift {value:g}")
    return _filter_words(value)


def _filter_words(chosen: PairFilter) -> tuple[str, str]:
    if not isinstance(chosen, ChangeScoreFilter):
        return ("no filter", "no filter") if chosen.by == "none" else ("oracle filter", "oracle")
    name = chosen.score.name
    if chosen.quantile is not None:
        return (f"filter {name}, quantile {chosen.quantile:g}", f"{name} q{chosen.quantile:g}")
    return (f"filter {name}, threshold {chosen.threshold:g}", f"{name} t{chosen.threshold:g}")


def _percent(share: float) -> str:
    return f"{100 * share:.6g}"


def _free(name: str, taken: dict[str, Arm]) -> str:
    """Returns the name, or with the first number after it that is free."""
    stem, number = name, 2
    while name in taken:
        ending = f" {number}"
        name, number = stem[: MAX_NAME - len(ending)] + ending, number + 1
    return name
