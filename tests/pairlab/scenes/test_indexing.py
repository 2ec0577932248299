"""The index job: interrupted anywhere, with files that cannot be used, and what it tells meanwhile."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pairlab.events import Finished, Metrics, Started
from pairlab.scenes import indexing
from pairlab.scenes.index import DatasetIndex
from pairlab.scenes.index_file import read_table
from pairlab.scenes.indexing import IndexFiles, index_dataset
from pairlab.scenes.measuring import index_of, measure_labels
from pairlab.scenes.scene import Quarantined, Scene, SceneError
from pairlab.scenes.xbd import XbdSource, open_xbd
from pairlab.scenes.xbd_files import list_xbd
from tests.pairlab.scenes.counted_scenes import CountedScenes
from tests.pairlab.scenes.equal_indices import assert_equal, assert_equal_tables
from tests.pairlab.scenes.index_runs import (
    KEY,
    PART,
    directly,
    events_of,
    index_in_one_go,
    never,
    read,
    run,
    stop_at,
    write_striped_tree,
)
from tests.pairlab.scenes.xbd_tree import write_xbd_tree


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "PART_SCENES", PART)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_striped_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def undisturbed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_in_one_go(tree, tmp_path_factory.mktemp("undisturbed"))


def test_the_index_is_what_labels_and_pixels_say(tree: Path, tmp_path: Path) -> None:
    files = IndexFiles(tmp_path / "index", KEY)
    started, *between, finished = run(tree, files)
    expected = directly(open_xbd(tree, damage_from="minor-damage"))
    assert_equal(read(files), expected)
    assert expected.table.no_data_share.max() == pytest.approx(40 / 128)
    assert isinstance(started, Started)
    assert (started.step, started.total_steps, started.facts["scenes"]) == (0, 22, 11)
    assert finished == Finished(step=22, results={"scenes": 11, "quarantined": 0})
    metrics = [event for event in between if isinstance(event, Metrics)]
    assert [event.step for event in metrics] == [3, 6, 9, 11, 14, 17, 20, 22]
    assert [set(event.values) for event in metrics] == [{"labels_per_s", "quarantined"}] * 4 + [
        {"pixels_per_s", "quarantined"}
    ] * 4
    assert metrics[0].seconds_left is None
    assert all(value == value and value < 1e9 for event in metrics for value in event.values.values())
    assert [path.name for path in files.folder.iterdir()] == [files.index.name]


def test_what_labels_say_can_be_read_before_a_pixel_is(tree: Path, tmp_path: Path) -> None:
    files, source = IndexFiles(tmp_path, KEY), WaitingSource(tree)
    happening = index_dataset(source, files, root=tree, should_stop=never)
    steps = [next(happening) for _ in range(5)]
    assert isinstance(steps[-1], Metrics)
    assert steps[-1].step == 11
    threading.Timer(0.5, source.go_on.set).start()
    first_pixels = next(happening)
    assert isinstance(first_pixels, Metrics)
    assert source.waited >= 1
    table = read_table(files.index)
    assert table is not None
    assert not table.pixels_read
    labels = index_of(source, [measure_labels(source, scene) for scene in source.scenes], pixels_read=False)
    assert_equal_tables(table, labels.table)
    assert isinstance(list(happening)[-1], Finished)
    assert read(files).table.pixels_read


class WaitingSource(XbdSource):
    """Shows no image before it is told to."""

    def __init__(self, tree: Path) -> None:
        super().__init__(tree, list_xbd(tree).scenes, damage_from="minor-damage")
        self.go_on = threading.Event()
        self.waited = 0

    def image(
        self, scene: Scene, acquisition: str, *, state: str | None = None
    ) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
        """Waits first."""
        self.waited += not self.go_on.is_set()
        assert self.go_on.wait(30)
        return super().image(scene, acquisition, state=state)


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_any_number_of_cores_finds_the_same(
    tree: Path, undisturbed: Path, tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    files = IndexFiles(tmp_path, KEY)
    assert run(tree, files)[0].facts["threads"] == cores  # type: ignore[union-attr]
    assert files.index.read_bytes() == undisturbed.read_bytes()


def test_a_run_that_is_stopped_anywhere_goes_on_and_finds_the_same(
    tree: Path, undisturbed: Path, tmp_path: Path
) -> None:
    stopped_at = set()
    for call in range(1, 12):
        files = IndexFiles(tmp_path / str(call), KEY)
        *events, last = run(tree, files, should_stop=stop_at(call))
        assert isinstance(last, Finished)
        if not last.stopped:
            break
        assert last.results == {}
        assert last.step == max([0, *(event.step for event in events)])
        stopped_at.add(last.step)
        started, *_, finished = run(tree, files)
        assert isinstance(started, Started)
        assert last.step <= started.step <= last.step + 22
        assert finished == Finished(step=22, results={"scenes": 11, "quarantined": 0})
        assert files.index.read_bytes() == undisturbed.read_bytes()
        assert [path.name for path in files.folder.iterdir()] == [files.index.name]
    else:
        raise AssertionError("the run never came to its end")
    assert {0, 3, 6, 9, 11} < stopped_at


def test_a_run_that_is_stopped_again_and_again_comes_to_its_end(tree: Path, undisturbed: Path, tmp_path: Path) -> None:
    """Every run makes one part of the labels, or what pixels are done by the time it is asked to stop."""
    files = IndexFiles(tmp_path, KEY)
    steps = [0]
    for _ in range(60):
        started, *_, last = run(tree, files, should_stop=stop_at(2))
        assert isinstance(started, Started)
        assert isinstance(last, Finished)
        assert started.step >= steps[-1]
        steps.append(last.step)
        if not last.stopped:
            break
    assert steps == sorted(steps)
    assert steps[-1] == 22
    assert files.index.read_bytes() == undisturbed.read_bytes()


def test_a_closed_run_ends_its_threads(tree: Path, tmp_path: Path) -> None:
    before = threading.active_count()
    happening = events_of(tree, IndexFiles(tmp_path, KEY))
    for _ in range(3):
        next(happening)
    happening.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


KILLED_RUN = """
import sys
from pathlib import Path
from pairlab.scenes import indexing
from tests.pairlab.scenes import index_runs
indexing.PART_SCENES = index_runs.PART
print("begins", flush=True)
index_runs.run(Path(sys.argv[1]), indexing.IndexFiles(Path(sys.argv[2]), index_runs.KEY))
print("ends", flush=True)
"""


def test_a_run_that_is_killed_at_any_moment_goes_on_and_finds_the_same(
    tree: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Each attempt is killed after a random time; now and then the run was finished already and another begins."""
    rng = random.Random(5)
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", KILLED_RUN, str(tree)]
    killed, finished, seconds = 0, 0, 1.0
    folder = tmp_path / "0"
    while killed < 12 or not finished:
        began = time.monotonic()
        with subprocess.Popen([*command, str(folder)], cwd=root, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            begun = time.monotonic()
            if killed < 12:
                delay = rng.uniform(0, seconds)
                while time.monotonic() < begun + delay and process.poll() is None:
                    time.sleep(0.002)
                process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        if process.returncode == -signal.SIGKILL:
            killed += 1
            continue
        assert process.returncode == 0
        seconds = min(seconds, time.monotonic() - begun)
        assert (folder / undisturbed.name).read_bytes() == undisturbed.read_bytes()
        assert [path.name for path in folder.iterdir()] == [undisturbed.name]
        finished += 1
        folder = tmp_path / str(finished)
        assert time.monotonic() - began < 60
    assert killed == 12


def test_a_damaged_part_is_made_again(tree: Path, undisturbed: Path, tmp_path: Path) -> None:
    files = IndexFiles(tmp_path, KEY)
    run(tree, files, should_stop=stop_at(6))
    kept = sorted(files.parts.glob("*.parquet"))
    assert len(kept) >= 4
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    kept[1].write_bytes(b"")
    started, *between, _ = run(tree, files)
    assert isinstance(started, Started)
    steps = [started.step, *(event.step for event in between)]
    assert steps == sorted(set(steps))
    assert steps[-1] == 22
    assert files.index.read_bytes() == undisturbed.read_bytes()


def test_parts_that_were_cut_otherwise_are_made_again(
    tree: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = IndexFiles(tmp_path, KEY)
    monkeypatch.setattr(indexing, "PART_SCENES", 2)
    run(tree, files, should_stop=stop_at(7))
    monkeypatch.setattr(indexing, "PART_SCENES", PART)
    started, *_ = run(tree, files)
    assert isinstance(started, Started)
    assert started.step == 0
    assert files.index.read_bytes() == undisturbed.read_bytes()


def test_files_that_cannot_be_used_take_their_tile_out_alone(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    names = write_xbd_tree(tree, seed=6, scenes_per_split={"train": 8}, size=64)
    missing, broken, damaged, strange, *sound = names
    (tree / f"train/images/{missing}_pre_disaster.png").unlink()
    (tree / f"train/labels/{broken}_pre_disaster.json").write_text("{")
    image = tree / f"train/images/{damaged}_post_disaster.png"
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 255
    image.write_bytes(content)
    label = tree / f"train/labels/{strange}_post_disaster.json"
    label.write_text(label.read_text().replace('"no-damage"', '"ruined"'))
    files = IndexFiles(tmp_path / "index", KEY)
    events = run(tree, files)
    index = read(files)
    reasons = {each.scene: (each.file, each.reason.replace(each.file, "…")[:40]) for each in index.table.quarantined}
    assert reasons == {
        missing: (f"train/images/{missing}_post_disaster.png", "… has no pre image: testville-flooding_0"),
        broken: (f"train/labels/{broken}_pre_disaster.json", "… is not valid JSON (Expecting property "),
        damaged: (f"train/images/{damaged}_post_disaster.png", "… is a damaged PNG: its header is sound,"),
        strange: (f"train/labels/{strange}_post_disaster.json", reasons[strange][1]),
    }
    assert "has unknown subtype 'ruined'" in {q.scene: q.reason for q in index.table.quarantined}[strange]
    assert [each.scene for each in index.table.quarantined] == sorted([missing, broken, damaged, strange])
    assert sorted(scene.name for scene in index.table.scenes) == sorted(sound)
    assert {scene.name for scene in index.chips(32).scenes} == set(sound)
    counted = [event.values["quarantined"] for event in events if isinstance(event, Metrics)]
    assert counted[0] >= 1
    assert counted[-1] == 4
    assert events[-1] == Finished(step=14, results={"scenes": 4, "quarantined": 4})
    alone = open_xbd(tree, damage_from="minor-damage", scenes=[s for s in list_xbd(tree).scenes if s.name in sound])
    assert_equal_tables_but_quarantine(index, directly(alone))


def assert_equal_tables_but_quarantine(found: DatasetIndex, expected: DatasetIndex) -> None:
    rows = np.arange(len(expected.table))
    table = replace(found.table, quarantined=())
    assert_equal(DatasetIndex(table, found.cells, found.objects), expected.select(rows))


def test_tables_of_the_labels_already_know_what_labels_leave_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    names = write_xbd_tree(tree, seed=6, scenes_per_split={"train": 4}, size=64)
    (tree / f"train/labels/{names[3]}_pre_disaster.json").write_text("[]")
    files = IndexFiles(tmp_path / "index", KEY)
    run(tree, files, should_stop=stop_at(3))
    table = read_table(files.index)
    assert table is not None
    assert [each.scene for each in table.quarantined] == [names[3]]
    assert not table.pixels_read


def test_a_file_that_disappears_while_the_job_runs_is_quarantined(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    names = write_xbd_tree(tree, seed=6, scenes_per_split={"train": 4}, size=64)
    files = IndexFiles(tmp_path / "index", KEY)
    happening = events_of(tree, files)
    next(happening)
    for name in names[:2]:
        (tree / f"train/images/{name}_pre_disaster.png").unlink()
    last = list(happening)[-1]
    assert last == Finished(step=8, results={"scenes": 2, "quarantined": 2})
    for each in read(files).table.quarantined:
        assert each.reason.startswith(f"train/images/{each.scene}_pre_disaster.png ")


@pytest.mark.parametrize("part", ["labels", "images"])
def test_a_dataset_without_a_usable_scene_is_refused(tmp_path: Path, part: str) -> None:
    tree = tmp_path / "tree"
    write_xbd_tree(tree, seed=6, scenes_per_split={"train": 5}, size=64)
    for path in sorted((tree / "train" / part).glob("*_post_*")):
        if part == "labels":
            path.write_text("{}")
        else:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 255
            path.write_bytes(content)
    files = IndexFiles(tmp_path / "index", KEY)
    with pytest.raises(SceneError, match=f"none of the 5 scenes can be used; the first: train/{part}/.*post_disaster"):
        run(tree, files)
    assert not files.parts.exists()
    table = read_table(files.index)
    assert table is None or not table.pixels_read


def test_scenes_of_any_size_and_with_no_data_anywhere(tmp_path: Path) -> None:
    source = CountedScenes([(64, 64), (1, 1), (33, 200), (100, 31), (64, 96)] * 3, empty=True)
    files = IndexFiles(tmp_path, KEY)
    list(index_dataset(source, files, root=tmp_path, should_stop=never))
    assert_equal(read(files), directly(source))


def test_a_defect_ends_the_run(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no SceneError says nothing about a file: it is never taken for one that cannot be used."""

    def broken(_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("pairlab.scenes.xbd.no_data", broken)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        run(tree, IndexFiles(tmp_path, KEY))


def test_quarantine_of_the_listing_is_in_the_index(tree: Path, tmp_path: Path) -> None:
    source = open_xbd(tree, damage_from="minor-damage")
    lost = Quarantined("a-tile_00000001", "train/images/a.png", "train/images/a.png is damaged")
    files = IndexFiles(tmp_path, KEY)
    events = list(index_dataset(source, files, root=tree, quarantined=[lost], should_stop=never))
    assert read(files).table.quarantined == (lost,)
    assert events[-1] == Finished(step=22, results={"scenes": 11, "quarantined": 1})
    assert [event.values["quarantined"] for event in events if isinstance(event, Metrics)] == [1] * 8
