"""How verdicts read on the page and in a terminal."""

from collections.abc import Sequence

from frontend.result_records import Results
from frontend.verdict_records import Bootstrap, Extension, Verdict, VerdictEndpoint
from frontend.wording import duration, plural, sentence


def interval_words(endpoint: VerdictEndpoint) -> str:
    """Returns a mean difference with its interval, points."""
    if endpoint["low"] is None or endpoint["high"] is None:
        return precise(endpoint["mean"])
    return f"{precise(endpoint['mean'])} [{precise(endpoint['low'])}, {precise(endpoint['high'])}]"


def precise(value: float) -> str:
    """Returns a difference with its sign and two digits."""
    return f"{value:+.2f}".replace("-", "−")


def look_words(verdict: Verdict) -> str:
    """Returns which look a verdict is of, and what comes next."""
    seeds, following = plural(verdict["seeds"], "seed"), verdict["next_look"]
    until = f"; the next look is at {following}" if following is not None else "; no look is left"
    if verdict["look"] is None:
        return f"{seeds} so far{until}"
    if verdict["seeds"] > verdict["look"]:
        return f"read at {verdict['look']} seeds, and stands until the next look; {seeds} so far{until}"
    return f"read at {verdict['look']} seeds{until}"


def family_words(results: Results) -> str:
    """Returns in sentences how the intervals and words are to be read."""
    first = results["verdicts"][0]
    arms = "for all arms at once " if first["family"] > 1 else ""
    looks = ", ".join(map(str, results["looks"]))
    return (
        f"Margin ±{results['margin']:g} mIoU points and looks at {looks} seeds, declared before the run. Intervals "
        f"hold {arms}with {100 * first['interval_level']:.1f} % at each look, 90 % over all looks; an end on the "
        "margin's line may rest on more than its own interval."
    )


def sign_words(endpoint: VerdictEndpoint) -> str:
    """Returns a sign test in words."""
    test = endpoint["sign_test"]
    equal = f", {test['equal']} equal" if test["equal"] else ""
    return f"{test['above']} above, {test['below']} below{equal}: p = {test['p_value']:.2g}"


def p_words(verdict: Verdict) -> str:
    """Returns the adjusted p-values of the words."""
    parts = [f"{word.replace('_', ' ')} {value:.3g}" for word, value in verdict["p_values"].items()]
    return f"{', '.join(parts)}; shown from {verdict['alpha']:.3g} down" if parts else ""


def bootstrap_words(bootstrap: Bootstrap) -> str:
    """Returns a bootstrap in a sentence."""
    if bootstrap["reason"] is not None:
        return f"“{bootstrap['arm']}”: none, because {bootstrap['reason']}."
    drawn = f"{plural(bootstrap['seeds'], 'seed')} × {plural(bootstrap['scenes'], 'scene')}"
    intervals = "; ".join(
        f"{each['title']} {precise(each['low'])} to {precise(each['high'])}" for each in bootstrap["intervals"]
    )
    return f"“{bootstrap['arm']}” ({drawn}): {intervals}."


def needed_words(verdicts: Sequence[Verdict]) -> list[str]:
    """Returns what it takes to decide the arms that are not, a sentence per answer."""
    answers: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict["needed"]:
            answers.setdefault(verdict["needed"], []).append(f"“{verdict['arm']}”")
    return [f"{', '.join(arms)}: {sentence(words)}" for words, arms in answers.items()]


def extension_words(extension: Extension) -> str:
    """Returns what further seeds would take, in a sentence."""
    if not extension["seeds"]:
        return sentence(f"Nothing to add: {extension['reason']}")
    seconds = extension["estimated_seconds"]
    seeds = ", ".join(map(str, extension["seeds"]))
    cost = f"about {duration(seconds)}" if seconds is not None else "for how long is not known"
    look = f", the look of {extension['look']} seeds" if extension["look"] is not None else ""
    return (
        f"Adds seed{'s' * (len(extension['seeds']) > 1)} {seeds}{look}: {plural(extension['jobs'], 'job')}, {cost} "
        f"({extension['estimate_basis']}). What is done is kept."
    )
