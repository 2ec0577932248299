"""What runs on this machine, as the stack wrote it down in its home."""

import json
import os
from pathlib import Path
from typing import TypedDict

from frontend.connection import find_endpoint


class Endpoints(TypedDict):
    """Addresses, the stack's process, and the folders imagery may be read from."""

    api: str
    ui: str
    pid: int
    data_roots: dict[str, str]


def read_endpoints(home: Path | None = None) -> Endpoints | None:
    """Returns what runs in a home (PAIRLAB_HOME, else .pairlab); None where nothing does."""
    folder = home or Path(os.environ.get("PAIRLAB_HOME") or ".pairlab")
    try:
        content = json.loads((folder.expanduser() / "endpoints.json").read_text())
        return Endpoints(
            api=str(content["api"]).rstrip("/"),
            ui=str(content["ui"]).rstrip("/"),
            pid=int(content["pid"]),
            data_roots=dict(content.get("data_roots", {})),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def browser_address() -> str | None:
    """Returns where the browser finds the installation that commands speak to; None where that is not known."""
    here = read_endpoints()
    return here["ui"] if here is not None and here["api"] == find_endpoint().url else None
