import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pairlab.scenes.places import EARTH_RADIUS, on_the_plane


def great_circle(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Returns the distance of two places (longitude, latitude), metres, by the haversine formula."""
    (east, north), (to_east, to_north) = np.radians(one), np.radians(other)
    half = np.sin((to_north - north) / 2) ** 2
    half += np.cos(north) * np.cos(to_north) * np.sin((to_east - east) / 2) ** 2
    return float(2 * EARTH_RADIUS * np.arcsin(np.sqrt(half)))


DEGREES = st.floats(-0.02, 0.02)


@settings(deadline=None)
@given(st.floats(-180, 180), st.floats(-72, 72), DEGREES, DEGREES)
def test_distances_of_neighbours_are_true(east: float, north: float, right: float, up: float) -> None:
    assume(round(east) == round(east + right))
    places = ((east, north), (east + right, north + up))
    distance = great_circle(*places)
    assume(distance > 1)
    x, y = on_the_plane(*np.array(places).T)
    assert np.hypot(x[1] - x[0], y[1] - y[0]) == pytest.approx(distance, rel=0.01)


@settings(deadline=None)
@given(st.integers(-179, 179), st.floats(-80, 80), st.floats(0, 0.01))
def test_meridians_lie_side_by_side_and_never_over_each_other(meridian: int, north: float, right: float) -> None:
    (left, across), _ = on_the_plane(np.array([meridian + 0.4999, meridian + 0.5001 + right]), np.full(2, north))
    assert left < across


def test_north_is_up_and_east_is_right() -> None:
    (x, to_x), (y, to_y) = on_the_plane(np.array([10.0, 10.1]), np.array([-50.0, -49.9]))
    assert to_x > x
    assert to_y - y == pytest.approx(EARTH_RADIUS * np.radians(0.1))
