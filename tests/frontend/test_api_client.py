import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from backend.app import create_app
from backend.settings import Settings
from frontend.api_client import ApiClient, parse_events
from frontend.api_paths import api_path, change_path, image_path, mask_path, objects_path, selection_path
from frontend.connection import DEFAULT_URL, ApiProblem, find_endpoint, is_loopback
from frontend.scene_query import SceneQuery
from tests.frontend.conftest import RecordingServer, Served


@pytest.fixture
def client(server: RecordingServer) -> Iterator[ApiClient]:
    client = ApiClient(server.url, "secret-token")
    yield client
    client.close()


EVERY_METHOD: list[Callable[[ApiClient], Any]] = [
    lambda client: client.data_roots(),
    lambda client: client.datasets(),
    lambda client: client.dataset("quickstart"),
    lambda client: client.create_dataset("quickstart", {"kind": "synthetic"}),
    lambda client: client.delete_dataset("quickstart"),
    lambda client: client.scenes("quickstart"),
    lambda client: client.report("quickstart"),
    lambda client: client.distribution("quickstart"),
    lambda client: client.selection("quickstart"),
    lambda client: client.scene("quickstart", "train-000000"),
    lambda client: client.objects("quickstart", "train-000000", "pre"),
    lambda client: client.mark("quickstart", "train-000000", flagged=True, note=""),
    lambda client: client.unmark("quickstart", "train-000000"),
    lambda client: client.preview(dataset="quickstart", pairing={"policy": "temporal"}),
    lambda client: client.scores("quickstart"),
    lambda client: client.queue_score("quickstart", {"name": "cva"}),
    lambda client: client.score_curve("quickstart", "0" * 64, chip_size=64),
    lambda client: client.experiment_schema(),
    lambda client: client.examples(),
    lambda client: client.validate("name: x"),
    lambda client: client.experiment_preview("name: x", seed=1),
    lambda client: client.submit("name: x"),
    lambda client: client.experiments(),
    lambda client: client.experiment("e1"),
    lambda client: client.results("e1"),
    lambda client: client.bootstrap("e1"),
    lambda client: client.extension("e1", to=5),
    lambda client: client.extend_experiment("e1"),
    lambda client: client.cancel_experiment("e1"),
    lambda client: client.retry_experiment("e1"),
    lambda client: client.jobs(),
    lambda client: client.job("j1"),
    lambda client: client.act_on_job("j1", "cancel"),
    lambda client: client.act_on_job("j1", "pause"),
    lambda client: client.act_on_job("j1", "resume"),
    lambda client: client.act_on_job("j1", "retry"),
    lambda client: client.metrics("j1"),
    lambda client: client.logs("j1"),
    lambda client: client.predictions("j1"),
    lambda client: client.artifacts("j1"),
    lambda client: client.artifacts("j1", kind="embedding_map", step=10),
    lambda client: client.embedding_maps("j1"),
    lambda client: client.system(),
    lambda client: client.ready(),
    lambda client: client.answers(),
]


def test_every_method_asks_a_route_that_the_api_has(server: RecordingServer, client: ApiClient, tmp_path: Path) -> None:
    paths = create_app(Settings(home=tmp_path)).openapi()["paths"]
    routes = {
        (method.upper(), re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)))
        for path, operations in paths.items()
        for method in operations
    }
    for call in EVERY_METHOD:
        call(client)
    asked = {(request.method, request.path.partition("?")[0]) for request in server.requests}
    unknown = [
        f"{method} {path}"
        for method, path in sorted(asked)
        if not any(method == known and pattern.fullmatch(path) for known, pattern in routes)
    ]
    assert not unknown


def test_the_token_goes_with_every_request(server: RecordingServer, client: ApiClient) -> None:
    client.datasets()
    assert server.requests[0].headers["authorization"] == "Bearer secret-token"


def test_names_cannot_leave_their_part_of_the_path(server: RecordingServer, client: ApiClient) -> None:
    client.scene("../experiments", "a/b?c#d é")
    assert server.requests[0].path == "/api/v1/datasets/..%2Fexperiments/scenes/a%2Fb%3Fc%23d%20%C3%A9"


def test_parameters_without_a_value_stay_out_of_the_query(server: RecordingServer, client: ApiClient) -> None:
    client.scenes("d", SceneQuery(ranges={"change": (0.25, None)}, sort="-change_share"), place=0)
    assert sorted(server.requests[0].query) == [
        ("limit", "24"),
        ("min_change", "0.25"),
        ("place", "0"),
        ("sort", "-change_share"),
    ]


