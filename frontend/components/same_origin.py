"""Which addresses a component may load: paths on the server that served the page, nothing else."""

import re

_PATH = re.compile(r"/(?![/\\])[^\s\\\x00-\x1f\x7f]*")


def checked_path(url: str, *, what: str) -> str:
    """Returns `url` if it is a path on this server; raises ValueError naming `what` otherwise."""
    if not _PATH.fullmatch(url):
        raise ValueError(f"{what}: {url!r} is not a path on this server, it must look like /api/v1/…")
    return url
