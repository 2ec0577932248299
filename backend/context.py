"""What every request reaches: the settings, the database and the opened datasets of this process."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from backend.database import Database
from backend.datasets.bounded_cache import BoundedCache
from backend.datasets.schemas import SceneRead
from backend.datasets.sources import Sources
from backend.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """Made once by the application's lifespan, closed with it."""

    settings: Settings
    database: Database
    sources: Sources
    scene_lists: BoundedCache[str, list[SceneRead]]
    """Per dataset (hash of its reference), its scenes in the order of their names."""


def context_of(request: Request) -> Context:
    """Returns the context of the application that answers the request."""
    context: Context = request.app.state.context
    return context


CurrentContext = Annotated[Context, Depends(context_of)]
