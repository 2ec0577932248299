"""Which two acquisitions a temporal pair may show, where scenes have more than two."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pairlab.experiment.pairing import TimeGap
from pairlab.pairing.refusal import PairingRefused

_SECONDS_PER_DAY = 86_400.0


def dates_to_pair(acquisitions: Sequence[str], gap: TimeGap | None) -> list[tuple[int, int]]:
    """Returns the two positions of each pair of acquisitions that may be taken, earlier before later.

    Args:
        acquisitions: names in order of time, at least two.
        gap: how far they lie apart; None is the first and the last alone.

    Raises:
        PairingRefused: no two lie so far apart, or days are asked for and the names are no dates.
    """
    if gap is None:
        return [(0, len(acquisitions) - 1)]
    distance, unit = _distance(acquisitions, gap)
    low, high = gap.steps or gap.days or (0, 0)
    apart = {
        (first, last): distance(first, last)
        for first in range(len(acquisitions))
        for last in range(first + 1, len(acquisitions))
    }
    found = [pair for pair, between in apart.items() if low <= between <= high]
    if not found:
        raise PairingRefused(
            f"no two acquisitions lie {low:g} to {high:g} {unit} apart; those of the dataset "
            f"({_named(acquisitions)}) lie {min(apart.values()):g} to {max(apart.values()):g} {unit} apart: "
            "choose time_gap accordingly"
        )
    return found


def _distance(acquisitions: Sequence[str], gap: TimeGap) -> tuple[Callable[[int, int], float], str]:
    """Returns how far two positions lie apart, and in which unit."""
    if gap.steps is not None:
        return (lambda first, last: last - first), "steps"
    times = [_time(name) for name in acquisitions]
    unread = [name for name, time in zip(acquisitions, times, strict=True) if time is None]
    if unread:
        raise PairingRefused(
            f"time_gap.days needs acquisitions named by date, as 2021-06-30, and {_named(unread)} "
            f"{'are' if len(unread) > 1 else 'is'} none: name them so, or give time_gap in steps"
        )
    days = [time.timestamp() / _SECONDS_PER_DAY for time in times if time is not None]
    return (lambda first, last: abs(days[last] - days[first])), "days"


def _time(name: str) -> datetime | None:
    """Returns the time that an ISO 8601 date, or date and time, tells; in UTC where it names no zone."""
    try:
        time = datetime.fromisoformat(name)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
