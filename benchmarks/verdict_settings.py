"""Invented experiments with known truth: what errors the seeds have, and at which border the true differences lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairlab.verdict.intervals import Figures
from pairlab.verdict.outcomes import WORDS, Word

MARGIN = 1.0
PLANNED = (5, 10, 20)
Errors = Callable[[np.random.Generator, tuple[int, ...]], Figures]
"""Draws errors with mean 0 and variance 1."""


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Figures:
    return np.asarray(rng.standard_normal(shape))


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Figures:
    """Student's t with 3 degrees of freedom: one seed in a hundred is more than 2.6 deviations off."""
    return np.asarray(rng.standard_t(3, shape) / np.sqrt(3))


def _skewed_runs(rng: np.random.Generator, shape: tuple[int, ...]) -> Figures:
    """Every run of both arms has exponential errors (skewness 2); those of a difference are symmetric."""
    return np.asarray((rng.exponential(size=shape) - rng.exponential(size=shape)) / np.sqrt(2))


def _one_skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Figures:
    """The arm's runs fall off downwards as an exponential does, the reference's are normal: skewness −0.7."""
    return np.asarray((1 - rng.exponential(size=shape) + rng.standard_normal(shape)) / np.sqrt(2))


def _skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Figures:
    """The difference itself is exponential, downwards: skewness −2."""
    return np.asarray(1 - rng.exponential(size=shape))


def _collapsing(rng: np.random.Generator, shape: tuple[int, ...]) -> Figures:
    """One run of the arm in ten collapses, by 7.5 deviations of the others: skewness −2.1."""
    errors = 0.4 * rng.standard_normal(shape) + 3.0 * (0.1 - (rng.random(shape) < 0.1))
    return np.asarray(errors / np.sqrt(0.16 + 9.0 * 0.09), dtype=np.float64)


NORMAL = ("normal", _normal)
HEAVY = ("heavy tails (t, 3 df)", _heavy)
SKEWED_RUNS = ("skewed runs in both arms", _skewed_runs)
LOPSIDED = {
    "skewed runs in the arm alone": _one_skewed,
    "exponential differences": _skewed,
    "one run in ten collapses": _collapsing,
}
"""Beyond what t intervals can do: differences that are not symmetric."""


@dataclass(frozen=True)
class Setting:
    """One truth to draw experiments from."""

    name: str
    truth: tuple[tuple[float, ...], ...]
    """True differences, points: per arm, per endpoint."""
    errors: Errors = _normal
    correlation: float = 0.8
    """Of the endpoints' errors in one seed; 1 gives both the same ones."""
    deviation: float = 0.3
    """Of a seed's difference, points."""
    looks: tuple[int, ...] = PLANNED
    ladder: bool = False
    """Whether the arms are the rungs of one ladder, in this order."""
    shared: float = 0.0
    """Correlation of the arms' differences, which have the reference's runs in common."""

    @property
    def units(self) -> list[list[int]]:
        """The family, as `judge` takes it."""
        arms = list(range(len(self.truth)))
        return [arms] if self.ladder else [[arm] for arm in arms]

    def draw(self, rng: np.random.Generator, experiments: int) -> Figures:
        """Returns differences of shape (experiments, arms, endpoints, seeds), points."""
        arms, endpoints, seeds = len(self.truth), len(self.truth[0]), self.looks[-1]
        errors = self.errors(rng, (experiments, arms, endpoints, seeds))
        if self.shared:  # of normal errors alone: sums of others have another shape
            common = self.errors(rng, (experiments, 1, endpoints, seeds))
            errors = np.sqrt(self.shared) * common + np.sqrt(1 - self.shared) * errors
        for endpoint in range(1, endpoints):
            if self.correlation == 1:
                errors[:, :, endpoint] = errors[:, :, 0]
            elif self.correlation:
                rest = np.sqrt(1 - self.correlation**2) * errors[:, :, endpoint]
                errors[:, :, endpoint] = self.correlation * errors[:, :, 0] + rest
        return np.asarray(np.array(self.truth)[..., None] + self.deviation * errors, dtype=np.float64)

    @property
    def is_false(self) -> Mapping[Word, NDArray[np.bool_]]:
        """Per word, which arms it would be false of; bool (arms,)."""
        truth = np.array(self.truth)
        harmed = (truth <= -MARGIN).any(axis=1)
        false = {
            "robust": (np.abs(truth) >= MARGIN).any(axis=1),
            "benefits": (truth <= MARGIN).all(axis=1) | harmed,
            "harmed": (truth >= -MARGIN).all(axis=1),
            "not_harmed": harmed,
        }
        return {word: np.asarray(false[word], dtype=np.bool_) for word in WORDS}


