from collections.abc import Sequence

import pytest

from pairlab.diagnostics.alarm import Alarm
from pairlab.diagnostics.loss_trend import LossTrend


def rung(alarm: Alarm, looks: str) -> list[int]:
    """Returns at which of the looks (x: wrong, .: right) the alarm goes off."""
    return [place for place, look in enumerate(looks) if alarm.goes_off(look == "x")]


@pytest.mark.parametrize(
    ("looks", "at"),
    [
        ("xx.xx.xx.xx", []),
        ("xxx", [2]),
        ("xxxxxxxxx", [2]),
        ("xxx..xxx..xxx", [2]),
        ("xxx...xx.xxx", [2, 11]),
        ("xxx...xxx...xxx", [2, 8]),
        ("x.x.x.x.x.x.x", []),
    ],
)
def test_it_goes_off_once_and_once_more_where_it_was_over(looks: str, at: Sequence[int]) -> None:
    assert rung(Alarm(3), looks) == at


def test_what_an_earlier_attempt_told_holds_until_it_is_over() -> None:
    assert rung(Alarm(3, told=1), "xxxxxx...xxxxxx") == [11]
    assert rung(Alarm(3, told=2), "xxx...xxx") == []
    assert Alarm(3, told=1).wrong


def falls(losses: Sequence[float]) -> list[bool]:
    trend = LossTrend()
    return [fell for loss in losses if (fell := trend.add(loss)) is not None]


def wave(step: int) -> float:
    return 0.1 * ((step * 7919) % 11 / 5 - 1)  # within ± 0.1, no trend


def test_a_loss_that_stands_still_has_not_fallen() -> None:
    assert falls([3.0 + wave(step) for step in range(100)]) == [False] * 7
    assert falls([3.4] * 40) == [False]


def test_a_loss_that_falls_has() -> None:
    assert falls([3.0 - 0.02 * step + wave(step) for step in range(100)]) == [True] * 7
    assert falls([-0.01 * step for step in range(50)]) == [True, True]


def test_a_loss_that_rises_while_a_queue_fills_and_then_falls_has() -> None:
    rising = [1.5 + 0.15 * step for step in range(20)]
    assert falls([*rising, *(4.5 - 0.05 * step for step in range(30))])[-1]


def test_nothing_is_said_of_a_short_run() -> None:
    assert falls([3.0] * 39) == []
