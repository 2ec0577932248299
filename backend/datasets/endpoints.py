from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response, status

from backend.context import Context, CurrentContext
from backend.cursor import CursorQuery
from backend.datasets import browsing, preview, service
from backend.datasets.browsing import SceneSort
from backend.datasets.images import Cut, ImageCut, MaskCut, entity_tag, render_change, render_image, render_mask
from backend.datasets.schemas import (
    DataRootRead,
    DatasetCreate,
    DatasetRead,
    Page,
    PreviewRequest,
    PreviewResponse,
    SceneDetail,
    SceneRead,
)
from backend.datasets.sources import OpenDataset
from backend.etags import IfNoneMatch, is_current
from backend.urls import dataset_url
from pairlab.scenes.scene import Scene

router = APIRouter(tags=["datasets"])

NamePath = Annotated[str, Path(description="Name of a registered dataset.", examples=["quickstart"])]
ScenePath = Annotated[str, Path(description="Name of a scene.", examples=["train-000000"])]
AcquisitionPath = Annotated[str, Path(description="One of the scene's acquisitions.", examples=["pre"])]

PNG_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}, "description": "The PNG."},
    304: {"description": "The client's copy (If-None-Match) is current."},
}


@router.get("/data-roots", summary="Folders that imagery may be registered from")
def list_data_roots(context: CurrentContext) -> list[DataRootRead]:
    """Lists the folders given at start (`--data-root NAME=FOLDER`) by name, with what in them looks like a dataset."""
    return service.list_data_roots(context)


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
    responses={200: {"model": DatasetRead, "description": "The same dataset was registered before."}},
)
def register_dataset(context: CurrentContext, request: DatasetCreate, response: Response) -> DatasetRead:
    """Reads the dataset once and registers it; nothing is copied, and nothing is left behind where it fails."""
    dataset, created = service.register(context, request)
    response.headers["Location"] = dataset_url(dataset.name)
    if not created:
        response.status_code = status.HTTP_200_OK
    return dataset


@router.get("/datasets/{name}", summary="One dataset")
def get_dataset(context: CurrentContext, name: NamePath) -> DatasetRead:
    """Returns a dataset and what was found in it."""
    return service.read_of(service.get(context, name))


@router.delete("/datasets/{name}", status_code=status.HTTP_204_NO_CONTENT, summary="Forget a dataset")
def delete_dataset(context: CurrentContext, name: NamePath) -> None:
    """Forgets a dataset that no experiment uses; its files stay where they are."""
    service.delete(context, name)


@router.get("/datasets/{name}/scenes", summary="Scenes of a dataset")
def list_scenes(
    context: CurrentContext,
    name: NamePath,
    cursor: CursorQuery = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 24,
    event: Annotated[str | None, Query(description="Scenes of this event alone.")] = None,
    split: Annotated[str | None, Query(description="train, validation or test.")] = None,
    min_change: Annotated[float, Query(ge=0, le=1, description="Least change share.")] = 0.0,
    max_change: Annotated[float, Query(ge=0, le=1, description="Greatest change share.")] = 1.0,
    sort: Annotated[SceneSort, Query(description="Sort key; `-` is descending.")] = "name",
) -> Page[SceneRead]:
    """Lists scenes with their relevant change."""
    return browsing.list_scenes(
        context,
        name,
        cursor=cursor,
        limit=limit,
        event=event,
        split=split,
        min_change=min_change,
        max_change=max_change,
        sort=sort,
    )


@router.get("/datasets/{name}/scenes/{scene}", summary="One scene")
def get_scene(context: CurrentContext, name: NamePath, scene: ScenePath) -> SceneDetail:
    """Returns a scene's metadata, its pixels per class, and its neighbours in the list."""
    return browsing.get_scene(context, name, scene)


@router.get(
    "/datasets/{name}/scenes/{scene}/images/{acquisition}",
    response_class=Response,
    responses=PNG_RESPONSES,
    summary="A scene's image",
)
def get_image(
    context: CurrentContext,
    name: NamePath,
    scene: ScenePath,
    acquisition: AcquisitionPath,
    cut: Annotated[ImageCut, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns an acquisition as PNG: whole or a chip, scaled down to `size`."""
    opened, found = _resolve(context, name, scene, cut)
    etag = entity_tag(opened, found, f"image/{acquisition}", cut)
    return _answer(if_none_match, etag, lambda: render_image(opened, found, acquisition, cut))


@router.get(
    "/datasets/{name}/scenes/{scene}/masks/{acquisition}",
    response_class=Response,
    responses=PNG_RESPONSES,
    summary="A scene's label",
)
def get_mask(
    context: CurrentContext,
    name: NamePath,
    scene: ScenePath,
    acquisition: AcquisitionPath,
    cut: Annotated[MaskCut, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns an acquisition's label as class-index PNG: index 0 is the background, 255 is ignored."""
    opened, found = _resolve(context, name, scene, cut)
    etag = entity_tag(opened, found, f"mask/{acquisition}", cut)
    return _answer(if_none_match, etag, lambda: render_mask(opened, found, acquisition, cut))


@router.get(
    "/datasets/{name}/scenes/{scene}/change",
    response_class=Response,
    responses=PNG_RESPONSES,
    summary="Where a scene changed",
)
def get_change(
    context: CurrentContext,
    name: NamePath,
    scene: ScenePath,
    cut: Annotated[Cut, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns the relevant change as class-index PNG: 0 unchanged, 1 change, 2 object without change, 255 unknown."""
    opened, found = _resolve(context, name, scene, cut)
    etag = entity_tag(opened, found, "change", cut)
    return _answer(if_none_match, etag, lambda: render_change(opened, found, cut))


@router.post("/pairing/preview", tags=["pairing"], summary="Preview the pairs of an arm")
def preview_pairing(context: CurrentContext, request: PreviewRequest) -> PreviewResponse:
    """Draws the pairs an arm would train on, and shows the first of them with the realised noise of all."""
    return preview.preview_pairs(context, request)


def _resolve(context: Context, name: str, scene: str, cut: Cut) -> tuple[OpenDataset, Scene]:
    opened = context.sources.open(service.reference_of(service.get(context, name)), draw=cut.draw)
    return opened, opened.scene(scene)


def _answer(if_none_match: str | None, etag: str, render: Callable[[], bytes]) -> Response:
    # A name can be registered anew with other content, so a browser has to ask; the answer is mostly a short 304.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if is_current(if_none_match, etag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(render(), media_type="image/png", headers=headers)