LOW, HIGH, NONE, WORSE, BETTER = -MARGIN, MARGIN, 0.0, -2 * MARGIN, 2 * MARGIN


def settings() -> list[Setting]:
    """Returns the settings whose false words have a bar."""
    found = []
    for words, errors in (NORMAL, HEAVY, SKEWED_RUNS):
        for border in (LOW, HIGH):
            at = f"Δ = {'−' if border < 0 else '+'}δ at"
            found += [
                Setting(f"{words}, {at} both endpoints, the same errors", ((border, border),), errors, correlation=1.0),
                Setting(f"{words}, {at} both, independent errors", ((border, border),), errors, correlation=0.0),
                Setting(f"{words}, {at} one endpoint, the other 0", ((border, NONE),), errors, correlation=0.0),
                Setting(f"{words}, {at} one endpoint alone", ((border,),), errors),
                Setting(f"{words}, {at} both, one look of 5", ((border, border),), errors, 1.0, looks=(5,)),
            ]
    for border in (LOW, HIGH):
        at = f"Δ = {'−' if border < 0 else '+'}δ"
        found += [
            Setting(f"wide errors (σ = δ), {at}", ((border, border),), deviation=1.0),
            Setting(f"n = 2, {at}", ((border, border),), correlation=1.0, looks=(2,)),
            Setting(f"Holm: 5 arms, {at}", ((border, border),) * 5),
            Setting(f"Holm: 5 arms with the reference's errors, {at}", ((border, border),) * 5, shared=0.5),
            Setting(f"Holm: 2 of 5 arms at {at}, 3 without difference", ((border, border),) * 2 + ((NONE, NONE),) * 3),
            Setting(f"Holm: 2 of 5 arms at {at}, 3 far beyond", ((border,) * 2,) * 2 + ((2 * border,) * 2,) * 3),
            Setting(f"Holm: 5 arms, {at}, heavy tails", ((border, border),) * 5, _heavy, 1.0),
            Setting(f"Holm: 5 arms, {at}, skewed runs", ((border, border),) * 5, _skewed_runs, 1.0),
        ]
    found += [
        Setting("one endpoint at −δ, the other far above", ((LOW, BETTER),), correlation=0.0),
        Setting("one endpoint at +δ, the other far below", ((HIGH, WORSE),), correlation=0.0),
        Setting("ladder that breaks at its second rung (−δ)", ((NONE,) * 2, *(((LOW,) * 2),) * 3), ladder=True),
        Setting("ladder of 5 rungs at −δ", ((LOW, LOW),) * 5, ladder=True),
        Setting("ladder of 5 rungs at +δ", ((HIGH, HIGH),) * 5, ladder=True),
        Setting(
            "ladder: rungs at −δ behind rungs of no difference, heavy tails",
            ((NONE, NONE),) * 2 + ((LOW, LOW),) * 2,
            _heavy,
            1.0,
            ladder=True,
        ),
    ]
    return found


def lopsided_settings() -> list[Setting]:
    """Returns settings that t intervals are not made for; they show how far off the words can be."""
    return [
        Setting(f"{words}, Δ = {'−' if border < 0 else '+'}δ", ((border, border),), errors, correlation=1.0)
        for words, errors in LOPSIDED.items()
        for border in (LOW, HIGH)
    ]
