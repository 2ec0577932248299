"""The index as it is built, cut, merged, written and read; what is counted is in test_measuring."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.scenes import index_file
from pairlab.scenes.index import CELL, COUNTS, DatasetIndex, SceneTable, column_of, merge
from pairlab.scenes.index_file import read_index, read_table, write_index
from pairlab.scenes.measuring import build_index, index_of, measure_labels
from pairlab.scenes.scene import Attribute, Bands, Quarantined, Scene, SceneFiles
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.scenes.xbd import open_xbd
from tests.pairlab.scenes.counted_scenes import CountedScenes
from tests.pairlab.scenes.equal_indices import assert_equal, assert_equal_tables
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

SIZES = st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100)), max_size=7)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
VALUES = st.none() | ANY_TEXT | NUMBERS


def test_of_scenes_keeps_the_named_ones_alone() -> None:
    source = SyntheticSource(SyntheticDataset(train=12, validation=2, test=2))
    index = build_index(source).chips(32).of_scenes({"train-000003", "test-000001"})
    assert {index.scenes[position].name for position in index.scene} == {"train-000003", "test-000001"}
    assert len(index) == 8


def test_shares_are_zero_without_objects(tmp_path: Path) -> None:
    write_xbd_tree(tmp_path, seed=5, scenes_per_split={"train": 3}, size=128)
    index = build_index(open_xbd(tmp_path, damage_from="minor-damage"))
    for counted in (index.table, index.chips(64)):
        empty = counted.object_pixels == 0
        assert empty.any()
        assert (counted.object_change_share[empty] == 0).all()
        assert (counted.object_change_share <= 1).all()
        assert counted.change_share.max() > 0
        assert (counted.change_share <= counted.object_change_share + 1e-12).all()


@pytest.mark.parametrize("size", [0, 16, 33, -32])
def test_chips_are_made_of_whole_cells(size: int) -> None:
    with pytest.raises(ValueError, match=f"chip_size must be a multiple of 32, found {size}"):
        build_index(CountedScenes([(64, 64)])).chips(size)


def test_chips_larger_than_every_scene_are_none() -> None:
    chips = build_index(CountedScenes([(64, 100), (20, 20)])).chips(128)
    assert len(chips) == 0
    assert chips.objects.shape == (0, 3)
    assert len(chips.of_scenes({"scene-0000"})) == 0


@settings(deadline=None, max_examples=50)
@given(SIZES.filter(bool), st.data())
def test_a_selection_is_the_index_of_those_scenes(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    source = CountedScenes(sizes, attributes=[{"place": f"p{number}", "n": number / 2} for number in range(len(sizes))])
    whole = build_index(source)
    rows = data.draw(st.lists(st.integers(0, len(sizes) - 1), unique=True))
    selected = whole.select(np.array(rows, dtype=np.intp))
    expected = index_of(source, [measure_labels(source, source.scenes[row]) for row in rows], pixels_read=True)
    if rows:
        assert_equal(selected, expected)
    assert [scene.name for scene in selected.table.scenes] == [source.scenes[row].name for row in rows]
    chips, all_chips = selected.chips(32), whole.chips(32)
    for place, row in enumerate(rows):
        for name in (*COUNTS, "objects", "y", "x"):
            here, there = getattr(chips, name)[chips.scene == place], getattr(all_chips, name)[all_chips.scene == row]
            assert np.array_equal(here, there)


def test_a_selection_of_everything_is_the_index_itself() -> None:
    index = build_index(CountedScenes([(64, 64), (32, 96)]))
    assert index.select(np.arange(2)) is index
    assert index.select(np.array([1, 0])) is not index


@settings(deadline=None, max_examples=80)
@given(SIZES.filter(bool), st.lists(st.integers(0, 7), max_size=3), st.data())
def test_parts_merge_to_the_whole(sizes: list[tuple[int, int]], cuts: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=len(sizes)))
    source = CountedScenes(sizes, attributes=values)
    measured = [measure_labels(source, scene) for scene in source.scenes]
    edges = [0, *sorted(min(cut, len(sizes)) for cut in cuts), len(sizes)]
    parts = [index_of(source, measured[start:end], pixels_read=True) for start, end in pairwise(edges)]
    whole = index_of(source, measured, pixels_read=True)
    assert_equal(merge(parts), whole, order_of_columns=False)


def test_what_parts_left_out_is_kept_by_the_whole() -> None:
    parts = [build_index(CountedScenes(sizes)) for sizes in ([(32, 32)], [], [(64, 32)])]
    lost = [Quarantined("b", "b.png", "is damaged"), Quarantined("a", "a.png", "is damaged")]
    marked = [_with(part, quarantined=(lost[min(place, 1)],)) for place, part in enumerate(parts)]
    assert merge(marked).table.quarantined == (lost[1], lost[0])
    assert not merge([_with(parts[0], pixels_read=False), parts[2]]).table.pixels_read


def _with(index: DatasetIndex, **changes: Any) -> DatasetIndex:  # noqa: ANN401
    return replace(index, table=replace(index.table, **changes))


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([1, 2.5, None], [1.0, 2.5, np.nan]),
        ([np.nan, 3], [np.nan, 3.0]),
        (["a", None], ["a", None]),
        (["a", 1, 2.5, np.nan], ["a", "1.0", "2.5", None]),
        ([None, None], [None, None]),
        ([np.nan], [None]),
        ([], []),
    ],
)
def test_a_column_is_of_numbers_or_of_texts(values: list[Attribute], kept: list[object]) -> None:
    column = column_of(values)
    np.testing.assert_array_equal(column, np.array(kept, dtype=column.dtype))
    assert column.dtype == (np.float64 if kept and all(isinstance(value, float) for value in kept) else object)


@st.composite
def indices(draw: st.DrawFn) -> DatasetIndex:
    sizes = draw(SIZES)
    names = draw(st.lists(ANY_TEXT, max_size=4, unique=True))
    kinds = {name: draw(st.sampled_from([NUMBERS, ANY_TEXT | st.none(), st.none(), VALUES])) for name in names}
    source = CountedScenes(sizes, attributes=[{name: draw(kinds[name]) for name in names} for _ in sizes])
    index = build_index(source)
    scenes = tuple(draw(_scene(scene)) for scene in index.table.scenes)
    count = len(scenes)
    table = replace(
        index.table,
        scenes=scenes,
        offset=np.array(draw(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=count, max_size=count)), float).reshape(
            -1, 2
        ),
        offset_confidence=np.array(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)), float),
        object_classes=tuple(draw(st.lists(ANY_TEXT, min_size=3, max_size=3, unique=True))),
        quarantined=tuple(draw(st.lists(st.builds(Quarantined, ANY_TEXT, ANY_TEXT, ANY_TEXT), max_size=3))),
        bands=draw(_bands()),
        pixels_read=draw(st.booleans()),
    )
    return DatasetIndex(table, index.cells, index.objects)


@st.composite
def _bands(draw: st.DrawFn) -> Bands:
    count = draw(st.integers(1, 13))
    finite = st.floats(allow_nan=False, allow_infinity=False)
    low, high = (tuple(draw(st.lists(finite, min_size=count, max_size=count))) for _ in range(2))
    names = tuple(draw(st.lists(ANY_TEXT, min_size=count, max_size=count)))
    return Bands(names, low=low, high=high, no_data=draw(st.none() | finite))


@st.composite
def _scene(draw: st.DrawFn, scene: Scene) -> Scene:
    acquisitions = tuple(draw(st.lists(ANY_TEXT, min_size=1, max_size=4, unique=True)))
    files = {name: SceneFiles(draw(ANY_TEXT), draw(st.none() | ANY_TEXT)) for name in acquisitions}
    return Scene(
        name=f"{scene.name}{draw(ANY_TEXT)}",
        split=draw(st.sampled_from(["train", "validation", "test"])),
        event=draw(ANY_TEXT),
        acquisitions=acquisitions,
        height=scene.height,
        width=scene.width,
        files=draw(st.sampled_from([files, {}])),
        location=draw(st.none() | st.tuples(*[st.floats(-1e7, 1e7)] * 2)),
    )


@settings(deadline=None, max_examples=120)
@given(indices())
def test_an_index_comes_back_from_its_file(tmp_path_factory: pytest.TempPathFactory, index: DatasetIndex) -> None:
    path = tmp_path_factory.mktemp("index") / "year=2024" / "it.parquet"
    write_index(index, path)
    whole, table = read_index(path), read_table(path)
    assert whole is not None
    assert table is not None
    assert_equal(whole, index)
    assert_equal_tables(table, index.table)
    for size in (32, 64):
        for name in (*COUNTS, "objects", "scene", "y", "x"):
            assert np.array_equal(getattr(whole.chips(size), name), getattr(index.chips(size), name))
    before = path.read_bytes()
    write_index(whole, path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["it.parquet"]


def test_a_table_is_a_row_per_scene_that_other_tools_can_read(tmp_path: Path) -> None:
    write_xbd_tree(tmp_path / "tree", seed=5)
    index = build_index(open_xbd(tmp_path / "tree", damage_from="minor-damage"))
    write_index(index, tmp_path / "it.parquet")
    frame = pq.read_table(tmp_path / "it.parquet").to_pydict()
    assert frame["scene"] == [scene.name for scene in index.table.scenes]
    assert frame["changed_pixels"] == index.table.changed_pixels.tolist()
    assert frame["column/post_sensor"] == ["INVENTED01"] * 11
    assert sum(frame["objects/destroyed"]) == index.table.objects[:, 3].sum() > 0


@pytest.fixture
def written(tmp_path: Path) -> Path:
    index = build_index(CountedScenes([(64, 64), (40, 100)] * 6, attributes=[{"place": "a", "n": 1.5}] * 12))
    write_index(_with(index, quarantined=(Quarantined("a", "b", "c"),)), tmp_path / "it.parquet")
    return tmp_path / "it.parquet"


@pytest.mark.parametrize("read", [read_index, read_table])
def test_no_file_is_no_index(tmp_path: Path, read: Callable[[Path], object]) -> None:
    assert read(tmp_path / "it.parquet") is None
    assert read(tmp_path / "no folder" / "it.parquet") is None
    assert read(tmp_path) is None


@pytest.mark.parametrize("read", [read_index, read_table])
def test_a_truncated_file_is_no_index(written: Path, read: Callable[[Path], object]) -> None:
    content = written.read_bytes()
    assert read(written) is not None
    for length in {0, 1, 4, 8, 12, *range(0, len(content), 257), len(content) - 1}:
        written.write_bytes(content[:length])
        assert read(written) is None


def test_a_damaged_file_is_no_index_or_the_same(written: Path) -> None:
    """A flipped byte is seen, or lies where nothing is read from."""
    content = written.read_bytes()
    sound = read_index(written)
    assert sound is not None
    rng = np.random.default_rng(0)
    unseen = 0
    for place in rng.choice(len(content), 250, replace=False):
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        written.write_bytes(damaged)
        found = read_index(written)
        if found is not None:
            assert_equal(found, sound)
            unseen += 1
        read_table(written)
    assert unseen < 60


@pytest.mark.parametrize("read", [read_index, read_table])
def test_a_file_of_another_version_is_no_index(
    written: Path, read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_file, "INDEX_VERSION", index_file.INDEX_VERSION + 1)
    assert read(written) is None


@pytest.mark.parametrize("read", [read_index, read_table])
def test_some_other_parquet_file_is_no_index(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "it.parquet"
    pq.write_table(pa.table({"scene": ["a"]}), path)
    assert read(path) is None
    for facts in (b"", b"7", b"x y", b"0 ", b"4157704578 []", b"2745614147 null"):
        pq.write_table(pa.table({"scene": ["a"]}).replace_schema_metadata({b"pairlab": facts}), path)
        assert read(path) is None


def test_a_failed_write_leaves_the_old_file(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_index(build_index(CountedScenes([(32, 32)])), written)
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == ["it.parquet"]


def test_equal_indices_have_equal_files_in_every_process(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from pairlab.scenes.index_file import write_index\n"
        "from pairlab.scenes.measuring import build_index\n"
        "from tests.pairlab.scenes.counted_scenes import CountedScenes\n"
        "write_index(build_index(CountedScenes([(64, 64), (90, 33)], attributes=[{'a': 'x'}])), Path(sys.argv[1]))\n"
    )
    root = str(Path(__file__).parents[3])
    for name in ("one", "other"):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / name)], check=True, cwd=root)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_the_index_of_all_of_xbd_is_small_and_fast() -> None:
    """11,034 scenes of 1024²: chips are counted within the time a page may take."""
    rng = np.random.default_rng(0)
    count, cells = 11_034, (1024 // CELL) ** 2
    objects = np.stack(
        [np.sort(rng.integers(0, count, 425_368)), *rng.integers(0, 1024, (2, 425_368)), rng.integers(0, 5, 425_368)], 1
    )
    index = DatasetIndex(
        _plain_table(count, side=1024, classes=5),
        cells=rng.integers(0, CELL * CELL, (4, count * cells), dtype=np.uint16),
        objects=objects.astype(np.int32),
    )
    chips = index.chips(256)
    assert len(chips) == count * 16
    assert chips.valid_pixels.sum() == index.cells[0].sum(dtype=np.int64)
    assert chips.objects.sum() == 425_368
    assert index.cells.nbytes + index.objects.nbytes < 100 * 2**20


def _plain_table(count: int, *, side: int, classes: int) -> SceneTable:
    zeros: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
    return SceneTable(
        scenes=tuple(Scene(f"s{n}", "train", "e", ("pre", "post"), height=side, width=side) for n in range(count)),
        valid_pixels=zeros,
        object_pixels=zeros,
        changed_pixels=zeros,
        unknown_pixels=zeros,
        objects=np.zeros((count, classes), np.int32),
        object_classes=tuple("abcde"[:classes]),
        offset=np.zeros((count, 2)),
        offset_confidence=np.zeros(count),
        columns={},
    )
