"""Verdicts of experiments with known truth: how often each word is false, and whether power is what the formula says.

An experiment counts as wrong where at least one arm gets the word falsely at one of its looks at least. Nominal is 0.05
for every word, over all arms, endpoints and looks; the bar is nominal + 1.645 Monte Carlo standard errors.
"""

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Row, run
from benchmarks.verdict_settings import HIGH, LOW, MARGIN, NONE, WORSE, Setting, lopsided_settings, settings
from pairlab.verdict.companions import skewness
from pairlab.verdict.intervals import Figures, Sample
from pairlab.verdict.outcomes import WORDS, Word, judge
from pairlab.verdict.power import seeds_needed, tost_power, upper_deviation
from pairlab.verdict.reading import ALPHA, LOPSIDED

EXPERIMENTS, QUICK = 40_000, 1_000
AGAIN = 10
ERRORS = 1.645
"""Monte Carlo standard errors that a rate may lie above nominal."""
POWER_ERRORS = 3.0
"""Standard errors that a measured power may lie off the formula, either way."""


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    experiments = QUICK if quick else EXPERIMENTS
    rows = [row for setting in settings() for row in false_words(setting, experiments)]
    rows += [row for setting in lopsided_settings() for row in false_words(setting, experiments, bar=False)]
    return rows + list(_coverage(experiments)) + list(_power(experiments)) + [_promises(400 if quick else 4_000)]


def false_words(setting: Setting, experiments: int, *, bar: bool = True) -> Iterator[Row]:
    """Yields a row per word that is false of an arm and is spoken in more than 1 of 1000 experiments.

    Where nothing is shared out (one look, one arm) a rate is nominal exactly, and one in twenty lies above the bar by
    chance: it is measured again, with fresh and ten times as many experiments, and that rate counts.
    """
    wrong, marked = _wrong(setting, experiments, _generator(setting.name))
    for word, times in wrong.items():
        rate, among = times / experiments, experiments
        if rate <= 0.001:
            continue
        again = ""
        if bar and rate > _limit(among):
            among = AGAIN * experiments
            rate = _wrong(setting, among, _generator(f"again: {setting.name}"))[0][word] / among
            again = f" (first {times / experiments:.4f} of {experiments})"
        name = f"false {word.replace('_', ' ')}: {setting.name}"
        against = f"{among} experiments, {_looks(setting)}, nominal {ALPHA:g}{again}"
        if bar:
            yield Row(name, rate, "share", against, bar=round(_limit(among), 5), at_least=False)
        else:
            yield Row(name, rate, "share", f"{against}; {marked[word]:.0%} of them marked as lopsided", bar=None)


def _wrong(setting: Setting, experiments: int, rng: np.random.Generator) -> tuple[dict[Word, int], dict[Word, float]]:
    """Returns, per word, how many experiments speak it falsely, and the share of these whose seeds are marked."""
    wrong, marks = dict.fromkeys(WORDS, 0), {word: [0.0] for word in WORDS}
    while experiments > 0:
        part = min(experiments, EXPERIMENTS)
        differences = setting.draw(rng, part)
        for word, spoken in _spoken_falsely(setting, differences).items():
            wrong[word] += int(spoken.sum())
            if spoken.any():
                marks[word].append(_marked(differences[spoken]))
        experiments -= part
    return wrong, {word: shares[-1] for word, shares in marks.items()}


def _spoken_falsely(setting: Setting, differences: Figures) -> dict[Word, NDArray[np.bool_]]:
    """Returns, per word, in which experiments an arm gets it falsely at a look."""
    found = {word: np.zeros(len(differences), dtype=bool) for word in WORDS}
    for look in setting.looks:
        alpha = ALPHA / len(setting.looks)
        judged = judge(Sample.of(differences[..., :look]), margin=MARGIN, alpha=alpha, units=setting.units)
        for word in WORDS:
            claims = [word, "robust", "benefits"] if word == "not_harmed" else [word]  # which claim it as well
            spoken = np.isin(judged.outcomes, [place for place, each in enumerate(WORDS) if each in claims])
            found[word] |= (spoken & setting.is_false[word]).any(axis=1)
    return found


def _limit(experiments: int) -> float:
    return ALPHA + ERRORS * sqrt(ALPHA * (1 - ALPHA) / experiments)


