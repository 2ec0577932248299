"""The one way to the API: a method per route."""

import json
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Literal

import httpx

from frontend.api_paths import api_path, part
from frontend.api_records import (
    Artifact,
    EmbeddingMap,
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
    StreamEvent,
    System,
)
from frontend.connection import PREFIX, ApiProblem, problem_of
from frontend.dataset_client import DatasetClient
from frontend.pair_records import ExperimentPreview
from frontend.result_records import Results
from frontend.verdict_records import Bootstrap, Extension

STREAM_TIMEOUT = httpx.Timeout(60.0, connect=3.0, read=120.0)


class ApiClient(DatasetClient):
    """The API, a method per route."""

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

    def experiment_preview(
        self,
        yaml: str,
        *,
        arms: Sequence[str] | None = None,
        seed: int | None = None,
        count: int | None = None,
        first: int | None = None,
    ) -> ExperimentPreview:
        """Returns the pairs that arms of an experiment file would draw, side by side.

        Args:
            yaml: the file.
            arms: their names; all that are pretrained without it.
            seed: the file's first without it.
            count: so many pairs of each are described, fewer where a filter throws some away.
            first: the place, from 0, of the first of them in the list that the arms share.
        """
        given = {"arms": None if arms is None else list(arms), "seed": seed, "count": count, "first": first}
        body = {"yaml": yaml} | {name: value for name, value in given.items() if value is not None}
        return self._post(ExperimentPreview, "/experiments/preview", body=body)

    def submit(self, yaml: str, *, idempotency_key: str | None = None) -> Experiment:
        """Queues an experiment's jobs."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._post(Experiment, "/experiments", body={"yaml": yaml}, headers=headers)

    def experiments(self, *, cursor: str | None = None, limit: int = 50) -> Page[Experiment]:
        """Returns a page of experiments, newest first."""
        return self._get(Page[Experiment], "/experiments", cursor=cursor, limit=limit)

    def experiment(self, experiment: str) -> ExperimentDetail:
        """Returns one experiment with its file and jobs."""
        return self._get(ExperimentDetail, f"/experiments/{part(experiment)}")

    def results(self, experiment: str) -> Results:
        """Returns all an experiment has found so far."""
        return self._get(Results, f"/experiments/{part(experiment)}/results")

    def cancel_experiment(self, experiment: str) -> Experiment:
        """Asks all of an experiment's jobs to stop."""
        return self._post(Experiment, f"/experiments/{part(experiment)}/cancel")

    def retry_experiment(self, experiment: str) -> Experiment:
        """Queues an experiment's failed and cancelled jobs again."""
        return self._post(Experiment, f"/experiments/{part(experiment)}/retry")

    def bootstrap(self, experiment: str) -> list[Bootstrap]:
        """Returns intervals of every arm when its seeds and test scenes are drawn again."""
        return self._get(list[Bootstrap], f"/experiments/{part(experiment)}/bootstrap")

    def extension(self, experiment: str, *, to: int | None = None) -> Extension:
        """Returns what further seeds would take: so many in all, or those of the next look; queues nothing."""
        return self._get(Extension, f"/experiments/{part(experiment)}/extension", to=to)

    def extend_experiment(self, experiment: str, *, to: int | None = None) -> Experiment:
        """Queues further seeds, up to the next planned look or to so many in all."""
        body = {} if to is None else {"to": to}
        return self._post(Experiment, f"/experiments/{part(experiment)}/extend", body=body)

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
        return self._get(JobDetail, f"/jobs/{part(job)}")

    def act_on_job(self, job: str, action: Literal["cancel", "pause", "resume", "retry"]) -> Job:
        """Asks for a change of a job's state; raises ApiProblem (409) where the state does not allow it."""
        return self._post(Job, f"/jobs/{part(job)}/{action}")

    def metrics(
        self, job: str, *, after: int = 0, keys: list[str] | None = None, max_points: int | None = None
    ) -> Metrics:
        """Returns metric points after a sequence number, each key thinned to `max_points`."""
        return self._get(Metrics, f"/jobs/{part(job)}/metrics", after=after, key=keys, max_points=max_points)

    def logs(self, job: str, *, after: int = 0, limit: int | None = None) -> Logs:
        """Returns log lines after a sequence number."""
        return self._get(Logs, f"/jobs/{part(job)}/logs", after=after, limit=limit)

    def predictions(
        self, job: str, *, scene: str | None = None, protocol: str | None = None, final: bool | None = None
    ) -> list[Prediction]:
        """Returns the predicted masks of a segment job."""
        return self._get(
            list[Prediction], f"/jobs/{part(job)}/predictions", scene=scene, protocol=protocol, final=final
        )

    def artifacts(self, job: str, *, kind: str | None = None, step: int | None = None) -> list[Artifact]:
        """Returns the files a job wrote; of one kind, or written after so many steps."""
        return self._get(list[Artifact], f"/jobs/{part(job)}/artifacts", kind=kind, step=step)

    def embedding_maps(self, job: str) -> list[EmbeddingMap]:
        """Returns how a pretraining's features change, from its start on; nothing of other jobs."""
        return self._get(list[EmbeddingMap], f"/jobs/{part(job)}/embedding-maps")

    def download(self, url: str) -> bytes:
        """Returns the bytes behind a URL of a record (an image, a mask, an artifact)."""
        return self._request("GET", api_path(url).removeprefix(PREFIX)).content

    def export(self, job: str) -> Iterator[bytes]:
        """Yields the pieces of a ZIP archive with a pretraining's weights and all that is known of them."""
        try:
            path = f"{PREFIX}/jobs/{part(job)}/export"
            with self._http.stream("GET", path, timeout=STREAM_TIMEOUT) as response:
                if response.status_code >= HTTPStatus.BAD_REQUEST:
                    response.read()
                    raise problem_of(response)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

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
        path = f"{PREFIX}/jobs/{part(job)}/stream"
        with self._http.stream("GET", path, headers=headers, timeout=STREAM_TIMEOUT) as response:
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                response.read()
                raise problem_of(response)
            yield from parse_events(response.iter_lines())


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
