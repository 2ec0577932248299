"""Polygons of a whole file at once, against shapely one by one."""

from collections.abc import Sequence

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.scenes import wkt
from pairlab.scenes.wkt import PolygonError, Polygons, read_polygons

NUMBERS = st.floats(-1e5, 1e5, allow_subnormal=False) | st.integers(-2000, 2000)
POINTS = st.tuples(NUMBERS, NUMBERS)
RINGS = st.lists(POINTS, min_size=3, max_size=12).map(lambda points: [*points, points[0]])


def written(*rings: Sequence[tuple[float, float]]) -> str:
    return f"POLYGON ({', '.join('(' + ', '.join(f'{x!r} {y!r}' for x, y in ring) + ')' for ring in rings)})"


def rings_of(polygons: Polygons) -> list[tuple[int, list[tuple[float, float]]]]:
    places = zip(polygons.owner.tolist(), polygons.starts.tolist(), polygons.ends.tolist(), strict=True)
    return [(owner, [tuple(point) for point in polygons.points[start:end].tolist()]) for owner, start, end in places]


def expected_rings(texts: Sequence[str]) -> list[tuple[int, list[tuple[float, float]]]]:
    return [
        (position, [(float(x), float(y)) for x, y in shapely.get_coordinates(ring).tolist()])
        for position, text in enumerate(texts)
        for ring in shapely.get_rings(shapely.get_parts(shapely.from_wkt(text)))
    ]


@settings(deadline=None, max_examples=200)
@given(st.lists(RINGS, max_size=8), st.integers(0, 40))
def test_plain_polygons_are_read_to_the_last_bit(rings: list[list[tuple[float, float]]], more: int) -> None:
    """Few and many numbers: they are read in two ways."""
    texts = [written(ring) for ring in [*rings, *rings[:1] * more]]
    polygons = read_polygons(texts)
    assert rings_of(polygons) == expected_rings(texts)
    assert rings_of(polygons) == [
        (n, [(float(x), float(y)) for x, y in r]) for n, r in enumerate([*rings, *rings[:1] * more])
    ]


@pytest.mark.parametrize(
    "text",
    [
        "POLYGON ((0 0, 9 0, 9 9, 0 0), (2 1, 3 1, 3 2, 2 1))",
        "MULTIPOLYGON (((0 0, 9 0, 9 9, 0 0)), ((20 20, 29 20, 29 29, 20 20), (22 21, 23 21, 23 22, 22 21)))",
        "POLYGON EMPTY",
        "POLYGON((0 0,9 0,9 9,0 0))",
        "polygon ((0 0, 9 0, 9 9, 0 0))",
        "POLYGON  (( 0  0 , 9 0, 9 9, 0 0 ) )",
        "POLYGON Z ((0 0 1, 9 0 1, 9 9 1, 0 0 1))",
        "POLYGON ((0 0, 9E0 0, +9 9, 0 0))",
        "POLYGON ((0 0, 9e0 -0.5e1, 9. .9, 0 0))",
        "POLYGON ((-0 0, 9 0, 9 9, 0 -0))",
    ],
)
def test_every_other_form_is_read_too(text: str) -> None:
    plain = "POLYGON ((1 1, 2 1, 2 2, 1 1))"
    texts = [plain, text, plain]
    assert rings_of(read_polygons(texts)) == expected_rings(texts)


