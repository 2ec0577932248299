"""The one way to the API: a method per route, and one error type in sentences."""

import json
import os
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx

from frontend.api_records import (
    Artifact,
    DataRoot,
    Dataset,
    Example,
    Experiment,
    ExperimentDetail,
    Job,
    JobDetail,
    Logs,
    Metrics,
    Page,
    Plan,
    Prediction,
    Preview,
    Results,
    Scene,
    SceneDetail,
    StreamEvent,
    System,
)

PREFIX = "/api/v1"
DEFAULT_URL = "http://127.0.0.1:8750"
TIMEOUT = httpx.Timeout(60.0, connect=3.0)
STREAM_TIMEOUT = httpx.Timeout(60.0, connect=3.0, read=120.0)

Answer = TypeVar("Answer")
Parameter = str | int | float | bool | None | list[str]


class ApiProblem(Exception):
    """What went wrong, in sentences for the user; `status` is None where no answer came."""

    def __init__(self, sentences: list[str], *, status: int | None = None) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences
        self.status = status

    @property
    def unreachable(self) -> bool:
        """Whether the API gave no answer at all."""
        return self.status is None


class Endpoint(NamedTuple):
    """Where the API is, and the token it asks for."""

    url: str
    token: str | None


def find_endpoint(environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Returns the API of PAIRLAB_API_URL, else the running one of PAIRLAB_HOME (.pairlab), else the default address."""
    token = environment.get("PAIRLAB_TOKEN") or None
    if url := environment.get("PAIRLAB_API_URL"):
        return Endpoint(url.rstrip("/"), token)
    endpoints = Path(environment.get("PAIRLAB_HOME") or ".pairlab").expanduser() / "endpoints.json"
    try:
        return Endpoint(str(json.loads(endpoints.read_text())["api"]).rstrip("/"), token)
    except (OSError, ValueError, KeyError, TypeError):
        return Endpoint(DEFAULT_URL, token)


class ApiClient:
    """Requests to one API; safe to share between threads."""

    def __init__(self, base_url: str, token: str | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A proxy of the environment cannot reach this machine's own ports.
        trust_env = not is_loopback(self.base_url)
        self._http = httpx.Client(base_url=self.base_url, headers=headers, timeout=TIMEOUT, trust_env=trust_env)

    @classmethod
    def from_environment(cls) -> Self:
        """Returns a client of the API that PAIRLAB_API_URL or the running installation names."""
        return cls(*find_endpoint())

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    # Datasets, scenes, pairs

    def data_roots(self) -> list[DataRoot]:
        """Returns the folders that imagery may be read from."""
        return self._get(list[DataRoot], "/data-roots")

    def datasets(self, *, cursor: str | None = None, limit: int = 100) -> Page[Dataset]:
        """Returns a page of the registered datasets."""
        return self._get(Page[Dataset], "/datasets", cursor=cursor, limit=limit)

    def dataset(self, name: str) -> Dataset:
        """Returns one dataset."""
        return self._get(Dataset, f"/datasets/{_part(name)}")

    def create_dataset(self, name: str, config: dict[str, Any]) -> Dataset:
        """Registers a dataset and returns what was found in it."""
        return self._post(Dataset, "/datasets", body={"name": name, "config": config})

    def delete_dataset(self, name: str) -> None:
        """Removes a dataset from the list; its files stay."""
        self._request("DELETE", f"/datasets/{_part(name)}")

    def scenes(
        self,
        dataset: str,
        *,
        cursor: str | None = None,
        limit: int = 24,
        event: str | None = None,
        split: str | None = None,
        min_change: float | None = None,
        max_change: float | None = None,
        sort: str | None = None,
    ) -> Page[Scene]:
        """Returns a page of a dataset's scenes; `sort` is name, change_share or -change_share."""
        return self._get(
            Page[Scene],
            f"/datasets/{_part(dataset)}/scenes",
            cursor=cursor,
            limit=limit,
            event=event,
            split=split,
            min_change=min_change,
            max_change=max_change,
            sort=sort,
        )

    def scene(self, dataset: str, scene: str) -> SceneDetail:
        """Returns one scene with its metadata, class pixels and neighbours."""
        return self._get(SceneDetail, f"/datasets/{_part(dataset)}/scenes/{_part(scene)}")

    def preview(
        self,
        *,
        dataset: str,
        pairing: dict[str, Any],
        places: dict[str, Any] | None = None,
        chip_size: int = 64,
        seed: int = 0,
        count: int = 12,
    ) -> Preview:
        """Returns the pairs that a pairing policy would draw."""
        body = {"dataset": dataset, "pairing": pairing, "chip_size": chip_size, "seed": seed, "count": count}
        if places is not None:
            body["places"] = places
        return self._post(Preview, "/pairing/preview", body=body)

    # Experiments

    def experiment_schema(self) -> dict[str, Any]:
        """Returns the JSON Schema of an experiment file."""
        return self._get(dict[str, Any], "/experiments/schema")

    def examples(self) -> list[Example]:
        """Returns the experiment files that come with PairLab."""
        return self._get(list[Example], "/experiments/examples")

    def validate(self, yaml: str) -> Plan:
        """Returns what an experiment file would run; raises ApiProblem with one sentence per problem."""
        return self._post(Plan, "/experiments/validate", body={"yaml": yaml})

    def submit(self, yaml: str, *, idempotency_key: str | None = None) -> Experiment:
        """Queues an experiment's jobs."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._post(Experiment, "/experiments", body={"yaml": yaml}, headers=headers)

    def experiments(self, *, cursor: str | None = None, limit: int = 50) -> Page[Experiment]:
        """Returns a page of experiments, newest first."""
        return self._get(Page[Experiment], "/experiments", cursor=cursor, limit=limit)

    def experiment(self, experiment: str) -> ExperimentDetail:
        """Returns one experiment with its file and jobs."""
        return self._get(ExperimentDetail, f"/experiments/{_part(experiment)}")

    def results(self, experiment: str) -> Results:
        """Returns all an experiment has found so far."""
        return self._get(Results, f"/experiments/{_part(experiment)}/results")

    def cancel_experiment(self, experiment: str) -> Experiment:
        """Asks all of an experiment's jobs to stop."""
        return self._post(Experiment, f"/experiments/{_part(experiment)}/cancel")

    def retry_experiment(self, experiment: str) -> Experiment:
        """Queues an experiment's failed and cancelled jobs again."""
        return self._post(Experiment, f"/experiments/{_part(experiment)}/retry")

    # Jobs

    def jobs(
        self,
        *,
        status: str | None = None,
        kind: str | None = None,
        experiment: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Job]:
        """Returns a page of jobs, newest first."""
        return self._get(
            Page[Job], "/jobs", status=status, kind=kind, experiment=experiment, cursor=cursor, limit=limit
        )

    def job(self, job: str) -> JobDetail:
        """Returns one job with its configuration and results."""
        return self._get(JobDetail, f"/jobs/{_part(job)}")

    def act_on_job(self, job: str, action: Literal["cancel", "pause", "resume", "retry"]) -> Job:
        """Asks for a change of a job's state; raises ApiProblem (409) where the state does not allow it."""
        return self._post(Job, f"/jobs/{_part(job)}/{action}")

    def metrics(
        self, job: str, *, after: int = 0, keys: list[str] | None = None, max_points: int | None = None
    ) -> Metrics:
        """Returns metric points after a sequence number, each key thinned to `max_points`."""
        return self._get(Metrics, f"/jobs/{_part(job)}/metrics", after=after, key=keys, max_points=max_points)

    def logs(self, job: str, *, after: int = 0, limit: int | None = None) -> Logs:
        """Returns log lines after a sequence number."""
        return self._get(Logs, f"/jobs/{_part(job)}/logs", after=after, limit=limit)

    def predictions(
        self, job: str, *, scene: str | None = None, protocol: str | None = None, final: bool | None = None
    ) -> list[Prediction]:
        """Returns the predicted masks of a segment job."""
        return self._get(
            list[Prediction], f"/jobs/{_part(job)}/predictions", scene=scene, protocol=protocol, final=final
        )

    def artifacts(self, job: str) -> list[Artifact]:
        """Returns the files a job wrote."""
        return self._get(list[Artifact], f"/jobs/{_part(job)}/artifacts")

    def download(self, url: str) -> bytes:
        """Returns the bytes behind a URL of a record (an image, a mask, an artifact)."""
        return self._request("GET", api_path(url).removeprefix(PREFIX)).content

    def system(self) -> System:
        """Returns version, workers and queues."""
        return self._get(System, "/system")

    def ready(self) -> bool:
        """Whether the API answers and is ready for work."""
        try:
            return self._http.get("/readyz", timeout=3.0).status_code == HTTPStatus.OK
        except httpx.HTTPError:
            return False

    def answers(self) -> bool:
        """Whether anything answers at the API's address, ready or not."""
        try:
            return self._http.get("/healthz", timeout=2.0).status_code < HTTPStatus.INTERNAL_SERVER_ERROR
        except httpx.HTTPError:
            return False

    def stream(self, job: str, *, after: int = 0) -> Iterator[StreamEvent]:
        """Yields a job's events as they happen, across lost connections, until its `end`."""
        ended, failures = False, 0
        while not ended:
            try:
                for event in self._stream_once(job, after):
                    after, failures = max(after, event["seq"]), 0
                    yield event
                    ended = ended or event["event"] == "end"
                failures += 1
            except httpx.TransportError as error:
                failures += 1
                if failures >= 5:
                    raise self._unreachable(error) from error
            if not ended and failures >= 5:
                raise ApiProblem([f"The stream of job {job} closes without an end; look at the job's page."])

    def _stream_once(self, job: str, after: int) -> Iterator[StreamEvent]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        path = f"{PREFIX}/jobs/{_part(job)}/stream"
        with self._http.stream("GET", path, headers=headers, timeout=STREAM_TIMEOUT) as response:
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                response.read()
                raise _problem(response)
            yield from parse_events(response.iter_lines())

    def _get(self, shape: type[Answer], path: str, **parameters: Parameter) -> Answer:  # noqa: ARG002
        given = {name: value for name, value in parameters.items() if value is not None}
        answer: Answer = self._request("GET", path, params=given).json()
        return answer

    def _post(
        self,
        shape: type[Answer],  # noqa: ARG002
        path: str,
        *,
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        answer: Answer = self._request("POST", path, json=body, headers=headers).json()
        return answer

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401  (httpx's own)
        try:
            response = self._http.request(method, PREFIX + path, **options)
        except httpx.TimeoutException as error:
            if isinstance(error, httpx.ConnectTimeout):
                raise self._unreachable(error) from error
            raise ApiProblem([f"The API at {self.base_url} took too long to answer. Try again in a moment."]) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise _problem(response)
        return response

    def _unreachable(self, error: Exception) -> ApiProblem:
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
            return ApiProblem([f"{self.base_url!r} is no address of an API: set PAIRLAB_API_URL to http://host:port."])
        return ApiProblem([f"The API at {self.base_url} does not answer. Start it with `pairlab up`."])


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    return (urlsplit(url).hostname or "") in {"localhost", "127.0.0.1", "::1"}


def api_path(url: str) -> str:
    """Returns the path a browser asks for, given a record's URL with or without the API's prefix."""
    path = url if url.startswith("/") else f"/{url}"
    return path if path.startswith(f"{PREFIX}/") else PREFIX + path


def image_path(dataset: str, scene: str, acquisition: str, **query: str | int) -> str:
    """Returns the path of a scene's image; `query` as the API takes it (size, y, x, chip, state, draw)."""
    return _scene_path(dataset, scene, f"images/{_part(acquisition)}", query)


def mask_path(dataset: str, scene: str, acquisition: str, **query: str | int) -> str:
    """Returns the path of a scene's label as class indices; `query` names at least the `scheme`."""
    return _scene_path(dataset, scene, f"masks/{_part(acquisition)}", query)


def change_path(dataset: str, scene: str, **query: str | int) -> str:
    """Returns the path of a scene's change map."""
    return _scene_path(dataset, scene, "change", query)


def _scene_path(dataset: str, scene: str, part: str, query: Mapping[str, str | int]) -> str:
    path = f"{PREFIX}/datasets/{_part(dataset)}/scenes/{_part(scene)}/{part}"
    return f"{path}?{urlencode(query)}" if query else path


def parse_events(lines: Iterator[str]) -> Iterator[StreamEvent]:
    """Yields the events of a server-sent stream; comments (keep-alives) are skipped."""
    seq, name, data = 0, "message", []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id" and value.isdigit():
            seq = int(value)
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line:
            if data:
                yield {"seq": seq, "event": name, "data": json.loads("\n".join(data))}
            name, data = "message", []


def _part(name: str) -> str:
    return quote(name, safe="")


def _problem(response: httpx.Response) -> ApiProblem:
    status = response.status_code
    try:
        content = response.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return ApiProblem([f"The API answered {status} {response.reason_phrase} without a reason."], status=status)
    sentences = [str(each) for each in content.get("problems") or [] if each]
    if not sentences:
        sentences = [str(content.get("detail") or f"The API answered {status} {response.reason_phrase}.")]
    if status == HTTPStatus.UNAUTHORIZED:
        sentences.append("Set PAIRLAB_TOKEN to the token the API was started with.")
    return ApiProblem(sentences, status=status)