def test_lists_repeat_their_parameter(server: RecordingServer, client: ApiClient) -> None:
    client.metrics("j", keys=["loss", "fine_tuning/miou"], max_points=200)
    keys = [value for name, value in server.requests[0].query if name == "key"]
    assert keys == ["loss", "fine_tuning/miou"]


def test_a_filter_goes_with_everything_that_depends_on_it(server: RecordingServer, client: ApiClient) -> None:
    query = SceneQuery(events=("a", "b"), where={"sensor": ("x=1", "y"), "gsd": (None, 2.5)}, sort="-column/gsd")
    client.distribution("d", query)
    client.selection("d", query)
    client.scene("d", "s", query)
    wanted = [("event", "a"), ("event", "b"), ("where", "gsd=..2.5"), ("where", "sensor=x=1"), ("where", "sensor=y")]
    assert [sorted(request.query) for request in server.requests] == [
        wanted,
        wanted,
        sorted([*wanted, ("sort", "-column/gsd")]),
    ]


def test_a_mark_is_put_and_taken_away(server: RecordingServer, client: ApiClient) -> None:
    client.mark("d", "a b", flagged=True, note="<b>")
    client.unmark("d", "a b")
    assert [(request.method, request.path, request.body) for request in server.requests] == [
        ("PUT", "/api/v1/datasets/d/scenes/a%20b/mark", {"flagged": True, "note": "<b>"}),
        ("DELETE", "/api/v1/datasets/d/scenes/a%20b/mark", None),
    ]


def test_a_score_is_queued_with_its_draw_and_judged_at_a_chip_size(server: RecordingServer, client: ApiClient) -> None:
    client.queue_score("d", {"name": "irmad", "iterations": 5}, draw=3)
    client.score_curve("d", "a/b", chip_size=96, min_changed_pixels=4)
    queued, judged = server.requests
    assert (queued.method, queued.path) == ("POST", "/api/v1/datasets/d/scores")
    assert queued.body == {"score": {"name": "irmad", "iterations": 5}, "draw": 3}
    assert (judged.method, judged.path) == ("GET", "/api/v1/datasets/d/scores/a%2Fb/curve")
    assert sorted(judged.query) == [("chip_size", "96"), ("min_changed_pixels", "4")]


def test_an_experiment_is_previewed_from_any_place_of_its_list(server: RecordingServer, client: ApiClient) -> None:
    client.experiment_preview("name: x", count=4, first=8, arms=["a"])
    assert server.requests[0].body == {"yaml": "name: x", "count": 4, "first": 8, "arms": ["a"]}


def test_submit_sends_its_idempotency_key(server: RecordingServer, client: ApiClient) -> None:
    client.submit("name: x", idempotency_key="once")
    assert server.requests[0].headers["idempotency-key"] == "once"
    assert server.requests[0].body == {"yaml": "name: x"}


def test_a_problem_document_becomes_its_sentences(server: RecordingServer, client: ApiClient) -> None:
    content = {"type": "about:blank", "title": "Unprocessable Content", "status": 422, "detail": "two problems"}
    problems = ["arms: there is none", "seeds: must differ, got [1, 1]"]
    server.answer = lambda _request: JSONResponse({**content, "problems": problems}, status_code=422)
    with pytest.raises(ApiProblem) as caught:
        client.validate("name: x")
    assert caught.value.sentences == problems
    assert caught.value.status == 422
    assert not caught.value.unreachable


def test_a_problem_without_a_list_is_its_detail(server: RecordingServer, client: ApiClient) -> None:
    server.answer = lambda _request: JSONResponse({"detail": "no dataset 'x'; there are: y"}, status_code=404)
    with pytest.raises(ApiProblem, match="no dataset 'x'; there are: y"):
        client.dataset("x")


def test_a_missing_token_says_what_to_set(server: RecordingServer, client: ApiClient) -> None:
    server.answer = lambda _request: JSONResponse({"detail": "a token is needed"}, status_code=401)
    with pytest.raises(ApiProblem, match="Set PAIRLAB_TOKEN"):
        client.datasets()


def test_an_error_that_is_no_problem_document_is_still_a_sentence(server: RecordingServer, client: ApiClient) -> None:
    server.answer = lambda _request: PlainTextResponse("<html>Traceback (most recent call last)", status_code=502)
    with pytest.raises(ApiProblem) as caught:
        client.datasets()
    assert caught.value.sentences == ["The API answered 502 Bad Gateway without a reason."]


def test_an_api_that_is_not_there_says_how_to_start_it(unused_url: str) -> None:
    client = ApiClient(unused_url)
    with pytest.raises(ApiProblem) as caught:
        client.datasets()
    assert caught.value.sentences == [f"The API at {unused_url} does not answer. Start it with `pairlab up`."]
    assert caught.value.unreachable
    assert not client.ready()
    assert not client.answers()
    client.close()


