"""Conditional requests (RFC 9110, section 13.1.2)."""

from typing import Annotated

from fastapi import Header

IfNoneMatch = Annotated[str | None, Header(max_length=4000, description="ETags of the copies the client has.")]


def is_current(if_none_match: str | None, etag: str) -> bool:
    """Returns whether one of the client's copies is the one that `etag` names."""
    if if_none_match is None:
        return False
    return any(tag.strip().removeprefix("W/") in ("*", etag) for tag in if_none_match.split(","))
