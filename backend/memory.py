"""How the C library deals out memory: what is freed in one thread serves the others."""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8
ARENAS = 2
"""Of the GNU C library; by default each of the API's forty threads would get one, and keep what images once took."""


def limit_arenas() -> None:
    """Makes threads share memory that was freed, where the C library can do that; before they are started."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)