@pytest.mark.parametrize("url", ["ftp://host", "no url", ""])
def test_an_address_that_is_none_says_what_to_set(url: str) -> None:
    client = ApiClient(url)
    with pytest.raises(ApiProblem, match="set PAIRLAB_API_URL to http://host:port"):
        client.datasets()
    client.close()


def test_download_takes_addresses_as_records_hold_them(server: RecordingServer, client: ApiClient) -> None:
    server.answer = lambda _request: Response(b"png", media_type="image/png")
    assert client.download("/artifacts/a1") == client.download("/api/v1/artifacts/a1") == b"png"
    assert [request.path for request in server.requests] == ["/api/v1/artifacts/a1"] * 2


def event(seq: int, name: str, data: dict[str, Any]) -> str:
    return f"id: {seq}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


def test_a_stream_goes_on_after_a_lost_connection(server: RecordingServer, client: ApiClient) -> None:
    parts = [
        event(1, "metric", {"step": 0}) + ": keep-alive\n\n" + event(2, "log", {"text": "half"}),
        event(3, "state", {"status": "succeeded"}) + event(3, "end", {}),
    ]

    def answer(_request: Served) -> Response:
        return Response(parts[len(server.requests) - 1], media_type="text/event-stream")

    server.answer = answer
    assert [(each["seq"], each["event"]) for each in client.stream("j")] == [
        (1, "metric"),
        (2, "log"),
        (3, "state"),
        (3, "end"),
    ]
    assert [request.headers["last-event-id"] for request in server.requests] == ["0", "2"]


def test_a_stream_that_never_ends_is_given_up(server: RecordingServer, client: ApiClient) -> None:
    server.answer = lambda _request: Response("", media_type="text/event-stream")
    with pytest.raises(ApiProblem, match="closes without an end"):
        list(client.stream("j"))
    assert len(server.requests) == 5


def test_a_refused_stream_is_a_problem(server: RecordingServer, client: ApiClient) -> None:
    server.answer = lambda _request: JSONResponse({"detail": "no job 'j'"}, status_code=404)
    with pytest.raises(ApiProblem, match="no job 'j'"):
        next(client.stream("j"))


def test_events_may_have_several_lines_of_data() -> None:
    lines = ["id: 4", "event: log", 'data: {"text":', 'data: "two lines"}', "", "data: {}", ""]
    assert list(parse_events(iter(lines))) == [
        {"seq": 4, "event": "log", "data": {"text": "two lines"}},
        {"seq": 4, "event": "message", "data": {}},
    ]


def test_the_endpoint_is_the_environments_else_the_running_one_else_the_default(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "endpoints.json").write_text('{"api": "http://127.0.0.1:9999/", "ui": "http://127.0.0.1:1"}')
    environment = {"PAIRLAB_HOME": str(home), "PAIRLAB_TOKEN": "t"}
    assert find_endpoint(environment) == ("http://127.0.0.1:9999", "t")
    assert find_endpoint({**environment, "PAIRLAB_API_URL": "http://gpu:8750/"}) == ("http://gpu:8750", "t")
    assert find_endpoint({"PAIRLAB_HOME": str(tmp_path)}) == (DEFAULT_URL, None)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ui": "x"}'])
def test_a_broken_endpoints_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "endpoints.json").write_text(content)
    assert find_endpoint({"PAIRLAB_HOME": str(tmp_path)}) == (DEFAULT_URL, None)


def test_paths_of_images_are_the_apis() -> None:
    assert image_path("d", "a b", "pre", size=64) == "/api/v1/datasets/d/scenes/a%20b/images/pre?size=64"
    assert mask_path("d", "s", "post", scheme="building") == "/api/v1/datasets/d/scenes/s/masks/post?scheme=building"
    assert change_path("d", "s") == "/api/v1/datasets/d/scenes/s/change"
    assert objects_path("d", "a/b", "pre") == "/api/v1/datasets/d/scenes/a%2Fb/objects/pre"
    assert selection_path("d", []) == "/api/v1/datasets/d/selection.csv"
    assert selection_path("d", [("event", "a&b"), ("event", "c")]).endswith("?event=a%26b&event=c")
    assert api_path("/artifacts/a") == api_path("/api/v1/artifacts/a") == "/api/v1/artifacts/a"


def test_loopback_is_told_from_other_hosts() -> None:
    assert all(is_loopback(f"http://{host}:1") for host in ("localhost", "127.0.0.1", "[::1]"))
    assert not is_loopback("http://api:8750")
