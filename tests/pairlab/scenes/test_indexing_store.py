"""The index job and the store of decoded images."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pairlab.events import Started
from pairlab.scenes import indexing
from pairlab.scenes.indexing import IndexFiles
from pairlab.scenes.pixel_pass import KeptPart
from pairlab.scenes.scene import Pixels
from pairlab.scenes.xbd import open_xbd
from pairlab.scenes.xbd_files import list_xbd
from tests.pairlab.scenes.index_runs import KEY, PART, index_in_one_go, run, stop_at, write_striped_tree


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "PART_SCENES", PART)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_striped_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def undisturbed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_in_one_go(tree, tmp_path_factory.mktemp("undisturbed"))


class RecordingStore:
    """Keeps names and sums of images, in memory; forgets a part that was not left well."""

    def __init__(self, *, fails_at: str = "") -> None:
        self.kept: dict[int, dict[tuple[str, str], int]] = {}
        self.opened: list[int] = []
        self.fails_at = fails_at

    @contextmanager
    def part(self, fingerprint: str, *, number: int) -> Iterator[KeptPart]:
        assert fingerprint == KEY
        self.opened.append(number)
        part = RecordingPart(self.fails_at)
        yield part
        self.kept[number] = part.images

    def has_part(self, fingerprint: str, number: int) -> bool:
        assert fingerprint == KEY
        return number in self.kept


class RecordingPart:
    def __init__(self, fails_at: str) -> None:
        self.images: dict[tuple[str, str], int] = {}
        self.fails_at = fails_at

    def add(self, scene: str, acquisition: str, image: Pixels, *, source: Path) -> None:
        if scene == self.fails_at:
            raise OSError(28, "No space left on device")
        assert source.is_file()
        self.images[scene, acquisition] = int(image.sum())


def images_of(tree: Path) -> dict[tuple[str, str], int]:
    source = open_xbd(tree, damage_from="minor-damage")
    return {
        (scene.name, date): int(source.image(scene, date).sum()) for scene in source.scenes for date in ("pre", "post")
    }


def test_the_images_decoded_on_the_way_are_kept(tree: Path, undisturbed: Path, tmp_path: Path) -> None:
    store, files = RecordingStore(), IndexFiles(tmp_path, KEY)
    run(tree, files, store=store)
    assert sorted(store.opened) == [0, 1, 2, 3]
    assert {key: value for part in store.kept.values() for key, value in part.items()} == images_of(tree)
    assert files.index.read_bytes() == undisturbed.read_bytes()
    run(tree, IndexFiles(tmp_path / "again", KEY), store=store)
    assert sorted(store.opened) == [0, 1, 2, 3]


def test_a_stopped_run_keeps_whole_parts_alone(tree: Path, tmp_path: Path) -> None:
    expected = images_of(tree)
    for call in range(1, 10):
        store, files = RecordingStore(), IndexFiles(tmp_path / str(call), KEY)
        run(tree, files, store=store, should_stop=stop_at(call))
        parts = {int(path.stem[-5:]) for path in files.parts.glob("pixels-*.parquet")}
        assert parts <= set(store.kept)
        run(tree, files, store=store)
        assert {key: value for part in store.kept.values() for key, value in part.items()} == expected
        assert set(store.kept) == {0, 1, 2, 3}


def test_a_store_that_cannot_be_written_ends_the_run_and_a_later_one_goes_on(
    tree: Path, undisturbed: Path, tmp_path: Path
) -> None:
    last = list_xbd(tree).scenes[-1].name
    store, files = RecordingStore(fails_at=last), IndexFiles(tmp_path, KEY)
    before = threading.active_count()
    with pytest.raises(OSError, match="No space left on device"):
        run(tree, files, store=store)
    assert threading.active_count() == before
    assert set(store.kept) == {0, 1, 2}
    assert not files.part("pixels", 3).exists()
    store.fails_at = ""
    started, *_ = run(tree, files, store=store)
    assert isinstance(started, Started)
    assert started.step == 11 + 3 * PART
    assert files.index.read_bytes() == undisturbed.read_bytes()
