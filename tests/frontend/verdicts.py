"""Results with verdicts, as the API answers them, for tests of what is shown."""

from frontend.result_records import ArmResult, Results
from frontend.verdict_records import Outcome, Verdict


def verdict(arm: str, outcome: Outcome | None, *, low: float = -0.4, high: float = 0.6) -> Verdict:
    """A verdict of one endpoint, read at 5 seeds."""
    word = "no verdict yet" if outcome is None else outcome.replace("_", " ")
    return {
        "arm": arm,
        "outcome": outcome,
        "word": word,
        "plain": f"Plainly {word} <b>.",
        "shown": "the true difference lies there",
        "not_shown": "that there is none",
        "caveats": ["not exposure-matched: the verdict is also one of the images shown"] if outcome else [],
        "look": 5 if outcome else None,
        "seeds": 6 if outcome else 2,
        "next_look": 10 if outcome else 5,
        "seeds_needed": 20 if outcome == "undecided" else None,
        "reachable": True if outcome == "undecided" else None,
        "needed": "20 seeds in all would do" if outcome == "undecided" else "",
        "alpha": 0.05 / 3,
        "interval_level": 1 - 0.1 / 3,
        "family": 2,
        "p_values": {"robust": 0.004, "not_harmed": 0.001} if outcome else {},
        "endpoints": [
            {
                "name": "miou",
                "title": "mIoU",
                "mean": 0.1,
                "deviation": 0.3,
                "low": low,
                "high": high,
                "sign_test": {"below": 2, "above": 3, "equal": 0, "p_value": 1.0},
                "lopsided": None,
            }
        ],
        "ladder": [],
        "breaks_at": None,
        "history": [],
    }


def results(*verdicts: Verdict) -> Results:
    """Results of these arms and a reference, without any score."""
    arms = ["same", *(each["arm"] for each in verdicts)]
    return {
        "id": "e",
        "name": "noise",
        "status": "succeeded",
        "classes": ["background", "object"],
        "primary_protocol": "fine_tuning",
        "reference": "same",
        "margin": 1.0,
        "looks": [5, 10, 20],
        "verdicts": list(verdicts),
        "rows": [_row(arm) for arm in arms],
        "notes": [],
    }


def _row(arm: str) -> ArmResult:
    row: dict[str, object] = dict.fromkeys(ArmResult.__annotations__)
    row |= {"arm": arm, "protocol": "fine_tuning", "reference": arm == "same", "baseline": False}
    row |= {"seeds": [], "missing": {}, "mean_iou": {}, "difference_seeds": 0, "factors": []}
    return row  # type: ignore[return-value]
