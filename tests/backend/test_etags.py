import pytest

from backend.etags import is_current


@pytest.mark.parametrize("sent", ['"a"', 'W/"a"', '"b", "a"', '"b",W/"a"', "*"])
def test_a_copy_with_the_tag_is_current(sent: str) -> None:
    assert is_current(sent, '"a"')


@pytest.mark.parametrize("sent", [None, "", "a", '"b"', '"ab"'])
def test_other_copies_are_not(sent: str | None) -> None:
    assert not is_current(sent, '"a"')
