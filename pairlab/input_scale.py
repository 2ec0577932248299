"""How images are scaled before a network sees them, in words that another program can follow."""

from typing import Any

from pairlab.scenes.scene import Bands
from pairlab.views.pixels import DEVIATION, MEAN


def described_input(bands: Bands) -> dict[str, Any]:
    """Returns, as JSON, the band names, what becomes 0 and 1 of each, and the mean and deviation taken off then."""
    return {
        "bands": list(bands.names),
        "low": list(bands.low),
        "high": list(bands.high),
        "mean": MEAN,
        "deviation": DEVIATION,
    }
