"""The API: one application factory, one router below /api/v1, errors as problem documents."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute

from backend.artifacts.endpoints import router as artifacts
from backend.artifacts.export_endpoint import router as export
from backend.auth import TrustedHosts, require_token
from backend.compression import CompressedAbroad
from backend.context import open_context
from backend.database import Database
from backend.datasets.endpoints import router as datasets
from backend.datasets.image_endpoints import router as images
from backend.datasets.indexing import queue_missing
from backend.datasets.scene_endpoints import router as scenes
from backend.datasets.score_endpoints import router as scores
from backend.datasets.thumbnail_endpoint import KeptThumbnails
from backend.datasets.thumbnail_endpoint import router as thumbnails
from backend.errors import InvalidError, NotFoundError
from backend.experiments.endpoints import router as experiments
from backend.health import router as health
from backend.jobs.endpoints import router as jobs
from backend.jobs.sweeper import running_sweeper
from backend.jobs.system import router as system
from backend.memory import limit_arenas
from backend.migrations.upgrade import upgrade
from backend.problems import PROBLEM_RESPONSES, describe_problems, install_problem_handlers
from backend.settings import Settings
from backend.urls import API_PREFIX

DESCRIPTION = """
Do noisy positive pairs hurt your segmentation, or can you skip the filtering? PairLab pretrains on image pairs,
segments, and tells. Errors are RFC 9457 problem documents (`application/problem+json`) whose `detail` is a sentence;
lists are pages with an opaque `next_cursor`.
"""
TAGS = [
    {
        "name": "datasets",
        "description": "Where imagery comes from: scenes, their acquisitions, labels and relevant change.",
    },
    {"name": "pairing", "description": "Which two images form a positive pair, and how noisy the pairs are."},
    {"name": "experiments", "description": "Arms × seeds × protocols: submitted as one file, expanded into jobs."},
    {"name": "jobs", "description": "One unit of work each: states, metrics, logs, and an event stream."},
    {"name": "artifacts", "description": "Files that jobs wrote: checkpoints, weights, predictions, results."},
    {"name": "system", "description": "Is everything there, and how busy is it?"},
]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Returns the API.

    Args:
        settings: None reads them from the environment.
    """
    in_force = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        limit_arenas()
        in_force.home.mkdir(parents=True, exist_ok=True)
        database = Database(in_force.database)
        try:
            upgrade(database)
            app.state.context = open_context(in_force, database)
            queue_missing(database, in_force)
            with running_sweeper(database, in_force):
                yield
        finally:
            database.close()

    app = FastAPI(
        title="PairLab",
        version=version("pairlab"),
        summary="A workbench for contrastive pretraining on image pairs.",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        generate_unique_id_function=_operation_id,
        lifespan=lifespan,
    )
    install_problem_handlers(app)
    app.add_middleware(CompressedAbroad)
    app.add_middleware(KeptThumbnails)
    app.add_middleware(TrustedHosts, allowed=in_force.allowed_hosts)
    api = APIRouter(
        prefix=API_PREFIX, dependencies=[Depends(require_token), Depends(_refuse_nul)], responses=PROBLEM_RESPONSES
    )
    for router in (datasets, scenes, images, scores, experiments, jobs, artifacts, export, system):
        api.include_router(router)
    app.include_router(api)
    # Thumbnails alone take a signature in place of the token; their endpoint asks for one of both.
    signed = APIRouter(prefix=API_PREFIX, dependencies=[Depends(_refuse_nul)], responses=PROBLEM_RESPONSES)
    signed.include_router(thumbnails)
    app.include_router(signed)
    app.include_router(health)
    describe_problems(app)
    return app


async def _refuse_nul(request: Request) -> None:
    """PostgreSQL takes no NUL character, not even to look for one."""
    if "\0" in request.scope["path"]:
        raise NotFoundError(f"nothing is at {request.scope['path']!r}: no name holds a NUL character")
    if "%00" in request.url.query:
        raise InvalidError("the query holds a NUL character (%00), which no value does: remove it")


def _operation_id(route: APIRoute) -> str:
    return route.name
