import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_stack import clean_environment, log_tails, processes_of

PAIRLAB = str(Path(sys.executable).parent / "pairlab")
CONTROL_CODES = re.compile(r"\x1b|\r(?!\n)")
NOTHING_LEFT_SECONDS = 5.0


@contextlib.contextmanager
def demo(home: Path, output: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Yields a running demo; whatever happens, nothing of it stays."""
    process = subprocess.Popen(
        [PAIRLAB, "demo", "--home", str(home)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**clean_environment(), "PYTHONUNBUFFERED": "1", "TERM": "xterm-256color"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for left in processes_of(home):
            left.kill()


def wait_for(text: str, log: Path, process: "subprocess.Popen[bytes]", *, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_a_demo_that_is_interrupted_stops_everything(number: signal.Signals, code: int, tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "demo.log"
    with log.open("wb") as output, demo(home, output.fileno()) as process:
        # In the middle of a job for one of them, in the middle of the start for the others.
        wait_for(": running" if number == signal.SIGINT else "Starting PairLab", log, process)
        process.send_signal(number)
        assert process.wait(90) == code
        if number == signal.SIGKILL:
            time.sleep(NOTHING_LEFT_SECONDS)
        assert not processes_of(home)
    said = log.read_text()
    assert "Traceback" not in said
    assert not CONTROL_CODES.search(said)
    if number == signal.SIGINT:
        assert "Submitted 'Quickstart': 14 jobs." in said
        assert "PairLab has stopped." in said


def test_a_demo_whose_stack_is_stopped_ends_with_a_sentence(tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "demo.log"
    with log.open("wb") as output, demo(home, output.fileno()) as process:
        wait_for(": running", log, process)
        down = [PAIRLAB, "down", "--home", str(home)]
        assert subprocess.run(down, env=clean_environment(), stdout=subprocess.DEVNULL, check=False).returncode == 0
        assert process.wait(30) == 1
    assert log.read_text().endswith("PairLab was stopped; the next demo goes on where this one ended.\n")


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_demo_runs_to_its_table_and_the_second_time_at_once(tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "demo.log"
    with log.open("wb") as output, demo(home, output.fileno()) as process:
        assert process.wait(2000) == 0, log.read_text() + log_tails(home)
        assert not processes_of(home)
    said = log.read_text()
    table = said[said.index("IoU on the test scenes") :]
    for arm in (
        "random initialisation",
        "same image",
        "temporal, clean (reference",
        "temporal, half noisy (50 % noisy)",
    ):
        assert arm in table
    assert len(re.findall(r"^ +(?:linear probe|fine-tuning) +\d+\.\d ± \d", table, re.MULTILINE)) == 8
    assert not CONTROL_CODES.search(said)

    # On a terminal it goes on serving until Ctrl-C, and that is a good end.
    ours, theirs = pty.openpty()
    started = time.monotonic()
    with demo(home, theirs) as process:
        os.close(theirs)
        said = ""
        while "until Ctrl-C." not in said:
            said += os.read(ours, 65536).decode(errors="replace")
        assert time.monotonic() - started < 60
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            with contextlib.suppress(OSError):
                os.read(ours, 65536)
        assert process.returncode == 0
        assert not processes_of(home)
    os.close(ours)
    assert "all of them taken over from earlier runs" in said
