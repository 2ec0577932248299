import io

from rich.console import Console

from frontend.following import show_results
from frontend.verdict_records import Extension
from frontend.verdict_wording import extension_words, family_words, interval_words, look_words, needed_words, p_words
from tests.frontend.verdicts import results, verdict


def test_a_verdict_between_looks_says_that_it_stands() -> None:
    words = look_words(verdict("noisy", "robust"))
    assert words == "read at 5 seeds, and stands until the next look; 6 seeds so far; the next look is at 10"
    assert look_words(verdict("noisy", None)) == "2 seeds so far; the next look is at 5"


def test_intervals_say_at_which_level_they_hold() -> None:
    words = family_words(results(verdict("noisy", "robust"), verdict("wild", "harmed")))
    assert "Margin ±1 mIoU points and looks at 5, 10, 20 seeds, declared before the run" in words
    assert "for all arms at once with 96.7 % at each look, 90 % over all looks" in words
    assert interval_words(verdict("noisy", "robust")["endpoints"][0]) == "+0.10 [−0.40, +0.60]"
    assert p_words(verdict("noisy", "robust")) == "robust 0.004, not harmed 0.001; shown from 0.0167 down"


def test_arms_that_need_the_same_share_a_sentence() -> None:
    undecided = [verdict("noisy", "undecided"), verdict("wild", "undecided"), verdict("calm", "robust")]
    assert needed_words(undecided) == ["“noisy”, “wild”: 20 seeds in all would do."]


def test_further_seeds_are_told_with_their_cost() -> None:
    extension: Extension = {
        "seeds": [2, 3, 4],
        "to": 5,
        "look": 5,
        "jobs": 15,
        "estimated_seconds": 720.0,
        "estimate_basis": "median speed",
        "reason": None,
    }
    assert extension_words(extension) == (
        "Adds seeds 2, 3, 4, the look of 5 seeds: 15 jobs, about 12 min (median speed). What is done is kept."
    )
    nothing: Extension = {**extension, "seeds": [], "reason": "the experiment has these seeds"}
    assert extension_words(nothing) == "Nothing to add: the experiment has these seeds."


def test_the_terminal_shows_words_intervals_and_what_was_not_shown() -> None:
    console = Console(width=140, file=io.StringIO())
    with console.capture() as capture:
        show_results(results(verdict("noisy", "undecided"), verdict("calm", None)), output=console)
    shown = capture.get()
    assert "Verdict against same, fine-tuning, points" in shown
    assert "undecided" in shown
    assert "no verdict yet" in shown
    assert "+0.10 [−0.40, +0.60]" in shown
    assert "Not shown: that there is none." in shown
    assert "Mind: not exposure-matched" in shown
    assert "Seeds still needed: “noisy”: 20 seeds in all would do." in shown
