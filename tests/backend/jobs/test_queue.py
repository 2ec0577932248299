import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from backend.jobs import queue
from backend.settings import Settings


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"


def test_a_wake_up_is_an_empty_message(settings: Settings) -> None:
    assert queue.waiting(settings, "wake-test") == 0
    queue.wake(settings, "wake-test", 2)
    assert queue.waiting(settings, "wake-test") == 2
    assert queue.queue_answers(settings)
    with redis.Redis(unix_socket_path=settings.broker.removeprefix("redis+socket://")) as connection:
        message = json.loads(connection.lpop("wake-test") or b"")
    assert message["headers"]["task"] == queue.WAKE
    assert message["content-type"] == "application/json"
    assert message["headers"]["argsrepr"] == "()"


@pytest.mark.parametrize("url", ["redis+socket:///nowhere/queue.sock", "redis://127.0.0.1:1/0"])
def test_without_a_queue_server_a_submission_goes_on_at_once(tmp_path: Path, url: str) -> None:
    assert_gives_up_soon(Settings(home=tmp_path, redis_url=url))


def test_a_queue_server_that_hangs_holds_nobody_up(tmp_path: Path, silent_server: str) -> None:
    assert_gives_up_soon(Settings(home=tmp_path, redis_url=silent_server))


def assert_gives_up_soon(settings: Settings) -> None:
    began = time.monotonic()
    queue.wake(settings, "cpu")
    assert queue.waiting(settings, "cpu") is None
    assert not queue.queue_answers(settings)
    assert time.monotonic() - began < 9.0  # three questions of at most 3 s


def test_threads_may_wake_at_once(settings: Settings) -> None:
    threads = [threading.Thread(target=queue.wake, args=(settings, "many", 5)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.waiting(settings, "many") == 40
