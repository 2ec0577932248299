"""Runs without a supervisor: what they tell from their start to their end."""

import json
import os
import select
import selectors
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pairlab.experiment.jobs import IndexJob, PlannedJob, ScoreJob
from worker.fork_server import ForkedRun, ForkServer
from worker.protocol import Description


class Whole(NamedTuple):
    """All that a run has told, and its exit status (None: the server is gone)."""

    events: list[dict[str, Any]]
    stdout: str
    stderr: str
    status: int | None


def describe(
    planned: PlannedJob | IndexJob | ScoreJob,
    folder: Path,
    *,
    index_folder: Path | None = None,
    roots: Mapping[str, Path] | None = None,
    threads: int = 1,
    processes: int = 1,
) -> Description:
    """Returns the description of a first attempt."""
    folder.mkdir(parents=True, exist_ok=True)
    return Description(
        config=(planned if isinstance(planned, IndexJob | ScoreJob) else planned.config).model_dump(mode="json"),
        folder=str(folder),
        index_folder=str(index_folder or folder.parent / "index"),
        store_folder=str(folder.parent / "store"),
        store_bytes=2**30,
        data_roots={name: str(root) for name, root in (roots or {}).items()},
        checkpoints=[],
        weights=None,
        pretraining=None,
        initial=None,
        warned=[],
        embedding_maps=[],
        threads=threads,
        processes=processes,
        devices=[],
    )


def event_lines(run: ForkedRun) -> Iterator[dict[str, Any]]:
    """Yields what a run tells, as it tells it, until it has ended; its output may not be longer than a pipe holds."""
    rest = b""
    while select.select([run.events], [], [], 60)[0] and (content := os.read(run.events, 1 << 16)):
        *lines, rest = (rest + content).split(b"\n")  # a killed run may leave half a line
        yield from map(json.loads, lines)


def follow(run: ForkedRun) -> Whole:
    """Returns what a run tells until it has ended."""
    told = dict.fromkeys(("events", "stdout", "stderr"), b"")
    with selectors.DefaultSelector() as selector:
        for name in told:
            selector.register(getattr(run, name), selectors.EVENT_READ, name)
        selector.register(run.news, selectors.EVENT_READ, "news")
        while selector.get_map():
            for key, _ in selector.select():
                if key.data == "news":
                    more = run.read_news() and run.status is None
                else:
                    content = os.read(key.fd, 1 << 16)
                    told[key.data] += content
                    more = bool(content)
                if not more:
                    selector.unregister(key.fileobj)
    run.close()
    events = [json.loads(line) for line in told["events"].splitlines()]
    return Whole(events, told["stdout"].decode(), told["stderr"].decode(), run.status)


def run_whole(server: ForkServer, description: Description) -> Whole:
    """Returns what a run tells from its start to its end."""
    return follow(server.launch(description))
