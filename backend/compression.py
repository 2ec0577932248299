"""Long answers, compressed for clients on other machines."""

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

THIS_MACHINE = ("127.0.0.1", "::1")
FROM_BYTES = 1000
LEVEL = 5


class CompressedAbroad:
    """Compresses with gzip, but not for this machine: there it takes longer than sending what it saves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(
            app,
            minimum_size=FROM_BYTES,
            compresslevel=LEVEL,
            exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request."""
        client = scope.get("client")
        near = scope["type"] != "http" or (client is not None and client[0] in THIS_MACHINE)
        await (self._app if near else self._compressing)(scope, receive, send)
