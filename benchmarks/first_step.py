"""How long it takes from the submission of a job to its first training step, on the real stack with an idle worker."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import httpx

from benchmarks.report import Row
from benchmarks.stack import fresh_stack

DATASET = "first-step"
ALLOWED_SECONDS = 1.5
"""Beside what the interpreter takes to import torch and all else that a run needs."""
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 120.0
ENDED = ("succeeded", "failed", "cancelled")


def first_step_rows(*, quick: bool) -> list[Row]:
    """Returns the time from the answer to a submission to the start, and to the first step's loss, as the API tells.

    The first submission warms up. Each is a job of its own seed; the next comes when the worker is idle again.
    """
    importing = _import_seconds(1 if quick else 3)
    with fresh_stack() as stack:
        dataset = {"name": DATASET, "config": {"kind": "synthetic"}}
        stack.client.post("/datasets", json=dataset).raise_for_status()
        times = [_submitted(stack.client, seed) for seed in range(2 if quick else 6)]
    counted = times[1:]
    started, stepped = (statistics.median(each) for each in zip(*counted, strict=True))
    against = f"submission; {ALLOWED_SECONDS:g} s and the imports' {importing:.1f} s allowed; median of {len(counted)}"
    return [
        Row("first_step", stepped, "s", against, ALLOWED_SECONDS + importing, at_least=False),
        Row(
            "first_step_without_imports",
            stepped,
            "s",
            "submission; an idle worker has imported already, so that none of it is in there",
            ALLOWED_SECONDS,
            at_least=False,
        ),
        Row("job_started", started, "s", "submission", None, at_least=False),
        Row("imports", importing, "s", "a fresh interpreter: torch and all else that a run needs", None),
    ]


def _import_seconds(times: int) -> float:
    """Returns what importing takes in an interpreter of its own, the median of so many times."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import worker.run_job"], check=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _submitted(client: httpx.Client, seed: int) -> tuple[float, float]:
    """Returns when a submission's pretraining told that it starts, and when its first step's loss, in seconds."""
    answer = client.post("/experiments", json={"experiment": _experiment(seed)})
    began = time.perf_counter()
    answer.raise_for_status()
    identity = answer.json()["id"]
    job = next(each["id"] for each in _jobs(client, identity) if each["kind"] == "pretrain")
    started: float | None = None
    while True:
        found: dict[str, Any] = client.get(f"/jobs/{job}").json()
        now = time.perf_counter() - began
        if started is None and found["facts"]:
            started = now
        if "loss" in found["latest"]:
            break
        if found["status"] in ENDED or now > PATIENCE_SECONDS:
            raise SystemExit(f"the job is {found['status']} after {now:.0f} s without a step: {found['error']}")
        time.sleep(POLL_SECONDS)
    client.post(f"/experiments/{identity}/cancel").raise_for_status()
    while any(each["status"] not in ENDED for each in _jobs(client, identity)):
        time.sleep(10 * POLL_SECONDS)
    return now if started is None else started, now


def _jobs(client: httpx.Client, identity: str) -> Sequence[dict[str, Any]]:
    answer = client.get("/jobs", params={"experiment": identity, "limit": 100})
    jobs: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    return jobs


def _experiment(seed: int) -> dict[str, Any]:
    return {
        "name": "first step",
        "dataset": DATASET,
        "labels": {"scheme": "intact_damaged", "train_chips": 16},
        "network": {"encoder": "tu-resnet10t", "decoder": "fpn", "decoder_channels": 128},
        "pretraining": {"steps": 1000},
        "arms": {"same": {"pairing": {"policy": "same_image", "pairs": 1000}}},
        "reference": "same",
        "seeds": [seed],
        "protocols": [{"name": "linear_probe", "steps": 1}],
    }
