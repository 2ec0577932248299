"""How change scores read on a screen and in a terminal, and what a filter by one would do, in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from frontend.pair_records import Filtered, MeanFiltered
from frontend.score_records import Score, ScoreCurve, ScoreQuantile
from frontend.wording import grouped, percent, plural

SCORE_WORDS = {"cva": "CVA", "irmad": "IR-MAD", "embedding": "Embedding distance"}
WHAT_THEY_ARE = {
    "cva": "Change vector analysis: how far the two images' bands lie apart, after bringing them to the same mean and "
    "deviation. Quick, and moved by every change of light that is not the same everywhere.",
    "irmad": "Iteratively reweighted multivariate alteration detection: differences that no change of light, colour or "
    "contrast of the whole image explains.",
    "embedding": "How far an encoder's features of the two images lie apart (cosine distance). It sees what the "
    "encoder was trained to see.",
}
WEIGHT_WORDS = {"published": "published weights", "random": "random weights"}
KEY_LETTERS = 8
DEFAULT_ITERATIONS = 30


def score_title(score: Mapping[str, Any], draw: int = 0) -> str:
    """Returns a score's name with what tells it from others of its kind; `draw` of synthetic scenes."""
    parts = [SCORE_WORDS.get(score["name"], score["name"])]
    if score["name"] == "embedding":
        weights = score["weights"]
        known = WEIGHT_WORDS.get(weights)
        parts.append(f"{score['encoder']}, {known}" if known else f"pretraining {weights[:KEY_LETTERS]}")
    elif score.get("iterations", DEFAULT_ITERATIONS) != DEFAULT_ITERATIONS:
        parts.append(plural(score["iterations"], "iteration"))
    if draw:
        parts.append(f"draw {draw}")
    return " · ".join(parts)


def score_titles(scores: Sequence[Score]) -> dict[str, str]:
    """Returns each score's title by its id; two that would read the same get the beginning of their ids."""
    titles = {each["id"]: score_title(each["score"], each["draw"]) for each in scores}
    often = {title for title in titles.values() if list(titles.values()).count(title) > 1}
    return {key: f"{title} ({key[:KEY_LETTERS]})" if title in often else title for key, title in titles.items()}


def chips_words(curve: ScoreCurve) -> str:
    """Returns how many chips a curve is of, by what labels say of them."""
    words = f"{grouped(curve['noisy'])} noisy, {grouped(curve['clean'])} clean and {grouped(curve['unknown'])} unknown"
    missing = curve["without_score"]
    return f"{words} chips" + (f", and {grouped(missing)} without a score" if missing else "")


def filter_sentence(curve: ScoreCurve, at: ScoreQuantile) -> str:
    """Returns what a filter at a quantile of the train split's scores would throw away."""
    chips = curve["noisy"] + curve["clean"] + curve["unknown"] + curve["without_score"]
    share = percent(at["thrown_away"] / chips, 0)
    words = f"A filter there throws away {plural(at['thrown_away'], 'pair')} of {grouped(chips)} ({share})"
    if not curve["noisy"]:
        return f"{words}. No label knows any of them to be noisy."
    noisy, lost = at["noisy_thrown_away"], at["clean_thrown_away"]
    caught = f"{grouped(noisy)} of the {grouped(curve['noisy'])} noisy ones ({percent(noisy / curve['noisy'], 0)})"
    return f"{words}: {caught}, and {grouped(lost)} of the {grouped(curve['clean'])} clean ones with them."


def filtered_words(filtered: Filtered | MeanFiltered) -> str:
    """Returns what a filter did to the pairs drawn."""
    drawn, thrown = round(filtered["drawn"]), round(filtered["thrown_away"])
    share = f" ({percent(thrown / drawn, 0)})" if drawn else ""
    noisy = f", {grouped(round(filtered['noisy_thrown_away']))} of them noisy" if thrown else ""
    return f"throws away {plural(thrown, 'pair')} of {grouped(drawn)}{share}{noisy}"


def cost_words(seconds: float, per_1000: float) -> str:
    """Returns what computing a score took."""
    return f"{figure(seconds)} s in all, {figure(per_1000)} s per 1000 chips"


def figure(value: float) -> str:
    """Returns a positive number with two or three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.2g}"


def ratio(value: float | None) -> str:
    """Returns a figure in [0, 1] with three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}"
