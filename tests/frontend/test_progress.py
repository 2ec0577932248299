import re

from rich.console import Console

from frontend.api_records import Job, JobWarning
from frontend.progress import new_warnings, watch

COLLAPSE: JobWarning = {"step": 1014, "sentence": "The embeddings collapse [0.01]."}
STARVING: JobWarning = {"step": 1200, "sentence": "It waits."}


def job(status: str, *warnings: JobWarning) -> Job:
    use = {"experiment": "e", "experiment_name": "E", "arm": "half noisy", "seed": 3}
    return {  # type: ignore[typeddict-item]
        "id": "j1",
        "kind": "pretrain",
        "status": status,
        "requested": None,
        "uses": [use],
        "dataset": "d",
        "seed": 3,
        "step": 1200,
        "total_steps": 2000,
        "seconds_left": None,
        "error": None,
        "latest": {"loss": 3.4},
        "warnings": list(warnings),
    }


def test_a_warning_is_told_once_with_whose_it_is() -> None:
    told: set[str] = set()
    first = new_warnings([job("running", COLLAPSE)], told)
    assert first == ["Warning, half noisy, seed 3, pretraining, step 1,014: The embeddings collapse [0.01]."]
    assert new_warnings([job("running", COLLAPSE)], told) == []
    assert len(new_warnings([job("running", COLLAPSE, STARVING)], told)) == 1


def test_warnings_are_printed_as_they_come_with_and_without_a_terminal() -> None:
    for terminal in (False, True):
        looks = [[job("running")], [job("running", COLLAPSE)], [job("succeeded", COLLAPSE, STARVING)]]
        console = Console(force_terminal=terminal, width=200, record=True, quiet=False, file=None)
        with console.capture() as captured:
            watch(iter(looks).__next__, console=console, headline="Job")
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", captured.get())
        assert text.count("The embeddings collapse [0.01].") == 1
        assert text.count("It waits.") == 1
        assert text.index("collapse") < text.index("It waits.")
