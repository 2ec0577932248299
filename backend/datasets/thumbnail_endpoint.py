import re
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Query, Response, status
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.auth import Credentials, require_token
from backend.context import Context, CurrentContext
from backend.datasets.images import check_acquisition
from backend.datasets.parameters import AcquisitionPath, NamePath, ScenePath
from backend.datasets.service import find_browsable, scene_of
from backend.datasets.thumbnail_urls import SIZE
from backend.datasets.thumbnails import ThumbnailKey, render_thumbnail, version_of
from backend.errors import ForbiddenError, NotFoundError
from backend.etags import IfNoneMatch, is_current
from backend.urls import API_PREFIX

router = APIRouter(tags=["datasets"])

_SIGNED = re.compile(f"{re.escape(API_PREFIX)}/datasets/([^/]+)/scenes/([^/]+)/thumbnails/([^/]+)")
KEPT_SECONDS = 24 * 3600
WEBP_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}, "description": "The WebP."},
    304: {"description": "The client's copy (If-None-Match) is current."},
}


class ThumbnailQuery(BaseModel):
    """How large, and what signs the address."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(default=SIZE, ge=16, le=512, description="Longest side after scaling down, pixels.")
    v: str | None = Field(default=None, max_length=64, description="Version of the dataset's files.")
    expires: int | None = Field(default=None, ge=0, le=2**53, description="Until when, seconds since 1970.")
    signature: str | None = Field(default=None, max_length=200, description="HMAC-SHA256; goes without the token.")


class Asked(NamedTuple):
    """A thumbnail that may be shown to whoever asks."""

    dataset: str
    scene: str
    acquisition: str
    size: int
    version: str | None
    """None takes the present one."""


async def admitted(
    context: CurrentContext,
    credentials: Credentials,
    name: NamePath,
    scene: ScenePath,
    acquisition: AcquisitionPath,
    query: Annotated[ThumbnailQuery, Query()],
) -> Asked:
    """Returns what is asked for, where a signature or the token allows it.

    Raises:
        ForbiddenError: a signature that is not genuine or has expired, whatever the token.
        UnauthorizedError: neither signature nor token.
    """
    asked = _check_signature(context, name, scene, acquisition, query)
    if asked is None:
        await require_token(context, credentials)
        asked = Asked(name, scene, acquisition, query.size, query.v)
    return asked


@router.get(
    "/datasets/{name}/scenes/{scene}/thumbnails/{acquisition}",
    response_class=Response,
    responses=WEBP_RESPONSES,
    summary="A scene's thumbnail",
)
async def get_thumbnail(
    context: CurrentContext, asked: Annotated[Asked, Depends(admitted)], if_none_match: IfNoneMatch = None
) -> Response:
    """Returns an acquisition as WebP. Lists of scenes hold signed addresses, which need no token until they expire."""
    found = _kept(context, asked)
    key, content = await run_in_threadpool(_made, context, asked) if found is None else found
    return _answer(key, content, asked, if_none_match)


class KeptThumbnails:
    """Answers signed requests for thumbnails that were made before: a grid asks for a hundred of them at once.

    Everything else, whatever is wrong with it included, goes on to `get_thumbnail`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, or lets it pass."""
        answer = None
        if scope["type"] == "http" and scope["method"] == "GET":
            match = _SIGNED.fullmatch(scope["path"])
            answer = None if match is None else _answer_at_once(scope, *match.group(1, 2, 3))
        await (self._app if answer is None else answer)(scope, receive, send)


def _answer_at_once(scope: Scope, name: str, scene: str, acquisition: str) -> Response | None:
    context: Context = scope["app"].state.context
    try:
        query = ThumbnailQuery.model_validate(dict(parse_qsl(scope["query_string"].decode("ascii"))))
        asked = _check_signature(context, name, scene, acquisition, query)
    except (ForbiddenError, ValueError):
        return None
    found = None if asked is None else _kept(context, asked)
    if asked is None or found is None:
        return None
    return _answer(*found, asked, Headers(scope=scope).get("if-none-match"))


def _check_signature(context: Context, name: str, scene: str, acquisition: str, query: ThumbnailQuery) -> Asked | None:
    """Returns what is asked for; None where nothing is signed. Raises ForbiddenError for what is not genuine."""
    if query.signature is None:
        return None
    if query.v is None or query.expires is None:
        raise ForbiddenError("the signature does not match this address: take addresses as the API hands them out")
    signed = (name, scene, acquisition, str(query.size), query.v)
    context.signatures.check(query.signature, *signed, expires=query.expires)
    return Asked(name, scene, acquisition, query.size, query.v)


def _answer(key: ThumbnailKey, content: bytes, asked: Asked, if_none_match: str | None) -> Response:
    lasting = f"max-age={KEPT_SECONDS}, immutable" if asked.version is not None else "no-cache"
    headers = {"ETag": key.etag, "Cache-Control": f"private, {lasting}"}
    if is_current(if_none_match, key.etag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(content, media_type="image/webp", headers=headers)


def _kept(context: Context, asked: Asked) -> tuple[ThumbnailKey, bytes] | None:
    """Returns a thumbnail that was made before. The database need not be asked: a version stands for its content."""
    if asked.version is None:
        return None
    fingerprint = context.thumbnails.fingerprint_of(asked.dataset, asked.version)
    if fingerprint is None:
        return None
    key = ThumbnailKey(fingerprint, asked.version, asked.scene, asked.acquisition, asked.size)
    content = context.thumbnails.kept(key)
    return None if content is None else (key, content)


def _made(context: Context, asked: Asked) -> tuple[ThumbnailKey, bytes]:
    """Returns a thumbnail, made where it is the first time.

    Raises:
        NotFoundError: no such dataset, scene or acquisition, or the address is of files that have changed since.
    """
    found = find_browsable(context, asked.dataset)
    table = found.known.table
    version = version_of(found.reference.fingerprint, table.bands)
    if asked.version not in (None, version):
        raise NotFoundError(
            f"dataset {asked.dataset!r} was indexed or registered anew since this address was made: ask for the list "
            "of its scenes again"
        )
    scene = scene_of(table, asked.dataset, asked.scene)
    check_acquisition(scene, asked.acquisition)
    key = ThumbnailKey(found.reference.fingerprint, version, asked.scene, asked.acquisition, asked.size)

    def make() -> bytes:
        opened = context.sources.open(found.reference, found.known)
        return render_thumbnail(opened, opened.scene(asked.scene), asked.acquisition, size=asked.size)

    return key, context.thumbnails.get(key, asked.dataset, make)
