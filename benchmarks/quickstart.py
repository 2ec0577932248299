"""The quickstart on the real stack: how soon it shows something, how long it takes, and what pretraining is worth.

A third seed is added afterwards for the gains; the times are those of the two seeds a new user runs.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import httpx

from benchmarks.report import Row, run
from benchmarks.stack import fresh_stack
from pairlab.experiment.experiment import Experiment, load_experiment

QUICKSTART = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"
POLL_SECONDS = 0.25
GAIN_SEEDS = (0, 1, 2)


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    experiment = load_experiment(QUICKSTART.read_text())
    if quick:
        experiment = _shortened(experiment)
    with fresh_stack() as stack:
        client, name = stack.client, experiment.dataset
        client.post("/datasets", json={"name": name, "config": {"kind": "synthetic"}}).raise_for_status()
        rows = _times(client, experiment)
        if not quick:
            experiment = experiment.model_copy(update={"seeds": GAIN_SEEDS})
            _follow(client, _submit(client, experiment))
        rows += _gains(client, experiment)
    return rows


def _times(client: httpx.Client, experiment: Experiment) -> list[Row]:
    began = time.monotonic()
    identity = _submit(client, experiment)
    first_loss = _first_metric(client, identity, "loss") - began
    first_miou = _first_metric(client, identity, "/miou") - began
    _follow(client, identity)
    whole = (time.monotonic() - began) / 60
    return [
        Row("first_loss", first_loss, "s", "submission", 15.0, at_least=False),
        Row("first_miou", first_miou, "s", "submission", 60.0, at_least=False),
        Row("whole_experiment", whole, "min", "submission, 2 seeds", 12.0, at_least=False),
    ]


def _gains(client: httpx.Client, experiment: Experiment) -> list[Row]:
    """Returns mIoU points over random initialisation, paired by seed, mean over seeds."""
    newest = client.get("/experiments", params={"limit": 1}).json()["items"][0]["id"]
    scores = {
        (row["arm"], row["protocol"]): {each["seed"]: each["miou"] for each in row["seeds"]}
        for row in client.get(f"/experiments/{newest}/results").json()["rows"]
    }
    baseline = next(name for name, arm in experiment.arms.items() if arm.baseline is not None)
    rows = []
    for arm in [name for name, arm in experiment.arms.items() if arm.pairing is not None]:
        for protocol, bar in (("fine_tuning", 8.0), ("linear_probe", 10.0 if arm == "temporal, clean" else None)):
            one, other = scores[arm, protocol], scores[baseline, protocol]
            gain = mean(100 * (one[seed] - other[seed]) for seed in experiment.seeds)
            rows.append(Row(f"{protocol}: {arm}", gain, "mIoU points", f"{baseline}, {len(one)} seeds", bar))
    return rows


def _submit(client: httpx.Client, experiment: Experiment) -> str:
    answer = client.post("/experiments", json={"experiment": experiment.model_dump(mode="json")})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _first_metric(client: httpx.Client, identity: str, key: str) -> float:
    """Returns the moment at which the API first shows a metric whose key ends so."""
    while True:
        jobs: list[dict[str, Any]] = client.get("/jobs", params={"experiment": identity, "limit": 100}).json()["items"]
        if any(name.endswith(key) for job in jobs for name in job["latest"]):
            return time.monotonic()
        time.sleep(POLL_SECONDS)


def _follow(client: httpx.Client, identity: str) -> None:
    while True:
        experiment = client.get(f"/experiments/{identity}").json()
        if experiment["finished_at"] is not None:
            break
        time.sleep(POLL_SECONDS)
    if experiment["status"] != "succeeded":
        errors = [job["error"] for job in experiment["job_list"] if job["error"]]
        raise SystemExit(f"the experiment {experiment['status']}: {'; '.join(errors)}")


def _shortened(experiment: Experiment) -> Experiment:
    short = [{"name": protocol.name, "steps": 4, "evaluate_every": 4} for protocol in experiment.protocols]
    content = experiment.model_dump(mode="json", exclude_unset=True)
    content |= {"seeds": [0], "protocols": short, "pretraining": {**content["pretraining"], "steps": 4}}
    return Experiment.model_validate(content)


if __name__ == "__main__":
    run("quickstart", measure)
