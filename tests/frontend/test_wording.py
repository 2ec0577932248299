import pytest

from frontend.api_records import Job, JobKind, JobStatus
from frontend.wording import (
    dataset_place,
    duration,
    file_size,
    in_split_order,
    is_of_dataset,
    job_counts,
    moment,
    parse_time,
    percent,
    plural,
    points,
    seed_of,
    sentence,
    signed,
    state_words,
)


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


def test_splits_stand_in_the_order_of_their_use() -> None:
    assert list(in_split_order({"test": 1, "other": 4, "validation": 2, "train": 3})) == [
        "train",
        "validation",
        "test",
        "other",
    ]


def test_bytes_are_told_in_their_largest_unit() -> None:
    assert [file_size(size) for size in (0, 999, 1000, 66_200_000_000, 2 * 10**15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "66.2 GB",
        "2000.0 TB",
    ]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"kind": "synthetic", "preset": "season", "knobs": {"haze": 0}}, "preset season with haze 0"),
        ({"kind": "xbd", "root": "r", "folder": "", "damage_from": "destroyed"}, "data root r; buildings"),
        ({"kind": "bitemporal", "root": "r", "folder": "f", "manifest": None}, "data root r/f, in folders A and B"),
        ({"kind": "bitemporal", "root": "r", "folder": "f", "manifest": "m.csv"}, "r/f, listed by m.csv"),
    ],
)
def test_a_dataset_is_told_by_where_its_scenes_come_from(config: dict[str, object], words: str) -> None:
    assert words in dataset_place(config)


def job(kind: JobKind, status: JobStatus = "blocked", *, arms: tuple[str, ...] = ()) -> Job:
    uses = [{"experiment": "e", "experiment_name": "e", "arm": arm, "seed": 0} for arm in arms]
    return {"kind": kind, "status": status, "uses": uses}  # type: ignore[typeddict-item]


def test_a_job_that_waits_says_what_for() -> None:
    assert state_words(job("pretrain")) == "waiting for its change score"
    assert state_words(job("segment")) == "waiting for pretraining"
    assert state_words(job("segment", "succeeded")) == "done"


def test_a_score_is_of_its_dataset_unless_arms_need_it() -> None:
    assert is_of_dataset(job("index"))
    assert is_of_dataset(job("score"))
    assert not is_of_dataset(job("score", arms=("filtered",)))
    assert not is_of_dataset(job("pretrain"))


def test_a_score_has_the_seed_of_the_arms_that_need_it() -> None:
    def score(*seeds: int) -> Job:
        uses = [{"seed": seed} for seed in seeds]
        return {"kind": "score", "seed": None, "uses": uses}  # type: ignore[typeddict-item]

    assert seed_of(score(3, 3)) == 3
    assert seed_of(score(3, 4)) is None
    assert seed_of(score()) is None
    assert seed_of({**score(3), "seed": 0}) == 0
