"""`pairlab demo`: everything started, the quickstart run to its table, everything stopped again."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from frontend.api_client import ApiClient
from frontend.connection import ApiProblem, find_endpoint
from frontend.following import Failure, follow, require_success, say, show_results, submit
from frontend.installation import Endpoints, read_endpoints
from pairlab.experiment.datasets import SyntheticDataset

DATASET = "quickstart"
EXAMPLE = "quickstart"
STOPPED_BY_USER = 130
NOT_FOUND = 404


def run_demo(output: Console, *, home: Path | None) -> int:
    """Returns the exit code; on a terminal it serves until Ctrl-C, else all that it started is stopped at the end.

    Raises:
        Failure, ApiProblem: in sentences.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    finished = False
    try:
        with _running_stack(output, home) as (endpoints, stack):
            _run_quickstart(output, endpoints, stack)
            finished = True
            if stack is None:
                say(output, f"PairLab goes on running: {endpoints['ui']}")
            elif output.is_terminal:
                say(output, f"\nPairLab goes on serving at {endpoints['ui']} until Ctrl-C.")
                stack.wait()
    except KeyboardInterrupt:
        return 0 if finished else STOPPED_BY_USER
    return 0


def _run_quickstart(output: Console, endpoints: Endpoints, stack: "subprocess.Popen[str] | None") -> None:
    client = ApiClient(endpoints["api"], find_endpoint().token)
    say(output, f"Looking at the dataset {DATASET!r} and the experiment …")
    _register(client)
    text = next((each["yaml"] for each in client.examples() if each["name"] == EXAMPLE), None)
    if text is None:
        raise Failure(f"This installation has no experiment file {EXAMPLE}.yaml; install PairLab again.")
    submitted = submit(client, text, notes=output)

    def runs() -> bool:
        return stack is None or stack.poll() is None

    try:
        results, jobs = follow(client, submitted["id"], notes=output, address=endpoints["ui"], api_may_return=runs)
    except ApiProblem as problem:
        if runs():
            raise
        raise Failure("PairLab was stopped; the next demo goes on where this one ended.") from problem
    show_results(results, output=output)
    require_success(jobs)
    say(output, f"The same in the browser: {endpoints['ui']}/compare?experiment={submitted['id']}")


def _register(client: ApiClient) -> None:
    config = SyntheticDataset().model_dump(mode="json")
    try:
        found = client.dataset(DATASET)
    except ApiProblem as problem:
        if problem.status != NOT_FOUND:
            raise
        found = client.create_dataset(DATASET, config)
    if found["config"] != config:
        raise Failure(
            f"There is another dataset named {DATASET!r}. Remove it on the Datasets screen, or run the demo in a "
            "folder of its own: pairlab demo --home DIR"
        )


@contextlib.contextmanager
def _running_stack(output: Console, home: Path | None) -> Iterator[tuple[Endpoints, "subprocess.Popen[str] | None"]]:
    """Yields the stack of a home and its process; None for one that ran before, which is left running."""
    place = [] if home is None else ["--home", str(home)]
    # The stack stops by itself when its end of this pipe closes, even if this process is killed.
    stack = subprocess.Popen(
        [sys.executable, "-P", "-m", "backend.embedded", "up", "--while-stdin-open", *place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    reader = threading.Thread(target=_pass_on, args=(stack, output), daemon=True)
    reader.start()
    try:
        yield _await_ready(stack, home)
    finally:
        _stop(stack)
        reader.join(5.0)


def _await_ready(stack: "subprocess.Popen[str]", home: Path | None) -> tuple[Endpoints, "subprocess.Popen[str] | None"]:
    while True:
        code = stack.poll()
        endpoints = read_endpoints(home)
        if code is None and endpoints is not None and endpoints["pid"] == stack.pid:
            return endpoints, stack
        if code == 0 and endpoints is not None:
            return endpoints, None
        if code is not None:
            raise Failure("The demo needs a running PairLab.")
        time.sleep(0.1)


def _pass_on(stack: "subprocess.Popen[str]", output: Console) -> None:
    assert stack.stdout is not None
    for line in stack.stdout:
        say(output, line.rstrip("\n"))


def _stop(stack: "subprocess.Popen[str]") -> None:
    """Ends the stack in its order; another Ctrl-C ends it at once."""
    assert stack.stdin is not None
    with contextlib.suppress(OSError):
        stack.stdin.close()
    while True:
        try:
            stack.wait()
        except KeyboardInterrupt:
            for _ in range(2):
                stack.send_signal(signal.SIGTERM)
                time.sleep(0.5)
        else:
            return


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
