"""Where scenes lie: degrees become metres on one plane for the whole earth, true wherever a scene lies."""

import numpy as np
from numpy.typing import NDArray

Degrees = NDArray[np.float64] | float
Metres = NDArray[np.float64]

EARTH_RADIUS = 6_371_008.8
"""Mean radius, metres (WGS 84)."""


def on_the_plane(longitude: Degrees, latitude: Degrees) -> tuple[Metres, Metres]:
    """Returns x (east) and y (north) in metres: a sinusoidal projection about each whole meridian, side by side.

    Distances are true within 1 %. (Those of Mercator's plane are not: 25 % too long in Joplin, none in Palu.) Only
    between two meridians, every 111 km at the equator, is there a gap, of up to a part of a degree.

    Args:
        longitude: degrees, of any shape.
        latitude: degrees, of the same shape.
    """
    meridian = np.round(longitude)
    x = np.radians(meridian) + np.cos(np.radians(latitude)) * np.radians(longitude - meridian)
    return np.asarray(EARTH_RADIUS * x), np.asarray(EARTH_RADIUS * np.radians(latitude))
