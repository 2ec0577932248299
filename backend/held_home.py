"""Which stack holds a home, and where it can be reached."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.stack import LOOK_SECONDS, Stack


@contextlib.contextmanager
def hold(home: Path) -> Iterator[bool]:
    """Yields whether this process now holds the home; the kernel frees it, however the process ends."""
    with (home / "stack.lock").open("a+") as file:
        held = False
        for _ in range(5):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
                break
            # Another process that only looks who holds the home keeps it for a moment.
            time.sleep(LOOK_SECONDS)
        if held:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield held


def holder(home: Path) -> int | None:
    """Returns the process that holds the home, None where nothing runs."""
    try:
        with (home / "stack.lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                # The holder writes its number right after it has taken the lock.
                while not (text := file.read()):
                    time.sleep(LOOK_SECONDS / 10)
                return int(text)
    except FileNotFoundError:
        pass
    return None


def running_stack(home: Path) -> dict[str, Any] | None:
    """Returns endpoints.json of a stack that is ready; what a killed one left behind does not count."""
    pid = holder(home)
    try:
        endpoints: dict[str, Any] = json.loads(_endpoints(home).read_text())
    except (OSError, ValueError):
        return None
    return endpoints if pid is not None and endpoints.get("pid") == pid else None


def write_endpoints(stack: Stack) -> None:
    """Tells where the stack of this process can be reached."""
    content = {
        "api": stack.api_url,
        "ui": stack.ui_url,
        "pid": os.getpid(),
        "data_roots": {name: str(folder) for name, folder in stack.plan.data_roots.items()},
    }
    partial = stack.plan.home / "endpoints.json.partial"
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(_endpoints(stack.plan.home))


def forget_endpoints(home: Path) -> None:
    """Tells that nothing of the home can be reached."""
    _endpoints(home).unlink(missing_ok=True)


def _endpoints(home: Path) -> Path:
    return home / "endpoints.json"
