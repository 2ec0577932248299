"""Every answer that is no success, as an RFC 9457 problem document."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from backend.errors import ApiError
from pairlab.experiment.experiment import ExperimentError
from pairlab.experiment.fit import ExpansionError
from pairlab.pairing.drawing import PairingRefused
from pairlab.scenes.scene import SceneError

logger = logging.getLogger(__name__)

PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "What was wrong, with which value, and what to do.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""For OpenAPI: what a router's endpoints answer besides success."""
LONGEST_SHOWN_VALUE = 80
MOST_PROBLEMS = 100


class Problem(BaseModel):
    """An answer that is no success (RFC 9457); `detail` says what was wrong, with which value, and what to do."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "no dataset 'xdb'; there are: quickstart, xbd",
                }
            ]
        },
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    problems: list[str] | None = None
    """One sentence for each thing found wrong, where there may be several."""


def problem_response(
    status: int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    **extra: Any,  # noqa: ANN401  (JSON members)
) -> JSONResponse:
    """Returns the problem document as a response."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **extra)
    return JSONResponse(
        problem.model_dump(mode="json", exclude_none=True),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Makes the application answer every error with a problem document."""
    app.add_exception_handler(ApiError, _answer_api_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.add_exception_handler(HTTPException, _answer_http_error)
    for refusal in (SceneError, PairingRefused, ExpansionError, ExperimentError):
        app.add_exception_handler(refusal, _answer_refusal)
    app.add_exception_handler(OperationalError, _answer_database_error)
    app.add_exception_handler(Exception, _answer_unexpected_error)


def describe_problems(app: FastAPI) -> None:
    """Puts the problem document into the OpenAPI description, as the answer to every request that fails."""
    describe = app.openapi

    def with_problems() -> dict[str, Any]:
        document = describe()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document

    app.openapi = with_problems  # type: ignore[method-assign]  # FastAPI's way to extend it


def sentence_of(detail: Mapping[str, Any]) -> str:
    """Returns one sentence for something pydantic found wrong: the field, what is wrong, and the value given."""
    kind, *place = detail["loc"] or ("request",)
    where = ".".join(str(part) for part in place) or ("the request's body" if kind == "body" else str(kind))
    if detail["type"] == "json_invalid":
        return f"the request's body is not valid JSON: {detail.get('ctx', {}).get('error', detail['msg'])}"
    if detail["type"] == "missing":
        return f"{where}: is missing"
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key"
    message = re.sub("^(Input|String) should ", "must ", str(detail["msg"]).removeprefix("Value error, "))
    given = detail.get("input")
    shown = repr(given) if isinstance(given, str | int | float | bool) else ""
    if not shown or len(shown) > LONGEST_SHOWN_VALUE or shown in message:
        return f"{where}: {message}"
    return f"{where}: {message} (got {shown})"


def _answer_api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
    return problem_response(error.status, error.detail, headers=headers, **error.extra)


def _answer_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details: Sequence[Any] = error.errors()
    problems = [sentence_of(detail) for detail in details[:MOST_PROBLEMS]]
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(problems[:5]), problems=problems)


def _answer_refusal(_request: Request, error: Exception) -> Response:
    problems = error.problems if isinstance(error, ExperimentError) else [str(error)]
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), problems=problems)


def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if status == HTTPStatus.NOT_FOUND and error.detail == status.phrase:
        detail = f"nothing is at {request.url.path}; /docs lists every address"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not answer {request.method}; /docs lists what it answers"
    else:
        detail = str(error.detail)
    return problem_response(status, detail, headers=dict(error.headers) if error.headers else None)


def _answer_database_error(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = "the database is busy or does not answer; try again in a moment"
    return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "2"})


def _answer_unexpected_error(request: Request, error: Exception) -> Response:
    # The server logs the traceback: this handler answers before it passes the error on.
    logger.error("%s %s failed: %r", request.method, request.url.path, error)
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "something went wrong inside PairLab; the server's log has the details. Trying again may help.",
    )
