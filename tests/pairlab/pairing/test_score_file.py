"""Scores come back from their file as they were, or not at all."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pairlab.experiment.change_scores import ChangeScore, Cva, EmbeddingDistance, IrMad
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import DatasetReference, ScoreJob
from pairlab.pairing import score_file
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.score_file import ScoreFiles, files_of, read_scores, write_scores
from tests.pairlab.pairing.cell_score_cases import drawn_scores

SIZES = [(96, 160), (64, 64), (20, 300), (1024, 1024)]


def assert_equal(found: CellScores | None, expected: CellScores) -> None:
    assert found is not None
    assert (found.scenes, found.variants, found.seconds) == (expected.scenes, expected.variants, expected.seconds)
    np.testing.assert_array_equal(found.cells, expected.cells)
    np.testing.assert_array_equal(found.values, expected.values)
    assert (str(found.cells.dtype), str(found.values.dtype)) == ("int32", "float32")


@pytest.mark.parametrize("rendered", [False, True])
@pytest.mark.parametrize("sizes", [SIZES, [(20, 20)], [(32, 32)]])
def test_scores_come_back_bit_for_bit(tmp_path: Path, sizes: list[tuple[int, int]], rendered: bool) -> None:
    scores = drawn_scores(sizes, rendered=rendered)
    write_scores(scores, tmp_path / "new" / "scores.parquet")
    assert_equal(read_scores(tmp_path / "new" / "scores.parquet"), scores)
    write_scores(scores, tmp_path / "again.parquet", scratch=tmp_path / "scratch")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "new" / "scores.parquet").read_bytes()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_every_score_draw_and_dataset_has_a_file_of_its_own(tmp_path: Path) -> None:
    scores: list[ChangeScore] = [
        Cva(),
        IrMad(),
        IrMad(iterations=5),
        EmbeddingDistance(),
        EmbeddingDistance(weights="random"),
        EmbeddingDistance(weights="a" * 64),
    ]
    files = [ScoreFiles(tmp_path, key * 64, draw, score) for key in "01" for draw in (0, 7) for score in scores]
    assert len({each.path for each in files}) == len(files)
    assert len({each.parts for each in files}) == len(files)
    for each in files:  # so that they go with their dataset
        assert each.path.name.startswith(f"{each.fingerprint}-")
        assert each.parts.name.startswith(f"{each.fingerprint}-")
    dataset = DatasetReference(name="any", config=SyntheticDataset(), fingerprint="0" * 64)
    assert files_of(ScoreJob(dataset=dataset, score=Cva()), tmp_path) == files[0]
    other = dataset.model_copy(update={"name": "other"})
    assert files_of(ScoreJob(dataset=other, draw=7, score=Cva()), tmp_path) == files[len(scores)]


def test_what_is_not_whole_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    assert read_scores(path) is None
    write_scores(drawn_scores(SIZES), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert read_scores(path) is None
    path.write_bytes(b"")
    assert read_scores(path) is None
    damaged = 0
    rng = np.random.default_rng(0)
    for place in rng.integers(4, len(content) - 4, 60).tolist():
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        found = read_scores(path)
        damaged += found is None
        if found is not None:
            assert_equal(found, drawn_scores(SIZES))
    assert damaged > 30


def test_another_version_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.parquet"
    write_scores(drawn_scores(SIZES), path)
    before = ScoreFiles(tmp_path, "0" * 64, 0, Cva()).path
    monkeypatch.setattr(score_file, "SCORE_VERSION", 99)
    assert read_scores(path) is None
    assert ScoreFiles(tmp_path, "0" * 64, 0, Cva()).path != before


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.parquet"
    write_scores(drawn_scores(SIZES), path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        write_scores(drawn_scores(SIZES, seed=9), path)
    assert [each.name for each in tmp_path.iterdir()] == ["scores.parquet"]
    assert_equal(read_scores(path), drawn_scores(SIZES))