@pytest.mark.parametrize(
    "text",
    [
        None,
        3,
        b"POLYGON ((0 0, 9 0, 9 9, 0 0))",
        "",
        "POINT (1 1)",
        "CURVEPOLYGON ((0 0, 1 1, 1 0, 0 0))",
        "MULTISURFACE (((0 0, 1 1, 1 0, 0 0)))",
        "MULTIPOLYGON (CURVEPOLYGON ((0 0, 1 1, 1 0, 0 0)))",
        "GEOMETRYCOLLECTION (POLYGON ((0 0, 1 1, 1 0, 0 0)))",
        "POLYGON ((0 0, 9 0, 9 9, 0 1))",
        "POLYGON ((0 0, 0 0))",
        "POLYGON ((0 0, 9 0, 9 9 9, 0 0))",
        "POLYGON ((0 0, 9 0, 9, 9 0 0))",
        "POLYGON ((0 0 9 0, 9 9, 0 0, 1, 1))",
        "POLYGON ((0,0 9, 0 9, 9 0, 0 0, 0))",
        "POLYGON ((0 0, 9- 0, 9 9, 0 0))",
        "POLYGON ((0 0, 9 1e, 9 9, 0 0))",
        "POLYGON ((0 0, 9 --1, 9 9, 0 0))",
        "POLYGON ((0 0, 9 1.2.3, 9 9, 0 0))",
        "POLYGON ((0 0, 9 ., 9 9, 0 0))",
        "POLYGON ((0 0, 9 , 9 9, 0 0))",
        "POLYGON ((0 0, 9 0, 9 9, 0 0)), ((1 1, 2 1, 2 2, 1 1))",
        "POLYGON ((",
        "POLYGON (()",
        "POLYGON (())",
        "POLYGON ((0 0, 9 0, 9 ٣, 0 0))",
        "POLYGON ((0 0, 9 0, 9 9, 0 0))\ud800",
    ],
)
@pytest.mark.parametrize("many", [1, 60])
def test_what_is_no_polygon_is_told_by_its_position(text: object, many: int) -> None:
    plain = "POLYGON ((1 1, 2 1, 2 2, 1 1))"
    with pytest.raises(PolygonError, match=r"^text 1 is no polygon$") as error:
        read_polygons([plain, text, *[plain] * many])
    assert error.value.position == 1


MUTATIONS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(list(" ,.-+eE()0123456789nPx\t")), st.integers(0, 2)),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=400)
@given(RINGS, MUTATIONS, st.sampled_from([1, 60]))
def test_the_fast_way_accepts_nothing_that_shapely_does_not(
    ring: list[tuple[float, float]], mutations: list[tuple[float, str, int]], many: int
) -> None:
    text = written(ring)
    for where, character, kind in mutations:
        place = int(where * len(text))
        text = text[:place] + (character if kind else "") + text[place + (kind != 1) :]
    plain = wkt._plain_polygons([text, *[written([(1, 1), (2, 1), (2, 2), (1, 1)])] * many])
    if plain is not None:
        with np.errstate(over="ignore"):  # both read a number past float64 as infinite
            assert rings_of(plain)[0] == expected_rings([text])[0]


def test_no_text_at_all() -> None:
    polygons = read_polygons([])
    assert polygons.points.shape == (0, 2)
    assert len(polygons.owner) == 0
    assert polygons.centroids(0).shape == (0, 2)
    assert polygons.first_outline.shape == (0, 2)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(-50, 1100), st.integers(-50, 1100), st.integers(1, 400), st.integers(3, 12)),
        min_size=1,
        max_size=6,
    )
)
def test_centroids_are_those_of_the_outlines(shapes: list[tuple[int, int, int, int]]) -> None:
    rings = []
    for x, y, radius, corners in shapes:
        turns = np.arange(corners) * 2 * np.pi / corners
        points = [(x + radius * np.cos(t), y + radius * np.sin(t)) for t in turns.tolist()]
        rings.append([(float(a), float(b)) for a, b in [*points, points[0]]])
    texts = [written(ring) for ring in rings]
    centres = read_polygons(texts).centroids(len(texts))
    for (x, y), text in zip(centres.tolist(), texts, strict=True):
        centroid = shapely.centroid(shapely.from_wkt(text))
        assert (x, y) == pytest.approx((centroid.x, centroid.y), abs=1e-6)


def test_centroids_of_odd_polygons() -> None:
    texts = [
        "POLYGON ((0 0, 9 0, 0 0, 0 0))",  # no area: the middle of its points
        "POLYGON EMPTY",
        "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (1 1, 9 1, 9 2, 1 1))",  # a hole does not move the outline
        "MULTIPOLYGON (((0 0, 2 0, 2 2, 0 2, 0 0)), ((20 20, 29 20, 29 29, 20 20)))",  # the first part's
        "POLYGON ((4 4, 4 4, 4 4, 4 4))",
    ]
    assert read_polygons(texts).centroids(5).tolist() == [[2.25, 0], [0, 0], [5, 5], [1, 1], [4, 4]]


def test_the_first_outline_is_that_of_the_first_text() -> None:
    triangle = "POLYGON ((1 1, 2 1, 2 2, 1 1))"
    assert read_polygons([triangle, triangle]).first_outline.tolist() == [[1, 1], [2, 1], [2, 2], [1, 1]]
    assert read_polygons(["POLYGON EMPTY", triangle]).first_outline.tolist() == []
