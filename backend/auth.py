"""Who may ask: host names a request may carry, and the bearer token."""

import re
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.context import CurrentContext
from backend.errors import UnauthorizedError
from backend.problems import problem_response

_bearer = HTTPBearer(auto_error=False, description="The token given as PAIRLAB_TOKEN when PairLab was started.")
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:\d+)?")


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def require_token(context: CurrentContext, credentials: Credentials) -> None:
    """Lets a request pass that carries the installation's token, or any where none is set."""
    token = context.settings.token
    if token is None:
        return
    given = "" if credentials is None else credentials.credentials
    if not secrets.compare_digest(given.encode(), token.get_secret_value().encode()):
        raise UnauthorizedError(
            "this PairLab needs a token: send the header `Authorization: Bearer TOKEN` with the value "
            "PAIRLAB_TOKEN had at its start"
        )


class TrustedHosts:
    """Refuses requests with a foreign Host header: a web page must not reach PairLab by a name of its own."""

    def __init__(self, app: ASGIApp, *, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(host.lower() for host in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, or lets it pass."""
        if scope["type"] not in ("http", "websocket") or "*" in self._allowed:
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "")
        match = _HOST.fullmatch(host)
        if match is not None and match["name"].lower() in self._allowed:
            await self._app(scope, receive, send)
            return
        refusal = problem_response(
            HTTPStatus.BAD_REQUEST,
            f"host {host[:100]!r} is not allowed here: set PAIRLAB_ALLOWED_HOSTS to the names PairLab is reached by",
        )
        await refusal(scope, receive, send)
