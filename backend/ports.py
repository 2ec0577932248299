"""Ports of this machine: which are free, and who holds those that are not."""

import errno
import http.client
import socket
from http import HTTPStatus

import psutil

LOOPBACK = "127.0.0.1"
TRIED_PORTS = 100


class NoFreePort(ValueError):
    """No port to serve on; the message says which were tried."""


def free_port(wanted: int, *, but_not: frozenset[int] = frozenset()) -> int:
    """Returns `wanted` or the next port after it that nobody listens on; 0 stands for any.

    Raises:
        NoFreePort: none is free, or the user may not listen there.
    """
    if wanted == 0:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
            return port
    last = min(wanted + TRIED_PORTS, 2**16)
    for port in range(wanted, last):
        if port not in but_not and is_free(port):
            return port
    raise NoFreePort(f"Ports {wanted} to {last - 1} are all busy; name another one.")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now; raises NoFreePort where the user may not."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise NoFreePort(f"Port {port} cannot be used ({error.strerror}); name another one.") from error
    return True


def holder(port: int) -> str:
    """Returns who listens on the port, in words; empty where that is not to be seen."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()}, process {connection.pid}"
    except (psutil.Error, OSError):
        pass
    return ""


def serves(port: int, path: str) -> bool:
    """Whether a GET of the path on the port is answered with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=3.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
