from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pairlab.pairing.pair import CONTROLS, PairList, Shot
from pairlab.scenes.stored_images import chip_of
from pairlab.views.chips import ChipReader
from tests.pairlab.views.known_geometry import CoordinateScenes, pair_list

SOURCE = CoordinateScenes()
SCENES = {scene.name: scene for scene in SOURCE.scenes}
EVERY = np.arange(60)
CHIP_BYTES = 32 * 32 * 4 * 4


def pairs() -> PairList:
    return pair_list(SOURCE.scenes, size=32, count=60, masked=0.4, mismatched=0.3)


def expected(pairs: PairList) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    def chip(shot: Shot) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.asarray(
            chip_of(SOURCE, SCENES[shot.scene], shot.acquisition, y=shot.y, x=shot.x, size=32, state=shot.state)
        )

    return np.stack([chip(pair.anchor) for pair in pairs] + [chip(pair.positive) for pair in pairs])


@pytest.mark.parametrize("room", [0, 5 * CHIP_BYTES, 1 << 30])
def test_chips_are_those_of_the_pairs_whatever_is_kept(room: int) -> None:
    reader = ChipReader(SOURCE, pairs(), chip_bytes=room)
    for _ in range(2):
        np.testing.assert_array_equal(reader.chips(EVERY), expected(pairs()))
        assert reader.kept_bytes <= room


def test_threads_keep_every_chip_once() -> None:
    reader = ChipReader(SOURCE, pairs())
    orders = [np.random.default_rng(seed).permutation(60) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(reader.chips, orders))
    whole = expected(pairs())
    for order, chips in zip(orders, found, strict=True):
        np.testing.assert_array_equal(chips, whole[np.concatenate([order, 60 + order])])
    shots = {shot for pair in pairs() for shot in (pair.anchor, pair.positive)}
    assert reader.kept_bytes == len(shots) * CHIP_BYTES


@pytest.mark.parametrize("room", [0, 200, 1 << 20])
def test_change_maps_are_those_of_the_places(room: int) -> None:
    reader = ChipReader(SOURCE, pairs(), chip_bytes=0, change_bytes=room)
    masked = np.flatnonzero(pairs().control == CONTROLS.index("masked"))
    for _ in range(2):
        for row, position in enumerate(masked.tolist()):
            anchor = pairs()[position].anchor
            whole = SOURCE.change(SCENES[anchor.scene]).changed
            window = whole[anchor.y : anchor.y + 32, anchor.x : anchor.x + 32]
            np.testing.assert_array_equal(reader.changed(masked)[row], window)
    assert reader.kept_bytes <= room


def test_a_scenes_labels_are_read_once_for_all_its_pairs() -> None:
    source = CoordinateScenes()
    reader = ChipReader(source, pairs())
    masked = np.flatnonzero(pairs().control == CONTROLS.index("masked"))
    for _ in range(3):
        reader.changed(masked)
    assert len(masked) > 10
    assert source.change_asked == len(set(pairs().scene[masked].tolist()))


def test_what_is_unknown_counts_as_changed() -> None:
    class Unclear(CoordinateScenes):
        def change(self, scene, *, pixels=True):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            maps = super().change(scene, pixels=pixels)
            return type(maps)(
                changed=np.zeros_like(maps.changed), objects=maps.objects, unknown=maps.changed, valid=maps.valid
            )

    known, unclear = (ChipReader(source, pairs()) for source in (SOURCE, Unclear()))
    masked = np.flatnonzero(pairs().control == CONTROLS.index("masked"))
    np.testing.assert_array_equal(known.changed(masked), unclear.changed(masked))
