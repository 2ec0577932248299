import numpy as np
from numpy.typing import NDArray

from backend.context import Context
from backend.datasets.indexing import reference_of
from backend.datasets.service import find
from pairlab.experiment.change_scores import Cva
from pairlab.experiment.jobs import ScoreJob
from pairlab.pairing.cell_scores import ACROSS, AFTER, BEFORE, CellScores
from pairlab.pairing.score_file import files_of, write_scores


def random_scores(scenes: int, *, draw: int) -> NDArray[np.float32]:
    """Returns scores in [0, 1] of scenes of four squares each, shape (scenes, 4)."""
    return np.random.default_rng(draw).random((scenes, 4), dtype=np.float32)


def write_random_scores(context: Context, dataset: str, *, draw: int) -> ScoreJob:
    """Writes such scores, equal for all variants, as a score job of synthetic scenes leaves them."""
    reference = reference_of(find(context, dataset).row)
    job = ScoreJob(dataset=reference, draw=draw, score=Cva())
    scenes = context.sources.open(reference, None, draw=draw).source.scenes
    values = random_scores(len(scenes), draw=draw).reshape(1, -1)
    scores = CellScores(
        scenes=tuple(scene.name for scene in scenes),
        cells=np.full((len(scenes), 2), 2, dtype=np.int32),
        variants=(ACROSS, BEFORE, AFTER),
        values=np.repeat(values, 3, axis=0),
        seconds=1.0,
    )
    write_scores(scores, files_of(job, context.settings.index_folder).path)
    return job
