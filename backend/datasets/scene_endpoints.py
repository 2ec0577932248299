from typing import Annotated

from fastapi import APIRouter, Depends, Response, status
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from backend.context import CurrentContext
from backend.datasets import browsing, marks, selection
from backend.datasets.parameters import AcquisitionPath, NamePath, ScenePath
from backend.datasets.scene_query import ListQuery, OrderedQuery, SceneQuery, described, scene_query
from backend.datasets.schemas import (
    Distribution,
    ExportedFilter,
    MarkRead,
    MarkWrite,
    SceneDetail,
    SceneObjectRead,
    ScenePage,
)

ListParameters = Annotated[ListQuery, Depends(scene_query(ListQuery))]
OrderedParameters = Annotated[OrderedQuery, Depends(scene_query(OrderedQuery))]
SceneParameters = Annotated[SceneQuery, Depends(scene_query(SceneQuery))]

router = APIRouter(prefix="/datasets/{name}", tags=["datasets"])


@router.get("/scenes", response_model=ScenePage, openapi_extra=described(ListQuery), summary="Scenes of a dataset")
async def list_scenes(context: CurrentContext, name: NamePath, query: ListParameters) -> Response:
    """Lists the scenes that pass a filter, page by page in the order asked for."""
    page = browsing.list_scenes_at_once(context, name, query)
    if page is None:
        page = await run_in_threadpool(browsing.list_scenes, context, name, query)
    return Response(page, media_type="application/json")


@router.get("/distribution", openapi_extra=described(SceneQuery), summary="How a selection of scenes is spread")
def get_distribution(context: CurrentContext, name: NamePath, query: SceneParameters) -> Distribution:
    """Returns counts and histograms of the scenes that pass a filter; edges are those of the whole dataset."""
    return browsing.get_distribution(context, name, query)


@router.get("/selection", openapi_extra=described(SceneQuery), summary="A selection as an experiment takes it")
def export_selection(context: CurrentContext, name: NamePath, query: SceneParameters) -> ExportedFilter:
    """Returns the filter as the field `scenes` of an experiment; where marks are part of it, as names of scenes."""
    return selection.export_filter(context, name, query)


@router.get(
    "/selection.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "A line per scene."}},
    openapi_extra=described(OrderedQuery),
    summary="A selection as a table",
)
def export_table(context: CurrentContext, name: NamePath, query: OrderedParameters) -> StreamingResponse:
    """Returns all that is known of the scenes that pass a filter as CSV, with a header, in the order asked for.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    return StreamingResponse(
        selection.csv_lines(context, name, query),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


@router.get("/scenes/{scene}", openapi_extra=described(OrderedQuery), summary="One scene")
def get_scene(context: CurrentContext, name: NamePath, scene: ScenePath, query: OrderedParameters) -> SceneDetail:
    """Returns a scene's metadata, its pixels per class, and its place and neighbours in the filtered, sorted list."""
    return browsing.get_scene(context, name, scene, query)


@router.get(
    "/scenes/{scene}/objects/{acquisition}",
    response_model=list[SceneObjectRead],
    summary="Labelled objects of a scene",
)
def list_objects(context: CurrentContext, name: NamePath, scene: ScenePath, acquisition: AcquisitionPath) -> Response:
    """Lists an acquisition's objects with their outlines; none where the dataset has masks alone."""
    return Response(browsing.list_objects(context, name, scene, acquisition), media_type="application/json")


@router.put("/scenes/{scene}/mark", summary="Mark a scene")
def write_mark(context: CurrentContext, name: NamePath, scene: ScenePath, mark: MarkWrite) -> MarkRead:
    """Notes a flag and a note on a scene, in place of those it had."""
    return marks.write_mark(context, name, scene, mark)


@router.delete("/scenes/{scene}/mark", status_code=status.HTTP_204_NO_CONTENT, summary="Take a scene's mark away")
def remove_mark(context: CurrentContext, name: NamePath, scene: ScenePath) -> None:
    """Takes a scene's mark away, where it has one."""
    marks.remove_mark(context, name, scene)
