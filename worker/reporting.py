"""What a run and its supervisor have between them: events on the way out, the wish to stop on the way in."""

import json
import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from pairlab.events import Event, Finished, Metrics, Saved, Started, Warned


class Reporter:
    """Writes events into the pipe to the supervisor; without one there is nobody to work for."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def tell(self, event: str, **content: Any) -> None:  # noqa: ANN401
        """Writes one event whole."""
        line = json.dumps({"event": event, **content}, allow_nan=False).encode() + b"\n"
        while line:
            line = line[os.write(self._pipe, line) :]

    def tell_event(self, event: Event) -> None:
        """Writes what a loop of the science tells."""
        match event:
            case Started():
                self.tell("started", step=event.step, total_steps=event.total_steps, facts=dict(event.facts))
            case Metrics():
                self.tell("metrics", step=event.step, values=dict(event.values), seconds_left=event.seconds_left)
            case Warned():
                self.tell("warning", step=event.step, kind=event.kind, sentence=event.sentence)
            case Saved():
                self.tell(
                    "saved",
                    kind=event.kind,
                    step=event.step,
                    path=str(event.path),
                    sha256=event.sha256,
                    details=dict(event.details),
                )
            case Finished():
                self.tell("finished", step=event.step, results=dict(event.results), stopped=event.stopped)


class StopRequest:
    """Set by SIGTERM, or by a file that somebody else makes; the run looks at it after every step."""

    def __init__(self, file: Path | None = None) -> None:
        self._signalled, self._file = False, file
        signal.signal(signal.SIGTERM, self._make)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    @property
    def made(self) -> bool:
        """Whether the run shall stop."""
        return self._signalled or (self._file is not None and self._file.exists())

    def _make(self, _signal: int, _frame: FrameType | None) -> None:
        self._signalled = True
