"""Four views of a pair out of two: each of its images also as the other's view is cropped and lit."""

from dataclasses import fields

import numpy as np

from pairlab.scenes.scene import Pixels
from pairlab.views.geometry import Float64Array, displaced
from pairlab.views.pixels import PhotometricFactors


def crossed_views(
    chips: Pixels, views: Float64Array, factors: PhotometricFactors, *, shift: Float64Array
) -> tuple[Pixels, Float64Array, PhotometricFactors]:
    """Returns chips, matrices and factors of 4 · pairs views; every pair stands at the same place of each quarter.

    The first half is as given: anchors (A, a), then positives (B, b). Behind it come the positives' images as the
    anchors' views are cropped and lit (B, a), then the anchors' images as the positives' views are (A, b). A
    displacement belongs to the positive's image, whichever view shows it.

    Args:
        chips: anchors, then positives, shape (2 · pairs, size, size, bands).
        views: matrices as they are cropped, shape (2 · pairs, 2, 3).
        factors: one of each per view.
        shift: displacement of the positives' images, down and right, pixels of the chip, shape (pairs, 2).
    """
    count = len(shift)
    anchors, positives = views[:count], views[count:]
    swapped = np.concatenate([displaced(anchors, shift), displaced(positives, -shift)])
    twice = {each.name: np.tile(getattr(factors, each.name), 2) for each in fields(factors)}
    return (
        np.concatenate([chips, chips[count:], chips[:count]]),
        np.concatenate([views, swapped]),
        PhotometricFactors(**twice),
    )
