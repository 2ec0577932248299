"""The change scores of a dataset as a Parquet file beside its index: a row per scene, a column per variant."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairlab.experiment.change_scores import ChangeScore
from pairlab.experiment.jobs import ScoreJob
from pairlab.experiment.model import content_hash
from pairlab.pairing.cell_scores import CellScores
from pairlab.scenes.parquet_file import facts_of, read_parquet, write_parquet

SCORE_VERSION = 1
"""Raised whenever the same score would give other numbers, or another file of them."""


class ScoreError(ValueError):
    """A change score that cannot be computed or is not there; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class ScoreFiles:
    """Where one score of one dataset lies, finished or under way; names begin with the dataset's fingerprint."""

    folder: Path
    """Of all indices."""
    fingerprint: str
    """The dataset's: other content has other files."""
    draw: int
    """Which redraw of synthetic scenes; 0 for files."""
    score: ChangeScore

    @property
    def path(self) -> Path:
        """The finished scores."""
        return self.folder / f"{self._stem}.parquet"

    @property
    def parts(self) -> Path:
        """Folder of the parts, gone once the scores are finished."""
        return self.folder / f"{self._stem}.parts"

    def part(self, number: int) -> Path:
        """Returns the file of one part."""
        return self.parts / f"{number:05d}.parquet"

    @property
    def _stem(self) -> str:
        return f"{self.fingerprint}-{self.draw}-{content_hash(self.score)}-v{SCORE_VERSION}"


def files_of(config: ScoreJob, folder: Path) -> ScoreFiles:
    """Returns where a job's scores lie below the folder of all indices."""
    return ScoreFiles(folder, config.dataset.fingerprint, config.draw, config.score)


def write_scores(scores: CellScores, path: Path, *, scratch: Path | None = None) -> None:
    """Writes scores; a reader sees the old file or the whole new one.

    Args:
        scores: what to write; equal ones give equal bytes.
        path: the file.
        scratch: folder on the same disk where the file grows before it gets its name; None is the file's own.
    """
    offsets = np.concatenate([[0], np.cumsum(scores.cells.astype(np.int64).prod(axis=1))]).astype(np.int64)
    content = pa.table(
        {
            "scene": pa.array(scores.scenes, pa.string()),
            "down": scores.cells[:, 0],
            "across": scores.cells[:, 1],
            **{
                f"score/{variant}": pa.LargeListArray.from_arrays(offsets, np.ascontiguousarray(values))
                for variant, values in zip(scores.variants, scores.values, strict=True)
            },
        }
    )
    facts = {"version": SCORE_VERSION, "variants": scores.variants, "seconds": scores.seconds}
    write_parquet(content, facts, path, scratch=scratch)


def read_scores(path: Path) -> CellScores | None:
    """Returns the scores of a file; None where there is no file of this version that is whole."""

    def scores(file: pq.ParquetFile) -> CellScores:
        content = file.read()
        facts = facts_of(content, version=SCORE_VERSION)
        variants = tuple(facts["variants"])
        values = [content[f"score/{variant}"].combine_chunks().flatten().to_numpy() for variant in variants]
        return CellScores(
            scenes=tuple(content["scene"].to_pylist()),
            cells=np.stack([content[name].to_numpy() for name in ("down", "across")], axis=1).astype(np.int32),
            variants=variants,
            values=np.stack(values).astype(np.float32, copy=False),
            seconds=float(facts["seconds"]),
        )

    return read_parquet(path, scores)
