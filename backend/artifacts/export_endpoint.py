from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse

from backend.artifacts import export
from backend.context import CurrentContext

router = APIRouter(tags=["artifacts"])


@router.get(
    "/jobs/{job}/export",
    response_class=StreamingResponse,
    summary="A pretraining to take away",
    responses={
        200: {
            "content": {"application/zip": {}},
            "description": "A ZIP archive: the encoder as safetensors for timm and for segmentation-models-pytorch, "
            "encoder and decoder together, the resolved configuration, a model card and a snippet that loads it.",
        }
    },
)
def export_job(
    context: CurrentContext, job: Annotated[str, Path(description="Id of a pretraining that has succeeded.")]
) -> StreamingResponse:
    """Streams a pretraining's weights under the names of other libraries, with all that is known of them."""
    headers = {"Content-Disposition": f'attachment; filename="pairlab-{job[:8]}.zip"'}
    return StreamingResponse(export.export(context, job), media_type="application/zip", headers=headers)
