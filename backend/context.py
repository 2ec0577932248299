"""What every request reaches: the settings, the database and what this process keeps of datasets."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from backend.database import Database
from backend.datasets.bounded_cache import BoundedCache
from backend.datasets.registry import Registry
from backend.datasets.scene_lists import SceneLists
from backend.datasets.scene_reads import SceneTexts
from backend.datasets.schemas import Distribution, MarkRead
from backend.datasets.score_schemas import ScoreCurve
from backend.datasets.sources import MEBIBYTE, FileVersion, Sources
from backend.datasets.summary import Summary
from backend.datasets.thumbnail_urls import ThumbnailUrls
from backend.datasets.thumbnails import Thumbnails
from backend.settings import Settings
from backend.signatures import Signatures, open_signatures

TEXT_BYTES = 64 * MEBIBYTE
"""The scenes of all of xBD take 18 MB."""
MARK_BYTES = 16 * MEBIBYTE
KEPT_DISTRIBUTIONS = 64
"""Each takes some 20 kB."""
KEPT_SUMMARIES = 256
KEPT_CURVES = 256
"""Each takes some 30 kB."""
KEPT_HASHES = 256

MarksKey = tuple[str, datetime, int]
"""Name of a dataset, when it was registered, and its `marks_version`."""


@dataclass(frozen=True, slots=True)
class Context:
    """Made once by the application's lifespan, closed with it."""

    settings: Settings
    database: Database
    signatures: Signatures
    registry: Registry
    sources: Sources
    lists: SceneLists
    thumbnails: Thumbnails
    texts: BoundedCache[tuple[FileVersion, ThumbnailUrls], SceneTexts]
    """Per scene table and time of its addresses' expiry."""
    marks: BoundedCache[MarksKey, Mapping[str, MarkRead]]
    distributions: BoundedCache[Hashable, Distribution]
    """Per scene table, filter and marks."""
    summaries: BoundedCache[tuple[str, FileVersion], Summary]
    """Per dataset and version of its scene table."""
    curves: BoundedCache[Hashable, ScoreCurve]
    """Per change score, chip size and least number of changed pixels."""
    weight_hashes: BoundedCache[FileVersion, str]
    """SHA-256 of files that networks start from."""


def open_context(settings: Settings, database: Database) -> Context:
    """Returns a context that keeps nothing yet."""
    return Context(
        settings=settings,
        database=database,
        signatures=open_signatures(settings),
        registry=Registry(),
        sources=Sources(data_roots=settings.data_roots, index_folder=settings.index_folder),
        lists=SceneLists(),
        thumbnails=Thumbnails(settings.thumbnail_folder, room=settings.thumbnail_bytes),
        texts=BoundedCache(TEXT_BYTES, size_of=lambda texts: texts.nbytes),
        marks=BoundedCache(
            MARK_BYTES, size_of=lambda marks: 500 + sum(700 + len(each.note) for each in marks.values())
        ),
        distributions=BoundedCache(KEPT_DISTRIBUTIONS),
        summaries=BoundedCache(KEPT_SUMMARIES),
        curves=BoundedCache(KEPT_CURVES),
        weight_hashes=BoundedCache(KEPT_HASHES),
    )


async def context_of(request: Request) -> Context:
    """Returns the context of the application that answers the request."""
    # Not a plain function: FastAPI would hand that to a thread, which takes longer than most answers.
    context: Context = request.app.state.context
    return context


def _bytes_of_marks(marks: Mapping[str, MarkRead]) -> int:
    return 500 + sum(700 + len(each.note) for each in marks.values())


CurrentContext = Annotated[Context, Depends(context_of)]
