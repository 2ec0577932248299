"""Opaque cursors: where the next page of a list begins, stable while rows are added in between."""

import base64
import binascii
import json
from typing import Annotated, Any

from fastapi import Query

from backend.errors import InvalidError

CursorQuery = Annotated[
    str | None, Query(max_length=1000, description="`next_cursor` of the page before; leave it out for the first page.")
]


def encode_cursor(list_name: str, *position: str | float | None) -> str:
    """Returns the cursor of a list's next page; `position` holds the sort key of the last row shown."""
    content = json.dumps([list_name, *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, list_name: str, *types: type) -> list[Any]:
    """Returns the position a cursor holds.

    Args:
        cursor: as a client sent it.
        list_name: the list it must belong to, sort order included.
        types: of each part of the position.

    Raises:
        InvalidError: not a cursor of this list.
    """
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        content = None
    if not (
        isinstance(content, list)
        and content[:1] == [list_name]
        and len(content) == len(types) + 1
        and all(isinstance(part, each) for part, each in zip(content[1:], types, strict=True))
    ):
        raise InvalidError("cursor: not a cursor of this list and sort order; leave it out to begin at the first page")
    return content[1:]
