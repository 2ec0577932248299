"""A real PairLab for the tests: queue server, API, worker and UI on free ports, in a home of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from frontend.api_client import ApiClient
from frontend.api_records import ExperimentDetail, Job

SAMPLE = Path(
    os.environ.get("PAIRLAB_XBD_SAMPLE", Path(__file__).parents[1] / ".." / "shared" / "xbd_sample")
).resolve()
"""The 32 real xBD tiles; the data root `xbd` where they are."""
START_SECONDS = 180.0
STOP_SECONDS = 120.0

TINY_DATASET = {"kind": "synthetic", "train": 48, "validation": 4, "test": 6}
"""What `tiny_experiment` runs on, registered as `tiny`."""


def tiny_experiment(name: str = "tiny", **changes: object) -> dict[str, Any]:
    """A baseline and a pretrained arm on `tiny`: three jobs of a few seconds; other seeds make other jobs."""
    return {
        "name": name,
        "dataset": "tiny",
        "network": {"decoder_channels": 64},
        "pretraining": {"steps": 8, "batch_size": 4, "warmup_steps": 2, "checkpoint_every": 4},
        "labels": {"train_chips": 8},
        "arms": {
            "random": {"baseline": "random_initialisation"},
            "half noisy": {"pairing": {"policy": "temporal", "noise": {"rate": 0.5}, "pairs": 20}},
        },
        "reference": "half noisy",
        "seeds": [0],
        "protocols": [
            {"name": "linear_probe", "steps": 4, "evaluate_every": 2, "batch_size": 4},
            {"name": "fine_tuning", "steps": 2, "evaluate_every": 2, "batch_size": 4},
        ],
        **changes,
    }


def as_yaml(experiment: Mapping[str, Any]) -> str:
    """JSON is YAML."""
    return json.dumps(experiment, indent=2)


@dataclass(frozen=True)
class LiveStack:
    """A running stack; `process` is its supervisor."""

    home: Path
    api: str
    ui: str
    client: ApiClient
    process: "subprocess.Popen[bytes]"

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to find this stack."""
        return {**clean_environment(), "PAIRLAB_HOME": str(self.home)}

    def register(self, name: str, config: Mapping[str, Any], *, seconds: float = 120.0) -> str:
        """Registers a dataset, unless it is there, and waits until it is indexed."""
        if name not in {dataset["name"] for dataset in self.client.datasets(limit=200)["items"]}:
            self.client.create_dataset(name, dict(config))
        deadline = time.monotonic() + seconds
        while (found := self.client.dataset(name))["state"] == "indexing" and time.monotonic() < deadline:
            time.sleep(0.1)
        if found["state"] != "ready":
            pytest.fail(f"dataset {name} is {found['state']}\n{log_tails(self.home)}")
        return name

    def submit(self, experiment: str | Mapping[str, Any]) -> str:
        """Returns the id of an experiment, given as YAML or as its content."""
        text = experiment if isinstance(experiment, str) else as_yaml(experiment)
        return self.client.submit(text)["id"]

    def wait(self, experiment: str, *, seconds: float = 300.0, succeed: bool = True) -> ExperimentDetail:
        """Returns an experiment that has ended; fails the test with errors and logs where it has not, or badly."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.client.experiment(experiment)
            if found["status"] not in ("queued", "running"):
                break
            if time.monotonic() > deadline:
                pytest.fail(f"{found['name']}: not over after {seconds:.0f} s\n{self.report(found['job_list'])}")
            time.sleep(0.3)
        if succeed and found["status"] != "succeeded":
            pytest.fail(f"{found['name']}: {found['status']}\n{self.report(found['job_list'])}")
        return found

    def report(self, jobs: list[Job]) -> str:
        """Returns states, errors and last log lines of jobs, and the ends of the stack's logs."""
        parts = [f"{job['kind']} {job['id']}: {job['status']}, step {job['step']}, {job['error']}" for job in jobs]
        for job in jobs:
            if job["status"] in ("failed", "running", "lost"):
                lines = self.client.logs(job["id"])["lines"][-20:]
                parts += [f"-- log of {job['id']}", *(line["text"] for line in lines)]
        return "\n".join([*parts, log_tails(self.home)])


def clean_environment() -> dict[str, str]:
    """Returns this process's environment without anything that points at another PairLab."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PAIRLAB_")}


def log_tails(home: Path, lines: int = 25) -> str:
    """Returns the ends of all logs of a home."""
    parts = []
    for log in sorted((home / "logs").glob("*.log")):
        parts += [f"-- {log.name}", *log.read_text(errors="replace").splitlines()[-lines:]]
    return "\n".join(parts)


def processes_of(home: Path) -> list[psutil.Process]:
    """Returns what runs with this home, children of children included."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            named = any(str(home) in argument for argument in process.cmdline())
            if (named or process.environ().get("PAIRLAB_HOME") == str(home)) and process.pid != os.getpid():
                found.append(process)
    return found


@contextlib.contextmanager
def running_stack(
    home: Path, data_roots: Mapping[str, Path], *, slots: int = 2, api_port: int = 0
) -> Iterator[LiveStack]:
    """Yields a stack that is ready. It stops with this process, even if that is killed."""
    command = [sys.executable, "-m", "backend.embedded", "up", "--while-stdin-open", "--home", str(home)]
    command += ["--api-port", str(api_port), "--ui-port", "0", "--slots", str(slots)]
    for name, folder in data_roots.items():
        command += ["--data-root", f"{name}={folder}"]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=clean_environment()
        )
    try:
        endpoints = _await_endpoints(home, process)
        client = ApiClient(endpoints["api"])
        try:
            yield LiveStack(home=home, api=endpoints["api"], ui=endpoints["ui"], client=client, process=process)
        finally:
            client.close()
    finally:
        stop(process)
        for left in processes_of(home):
            left.kill()


def stop(process: "subprocess.Popen[bytes]") -> int:
    """Ends a stack in its order and returns its exit code."""
    if process.stdin is not None:
        process.stdin.close()
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _await_endpoints(home: Path, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while True:
        # What a killed stack left behind is of another process.
        with contextlib.suppress(FileNotFoundError):
            found: dict[str, Any] = json.loads((home / "endpoints.json").read_text())
            if found["pid"] == process.pid:
                return found
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the stack is not ready\n{(home / 'up.log').read_text()}\n{log_tails(home)}")
        time.sleep(0.1)
