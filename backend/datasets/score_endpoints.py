from typing import Annotated

from fastapi import APIRouter, Path, Query, Response, status

from backend.context import CurrentContext
from backend.datasets import score_service
from backend.datasets.parameters import NamePath
from backend.datasets.score_schemas import ScoreCreate, ScoreCurve, ScoreRead
from backend.urls import job_url

ScorePath = Annotated[str, Path(description="Id of a change score of the dataset.")]

router = APIRouter(prefix="/datasets/{name}/scores", tags=["datasets"])


@router.get("", summary="Change scores of a dataset")
def list_scores(context: CurrentContext, name: NamePath) -> list[ScoreRead]:
    """Lists the unsupervised change scores that are computed or on their way, the newest first."""
    return score_service.list_scores(context, name)


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Compute a change score",
    responses={200: {"model": ScoreRead, "description": "An equal one is computed, or on its way."}},
)
def create_score(context: CurrentContext, name: NamePath, request: ScoreCreate, response: Response) -> ScoreRead:
    """Queues a job that computes the score of all scenes; filters of experiments use the same one."""
    score, fresh = score_service.queue_score(context, name, request)
    response.headers["Location"] = job_url(score.job)
    if not fresh:
        response.status_code = status.HTTP_200_OK
    return score


@router.get("/{score}/curve", summary="How well a change score finds noisy chips")
def get_curve(
    context: CurrentContext,
    name: NamePath,
    score: ScorePath,
    chip_size: Annotated[int, Query(ge=32, le=4096, description="Pixels; a multiple of 32.")] = 64,
    min_changed_pixels: Annotated[int, Query(ge=1, description="A chip is noisy from so many on.")] = 16,
) -> ScoreCurve:
    """Returns ROC, precision and recall against the labels, of the dataset's own train split alone."""
    return score_service.get_curve(context, name, score, chip_size=chip_size, min_changed_pixels=min_changed_pixels)
