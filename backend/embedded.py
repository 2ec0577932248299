"""PairLab on one machine, in one command: `python -m backend.embedded up | down | status`."""

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import psutil

from backend.embedded_options import UsageError, command_parser, settings_of
from backend.held_home import forget_endpoints, hold, holder, running_stack, write_endpoints
from backend.ports import NoFreePort, serves
from backend.settings import Settings
from backend.stack import LOOK_SECONDS, READY_SECONDS, Plan, Stack, StackError

DOWN_SECONDS = 90.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of a command: 0 done, 1 not (a sentence on stderr says why)."""
    options = command_parser().parse_args(arguments)
    try:
        settings = settings_of(options)
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


def _up(settings: Settings, options: argparse.Namespace) -> int:
    home = settings.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold(home) as held:
        if not held:
            return _join(home, settings.data_roots)
        forget_endpoints(home)
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
            write_endpoints(stack)
            _welcome(stack)
            while not should_stop():
                stack.look()
                time.sleep(LOOK_SECONDS)
    except (StackError, NoFreePort) as error:
        _complain(str(error))
        code = 1
    finally:
        enough = max(len(signals), 1)
        forget_endpoints(stack.plan.home)
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
        if running := running_stack(home):
            return running
        if holder(home) is None:
            break
        time.sleep(LOOK_SECONDS)
    raise UsageError(f"Another start of PairLab in {home} has not become ready; look into {home / 'logs'}.")


def _up_detached(settings: Settings, options: argparse.Namespace) -> int:
    home = settings.home
    if holder(home) is not None:
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
    running = running_stack(home)
    return running is not None and running["pid"] == pid


def _pass_on(lines: TextIO, to: TextIO) -> None:
    with contextlib.suppress(BrokenPipeError):
        to.write(lines.read())
        to.flush()


def _down(home: Path) -> int:
    pid = holder(home)
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
    pid = holder(home)
    running = running_stack(home)
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
