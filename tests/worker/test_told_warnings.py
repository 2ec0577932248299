from worker.told_warnings import MOST, ToldWarnings


def event(step: int, kind: str = "collapse", sentence: str = "It collapses.") -> dict[str, object]:
    return {"event": "warning", "step": step, "kind": kind, "sentence": sentence}


def told(step: int, kind: str = "collapse", sentence: str = "It collapses.") -> dict[str, object]:
    return {"step": step, "kind": kind, "sentence": sentence}


def test_warnings_stand_beside_the_facts_of_the_run() -> None:
    warnings = ToldWarnings({})
    assert warnings.facts({"device": "cpu"}) == {"device": "cpu"}
    assert warnings.results() == {}
    assert warnings.add(event(14))
    assert warnings.facts() == {"device": "cpu", "warned": [told(14)]}
    assert warnings.results() == {"warned": [told(14)]}
    assert warnings.kinds == ["collapse"]


def test_the_next_attempt_keeps_what_was_told_and_tells_its_own_facts() -> None:
    warnings = ToldWarnings({"device": "cuda", "warned": [told(14)]})
    assert warnings.kinds == ["collapse"]
    assert warnings.facts({"device": "cpu"}) == {"device": "cpu", "warned": [told(14)]}


def test_the_same_words_are_kept_once() -> None:
    warnings = ToldWarnings({"warned": [told(14)]})
    assert not warnings.add(event(20))
    assert warnings.add(event(20, sentence="It collapses again."))
    assert warnings.add(event(20, kind="starving"))
    assert warnings.kinds == ["collapse", "collapse", "starving"]


def test_no_run_fills_its_row_with_warnings() -> None:
    warnings = ToldWarnings({})
    added = [warnings.add(event(step, sentence=f"Sentence {step}.")) for step in range(2 * MOST)]
    assert added == [True] * MOST + [False] * MOST
