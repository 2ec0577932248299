"""PairLab on one machine, in one command: `python -m backend.embedded up | down | status`."""

import argparse
import contextlib
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import psutil
from pydantic import ValidationError

from backend.ports import NoFreePort, serves
from backend.settings import Settings
from backend.stack import LOOK_SECONDS, READY_SECONDS, Plan, Stack, StackError

API_PORT = 8750
UI_PORT = 8501
DOWN_SECONDS = 90.0


class UsageError(Exception):
    """What the command line asks for cannot be; the message is for the user."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of a command: 0 done, 1 not (a sentence on stderr says why)."""
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
        if options.command == "down":
            return _down(settings.home)
        if options.command == "status":
            return _status(settings.home)
        if options.detach:
            return _up_detached(settings, options)
        return _up(settings, options)
    except (UsageError, StackError, NoFreePort) as error:
        _complain(str(error))
    except psutil.AccessDenied as error:
        _complain(f"PairLab runs as another user (process {error.pid}), who has to stop it.")
    except OSError as error:
        _complain(f"PairLab cannot work in its home: {error.filename or 'a file'}: {error.strerror}. See --home.")
    return 1


def _parser() -> argparse.ArgumentParser:
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


def _settings(options: argparse.Namespace) -> Settings:
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


def _up(settings: Settings, options: argparse.Namespace) -> int:
    home = settings.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(home) as held:
        if not held:
            return _join(home, settings.data_roots)
        _endpoints(home).unlink(missing_ok=True)
        signals: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda received, _frame: signals.append(received))
        plan = Plan(
            home=home,
            data_roots=settings.data_roots,
            redis_url=settings.redis_url,
            api_port=options.api_port,
            ui_port=options.ui_port,
            slots=options.slots,
        )

        def should_stop() -> bool:
            return bool(signals) or (options.while_stdin_open and _stdin_closed())

        return _serve(Stack(plan, say=_say, should_stop=should_stop), should_stop, signals)


def _serve(stack: Stack, should_stop: Callable[[], bool], signals: Sequence[int]) -> int:
    """Runs the stack until it is to stop; a second signal kills what is still ending."""
    code = 0
    _say(f"Starting PairLab in {stack.plan.home}: queue server, API, worker, UI …")
    try:
        if stack.start():
            _write_endpoints(stack)
            _welcome(stack)
            while not should_stop():
                stack.look()
                time.sleep(LOOK_SECONDS)
    except (StackError, NoFreePort) as error:
        _complain(str(error))
        code = 1
    finally:
        enough = max(len(signals), 1)
        _endpoints(stack.plan.home).unlink(missing_ok=True)
        _say(f"Stopping PairLab{f' on {signal.Signals(signals[0]).name}' if signals else ''} …")
        stack.stop(hurry=lambda: len(signals) > enough)
        _say("PairLab has stopped.")
    return code


def _welcome(stack: Stack) -> None:
    _say(
        f"PairLab is ready.\n  Browser  {stack.ui_url}\n  API      {stack.api_url}/docs\n"
        f"  Logs     {stack.plan.home / 'logs'}"
    )
    if sys.stdout.isatty():
        _say("Ctrl-C stops it.")


def _join(home: Path, data_roots: Mapping[str, Path]) -> int:
    """Says where the stack of this home runs, once it is ready."""
    running = _wait_until_ready(home)
    known = running.get("data_roots", {})
    if missing := [name for name, folder in data_roots.items() if known.get(name) != str(folder)]:
        raise UsageError(
            f"PairLab already runs in {home}, without the data root {', '.join(missing)}. "
            "Stop it with `pairlab down`, then start it again with this command."
        )
    _say(f"PairLab already runs in {home}: {running['ui']} (API {running['api']}).")
    return 0


def _wait_until_ready(home: Path) -> dict[str, Any]:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if running := _running(home):
            return running
        if _holder(home) is None:
            break
        time.sleep(LOOK_SECONDS)
    raise UsageError(f"Another start of PairLab in {home} has not become ready; look into {home / 'logs'}.")


