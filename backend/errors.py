"""Errors the API answers with, as RFC 9457 problem+json."""

from http import HTTPStatus
from typing import Any


class ApiError(Exception):
    """An answer that is no success; `detail` is a sentence: what was wrong, with which value, and what to do."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, detail: str, **extra: Any) -> None:  # noqa: ANN401  (members of the problem document)
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NotFoundError(ApiError):
    """Nothing has that name or id."""

    status = HTTPStatus.NOT_FOUND


class ConflictError(ApiError):
    """The thing exists, but its state does not allow what was asked."""

    status = HTTPStatus.CONFLICT


class InvalidError(ApiError):
    """The request is well formed and cannot be met; `problems` holds one sentence each."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class UnauthorizedError(ApiError):
    """A token is needed."""

    status = HTTPStatus.UNAUTHORIZED


class ForbiddenError(ApiError):
    """What gives access is not genuine, or no longer."""

    status = HTTPStatus.FORBIDDEN


class UnavailableError(ApiError):
    """A part the request needs does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
