"""A real PairLab in an empty folder, for the benchmarks that measure the service."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil


@dataclass(frozen=True, slots=True)
class RunningStack:
    """What was started: a client of its API, the API's process, and the folder of all its data."""

    client: httpx.Client
    api_process: psutil.Process
    home: Path


@contextmanager
def fresh_stack(*, data_roots: Mapping[str, Path] | None = None) -> Iterator[RunningStack]:
    """Yields a stack that was started in an empty folder and is gone afterwards.

    Args:
        data_roots: name → folder that imagery may be read from.
    """
    with tempfile.TemporaryDirectory(prefix="pairlab-benchmark-") as folder:
        environment = {**os.environ, "PAIRLAB_HOME": folder}
        command = [sys.executable, "-m", "backend.embedded"]
        roots = [f"--data-root={name}={root}" for name, root in (data_roots or {}).items()]
        ports = ["--api-port=0", "--ui-port=0"]
        up = [*command, "up", "--detach", "--home", folder, *ports, *roots]
        subprocess.run(up, check=True, env=environment, stdout=sys.stderr)
        try:
            endpoints = json.loads((Path(folder) / "endpoints.json").read_text())
            api = next(
                child
                for child in psutil.Process(endpoints["pid"]).children(recursive=True)
                if "backend.app:create_app" in child.cmdline()
            )
            with httpx.Client(base_url=f"{endpoints['api']}/api/v1", timeout=120, trust_env=False) as client:
                yield RunningStack(client, api, Path(folder))
        finally:
            subprocess.run([*command, "down", "--home", folder], check=False, env=environment, stdout=sys.stderr)
