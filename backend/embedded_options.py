"""The command line of `backend.embedded`, and the settings it asks for."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.settings import Settings

API_PORT = 8750
UI_PORT = 8501


class UsageError(Exception):
    """What the command line asks for cannot be; the message is for the user."""


def command_parser() -> argparse.ArgumentParser:
    """Returns what reads the command line."""
    parser = argparse.ArgumentParser(prog="pairlab", description="Starts and stops PairLab on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    home = argparse.ArgumentParser(add_help=False)
    home.add_argument("--home", metavar="DIR", help="folder of all data (PAIRLAB_HOME, else .pairlab)")
    up = commands.add_parser("up", parents=[home], help="start queue server, API, worker and UI")
    up.add_argument("--detach", action="store_true", help="return when everything is ready and keep it running")
    up.add_argument(
        "--data-root",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="a folder imagery may be read from; may be given several times",
    )
    up.add_argument("--api-port", type=_port, default=API_PORT, metavar="PORT", help=f"0 is any free one ({API_PORT})")
    up.add_argument("--ui-port", type=_port, default=UI_PORT, metavar="PORT", help=f"0 is any free one ({UI_PORT})")
    up.add_argument("--slots", type=_slots, metavar="N", help="jobs at once (fitted to the machine)")
    up.add_argument("--while-stdin-open", action="store_true", help=argparse.SUPPRESS)
    commands.add_parser("down", parents=[home], help="stop everything")
    commands.add_parser("status", parents=[home], help="say what runs, and where")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _slots(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of slots: 1 to 256")
    return int(text)


def settings_of(options: argparse.Namespace) -> Settings:
    """Returns the settings with what the command line says; raises UsageError where they are wrong."""
    given: dict[str, Any] = {} if options.home is None else {"home": Path(options.home)}
    try:
        settings = Settings(**given)
        roots = {**settings.data_roots, **_read_roots(getattr(options, "data_root", []))}
        return settings.model_copy(update={"data_roots": roots})
    except ValidationError as error:
        problems = [
            f"PAIRLAB_{str(problem['loc'][0]).upper()}: {problem['msg'].removeprefix('Value error, ')}."
            for problem in error.errors()
        ]
        raise UsageError("\n".join(problems)) from error


def _read_roots(entries: Sequence[str]) -> dict[str, Path]:
    roots = {}
    for entry in entries:
        name, _, folder = entry.partition("=")
        path = Path(folder).expanduser().absolute()
        if not folder or not re.fullmatch(r"[A-Za-z0-9_\-]{1,64}", name):
            raise UsageError(f"--data-root {entry!r}: write NAME=FOLDER, the name of letters, digits, - and _.")
        if not path.is_dir():
            raise UsageError(f"--data-root {entry!r}: there is no folder {path}.")
        if ":" in str(path):
            raise UsageError(f"--data-root {entry!r}: a folder with ':' in its path cannot be a data root.")
        roots[name] = path
    return roots
