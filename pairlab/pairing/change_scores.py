"""What tells without labels, pixel by pixel, how much two images of a place differ: CVA and IR-MAD.

Sources: CVA: Malila, "Change vector analysis: an approach for detecting forest changes with Landsat", Symposium on
Machine Processing of Remotely Sensed Data, Purdue, 1980. IR-MAD: Nielsen, "The regularized iteratively reweighted MAD
method for change detection in multi- and hyperspectral data", IEEE Transactions on Image Processing 16(2), 2007.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.scene import BoolArray, Pixels

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
FITTED_PIXELS = 16_384
"""Pixels that IR-MAD is fitted on: covariances of so many hardly differ from those of all."""
LEAST_PIXELS_PER_BAND = 20
"""With fewer valid pixels IR-MAD says nothing: canonical correlations of few are close to 1 by chance."""
LEAST_EIGENVALUE = 1e-6
"""Of the bands' correlations: directions with less are copies of other bands."""
LEAST_SPREAD = 0.1
"""Of pixels that count as unchanged, least variance in any direction in which all pixels have 1."""
LEAST_VARIANCE = 1e-4
"""Of a canonical difference, where each canonical variate has 1: rounding to 8 bits alone makes about as much."""
CONVERGED = 1e-3
"""Canonical correlations that move less have settled."""
LEAST_WEIGHT = 0.05
"""Of the fitted pixels, the share that has to count as unchanged for another iteration to be trusted."""
CHUNK = 65_536
_TABLE = 4096


def cva(first: Pixels, last: Pixels, *, valid: BoolArray) -> Float32Array:
    """Returns the length of the change vector per pixel, in standard deviations, float32 ≥ 0 of shape (height, width).

    The later image's bands are brought to the earlier one's mean and deviation over the valid pixels, so that a change
    of light, contrast or colour that is linear in each band scores 0. A band without deviation in one of the images
    differs by the other's own deviation alone.

    Args:
        first: shape (height, width, bands); uint8, uint16 or float32.
        last: of the same shape.
        valid: pixels with data in both images; others get NaN, and so do those with a band that is not finite.
    """
    where = _usable(first, last, valid)
    squares = np.zeros(int(np.count_nonzero(where)), dtype=np.float32)
    for band in range(first.shape[2]):
        difference = _standardised(last[..., band][where]) - _standardised(first[..., band][where])
        squares += difference * difference
    return _map_of(np.sqrt(squares), where)


def irmad(first: Pixels, last: Pixels, *, valid: BoolArray, iterations: int = 30) -> Float32Array:
    """Returns chi-squared of the MAD variates over its degrees of freedom, float32 ≥ 0 of shape (height, width).

    About 1 where nothing changed (0, up to rounding, between images that are equal up to an affine map of their bands),
    and large where something did. Bands that are constant, or the same as others, take no part; without any other left,
    all pixels score 0.

    Args:
        first: shape (height, width, bands); uint8, uint16 or float32.
        last: of the same shape.
        valid: pixels with data in both images; others get NaN, and so do those with a band that is not finite. Fewer
            than LEAST_PIXELS_PER_BAND per band give NaN everywhere.
        iterations: at most; it ends earlier where the canonical correlations have settled.
    """
    where = _usable(first, last, valid)
    x, y = first[where], last[where]
    if len(x) < LEAST_PIXELS_PER_BAND * x.shape[1]:
        return np.full(where.shape, np.nan, dtype=np.float32)
    chosen: NDArray[np.intp] | slice = slice(None)
    if len(x) > FITTED_PIXELS:
        chosen = np.random.default_rng(0).choice(len(x), FITTED_PIXELS, replace=False, shuffle=False)
    mad = fit_mad(x[chosen].astype(np.float64), y[chosen].astype(np.float64), iterations=iterations)
    scores = [mad.score(x[start : start + CHUNK], y[start : start + CHUNK]) for start in range(0, len(x), CHUNK)]
    return _map_of(np.concatenate(scores), where)