def _looks(setting: Setting) -> str:
    return f"{'look' if len(setting.looks) == 1 else 'looks'} {', '.join(map(str, setting.looks))}"


def _marked(differences: Figures) -> float:
    """Returns the share of experiments whose seeds are conspicuously lopsided at the last look."""
    return float(np.mean([abs(skewness(each)) >= LOPSIDED for each in differences[:2000, 0, 0]]))


def _coverage(experiments: int) -> Iterator[Row]:
    """Yields how often all arms' displayed intervals hold the truth at once; one look, so that 90 % is their level."""
    families = {
        "5 arms without difference": ((NONE,),) * 5,
        "5 arms at −δ": ((LOW,),) * 5,
        "5 arms at −2δ, −δ, 0, 0, +δ": ((WORSE,), (LOW,), (NONE,), (NONE,), (HIGH,)),
    }
    for name, truth in families.items():
        setting = Setting(name, truth, looks=(10,), deviation=0.6)
        sample = Sample.of(setting.draw(_generator(name), experiments))
        judged = judge(sample, margin=MARGIN, alpha=ALPHA, units=setting.units)
        bounds = {"before words": sample.interval(ALPHA / len(truth)), "as shown": (judged.low, judged.high)}
        limit = 1 - 2 * ALPHA - ERRORS * sqrt(2 * ALPHA * (1 - 2 * ALPHA) / experiments)
        for which, (low, high) in bounds.items():
            held = ((low <= np.array(truth)) & (np.array(truth) <= high)).all(axis=(1, 2)).mean()
            against = f"{experiments} experiments, 10 seeds, nominal {1 - 2 * ALPHA:g}"
            bar = round(limit, 5) if which == "before words" else None
            yield Row(f"intervals of all arms hold, {which}: {name}", float(held), "share", against, bar=bar)


def _power(experiments: int) -> Iterator[Row]:
    """Yields how far the measured rate of *robust* lies off the formula, in standard errors."""
    cases = [
        (look, deviation, difference, alpha)
        for alpha in (ALPHA, ALPHA / 3)
        for look in (5, 10, 20)
        for deviation, difference in ((0.5, 0.0), (1.0, 0.0), (1.5, 0.0), (0.5, 0.5))
    ]
    for look, deviation, difference, alpha in cases:
        name = f"{look} seeds, σ = {deviation:g} δ, Δ = {difference:g} δ, α = {alpha:.4f}"
        setting = Setting(name, ((difference,),), looks=(look,), deviation=deviation)
        judged = judge(
            Sample.of(setting.draw(_generator(name), experiments)), margin=MARGIN, alpha=alpha, units=setting.units
        )
        found = float((judged.outcomes == WORDS.index("robust")).mean())
        power = tost_power(look, deviation, margin=MARGIN, alpha=alpha, difference=difference)
        error = sqrt(max(power * (1 - power), 1e-6) / experiments)
        against = f"measured {found:.4f}, formula {power:.4f}"
        off = abs(found - power) / error
        yield Row(f"power off the formula: {name}", off, "standard errors", against, bar=POWER_ERRORS, at_least=False)


def _promises(experiments: int) -> Row:
    """Returns how often “seeds still needed”, read after 5 seeds, names a look that has the power it promises."""
    deviation, looks, alpha = 0.82, (10, 20, 40, 80), ALPHA / 3  # 10 seeds fall just short
    pilots = deviation * _generator("promises").standard_normal((experiments, 5)).std(axis=1, ddof=1)
    power = {look: tost_power(look, deviation, margin=MARGIN, alpha=alpha) for look in looks}
    kept = []
    for pilot in pilots:
        look = seeds_needed(looks, upper_deviation(float(pilot), 5), margin=MARGIN, alpha=alpha)
        kept.append(look is None or power[look] >= 0.8)
    bar = 0.8 - ERRORS * sqrt(0.8 * 0.2 / experiments)
    return Row(
        "seeds still needed after 5, σ = 0.82 δ: the look named has power 0.8 or none is",
        float(np.mean(kept)),
        "share",
        f"{experiments} experiments, upper 80 % bound of σ",
        bar=round(bar, 4),
    )


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng([2026, *name.encode()])


if __name__ == "__main__":
    run("verdict", measure)
