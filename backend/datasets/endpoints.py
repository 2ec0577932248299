from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from backend.context import CurrentContext
from backend.cursor import CursorQuery
from backend.datasets import data_roots, preview, report, service
from backend.datasets.parameters import NamePath
from backend.datasets.preview_schemas import PreviewRequest, PreviewResponse
from backend.datasets.schemas import (
    DataRootRead,
    DatasetCreate,
    DatasetRead,
    DatasetReport,
    Page,
)
from backend.urls import dataset_url

router = APIRouter(tags=["datasets"])


@router.get("/data-roots", summary="Folders that imagery may be registered from")
def list_data_roots(context: CurrentContext) -> list[DataRootRead]:
    """Lists the folders given at start (`--data-root NAME=FOLDER`) by name, with what in them looks like a dataset."""
    return data_roots.list_data_roots(context)


@router.get("/datasets", summary="Registered datasets")
def list_datasets(
    context: CurrentContext, cursor: CursorQuery = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Page[DatasetRead]:
    """Lists datasets in the order of their names."""
    return service.list_datasets(context, cursor=cursor, limit=limit)


@router.post(
    "/datasets",
    status_code=status.HTTP_201_CREATED,
    summary="Register a dataset",
    responses={
        200: {"model": DatasetRead, "description": "The same dataset was registered before."},
        202: {"model": DatasetRead, "description": "A dataset of files, which a job indexes now."},
    },
)
def register_dataset(context: CurrentContext, request: DatasetCreate, response: Response) -> DatasetRead:
    """Registers a dataset. Of files the folder is listed at once, and a job looks through them; nothing is copied.

    Where nothing in the folder can be used, nothing is left behind.
    """
    dataset, created = service.register(context, request)
    response.headers["Location"] = dataset_url(dataset.name)
    if not created:
        response.status_code = status.HTTP_200_OK
    elif dataset.index_job is not None:
        response.status_code = status.HTTP_202_ACCEPTED
    return dataset


@router.get("/datasets/{name}", summary="One dataset")
def get_dataset(context: CurrentContext, name: NamePath) -> DatasetRead:
    """Returns a dataset and what was found in it so far."""
    return service.get(context, name)


@router.get("/datasets/{name}/report", summary="What was found in a dataset")
def get_report(context: CurrentContext, name: NamePath) -> DatasetReport:
    """Returns counts, histograms, and what takes part in nothing and why, in every state of the dataset."""
    return report.report_of(context, name)


@router.delete("/datasets/{name}", status_code=status.HTTP_204_NO_CONTENT, summary="Forget a dataset")
def delete_dataset(context: CurrentContext, name: NamePath) -> None:
    """Forgets a dataset that no experiment uses, its marks, scores and index; its files stay where they are."""
    service.delete(context, name)


@router.post("/pairing/preview", tags=["pairing"], summary="Preview the pairs of an arm")
def preview_pairing(context: CurrentContext, request: PreviewRequest) -> PreviewResponse:
    """Draws the pairs an arm would train on, and shows some of them with their views, and the realised noise of all."""
    return preview.preview_pairs(context, request)
