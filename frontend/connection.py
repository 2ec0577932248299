"""The connection to one API: where it is, requests, and one error type in sentences."""

import json
import os
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import httpx

PREFIX = "/api/v1"
DEFAULT_URL = "http://127.0.0.1:8750"
TIMEOUT = httpx.Timeout(60.0, connect=3.0)

Answer = TypeVar("Answer")
Parameter = str | int | float | bool | None | Sequence[str]


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


class Connection:
    """Requests to one API; safe to share between threads. `shape` names the type of the answer's JSON."""

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

    def _get(self, shape: type[Answer], path: str, **parameters: Parameter) -> Answer:  # noqa: ARG002
        given = {name: value for name, value in parameters.items() if value is not None}
        answer: Answer = self._request("GET", path, params=given).json()
        return answer

    def _put(self, shape: type[Answer], path: str, *, body: dict[str, Any]) -> Answer:  # noqa: ARG002
        answer: Answer = self._request("PUT", path, json=body).json()
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
            raise problem_of(response)
        return response

    def _unreachable(self, error: Exception) -> ApiProblem:
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
            return ApiProblem([f"{self.base_url!r} is no address of an API: set PAIRLAB_API_URL to http://host:port."])
        return ApiProblem([f"The API at {self.base_url} does not answer. Start it with `pairlab up`."])


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    return (urlsplit(url).hostname or "") in {"localhost", "127.0.0.1", "::1"}


def problem_of(response: httpx.Response) -> ApiProblem:
    """Returns what a refused request was told, in sentences."""
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
