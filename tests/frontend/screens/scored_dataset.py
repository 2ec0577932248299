"""A dataset with change scores that real workers computed."""

import time
from typing import Any

import pytest

from frontend.api_records import FINAL_STATUSES
from frontend.score_records import Score
from tests.live_stack import LiveStack

SYNTHETIC = {"kind": "synthetic", "train": 40, "validation": 4, "test": 4}
RANDOM = {"name": "embedding", "encoder": "tu-resnet18", "weights": "random"}


def computed(stack: LiveStack, dataset: str, *scores: dict[str, Any]) -> list[Score]:
    """Returns the scores of a dataset, once real workers have computed these."""
    wanted = [stack.client.queue_score(dataset, score)["id"] for score in scores]
    deadline = time.monotonic() + 240
    while True:
        found = {each["id"]: each for each in stack.client.scores(dataset)}
        if all(found[key]["status"] in FINAL_STATUSES for key in wanted):
            break
        if time.monotonic() > deadline:
            pytest.fail(f"not computed after 240 s: {found}")
        time.sleep(0.3)
    jobs = [stack.client.job(found[key]["job"]) for key in wanted if found[key]["status"] != "succeeded"]
    if jobs:
        pytest.fail(stack.report([*jobs]))
    return [found[key] for key in wanted]
