"""Several processes that run one job together, one per device, launched as torchrun launches them."""

import ctypes
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from pairlab.engine.allocation import keep_freed_memory
from pairlab.engine.team import Team
from worker.fork_server import PR_SET_PDEATHSIG
from worker.protocol import Description

_DESCRIPTION, _STOP, _MEETING = "description.json", "stop", "meeting"
_LAST_SECONDS = 1.0
"""How long a process that crashed still lives: who fails only because another was killed must not be found first."""
_CLOSING_SECONDS = 5
"""What the others get to end by themselves once one has failed."""
_ON_THIS_MACHINE = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""Nothing of a team listens to the outside."""


def processes_for(parts: int, *, allowed: int, devices: int) -> int:
    """Returns how many processes share a job's parts: the most that divide them.

    Args:
        parts: of the job.
        allowed: by the installation.
        devices: GPUs of the run; 0 where it computes on the CPU.
    """
    most = min(parts, allowed, devices or allowed)
    return next(count for count in range(most, 0, -1) if parts % count == 0)


@dataclass(frozen=True)
class Member:
    """What a process needs to take part."""

    description: Description
    team: Team
    events: int
    """Descriptor for what it tells: the leader's lead to the supervisor, the others' nowhere."""
    end: Path
    """Where it writes how it failed."""
    stop: Path
    """Is there once the job shall stop."""


def run_together(
    entry: Callable[[str, int], None], description: Description, *, count: int, pipe: int
) -> dict[str, Any] | None:
    """Returns what the process that failed first told of its failure; None where all came to their end.

    Processes are spawned: whoever calls this may have imported torch, but must not have used it. They are of the
    caller's process group and die with it.

    Args:
        entry: is called in each process with a folder, which `join_team` takes.
        description: the job; its threads are shared out.
        count: processes.
        pipe: descriptor that the leader writes events to.
    """
    threads = max(1, description["threads"] // count)
    os.environ.update(_ON_THIS_MACHINE)
    for name in ("torch.distributed.elastic", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # who fails tells it by itself
    with TemporaryDirectory(prefix="pairlab-team-") as folder:
        content = {"description": {**description, "threads": threads}, "launcher": os.getpid(), "pipe": pipe}
        Path(folder, _DESCRIPTION).write_text(json.dumps(content))
        stop = Path(folder, _STOP)
        # Processes inherit that SIGTERM waits until they can take it. Starting the tracker lets it in for a moment.
        signal.signal(signal.SIGTERM, lambda *_: stop.touch())
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_pass_stop_on, args=[stop], daemon=True).start()
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id="pairlab",
            rdzv_backend="c10d",
            rdzv_endpoint=str(Path(folder, "rendezvous")),
            rdzv_configs={"store_type": "file"},
            max_restarts=0,
            start_method="spawn",
            local_addr="127.0.0.1",
            logs_specs=DefaultLogsSpecs(log_dir=str(Path(folder, "logs"))),
            signals_to_handle="SIGINT",
            shutdown_timeout=_CLOSING_SECONDS,
        )
        try:
            elastic_launch(config, entry)(folder, count)
        except ChildFailedError as error:
            return _first_end(Path(folder), error, count=count)
        return None


def join_team(folder: str, size: int) -> Member:
    """Returns what this process, one that `run_together` has started, needs to take part."""
    rank = int(os.environ["RANK"])
    content = json.loads(Path(folder, _DESCRIPTION).read_text())
    keep_freed_memory()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != content["launcher"]:
        raise SystemExit("the launcher is gone")
    events = f"/proc/{content['launcher']}/fd/{content['pipe']}" if rank == 0 else os.devnull
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if cuda else "gloo",
        init_method=f"file://{Path(folder, _MEETING)}",
        rank=rank,
        world_size=size,
    )
    return Member(
        description=content["description"],
        team=Team(rank=rank, size=size, device=device),
        events=os.open(events, os.O_WRONLY),
        end=_end_file(Path(folder), rank),
        stop=Path(folder, _STOP),
    )


def leave_team(status: int) -> None:
    """Ends this process's part: in step with the others if it went well."""
    if status == 0:
        distributed.barrier()
        distributed.destroy_process_group()
        return
    time.sleep(_LAST_SECONDS)
    raise SystemExit(status)


def _pass_stop_on(file: Path) -> None:
    signal.sigwait({signal.SIGTERM})
    file.touch()


def _end_file(folder: Path, rank: int) -> Path:
    return folder / f"end-{rank}.json"


def _first_end(folder: Path, error: ChildFailedError, *, count: int) -> dict[str, Any]:
    rank, failure = error.get_first_failure()
    if failure.exitcode >= 0:
        ends = [file for file in (_end_file(folder, each) for each in range(count)) if file.exists()]
        for file in sorted(ends, key=lambda file: file.stat().st_mtime_ns):
            told: dict[str, Any] = json.loads(file.read_text())
            return told
        return {"event": "crashed", "error": f"process {rank + 1} of {count} ended with status {failure.exitcode}"}
    hint = " (too little memory is the usual cause)" if failure.exitcode == -signal.SIGKILL else ""
    return {"event": "crashed", "error": f"process {rank + 1} of {count} being killed by {failure.signal_name()}{hint}"}