def _up_detached(settings: Settings, options: argparse.Namespace) -> int:
    home = settings.home
    if _holder(home) is not None:
        return _join(home, settings.data_roots)
    logs = home / "logs"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    logs.mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-m", "backend.embedded", "up", "--home", str(home)]
    command += ["--api-port", str(options.api_port), "--ui-port", str(options.ui_port)]
    command += [] if options.slots is None else ["--slots", str(options.slots)]
    for name, folder in settings.data_roots.items():
        command += ["--data-root", f"{name}={folder}"]
    with (logs / "stack.log").open("w+") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        with (logs / "stack.log").open() as lines:
            try:
                while process.poll() is None and not _is_ready(home, process.pid):
                    _pass_on(lines, sys.stdout)
                    time.sleep(LOOK_SECONDS)
            except KeyboardInterrupt:
                process.terminate()
                process.wait()
            code = process.poll()
            _pass_on(lines, sys.stderr if code else sys.stdout)
    if code is None:
        _say("`pairlab down` stops it.")
    return code or 0


def _is_ready(home: Path, pid: int) -> bool:
    running = _running(home)
    return running is not None and running["pid"] == pid


def _pass_on(lines: TextIO, to: TextIO) -> None:
    with contextlib.suppress(BrokenPipeError):
        to.write(lines.read())
        to.flush()


def _down(home: Path) -> int:
    pid = _holder(home)
    if pid is None:
        _say(f"PairLab does not run in {home}.")
        return 0
    _say("Stopping PairLab …")
    try:
        process = psutil.Process(pid)
        process.terminate()
    except psutil.NoSuchProcess as error:
        raise UsageError(f"PairLab in {home} was started elsewhere (process {pid}); stop it there.") from error
    deadline = time.monotonic() + DOWN_SECONDS
    while _runs(process):
        if time.monotonic() > deadline:
            raise UsageError(f"PairLab (process {pid}) has not stopped within {DOWN_SECONDS:.0f} s.")
        time.sleep(LOOK_SECONDS / 2)
    _say("PairLab has stopped.")
    return 0


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _status(home: Path) -> int:
    pid = _holder(home)
    running = _running(home)
    if pid is None:
        _say(f"PairLab does not run in {home}. Start it with `pairlab up`.")
        return 1
    if running is None:
        _say(f"PairLab is starting or stopping in {home} (process {pid}).")
        return 1
    health = {"ui": "/_stcore/health", "api": "/readyz"}
    states = {
        part: "ready" if serves(int(running[part].rsplit(":", 1)[1]), path) else "does not answer"
        for part, path in health.items()
    }
    roots = ", ".join(f"{name}={folder}" for name, folder in running["data_roots"].items()) or "none"
    _say(
        f"PairLab runs in {home} (process {pid}).\n  Browser     {running['ui']}  {states['ui']}\n"
        f"  API         {running['api']}  {states['api']}\n  Data roots  {roots}\n  Logs        {home / 'logs'}"
    )
    return 0 if set(states.values()) == {"ready"} else 1


@contextlib.contextmanager
def _lock(home: Path) -> Iterator[bool]:
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


def _holder(home: Path) -> int | None:
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


def _running(home: Path) -> dict[str, Any] | None:
    """Returns endpoints.json of a stack that is ready; what a killed one left behind does not count."""
    pid = _holder(home)
    try:
        endpoints: dict[str, Any] = json.loads(_endpoints(home).read_text())
    except (OSError, ValueError):
        return None
    return endpoints if pid is not None and endpoints.get("pid") == pid else None


def _endpoints(home: Path) -> Path:
    return home / "endpoints.json"


def _write_endpoints(stack: Stack) -> None:
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


def _stdin_closed() -> bool:
    ready, _, _ = select.select([0], [], [], 0)
    return bool(ready) and os.read(0, 1024) == b""


def _say(text: str) -> None:
    # A terminal that went away must not keep the stack from stopping.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _complain(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
