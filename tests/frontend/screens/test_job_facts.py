from frontend.api_records import JobDetail
from frontend.screens.job_facts import facts_of


def job(**facts: object) -> JobDetail:
    return {"facts": facts}  # type: ignore[typeddict-item]


def test_what_a_run_found_is_told_in_words() -> None:
    found = facts_of(
        job(
            device="cpu",
            realised_noise=0.5,
            exposure_matched=False,
            pool={"chips": 90, "noisy": 30},
            filtered={"drawn": 10, "thrown_away": 4, "noisy_thrown_away": 3, "threshold": 1.5},
            variants=["across", "before"],
            warnings=["3 scores are missing", "their pairs are kept"],
            nested={"not": "shown"},
        )
    )
    assert found == {
        "device": "cpu",
        "realised noise": 0.5,
        "exposure matched": "no",
        "pool": "90 chips, 30 noisy",
        "filter": "throws away 4 pairs of 10 (40 %), 3 of them noisy",
        "variants": "across, before",
        "remarks": "3 scores are missing. Their pairs are kept.",
    }


def test_what_is_not_there_takes_no_line() -> None:
    assert facts_of(job(filtered=None, warnings=[], pool={})) == {}
