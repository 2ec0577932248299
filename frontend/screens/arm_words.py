"""An arm in a few words."""

from collections.abc import Iterator, Sequence

from frontend.score_wording import SCORE_WORDS
from frontend.wording import percent, plural
from pairlab.experiment.experiment import Arm
from pairlab.experiment.pairing import EVERY_EXTENT, ChangeScoreFilter, Noise, PairFilter, Pairing


def arm_words(arm: Arm) -> str:
    """Returns what an arm pairs, how noisy, and what it has of its own."""
    if arm.pairing is None:
        return "no pretraining" + ", the initial weights" * (arm.baseline == "initial_weights")
    names = {"method": "method", "dataset": "dataset", "scenes": "scenes", "initial": "initial weights"}
    own = [f"own {words}" for name, words in names.items() if getattr(arm, name) is not None]
    return " · ".join([*_pairing(arm.pairing), *own])


def factors_in_words(factors: Sequence[str]) -> str:
    """Returns in what an arm differs from the reference; at least one factor."""
    *first, last = factors
    return f"differs in {', '.join(first)} and {last}" if first else f"differs in {last}"


def _pairing(pairing: Pairing) -> Iterator[str]:
    yield plural(pairing.pairs, "pair")
    if pairing.policy == "same_image":
        yield "the same image twice"
        return
    yield from _noise(pairing.noise)
    if pairing.time_gap is not None:
        yield "a chosen time gap"
    if pairing.filter.by != "none":
        yield _filter(pairing.filter)


def _noise(noise: Noise) -> Iterator[str]:
    yield "noise as the data has it" if noise.rate is None else f"{percent(noise.rate, 0)} noisy"
    if noise.extent != EVERY_EXTENT:
        low, high = (percent(bound, 0) for bound in noise.extent)
        yield f"{low} to {high} of objects change"
    if noise.mismatch_rate:
        yield f"{percent(noise.mismatch_rate, 0)} of another place"
    if noise.shift_px:
        yield f"shifted by {noise.shift_px:g} px"


def _filter(chosen: PairFilter) -> str:
    if not isinstance(chosen, ChangeScoreFilter):
        return "filtered by the labels"
    return f"filtered by {SCORE_WORDS[chosen.score.name]}"
