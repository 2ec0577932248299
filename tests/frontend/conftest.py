import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass
class Served:
    """One request as it arrived."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: Any


@dataclass
class RecordingServer:
    """A real HTTP server that answers as it is told and remembers what it was asked."""

    url: str = ""
    requests: list[Served] = field(default_factory=list)
    answer: Callable[[Served], Response] = lambda _request: Response("{}", media_type="application/json")

    async def handle(self, request: Request) -> Response:
        content = await request.body()
        served = Served(
            method=request.method,
            path=request.scope["raw_path"].decode(),
            query=request.query_params.multi_items(),
            headers=dict(request.headers),
            body=json.loads(content) if content else None,
        )
        self.requests.append(served)
        return self.answer(served)


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    recorder = RecordingServer()
    methods = ["GET", "POST", "PUT", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", recorder.handle, methods=methods)])
    listener = socket.create_server(("127.0.0.1", 0))
    recorder.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    runner = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not runner.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield recorder
    runner.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def unused_url() -> str:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
