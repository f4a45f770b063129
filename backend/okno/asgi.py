"""What stands around all routes of the API process, and the short way of a request to its route."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from secrets import token_hex
from typing import Any

import orjson
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from okno.errors import OknoError, RateLimited
from okno.limits.service import Asking, RequestLimits

log = structlog.get_logger()

# No inline anything: React and Gravity UI set styles through the DOM, which CSP does not count.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
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
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"origin-agent-cluster", b"?1"),
    (
        b"permissions-policy",
        b"accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), "
        b"payment=(), usb=()",
    ),
)
_HTTPS_ALONE = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
# uvicorn with httptools bounds them nowhere: 20 MB of Accept came through, and took 2 s to read
HEADER_BYTES = 65_536
BODY_BYTES = 1024 * 1024
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")


class Application:
    """Starlette, passed by where the path alone says which route it is.

    Of an empty GraphQL request Starlette's own middleware and its walk over the routes took a quarter of the time. Whatever is
    no exact path and method (parameters, mounts, 404, 405, WebSockets, lifespan) goes through it.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        *,
        https: bool,
        limits: RequestLimits | None = None,
        body_bytes: int = BODY_BYTES,
    ) -> None:
        self.routes = tuple(routes)
        around: dict[str, Any] = {"https": https, "limits": limits, "body_bytes": body_bytes}
        self._direct: dict[tuple[str, str], ASGIApp] = {}
        for route in routes:
            if isinstance(route, Route) and not route.param_convertors:
                for method in route.methods or ():
                    self._direct.setdefault((method, route.path), EveryAnswer(route.app, **around))
        self._all = Starlette(routes=routes, middleware=[Middleware(EveryAnswer, **around)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["root_path"]:
            app = self._direct.get((scope["method"], scope["path"]), self._all)
        else:
            app = self._all
        await app(scope, receive, send)


class EveryAnswer:
    """A request id, the security headers, and no trace: an error leaves as a code and a sentence. What is too much is refused
    before anything is looked at: headers, bodies, and requests of one address."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        https: bool,
        limits: RequestLimits | None = None,
        body_bytes: int = BODY_BYTES,
    ) -> None:
        self._app = app
        self._limits = limits
        self._body_bytes = body_bytes
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
            length, body_length = 0, None
            for name, value in scope["headers"]:
                length += len(value)
                if name == b"content-length" or name == b"transfer-encoding":
                    body_length = value
            if length > HEADER_BYTES:
                raise _TooLarge(
                    f"The headers have {length} bytes; at most {HEADER_BYTES} are allowed.", status=431
                )
            if body_length is not None:
                receive = self._bounded(receive, body_length)
            if self._limits is not None:
                waiting = self._limits.request(Asking.put(self._limits, scope).address)
                if waiting is not None:
                    await waiting
            await self._app(scope, receive, send_with_headers)
        except OknoError as error:
            if started:
                raise
            if error.http_status >= 500:
                log.warning("request failed", code=error.code, path=scope["path"])
            body = {"code": error.code, "message": error.message, **error.told, "requestId": request_id}
            response = json_response(body, error.http_status)
            response.headers.update(headers_of(error))
            await response(scope, receive, send_with_headers)
        except ClientDisconnect:
            return  # nobody is there to be told
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
            if self._limits is not None:
                waiting = self._limits.request(Asking.put(self._limits, scope).address)
                if waiting is not None:
                    await waiting
            await self._app(scope, receive, send_with_headers)
        except RateLimited as error:
            await self._refuse_socket(error, request_id, scope, send_with_headers)
        except Exception:
            log.exception("socket failed", path=scope["path"])
            raise
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _refuse_socket(self, error: OknoError, request_id: str, scope: Scope, send: Send) -> None:
        """An HTTP answer to the handshake, where the server can send one."""
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1013, "reason": error.message})
            return
        body = {"code": error.code, "message": error.message, **error.told, "requestId": request_id}
        response = json_response(body, error.http_status)
        response.headers.update(headers_of(error))
        start = {"status": response.status_code, "headers": response.raw_headers}
        await send({"type": "websocket.http.response.start", **start})
        await send({"type": "websocket.http.response.body", "body": response.body})

    def _bounded(self, receive: Receive, declared: bytes) -> Receive:
        """`receive`, which ends a body above the limit; one that is declared so is refused at once.

        Raises:
            _TooLarge: now, or while the body is read.
        """
        most = self._body_bytes
        if declared.isdigit() and int(declared[:20]) > most:
            raise _TooLarge(f"The body has {declared[:20].decode()} bytes; at most {most} are allowed.")
        read = 0

        async def receive_bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _TooLarge(f"The body has more than {most} bytes.")
            return message

        return receive_bounded

    def _complete(self, headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
        """The headers of an answer with ours; those that the endpoint set itself stay its own."""
        have = {name for name, _ in headers}
        ours: Sequence[tuple[bytes, bytes]] = self._headers
        if not have.isdisjoint(self._names):
            ours = [header for header in ours if header[0] not in have]
        if b"cache-control" not in have:
            # what is said nothing about may hold something personal, or who somebody is
            ours = [*ours, (b"cache-control", b"no-store")]
        return [*headers, *ours, (b"x-request-id", request_id.encode())]


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _REQUEST_ID.fullmatch(value) else token_hex(16)
    return token_hex(16)


class _TooLarge(OknoError):
    """The connection is closed afterwards: whoever sends so much goes on sending."""

    code = "LIMIT_EXCEEDED"

    def __init__(self, message: str, *, status: int = 413) -> None:
        super().__init__(message)
        self.http_status = status


def headers_of(error: OknoError) -> dict[str, str]:
    """The headers that belong to an error: when to come again, and that the connection ends."""
    if isinstance(error, _TooLarge):
        return {"connection": "close"}
    seconds = error.told.get("retryAfterSeconds")
    return {} if seconds is None else {"retry-after": str(seconds)}


def bare_answer(status: int, code: str, message: str, *, https: bool) -> bytes:
    """A whole answer as bytes, for what ends before it is a request of the application. The connection is closed after it."""
    body = orjson.dumps({"code": code, "message": message})
    lines = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *SECURITY_HEADERS,
        *([_HTTPS_ALONE] if https else []),
        (b"x-request-id", token_hex(16).encode()),
    ]
    head = b"".join(b"%b: %b\r\n" % line for line in lines)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), head, body)


def json_response(body: object, status: int) -> Response:
    """JSON that nobody keeps."""
    content: Any = orjson.dumps(body)
    return Response(content, status, media_type="application/json", headers={"cache-control": "no-store"})
