import base64
import json

import pytest

from backend.cursor import decode_cursor, encode_cursor
from backend.errors import InvalidError


def test_a_cursor_holds_its_position() -> None:
    cursor = encode_cursor("scenes/change_share", 0.125, "ümlaut/§")
    assert decode_cursor(cursor, "scenes/change_share", float, str) == [0.125, "ümlaut/§"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "?",
        "AAAA",
        "é",
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
        base64.urlsafe_b64encode(json.dumps(["other", "x"]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps(["list", 1]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps(["list", "x", "y"]).encode()).decode(),
    ],
)
def test_what_is_no_cursor_of_the_list_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidError, match="not a cursor of this list"):
        decode_cursor(cursor, "list", str)
