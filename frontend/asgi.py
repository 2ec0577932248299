"""The browser's one port: Streamlit, and the API's images and files beside it.

streamlit run frontend/asgi.py
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import streamlit as st
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from frontend.connection import PREFIX, TIMEOUT, find_endpoint, is_loopback

SCENE = f"{PREFIX}/datasets/{{dataset}}/scenes/{{scene}}"
FORWARDED = (
    f"{SCENE}/images/{{acquisition}}",
    f"{SCENE}/thumbnails/{{acquisition}}",
    f"{SCENE}/masks/{{acquisition}}",
    f"{SCENE}/objects/{{acquisition}}",
    f"{SCENE}/change",
    f"{PREFIX}/datasets/{{dataset}}/selection.csv",
    f"{PREFIX}/artifacts/{{artifact}}",
)
"""Only what a page shows or lets people download passes; everything else is the API's own business."""
KEPT_HEADERS = ("content-type", "content-length", "content-encoding", "content-disposition", "etag", "cache-control")
DEFAULT_HOSTS = "127.0.0.1,localhost,[::1],testserver"


async def forward(request: Request) -> Response:
    """Returns the API's answer to a request for a picture or file, cacheable as the API says."""
    if any(part in {".", ".."} for part in request.path_params.values()):
        return PlainTextResponse("names of scenes and files only, no steps between folders", status_code=404)
    endpoint = find_endpoint()
    headers = {"Accept-Encoding": request.headers.get("accept-encoding", "identity")}
    if endpoint.token:
        headers["Authorization"] = f"Bearer {endpoint.token}"
    if "if-none-match" in request.headers:
        headers["If-None-Match"] = request.headers["if-none-match"]
    path = request.scope["route"].path
    for name, value in request.path_params.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    client = await _client(is_loopback(endpoint.url))
    try:
        answer = await client.send(
            client.build_request("GET", f"{endpoint.url}{path}", params=request.url.query, headers=headers), stream=True
        )
    except (httpx.TransportError, httpx.InvalidURL):
        return PlainTextResponse(f"The API at {endpoint.url} does not answer.", status_code=502)
    kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    return StreamingResponse(
        answer.aiter_raw(),
        status_code=answer.status_code,
        headers={**kept, "X-Content-Type-Options": "nosniff"},
        background=BackgroundTask(answer.aclose),
    )


_clients: dict[bool, httpx.AsyncClient] = {}


async def _client(loopback: bool) -> httpx.AsyncClient:
    """Returns the client for this machine's ports, or the one that heeds the environment's proxies."""
    if loopback not in _clients:
        _clients[loopback] = httpx.AsyncClient(timeout=TIMEOUT, trust_env=not loopback)
    return _clients[loopback]


@asynccontextmanager
async def close_clients(_app: Starlette | st.App) -> AsyncIterator[dict[str, Any]]:
    """Closes the connections to the API when the server stops."""
    yield {}
    for client in _clients.values():
        await client.aclose()
    _clients.clear()


def explain_crash(_error: Exception) -> bool:
    """Shows a sentence instead of a traceback, which the server's log has."""
    st.error("Something went wrong on this page. The log of the UI has the details; reloading the page may help.")
    return True


async def refuse(request: Request) -> Response:
    """Returns the answer to every other request for the API: this port serves its images and files alone."""
    return PlainTextResponse(f"{request.url.path} is not served here; ask the API itself", status_code=404)


routes = [
    *(Route(path, forward, methods=["GET"]) for path in FORWARDED),
    Route("/api/{path:path}", refuse, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
]
hosts = os.environ.get("PAIRLAB_ALLOWED_HOSTS", DEFAULT_HOSTS).split(",")
middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=[host.strip() for host in hosts if host.strip()])]
app = st.App("app.py", routes=routes, middleware=middleware, lifespan=close_clients, on_script_error=explain_crash)