@dataclass(frozen=True)
class Mad:
    """Canonical variates of two images; their differences are the MAD variates."""

    a: Float64Array
    b: Float64Array
    """Shape (bands, variates): weights of the earlier and of the later image's bands; each variate has variance 1."""
    offset: Float64Array
    """Mean difference, shape (variates,)."""
    correlations: Float64Array
    """Of the variates, descending, in [0, 1]."""
    kept_variance: float = 1.0
    """The share of the differences' variance that the weights of the fit leave where nothing changed."""

    def chi_squared(self, x: NDArray[Any], y: NDArray[Any]) -> Float64Array:
        """Returns the sum of squared MAD variates, each over its variance 2 (1 − ρ); x and y (pixels, bands)."""
        differences = x @ self.a - y @ self.b - self.offset
        variances = np.maximum(2 * (1 - self.correlations) / self.kept_variance, LEAST_VARIANCE)
        return np.asarray((differences**2 / variances).sum(axis=1))

    def score(self, x: NDArray[Any], y: NDArray[Any]) -> Float64Array:
        """Returns chi-squared over its degrees of freedom; 0 without variates."""
        return self.chi_squared(x, y) / max(len(self.correlations), 1)


def fit_mad(x: Float64Array, y: Float64Array, *, iterations: int) -> Mad:
    """Returns the variates after reweighting pixels by their probability of no change.

    Weights by probability count a pixel the less the further out it lies, even where nothing changed, and so make the
    variances of the differences smaller with every iteration, without end where there are one or two bands. Beyond
    Nielsen (2007), the share that they leave of chi-squared's own variance is divided out.

    It stops before the weights concentrate on pixels that say little of the rest, saturated ones for example: on fewer
    than LEAST_WEIGHT of all, or on such as hardly differ among themselves.

    Args:
        x: the earlier image's pixels, shape (pixels, bands).
        y: the later image's.
        iterations: at most.
    """
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    white_x, white_y = _whitening(x - mean_x), _whitening(y - mean_y)
    x, y = (x - mean_x) @ white_x, (y - mean_y) @ white_y
    mad = _fit_once(x, y, np.ones(len(x)))
    for _ in range(iterations - 1 if len(mad.correlations) else 0):
        weights = no_change_probability(mad.chi_squared(x, y), freedom=len(mad.correlations))
        if weights.sum() < LEAST_WEIGHT * len(x) or min(_spread(x, weights), _spread(y, weights)) < LEAST_SPREAD:
            break
        before, mad = mad, replace(_fit_once(x, y, weights), kept_variance=kept_variance(len(mad.correlations)))
        if np.abs(mad.correlations - before.correlations).max() < CONVERGED:
            break
    a, b = white_x @ mad.a, white_y @ mad.b
    return replace(mad, a=a, b=b, offset=mad.offset + mean_x @ a - mean_y @ b)


def no_change_probability(chi_squared: Float64Array, *, freedom: int) -> Float64Array:
    """Returns the probability that unchanged pixels reach these values or more: 1 − P(χ² with `freedom` degrees)."""
    roots, survival = _survival_table(freedom)
    return np.interp(np.sqrt(chi_squared), roots, survival)


def kept_variance(freedom: int) -> float:
    """Returns the variance per variate, weighted by the probability of no change, of unchanged pixels; in (0, 1).

    With a second pixel's χ'² the weight of χ² is P(χ'² > χ²), so that the weighted mean of χ² is the mean of the lesser
    of both, ∫ Q(x)² dx.
    """
    roots, survival = _survival_table(freedom)
    return float(np.trapezoid(2 * roots * survival**2, roots)) / freedom


