"""Runs one job in a process of its own and tells, as lines of JSON, what happens. Importing this imports torch."""

import os
import traceback
from collections.abc import Iterator

import torch
from pydantic import TypeAdapter

from pairlab.engine.team import ALONE, Team
from pairlab.events import Event
from pairlab.experiment.jobs import AnyJob, IndexJob, JobConfig, ScoreJob
from worker.index_job import index
from worker.processes import join_team, leave_team, processes_for, run_together
from worker.protocol import EXIT_CRASHED, EXIT_DONE, EXIT_REFUSED, Description
from worker.reporting import Reporter, StopRequest
from worker.score_job import score
from worker.training_job import train

_CONFIG: TypeAdapter[AnyJob] = TypeAdapter(JobConfig)


def run_job(description: Description, *, pipe: int) -> int:
    """Returns the exit status of a job's run: done (or stopped on request), refused with a sentence, or crashed.

    Args:
        description: the job and where its files are.
        pipe: descriptor that events are written to.
    """
    reporter, devices = Reporter(pipe), description["devices"]
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    count = _processes(description, reporter)
    if count == 1:
        return _run(description, StopRequest(), reporter, failing=reporter)
    failure = run_together(_take_part, description, count=count, pipe=pipe)
    if failure is None:
        return EXIT_DONE
    reporter.tell(**failure)
    return EXIT_REFUSED if failure["event"] == "refused" else EXIT_CRASHED


def _processes(description: Description, reporter: Reporter) -> int:
    """Returns how many processes run the job."""
    config, allowed, gpus = description["config"], description["processes"], len(description["devices"])
    if config["kind"] != "pretrain" or allowed == 1:
        return 1
    parts = int(config["pretraining"]["parts"])
    count = processes_for(parts, allowed=allowed, devices=gpus)
    told = f"{count} of {allowed} processes" if count < allowed else f"{count} processes"
    reporter.tell("log", text=f"{told} share pretraining.parts = {parts}")
    return count


def _take_part(folder: str, size: int) -> None:
    """Runs a job in one of its processes."""
    member = join_team(folder, size)
    failing = Reporter(os.open(member.end, os.O_WRONLY | os.O_CREAT, 0o600))
    leave_team(_run(member.description, StopRequest(member.stop), Reporter(member.events), failing, member.team))


def _run(description: Description, stop: StopRequest, reporter: Reporter, failing: Reporter, team: Team = ALONE) -> int:
    """Returns the exit status; `failing` hears why a run failed, `reporter` all else."""
    try:
        for event in _events(description, stop, reporter, team):
            reporter.tell_event(event)
    except Exception as error:
        # A ValueError of the science is about the user's request; any other is a defect.
        if isinstance(error, ValueError) and type(error).__module__.startswith("pairlab."):
            failing.tell("refused", sentence=str(error))
            return EXIT_REFUSED
        traceback.print_exc()
        failing.tell("crashed", error=f"{type(error).__name__}: {error}"[:500])
        return EXIT_CRASHED
    return EXIT_DONE


def _events(description: Description, stop: StopRequest, reporter: Reporter, team: Team) -> Iterator[Event]:
    config = _CONFIG.validate_python(description["config"])
    if isinstance(config, IndexJob):
        return index(config, description, stop, reporter)
    alone = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = alone if team.size == 1 else team.device
    if isinstance(config, ScoreJob):
        return score(config, description, stop, reporter, device=device)
    return train(config, description, stop, reporter, device=device, team=team)
