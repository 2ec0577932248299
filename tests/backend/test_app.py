import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from pydantic import SecretStr

from backend.app import create_app
from backend.context import Context
from backend.settings import Settings
from tests.backend.conftest import API
from tests.backend.problem_document import problem_of


def with_settings(settings: Settings, **changes: object) -> Settings:
    return Settings.model_validate({**settings.model_dump(), **changes})


def test_healthz_and_readyz_answer(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}


def test_readyz_names_the_part_that_is_down(settings: Settings, tmp_path: Path) -> None:
    lonely = with_settings(settings, redis_url=f"redis+socket://{tmp_path}/nobody.sock")
    with TestClient(create_app(lonely)) as client:
        assert client.get("/healthz").status_code == 200
        problem = problem_of(client.get("/readyz"), 503)
    assert problem["detail"] == "the queue does not answer"
    assert problem["parts"] == ["queue"]


def test_importing_the_app_loads_no_torch() -> None:
    code = "import sys, backend.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_addresses_and_methods_are_problems(client: TestClient) -> None:
    assert "/api/v1/nothing" in problem_of(client.get(f"{API}/nothing"), 404)["detail"]
    assert "PUT" in problem_of(client.put(f"{API}/datasets"), 405)["detail"]


def test_a_nul_character_is_refused(client: TestClient) -> None:
    assert "NUL" in problem_of(client.get(f"{API}/datasets/a%00b"), 404)["detail"]
    assert "NUL" in problem_of(client.get(f"{API}/datasets?cursor=%00"), 422)["detail"]


def test_broken_json_is_a_problem(client: TestClient) -> None:
    answer = client.post(f"{API}/datasets", content="{", headers={"Content-Type": "application/json"})
    assert "not valid JSON" in problem_of(answer, 422)["detail"]


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_json_does_not_have_are_refused(client: TestClient, constant: str) -> None:
    body = f'{{"name": "n", "config": {{"kind": "synthetic", "train": {constant}}}}}'
    answer = client.post(f"{API}/datasets", content=body, headers={"Content-Type": "application/json"})
    (sentence,) = problem_of(answer, 422)["problems"]
    assert sentence.startswith("config.synthetic.train: must be a finite number")


def test_every_field_in_error_gets_a_sentence(client: TestClient) -> None:
    answer = client.post(f"{API}/datasets", json={"config": {"kind": "synthetic", "train": 0}, "colour": 1})
    assert problem_of(answer, 422)["problems"] == [
        "name: is missing",
        "config.synthetic.train: must be greater than or equal to 1 (got 0)",
        "colour: unknown key",
    ]


def test_an_unexpected_error_tells_nothing_of_the_inside(settings: Settings) -> None:
    app = create_app(settings)

    @app.get("/breaks")
    def breaks() -> None:
        raise RuntimeError("secret of the inside")

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/breaks")
    problem_of(answer, 500)
    assert "secret" not in answer.text


def test_a_database_that_fails_is_unavailable(client: TestClient, context: Context) -> None:
    with context.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE datasets RENAME TO hidden")
    answer = client.get(f"{API}/datasets")
    assert "try again" in problem_of(answer, 503)["detail"]
    assert answer.headers["retry-after"]
    assert "hidden" not in answer.text


def test_a_foreign_host_is_refused(client: TestClient) -> None:
    assert "evil.example" in problem_of(client.get("/healthz", headers={"Host": "evil.example"}), 400)["detail"]
    problem_of(client.get("/healthz", headers={"Host": "127.0.0.1:80:80"}), 400)
    for host in ("127.0.0.1:8750", "localhost", "[::1]:8750"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_long_answers_are_compressed_for_other_machines(settings: Settings) -> None:
    for machine, encoding in (("192.0.2.1", "gzip"), ("127.0.0.1", None), ("::1", None)):
        with TestClient(create_app(settings), client=(machine, 50_000)) as client:
            answer = client.get(f"{API}/experiments/schema", headers={"Accept-Encoding": "gzip"})
        assert answer.headers.get("content-encoding") == encoding
        assert answer.json()["title"] == "Experiment"


def api_routes(app: FastAPI) -> list[tuple[str, str]]:
    return [
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        for method in sorted(route.methods or ())
        if route.path is not None and route.path.startswith("/api")
    ]


def test_every_route_below_api_asks_for_the_token(settings: Settings) -> None:
    app = create_app(with_settings(settings, token=SecretStr("s3cret")))
    routes = api_routes(app)
    assert len(routes) > 25
    with TestClient(app) as client:
        for method, path in routes:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
                answer = client.request(method, path, headers=headers)
                assert "Authorization: Bearer" in problem_of(answer, 401)["detail"], (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get(f"{API}/datasets", headers={"Authorization": "Bearer s3cret"}).status_code == 200
        assert client.get("/healthz").status_code == 200


def test_a_signature_opens_nothing_but_thumbnails(settings: Settings) -> None:
    guarded = with_settings(settings, token=SecretStr("s3cret"))
    app = create_app(guarded)
    with TestClient(app) as client:
        signatures, expires = app.state.context.signatures, 2**40
        query = f"size=256&v=v&expires={expires}&signature="
        query += signatures.sign("{name}", "{scene}", "{acquisition}", "256", "v", str(expires))
        opened = []
        for method, path in api_routes(app):
            answer = client.request(method, f"{path}?{query}")
            if answer.status_code != 401:
                opened.append((method, path, answer.status_code))
        # What is signed here is no registered dataset's: behind the signature there is nothing.
        assert opened == [("GET", f"{API}/datasets/{{name}}/scenes/{{scene}}/thumbnails/{{acquisition}}", 404)]


def test_every_operation_is_described(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    tags = {tag["name"] for tag in document["tags"]}
    assert "Problem" in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            assert set(operation["tags"]) <= tags, (method, path)
            if path.startswith(API):
                assert "application/problem+json" in operation["responses"]["4XX"]["content"]
