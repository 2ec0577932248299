import json

import pytest

from benchmarks.report import Row, run


def rows(value: float) -> list[Row]:
    return [
        Row("speed", value, "x", "the peer", 2.0),
        Row("delay", 3.0, "s", "submission", 5.0, at_least=False),
        Row("size", 7.0, "MB", "nothing", None),
    ]


def test_a_row_holds_on_its_own_side_of_the_bar() -> None:
    assert [row.holds for row in rows(2.0)] == [True, True, None]
    assert [row.holds for row in rows(1.9)] == [False, True, None]
    assert Row("delay", 6.0, "s", "submission", 5.0, at_least=False).holds is False


def test_json_is_one_object_with_machine_and_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmark", "--json"])
    run("a benchmark", lambda _quick: rows(2.5))
    content = json.loads(capsys.readouterr().out)
    assert content["rows"][0] == {
        "metric": "speed",
        "value": 2.5,
        "unit": "x",
        "against": "the peer",
        "bar": 2.0,
        "at_least": True,
        "holds": True,
    }
    assert content["machine"]["cores"] >= 1


def test_a_missed_bar_fails_the_command_except_in_the_short_form(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmark"])
    with pytest.raises(SystemExit):
        run("a benchmark", lambda _quick: rows(1.0))
    assert "NO" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["benchmark", "--quick"])
    run("a benchmark", lambda _quick: rows(1.0))
