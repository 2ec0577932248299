"""The words of a verdict: what was shown, what was not, and what it means to someone who only wants to know."""

from dataclasses import dataclass

from pairlab.verdict.differences import LEAST_SEEDS
from pairlab.verdict.outcomes import Outcome
from pairlab.verdict.reading import EndpointFigures, Verdict

WORDS: dict[Outcome, str] = {
    "robust": "robust",
    "benefits": "benefits",
    "harmed": "harmed",
    "not_harmed": "not harmed",
    "undecided": "undecided",
}
FIXED = "for these test scenes"


@dataclass(frozen=True, slots=True)
class Wording:
    """A verdict in words."""

    word: str
    plain: str
    shown: str
    not_shown: str
    needed: str


def wording_of(
    verdict: Verdict, *, titles: list[str], reference: str, margin: float, fixed: bool, pairing: bool
) -> Wording:
    """Returns a verdict in words.

    Args:
        verdict: what was read.
        titles: of its endpoints.
        reference: name of the reference arm.
        margin: δ, points.
        fixed: whether all seeds have the same test scenes.
        pairing: whether the pairing is all that the arm differs in.
    """
    scenes = f", {FIXED}" if fixed else ""
    if verdict.outcome is None:
        return Wording("no verdict yet", *_before(verdict), _needed(verdict))
    shown, not_shown = _shown(verdict, titles, margin)
    return Wording(
        word=WORDS[verdict.outcome] + scenes,
        plain=_plain(verdict.outcome, reference, _points(margin), fixed=fixed, pairing=pairing),
        shown=shown,
        not_shown=not_shown,
        needed=_needed(verdict),
    )


def _before(verdict: Verdict) -> tuple[str, str, str]:
    seeds = f"{verdict.seeds} seed{'s' * (verdict.seeds != 1)}"
    if verdict.next_look is None:
        reason = f"none of the planned looks has {LEAST_SEEDS} seeds, and below that no verdict is given"
    elif verdict.seeds < LEAST_SEEDS:
        reason = f"no verdict is given below {LEAST_SEEDS} seeds"
    else:
        reason = "a verdict is read at planned looks alone"
    plain = (
        f"There are {seeds} so far, and {reason}. A difference between so few runs may be chance: it says neither that "
        "the pairs hurt nor that they do not."
    )
    return plain, "nothing yet", "whether this arm is robust, benefits, is harmed, or is not harmed"


def _plain(outcome: Outcome, reference: str, margin: str, *, fixed: bool, pairing: bool) -> str:
    scenes = " on these test scenes" if fixed else ""
    unfiltered = " Nothing needs to be filtered for its sake." if pairing else ""
    sentences: dict[Outcome, str] = {
        "robust": f"Take this arm or “{reference}”: it makes no difference that matters{scenes}. Any true difference "
        f"was shown to be smaller than the {margin} you said you care about.{unfiltered}",
        "not_harmed": f"This arm does not cost you {margin} or more{scenes}.{unfiltered} Whether it helps is open.",
        "benefits": f"This arm helps{scenes}: its gain over “{reference}” was shown to be larger than {margin}.",
        "harmed": f"This arm hurts{scenes}: its loss against “{reference}” was shown to be larger than {margin}.",
        "undecided": f"The seeds so far cannot tell whether this arm costs you {margin} or more{scenes}. That "
        "is not the same as “no difference”: it means that nobody knows yet.",
    }
    return sentences[outcome]


def _shown(verdict: Verdict, titles: list[str], margin: float) -> tuple[str, str]:
    """Returns what was shown and what was not, with figures."""
    named = dict(zip(titles, verdict.endpoints, strict=True))
    intervals = "; ".join(f"{title} {_interval(each)}" for title, each in named.items())
    every = "at both endpoints" if len(titles) > 1 else f"of {titles[0]}"
    lost = [title for title, each in named.items() if each.high is not None and each.high <= -margin]
    won = [title for title, each in named.items() if each.low is not None and each.low >= margin]
    match verdict.outcome:
        case "robust":
            return (
                f"the true difference {every} lies between −{margin:g} and +{_points(margin)} ({intervals})",
                "that there is no difference at all: a smaller one may be real",
            )
        case "not_harmed":
            return (
                f"the true difference {every} is above −{_points(margin)} ({intervals})",
                f"that it is below +{margin:g} as well (robust), or above it (benefits)",
            )
        case "benefits":
            rest = f", and no endpoint loses {_points(margin)}" if len(titles) > 1 else ""
            return (
                f"the true difference of {_and(won)} is above +{_points(margin)}{rest} ({intervals})",
                _others(titles, won, "gain", margin),
            )
        case "harmed":
            return (
                f"the true difference of {_and(lost)} is below −{_points(margin)} ({intervals})",
                _others(titles, lost, "loss", margin),
            )
    first = verdict.breaks_at
    behind = first is not None and verdict.ladder.index(first) < _rung(verdict)
    why = f": its ladder breaks at “{first}”, and rungs behind that are not tested for it" if behind else ""
    return (
        f"nothing ({intervals})",
        f"that the loss stays below {_points(margin)}, or exceeds it{why}",
    )


def _rung(verdict: Verdict) -> int:
    return verdict.ladder.index(verdict.arm) if verdict.ladder else 0


def _others(titles: list[str], shown: list[str], noun: str, margin: float) -> str:
    others = [title for title in titles if title not in shown]
    words = f"how large the {noun} is beyond {_points(margin)}"
    return f"{words}, and a {noun} of {_and(others)}" if others else words


def _needed(verdict: Verdict) -> str:
    if verdict.reachable is None:
        return ""
    if verdict.seeds_needed is not None:
        return (
            f"{verdict.seeds_needed} seeds in all would show an arm without any difference to be robust, with a "
            "probability of at least 0.8 (at the upper 80 % bound of the spread; the difference seen plays no part)"
        )
    return (
        "not reachable: even the last planned look would show an arm without any difference to be robust with a "
        "probability below 0.8. A wider margin, or more looks planned from the start, need a new experiment"
    )


def _interval(figures: EndpointFigures) -> str:
    if figures.low is None or figures.high is None:
        return _signed(figures.mean)
    return f"{_signed(figures.mean)} [{_signed(figures.low)}, {_signed(figures.high)}]"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _points(margin: float) -> str:
    return "1 point" if margin == 1 else f"{margin:g} points"


def _and(names: list[str]) -> str:
    return " and ".join(names)
