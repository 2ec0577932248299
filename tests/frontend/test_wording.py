import pytest

from frontend.wording import duration, job_counts, moment, parse_time, percent, plural, points, sentence, signed


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (-3, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3000, "50 min"),
        (3600, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_durations_have_two_units(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_figures_that_are_missing_are_a_dash() -> None:
    assert {percent(None), points(None), signed(None), moment(None)} == {"–"}


def test_figures_read_as_points_and_percent() -> None:
    assert (percent(0.1234), percent(0.5, 0), points(0.5678)) == ("12.3 %", "50 %", "56.8")
    assert (signed(1.25), signed(-1.25), signed(0.0)) == ("+1.2", "−1.2", "+0.0")


def test_moments_are_utc_whatever_the_zone_they_are_given_in() -> None:
    assert moment("2025-01-10T12:30:00Z") == moment("2025-01-10T13:30:00+01:00") == "2025-01-10 12:30 UTC"
    assert parse_time("2025-01-10T12:30:00") == parse_time("2025-01-10T12:30:00Z")


def test_counts_name_what_there_is() -> None:
    assert job_counts({"queued": 2, "succeeded": 1, "failed": 0, "blocked": 3}) == "1 done · 2 queued · 3 waiting"
    assert job_counts({}) == "no jobs"


def test_nouns_follow_their_number() -> None:
    assert (plural(1, "job"), plural(0, "job"), plural(12000, "scene")) == ("1 job", "0 jobs", "12 000 scenes")


def test_remarks_become_sentences() -> None:
    assert sentence("2 seeds: no verdict") == "2 seeds: no verdict."
    assert sentence("every seed redraws its scenes.") == "Every seed redraws its scenes."
    assert sentence("pretraining.steps: at least 1 (got 0)") == "pretraining.steps: at least 1 (got 0)."
    assert sentence("seeds: must differ") == "seeds: must differ."
