from typing import Annotated

from fastapi import APIRouter, Path, Query, Response, status
from fastapi.responses import FileResponse

from backend.artifacts import service
from backend.artifacts.schemas import ArtifactKind, ArtifactRead, EmbeddingMapRead
from backend.context import CurrentContext
from backend.etags import IfNoneMatch, is_current
from backend.jobs.schemas import PredictionRead

router = APIRouter(tags=["artifacts"])

JobPath = Annotated[str, Path(description="Id of a job.")]


@router.get("/jobs/{job}/artifacts", summary="Files of a job")
def list_artifacts(
    context: CurrentContext,
    job: JobPath,
    kind: Annotated[ArtifactKind | None, Query(description="Files of this kind alone.")] = None,
    step: Annotated[int | None, Query(ge=0, description="Files written after so many steps alone.")] = None,
) -> list[ArtifactRead]:
    """Lists checkpoints, weights, predictions, results and embedding maps, in the order they were written."""
    return service.list_artifacts(context, job, kind=kind, step=step)


@router.get("/jobs/{job}/embedding-maps", summary="How a pretraining's features change")
def list_embedding_maps(context: CurrentContext, job: JobPath) -> list[EmbeddingMapRead]:
    """Lists the maps of a pretraining with the addresses of picture and chips, from its start on."""
    return service.list_embedding_maps(context, job)


@router.get("/jobs/{job}/predictions", summary="Predicted masks of a job")
def list_predictions(
    context: CurrentContext,
    job: JobPath,
    scene: Annotated[str | None, Query(description="Predictions of this scene alone.")] = None,
    protocol: Annotated[str | None, Query(description="linear_probe or fine_tuning.")] = None,
    final: Annotated[
        bool | None, Query(description="true: test scenes at the end. false: validation scenes on the way.")
    ] = None,
) -> list[PredictionRead]:
    """Lists predictions with the addresses of mask, images and label, in the order they were made."""
    return service.list_predictions(context, job, scene=scene, protocol=protocol, final=final)


@router.get(
    "/artifacts/{artifact}",
    response_class=Response,
    responses={
        200: {
            "content": {"image/png": {}, "application/octet-stream": {}},
            "description": "The file; a prediction is a class-index PNG, its uncertainty a grey one (255: all "
            "classes are as probable), an embedding map an RGB one.",
        },
        304: {"description": "The client's copy (If-None-Match) is current."},
    },
    summary="One file",
)
def get_artifact(
    context: CurrentContext,
    artifact: Annotated[str, Path(description="Id of an artifact.")],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns the file; its ETag is the SHA-256 of its content, which never changes."""
    row, path = service.find_file(context, artifact)
    headers = {"ETag": f'"{row.sha256}"', "Cache-Control": "private, max-age=31536000, immutable"}
    if is_current(if_none_match, headers["ETag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    if row.kind in ("prediction", "uncertainty", "embedding_map"):
        return FileResponse(path, media_type="image/png", headers=headers)
    return FileResponse(path, media_type="application/octet-stream", headers=headers, filename=path.name)
