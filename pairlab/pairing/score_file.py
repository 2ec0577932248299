"""The change scores of a dataset as a Parquet file beside its index: a row per scene, a column per variant."""

import json
import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairlab.experiment.change_scores import ChangeScore
from pairlab.experiment.expansion import ScoreJob
from pairlab.experiment.model import content_hash
from pairlab.pairing.cell_scores import CellScores

SCORE_VERSION = 1
"""Raised whenever the same score would give other numbers, or another file of them."""
_FACTS = b"pairlab"
"""Key of what is known of all scenes, among the file's metadata; behind its checksum."""


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
    ).replace_schema_metadata({_FACTS: _facts(scores)})
    for folder in (path.parent, scratch or path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=scratch or path.parent, prefix=f"{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            pq.write_table(content, file, compression="zstd", row_group_size=512, write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_scores(path: Path) -> CellScores | None:
    """Returns the scores of a file; None where there is no file of this version that is whole."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            content = file.read()
        checksum, _, text = content.schema.metadata[_FACTS].partition(b" ")
        facts = json.loads(text)
        if int(checksum) != zlib.crc32(text) or facts["version"] != SCORE_VERSION:
            return None
        variants = tuple(facts["variants"])
        values = [content[f"score/{variant}"].combine_chunks().flatten().to_numpy() for variant in variants]
        return CellScores(
            scenes=tuple(content["scene"].to_pylist()),
            cells=np.stack([content[name].to_numpy() for name in ("down", "across")], axis=1).astype(np.int32),
            variants=variants,
            values=np.stack(values).astype(np.float32, copy=False),
            seconds=float(facts["seconds"]),
        )
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException):
        return None


def _facts(scores: CellScores) -> bytes:
    text = json.dumps({"version": SCORE_VERSION, "variants": scores.variants, "seconds": scores.seconds}).encode()
    return b"%d %b" % (zlib.crc32(text), text)