def _fit_once(x: Float64Array, y: Float64Array, weights: Float64Array) -> Mad:
    """Returns the canonical variates under weights of the pixels.

    Maximising the correlation of a·x and b·y is the generalised eigenproblem Σxy Σyy⁻¹ Σyx a = ρ² Σxx a (Nielsen,
    2007). With Σxx = L Lᵀ and Σyy = K Kᵀ it is the singular value decomposition of L⁻¹ Σxy K⁻ᵀ.

    Args:
        x: shape (pixels, directions), not collinear.
        y: likewise.
        weights: shape (pixels,).
    """
    mean_x, mean_y = _mean(x, weights), _mean(y, weights)
    root_x, root_y = (np.linalg.inv(np.linalg.cholesky(_covariance(each, each, weights))) for each in (x, y))
    left, correlations, right = np.linalg.svd(root_x @ _covariance(x, y, weights) @ root_y.T)
    count = len(correlations)
    a, b = root_x.T @ left[:, :count], root_y.T @ right[:count].T
    return Mad(a=a, b=b, offset=mean_x @ a - mean_y @ b, correlations=np.clip(correlations, 0.0, 1.0))


def _mean(values: Float64Array, weights: Float64Array) -> Float64Array:
    return np.asarray(weights @ values / weights.sum())


def _covariance(x: Float64Array, y: Float64Array, weights: Float64Array) -> Float64Array:
    return np.asarray(((x - _mean(x, weights)) * weights[:, None]).T @ (y - _mean(y, weights)) / weights.sum())


def _spread(values: Float64Array, weights: Float64Array) -> float:
    """Returns the least variance of the weighted pixels in any direction; all pixels have 1 in each."""
    return float(np.linalg.eigvalsh(_covariance(values, values, weights))[0])


def _whitening(centred: Float64Array) -> Float64Array:
    """Returns (bands, rank): combinations of the bands that are uncorrelated and have variance 1.

    Args:
        centred: shape (pixels, bands), of mean 0.
    """
    covariance = centred.T @ centred / len(centred)
    deviations = np.sqrt(np.diag(covariance))
    varies = deviations > 0
    scale = np.where(varies, 1 / np.where(varies, deviations, 1.0), 0.0)
    eigenvalues, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
    kept = eigenvalues > LEAST_EIGENVALUE
    return np.asarray(scale[:, None] * vectors[:, kept] / np.sqrt(eigenvalues[kept]))


@lru_cache(maxsize=16)
def _survival_table(freedom: int) -> tuple[Float64Array, Float64Array]:
    """Returns square roots of chi-squared, rising, and the probability to exceed each; linear between them."""
    greatest = math.sqrt(freedom) + 8.0  # beyond lies less than 1e-12
    roots = np.linspace(0.0, greatest, _TABLE)
    return roots, np.array([_survival(root * root / 2, freedom) for root in roots.tolist()])


def _survival(half: float, freedom: int) -> float:
    """Returns Q(freedom / 2, half), the regularised upper incomplete gamma function at halves (DLMF 8.4.11, 8.4.12)."""
    if half == 0.0:
        return 1.0
    odd = freedom % 2
    first = math.erfc(math.sqrt(half)) if odd else 0.0
    powers = [count + odd / 2 for count in range(freedom // 2)]
    return first + sum(math.exp(power * math.log(half) - half - math.lgamma(power + 1)) for power in powers)


def _usable(first: Pixels, last: Pixels, valid: BoolArray) -> BoolArray:
    """Returns the valid pixels whose bands are all finite, in both images."""
    where = valid.copy()
    for image in (first, last):
        if image.dtype.kind == "f":
            where &= np.isfinite(image).all(axis=2)
    return where


def _standardised(values: NDArray[np.generic]) -> Float32Array:
    """Returns values in deviations from their mean, float32; 0 where they do not vary."""
    if not len(values):
        return values.astype(np.float32)
    centred = values.astype(np.float64)
    constant = bool((centred == centred[0]).all())
    centred -= centred.mean()
    deviation = math.sqrt(float(centred @ centred) / len(centred))
    if constant or deviation == 0.0:
        return np.zeros(len(values), dtype=np.float32)
    return (centred / deviation).astype(np.float32)


def _map_of(values: NDArray[np.floating], where: BoolArray) -> Float32Array:
    image = np.full(where.shape, np.nan, dtype=np.float32)
    image[where] = values
    return image
