"""Score jobs: every scene compared, in whatever parts, threads and attempts, and what cannot be read counted."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from pairlab import scoring
from pairlab.embedding_distance import WeightsError, build_encoder
from pairlab.events import Event, Finished, Metrics, Started
from pairlab.experiment.change_scores import ChangeScore, Cva, EmbeddingDistance, IrMad
from pairlab.experiment.datasets import SyntheticDataset, XbdDataset
from pairlab.experiment.jobs import DatasetReference, ScoreJob
from pairlab.pairing.cell_scores import ACROSS, AFTER, BEFORE, CellScores, mean_per_cell
from pairlab.pairing.change_scores import cva, irmad
from pairlab.pairing.score_file import ScoreError, ScoreFiles, files_of, read_scores
from pairlab.scenes.index import CELL, SceneTable
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import Pixels, Scene, SceneError, SceneSource
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.scoring import score_dataset, without_score
from tests.pairlab.scenes.counted_scenes import CountedScenes

CPU = torch.device("cpu")
RENDERED = SyntheticDataset(train=70, validation=2, test=3)
SYNTHETIC = DatasetReference(name="rendered", config=RENDERED, fingerprint="0" * 64)
FILES = DatasetReference(name="files", config=XbdDataset(root="r"), fingerprint="1" * 64)
SIZES = [(64, 96), (32, 32), (70, 40), (64, 64), (96, 64), (20, 20), (64, 64)]


class Watched(CountedScenes):
    """Tells which images were asked for; those of some scenes cannot be read."""

    def __init__(self, sizes: Sequence[tuple[int, int]], *, broken: Sequence[int] = (), empty: bool = False) -> None:
        super().__init__(sizes, empty=empty)
        self.broken = {f"scene-{number:04d}" for number in broken}
        self.asked: list[str] = []

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> Pixels:
        assert state is None, "files cannot be rendered again"
        self.asked.append(scene.name)
        if scene.name in self.broken:
            raise SceneError(f"{scene.name}_{acquisition}.png is damaged: copy it again")
        return super().image(scene, acquisition)


def run(
    job: ScoreJob,
    source: SceneSource,
    table: SceneTable,
    folder: Path,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    threads: int | None = None,
) -> list[Event]:
    return list(
        score_dataset(
            job,
            source,
            table,
            files=files_of(job, folder),
            weights=None,
            should_stop=should_stop,
            device=CPU,
            threads=threads,
        )
    )


def finished(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def written(job: ScoreJob, folder: Path) -> CellScores:
    scores = read_scores(files_of(job, folder).path)
    assert scores is not None
    assert [each.name for each in folder.iterdir()] == [files_of(job, folder).path.name]
    return scores


def squares_of(scores: CellScores, number: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    ends = np.cumsum(scores.cells.prod(axis=1))
    return scores.values[:, ends[number] - scores.cells[number].prod() : ends[number]]


@pytest.mark.parametrize("score", [Cva(), IrMad(iterations=4)])
def test_rendered_scenes_are_compared_as_they_are_without_and_with_their_change(
    tmp_path: Path, score: ChangeScore
) -> None:
    job = ScoreJob(dataset=SYNTHETIC, draw=3, score=score)
    source = SyntheticSource(RENDERED, draw=3)
    table = build_index(source).table
    events = run(job, source, table, tmp_path)
    assert isinstance(events[0], Started)
    assert (events[0].step, events[0].total_steps) == (0, 75)
    scores = written(job, tmp_path)
    assert scores.variants == (ACROSS, BEFORE, AFTER)
    assert scores.scenes == tuple(scene.name for scene in table.scenes)
    for number in (0, 1, 40, 74):
        scene = table.scenes[number]
        states = {ACROSS: (None, None), BEFORE: ("pre", "pre"), AFTER: ("post", "post")}
        for found, (first, last) in zip(squares_of(scores, number), states.values(), strict=True):
            images = source.image(scene, "pre", state=first), source.image(scene, "post", state=last)
            valid = np.ones((scene.height, scene.width), dtype=bool)
            expected = (
                cva(*images, valid=valid) if isinstance(score, Cva) else irmad(*images, valid=valid, iterations=4)
            )
            np.testing.assert_array_equal(found, mean_per_cell(expected).ravel())
    assert finished(events).results["scenes"] == 75
    assert finished(events).results["without_score"] == 0
    assert finished(events).results["seconds"] == scores.seconds > 0


def test_a_score_finds_the_noisy_chips_and_only_across_the_change(tmp_path: Path) -> None:
    job = ScoreJob(dataset=SYNTHETIC, score=IrMad())
    source = SyntheticSource(RENDERED)
    index = build_index(source)
    run(job, source, index.table, tmp_path)
    chips = index.chips(64)
    noisy = chips.changed_pixels >= 16
    assert 10 < noisy.sum() < len(chips) - 10

    def auroc(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return float((values[noisy][:, None] > values[~noisy]).mean())

    found = written(job, tmp_path).of_chips(chips)
    assert auroc(found[ACROSS]) > 0.8
    assert auroc(found[BEFORE]) == pytest.approx(0.5, abs=0.2)
    np.testing.assert_array_equal(found[ACROSS][chips.changed_pixels == 0], found[BEFORE][chips.changed_pixels == 0])


@pytest.mark.parametrize("threads", [1, 4])
def test_files_are_compared_as_they_are(tmp_path: Path, threads: int) -> None:
    job, source = ScoreJob(dataset=FILES, score=Cva()), Watched(SIZES, empty=True)
    events = run(job, source, build_index(source).table, tmp_path, threads=threads)
    scores = written(job, tmp_path)
    assert scores.variants == (ACROSS,)
    assert sorted(source.asked) == sorted(2 * [scene.name for scene in source.scenes])
    for number, scene in enumerate(source.scenes):
        first, last = (source.image(scene, name) for name in ("pre", "post"))
        valid = ~(source.no_data(first) | source.no_data(last))
        assert not valid.all()
        expected = mean_per_cell(cva(first, last, valid=valid))
        np.testing.assert_array_equal(squares_of(scores, number)[0], expected.ravel())
        seen = valid[: CELL * (scene.height // CELL), : CELL * (scene.width // CELL)]
        empty = ~seen.reshape(scene.height // CELL, CELL, scene.width // CELL, CELL).any(axis=(1, 3)).ravel()
        assert np.array_equal(np.isnan(squares_of(scores, number)[0]), empty)
    assert finished(events).results["without_score"] == without_score(scores) >= 1  # the one of 20 by 20 pixels


def test_scenes_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    job, source = ScoreJob(dataset=FILES, score=Cva()), Watched(SIZES, broken=(1, 4))
    events = run(job, source, build_index(source).table, tmp_path)
    scores = written(job, tmp_path)
    assert [bool(np.isnan(squares_of(scores, number)).all()) for number in range(5)] == [
        False,
        True,
        False,
        False,
        True,
    ]
    results = finished(events).results
    assert (results["scenes"], results["without_score"]) == (7, 3)
    assert results["problem"] == "scene-0001_pre.png is damaged: copy it again"
    (metrics,) = (event for event in events if isinstance(event, Metrics))
    assert (metrics.step, metrics.values["without_score"], metrics.seconds_left) == (7, 3, 0)
    assert metrics.values["scenes_per_s"] > 0


def test_a_dataset_without_a_readable_scene_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    job, source = ScoreJob(dataset=FILES, score=Cva()), Watched(SIZES, broken=range(7))
    with pytest.raises(ScoreError, match=r"none of the 7 scenes of dataset 'files' has a score: scene-0000_pre\.png"):
        run(job, source, build_index(source).table, tmp_path)
    assert list(tmp_path.iterdir()) == []
    small = Watched([(20, 20)])
    with pytest.raises(ScoreError, match="none has a square of 32 pixels"):
        run(job, small, build_index(small).table, tmp_path)


def test_a_stopped_run_goes_on_behind_its_last_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "LEAST_PART", 3)
    sizes = SIZES * 3
    job, source = ScoreJob(dataset=FILES, score=IrMad(iterations=3)), Watched(sizes, broken=(2,))
    table = build_index(source).table
    files = files_of(job, tmp_path / "stopped")

    def two_parts_done() -> bool:
        return files.part(1).exists()

    events = run(job, source, table, tmp_path / "stopped", should_stop=two_parts_done, threads=1)
    assert finished(events).stopped
    assert finished(events).step == 6
    assert [event.step for event in events if isinstance(event, Metrics)] == [3, 6]
    assert read_scores(files.path) is None
    assert sorted(path.name for path in files.parts.iterdir()) == ["00000.parquet", "00001.parquet"]
    source.asked.clear()
    events = run(job, source, table, tmp_path / "stopped", threads=2)
    assert isinstance(events[0], Started)
    assert events[0].step == 6
    assert set(source.asked) == {scene.name for scene in table.scenes[6:]}
    assert [event.step for event in events if isinstance(event, Metrics)] == [9, 12, 15, 18, 21]
    run(job, source, table, tmp_path / "whole", threads=1)
    stopped, whole = written(job, tmp_path / "stopped"), written(job, tmp_path / "whole")
    assert stopped.scenes == whole.scenes
    np.testing.assert_array_equal(stopped.values, whole.values)
    assert finished(events).results["without_score"] == 4


def test_a_damaged_part_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "LEAST_PART", 3)
    job, source = ScoreJob(dataset=FILES, score=Cva()), Watched(SIZES)
    table, files = build_index(source).table, files_of(job, tmp_path)
    run(job, source, table, tmp_path, should_stop=lambda: files.part(1).exists(), threads=1)
    content = files.part(0).read_bytes()
    files.part(0).write_bytes(content[:-20])
    events = run(job, source, table, tmp_path)
    assert isinstance(events[0], Started)
    assert events[0].step == 3
    run(job, source, table, tmp_path / "whole")
    np.testing.assert_array_equal(written(job, tmp_path / "whole").values, _values(files))


def test_what_is_known_is_not_computed_again(tmp_path: Path) -> None:
    job, source = ScoreJob(dataset=FILES, score=Cva()), Watched(SIZES)
    table = build_index(source).table
    first = finished(run(job, source, table, tmp_path)).results
    source.asked.clear()
    events = run(job, source, table, tmp_path)
    assert source.asked == []
    assert isinstance(events[0], Started)
    assert events[0].step == events[0].total_steps == 7
    assert finished(events).results == first


def test_a_defect_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(scoring, "cva", broken)
    source = Watched(SIZES)
    with pytest.raises(RuntimeError, match="a defect"):
        run(ScoreJob(dataset=FILES, score=Cva()), source, build_index(source).table, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_embeddings_are_compared_as_the_encoder_does(tmp_path: Path) -> None:
    score = EmbeddingDistance(encoder="tu-resnet10t", weights="random")
    job, source = ScoreJob(dataset=FILES, score=score), Watched(SIZES[:4], empty=True)
    run(job, source, build_index(source).table, tmp_path)
    scores = written(job, tmp_path)
    encoder = build_encoder(score, bands=source.bands, pretrained=None, device=CPU)
    for number, scene in enumerate(source.scenes):
        first, last = (source.image(scene, name) for name in ("pre", "post"))
        expected = encoder.distances(first, last, valid=~(source.no_data(first) | source.no_data(last)))
        np.testing.assert_allclose(squares_of(scores, number)[0], expected.ravel(), atol=1e-6)
    assert np.nanmax(scores.values) > 0.001


def test_weights_of_a_pretraining_that_is_not_there_are_refused(tmp_path: Path) -> None:
    job, source = ScoreJob(dataset=FILES, score=EmbeddingDistance(weights="a" * 64)), Watched(SIZES)
    with pytest.raises(WeightsError, match="no finished pretraining with this key"):
        run(job, source, build_index(source).table, tmp_path)


def _values(files: ScoreFiles) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    scores = read_scores(files.path)
    assert scores is not None
    return scores.values
