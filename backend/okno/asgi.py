"""What stands around all routes of the API process, and the short way of a request to its route."""

import re
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import orjson
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from okno.errors import OknoError

log = structlog.get_logger()

# React sets styles through the DOM, which CSP does not count; Gravity UI's popups write style attributes, hence style-src-attr.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_HTTPS_ALONE = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
# uvicorn with httptools bounds them nowhere: 20 MB of Accept came through, and took 2 s to read
HEADER_BYTES = 65_536
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")


class Application:
    """Starlette, passed by where the path alone says which route it is.

    Of an empty GraphQL request Starlette's own middleware and its walk over the routes took a quarter of the time. Whatever is
    no exact path and method (parameters, mounts, 404, 405, WebSockets, lifespan) goes through it.
    """

    def __init__(self, routes: Sequence[BaseRoute], *, https: bool) -> None:
        self._direct: dict[tuple[str, str], ASGIApp] = {}
        for route in routes:
            if isinstance(route, Route) and not route.param_convertors:
                for method in route.methods or ():
                    self._direct.setdefault((method, route.path), EveryAnswer(route.app, https=https))
        self._all = Starlette(routes=routes, middleware=[Middleware(EveryAnswer, https=https)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["root_path"]:
            app = self._direct.get((scope["method"], scope["path"]), self._all)
        else:
            app = self._all
        await app(scope, receive, send)


class EveryAnswer:
    """A request id, the security headers, and no trace: an error leaves as a code and a sentence."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = [*SECURITY_HEADERS, *([_HTTPS_ALONE] if https else [])]
        self._names = frozenset(name for name, _ in self._headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = self._complete(message["headers"], request_id)
            await send(message)

        # not bound_contextvars(): it copies all that is bound three times
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            length = sum([len(value) for _, value in scope["headers"]])
            if length > HEADER_BYTES:
                body = {
                    "code": "LIMIT_EXCEEDED",
                    "message": f"The headers have {length} bytes; at most {HEADER_BYTES} are allowed.",
                    "requestId": request_id,
                }
                await json_response(body, 431)(scope, receive, send_with_headers)
                return
            await self._app(scope, receive, send_with_headers)
        except OknoError as error:
            if started:
                raise
            if error.http_status >= 500:
                log.warning("request failed", code=error.code, path=scope["path"])
            body = {"code": error.code, "message": error.message, "requestId": request_id}
            await json_response(body, error.http_status)(scope, receive, send_with_headers)
        except Exception:
            log.exception("request failed", path=scope["path"])
            if started:
                raise
            body = {
                "code": "INTERNAL",
                "message": "Something failed inside Okno.",
                "requestId": request_id,
            }
            await json_response(body, 500)(scope, receive, send_with_headers)
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer to a WebSocket's handshake carries what every answer carries, whether it is accepted or refused."""
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                message["headers"] = self._complete(list(message.get("headers", ())), request_id)
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            log.exception("socket failed", path=scope["path"])
            raise
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    def _complete(self, headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
        """The headers of an answer with ours; those that the endpoint set itself stay its own."""
        have = {name for name, _ in headers}
        ours: Sequence[tuple[bytes, bytes]] = self._headers
        if not have.isdisjoint(self._names):
            ours = [header for header in ours if header[0] not in have]
        return [*headers, *ours, (b"x-request-id", request_id.encode())]


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _REQUEST_ID.fullmatch(value) else token_hex(16)
    return token_hex(16)


def json_response(body: object, status: int) -> Response:
    """JSON that nobody keeps."""
    content: Any = orjson.dumps(body)
    return Response(content, status, media_type="application/json", headers={"cache-control": "no-store"})
