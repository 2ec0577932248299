"""Runs one job in a process of its own and tells, as lines of JSON, what happens. Importing this imports torch."""

import json
import os
import signal
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from pydantic import TypeAdapter

from pairlab.checkpoint import SavedFile
from pairlab.events import Event, Finished, Metrics, Saved, Started
from pairlab.experiment.expansion import JobConfig, PretrainJob, SegmentJob
from pairlab.pretraining import pretrain
from pairlab.scenes.dataset import draw_of, open_dataset
from pairlab.scenes.index import load_or_build_index
from pairlab.segmentation import segment
from worker.protocol import EXIT_CRASHED, EXIT_DONE, EXIT_REFUSED, Description, FileReference, file_hash

_CONFIG: TypeAdapter[PretrainJob | SegmentJob] = TypeAdapter(JobConfig)


class _Reporter:
    """Writes events into the pipe to the supervisor; without one there is nobody to work for."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def tell(self, event: str, **content: Any) -> None:  # noqa: ANN401
        """Writes one event whole."""
        line = json.dumps({"event": event, **content}, allow_nan=False).encode() + b"\n"
        while line:
            line = line[os.write(self._pipe, line) :]


class _StopRequest:
    """Set by SIGTERM; the run looks at it after every step."""

    def __init__(self) -> None:
        self.made = False
        signal.signal(signal.SIGTERM, self._make)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def _make(self, _signal: int, _frame: FrameType | None) -> None:
        self.made = True


def run_job(description: Description, *, pipe: int) -> int:
    """Returns the exit status of a job's run: done (or stopped on request), refused with a sentence, or crashed.

    Args:
        description: the job and where its files are.
        pipe: descriptor that events are written to.
    """
    stop, reporter = _StopRequest(), _Reporter(pipe)
    try:
        for event in _events(description, stop, reporter):
            _tell(reporter, event)
    except Exception as error:
        # A ValueError of the science is about the user's request; any other is a defect.
        if isinstance(error, ValueError) and type(error).__module__.startswith("pairlab."):
            reporter.tell("refused", sentence=str(error))
            return EXIT_REFUSED
        traceback.print_exc()
        reporter.tell("crashed", error=f"{type(error).__name__}: {error}"[:500])
        return EXIT_CRASHED
    return EXIT_DONE


def _events(description: Description, stop: _StopRequest, reporter: _Reporter) -> Iterator[Event]:
    began = time.perf_counter()
    config = _CONFIG.validate_python(description["config"])
    torch.set_num_threads(description["threads"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    roots = {name: Path(folder) for name, folder in description["data_roots"].items()}
    draw = draw_of(config.dataset.config, config.seed)
    source = open_dataset(config.dataset.config, data_roots=roots, draw=draw)
    index = load_or_build_index(
        source,
        chip_size=config.chip_size,
        key=f"{config.dataset.fingerprint}-{draw}",
        folder=Path(description["index_folder"]),
    )
    reporter.tell("log", text=f"{len(index):,} chips ready after {time.perf_counter() - began:.1f} s, on {device}")
    folder = Path(description["folder"])
    if isinstance(config, PretrainJob):
        resume = _newest_intact(description["checkpoints"], reporter)
        return pretrain(
            config, source, index, folder=folder, resume=resume, should_stop=lambda: stop.made, device=device
        )
    weights = description["weights"]
    start = None if weights is None else SavedFile(Path(weights["path"]), weights["sha256"])
    return segment(config, source, index, folder=folder, weights=start, should_stop=lambda: stop.made, device=device)


def _newest_intact(checkpoints: Sequence[FileReference], reporter: _Reporter) -> SavedFile | None:
    """Returns the first checkpoint whose content is what was recorded."""
    for each in checkpoints:
        if file_hash(Path(each["path"])) == each["sha256"]:
            return SavedFile(Path(each["path"]), each["sha256"])
        reporter.tell("log", text=f"checkpoint {each['path']} is damaged or gone; an earlier one has to do")
    return None


def _tell(reporter: _Reporter, event: Event) -> None:
    match event:
        case Started():
            reporter.tell("started", step=event.step, total_steps=event.total_steps, facts=_plain(event.facts))
        case Metrics():
            reporter.tell("metrics", step=event.step, values=_plain(event.values), seconds_left=event.seconds_left)
        case Saved():
            reporter.tell(
                "saved",
                kind=event.kind,
                step=event.step,
                path=str(event.path),
                sha256=event.sha256,
                details=_plain(event.details),
            )
        case Finished():
            reporter.tell("finished", step=event.step, results=_plain(event.results), stopped=event.stopped)


def _plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return dict(mapping)
