"""What a run tells, as long as the database does not have it yet: its events, and the lines it prints."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

from backend.database import now
from backend.jobs.events import Line, Point
from worker.told_warnings import ToldWarnings

STREAMS = ("events", "stdout", "stderr")
MAX_LINE_CHARACTERS = 4000
MAX_LINES = 10_000
"""Of one attempt; more would fill the database and no eye."""
READ_BYTES = 1 << 16


@dataclass
class Told:
    """What a run has told and nobody has forgotten yet."""

    points: list[Point] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    """Of the job's row: step, total_steps, seconds_left, facts."""
    files: list[dict[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.points or self.lines or self.columns or self.files)


class RunOutput:
    """Reads the pipes of a run; `told` is what the database does not have yet, `ended` the event that ends it."""

    def __init__(self, warnings: ToldWarnings, *, attempt: int) -> None:
        self.told = Told()
        self.warnings = warnings
        self.ended: dict[str, Any] = {}
        self._attempt = attempt
        self._rest = dict.fromkeys(STREAMS, b"")
        self._lines = 0

    def read(self, descriptor: int, stream: str) -> bool:
        """Takes in what a pipe has; returns whether it is still open."""
        try:
            content = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return True
        *lines, self._rest[stream] = (self._rest[stream] + content).split(b"\n")
        if stream == "events":
            for line in lines:
                self._take_event(json.loads(line))
            return bool(content)
        if self._rest[stream] and (not content or len(self._rest[stream]) > READ_BYTES):
            lines.append(self._rest[stream])
            self._rest[stream] = b""
        for line in lines:
            self._take_line(stream, line.decode(errors="replace"))
        return bool(content)

    def forget(self) -> None:
        """Forgets what was told so far."""
        self.told = Told()

    def _take_line(self, stream: str, text: str) -> None:
        text = text.rstrip("\r").rpartition("\r")[2].replace("\0", "")[:MAX_LINE_CHARACTERS]
        self._lines += 1
        if self._lines <= MAX_LINES:
            self.told.lines.append(Line(stream, text, now()))
        elif self._lines == MAX_LINES + 1:
            self.told.lines.append(Line("pairlab", f"only the first {MAX_LINES:,} lines are kept", now()))

    def _take_event(self, event: dict[str, Any]) -> None:
        told = self.told
        match event["event"]:
            case "started":
                told.columns |= {key: event[key] for key in ("step", "total_steps")}
                told.columns["facts"] = self.warnings.facts(event["facts"])
                if event["step"]:
                    self._take_line("pairlab", f"attempt {self._attempt} goes on from step {event['step']:,}")
            case "metrics":
                told.columns["step"] = event["step"]
                if event["seconds_left"] is not None:
                    told.columns["seconds_left"] = event["seconds_left"]
                told.points += [Point(event["step"], key, value) for key, value in event["values"].items()]
            case "saved":
                told.files.append(event)
            case "log":
                self._take_line("pairlab", event["text"])
            case "warning":
                if self.warnings.add(event):
                    told.columns["facts"] = self.warnings.facts()
                    self._take_line("pairlab", f"warning, step {event['step']:,}: {event['sentence']}")
            case "finished":
                told.columns["step"] = event["step"]
                self.ended = event
            case _:
                self.ended = event
