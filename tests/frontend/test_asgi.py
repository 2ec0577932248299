from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.testclient import TestClient

from frontend import asgi
from tests.frontend.conftest import RecordingServer, Served

SCENE = "/api/v1/datasets/quickstart/scenes/train-000000"


@pytest.fixture
def browser(server: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("PAIRLAB_API_URL", server.url)
    monkeypatch.setenv("PAIRLAB_TOKEN", "secret-token")
    app = Starlette(routes=asgi.routes, middleware=asgi.middleware, lifespan=asgi.close_clients)
    with TestClient(app, base_url="http://localhost:8501") as browser:
        yield browser


def png(request: Served) -> Response:
    headers = {"ETag": '"abc"', "Cache-Control": "private, no-cache", "Set-Cookie": "session=1", "X-Debug": "1"}
    if request.headers.get("if-none-match") == '"abc"':
        return Response(status_code=304, headers=headers)
    return Response(b"\x89PNG", media_type="image/png", headers=headers)


@pytest.mark.parametrize(
    "path",
    [
        f"{SCENE}/images/pre?size=256&draw=1",
        f"{SCENE}/thumbnails/pre?size=256&v=1&expires=2&signature=abc",
        f"{SCENE}/masks/post?scheme=intact_damaged",
        f"{SCENE}/objects/post",
        f"{SCENE}/change",
        "/api/v1/datasets/quickstart/selection.csv?event=a&event=b&sort=-offset",
        "/api/v1/artifacts/0123abc",
    ],
)
def test_images_are_forwarded_with_token_query_and_validators(
    server: RecordingServer, browser: TestClient, path: str
) -> None:
    server.answer = png
    answer = browser.get(path)
    assert (answer.status_code, answer.content) == (200, b"\x89PNG")
    assert answer.headers["etag"] == '"abc"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not {"set-cookie", "x-debug"} & set(answer.headers)
    (request,) = server.requests
    assert request.headers["authorization"] == "Bearer secret-token"
    query = "&".join(f"{name}={value}" for name, value in request.query)
    assert path == request.path + (f"?{query}" if query else "")


def test_an_unchanged_image_is_not_sent_again(server: RecordingServer, browser: TestClient) -> None:
    server.answer = png
    answer = browser.get(f"{SCENE}/images/pre", headers={"If-None-Match": '"abc"'})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/experiments"),
        ("GET", "/api/v1/jobs/j1"),
        ("GET", "/api/v1/datasets"),
        ("GET", SCENE),
        ("GET", "/api/v1/datasets/quickstart/scenes"),
        ("GET", "/api/v1/datasets/quickstart/selection"),
        ("PUT", f"{SCENE}/mark"),
        ("DELETE", f"{SCENE}/mark"),
        ("GET", f"{SCENE}/images/pre/more"),
        ("GET", "/api/v1/artifacts/a/b"),
        ("GET", "/api/v1/artifacts/.."),
        ("GET", "/api/v1/artifacts/%2e%2e"),
        ("POST", "/api/v1/experiments"),
        ("POST", "/api/v1/jobs/j1/cancel"),
        ("DELETE", "/api/v1/datasets/quickstart"),
    ],
)
def test_everything_else_is_refused_without_asking_the_api(
    server: RecordingServer, browser: TestClient, method: str, path: str
) -> None:
    assert browser.request(method, path).status_code in {404, 405}
    assert not server.requests


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_images_can_only_be_read(server: RecordingServer, browser: TestClient, method: str) -> None:
    assert browser.request(method, f"{SCENE}/change").status_code in {404, 405}
    assert not server.requests


def test_a_name_stays_one_part_of_the_path(server: RecordingServer, browser: TestClient) -> None:
    server.answer = png
    browser.get("/api/v1/datasets/d/scenes/a%20b%3Fc/images/pre")
    assert server.requests[0].path == "/api/v1/datasets/d/scenes/a%20b%3Fc/images/pre"


def test_a_foreign_host_is_refused(server: RecordingServer, browser: TestClient) -> None:
    assert browser.get(f"{SCENE}/change", headers={"Host": "evil.example"}).status_code == 400
    assert not server.requests


def test_an_api_that_does_not_answer_is_a_bad_gateway(
    browser: TestClient, unused_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIRLAB_API_URL", unused_url)
    answer = browser.get(f"{SCENE}/change")
    assert answer.status_code == 502
    assert "does not answer" in answer.text


def test_problems_of_the_api_come_through(server: RecordingServer, browser: TestClient) -> None:
    body = b'{"detail": "no scene"}'
    server.answer = lambda _request: Response(body, status_code=404, media_type="application/problem+json")
    answer = browser.get(f"{SCENE}/change")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (
        404,
        "application/problem+json",
        body,
    )
