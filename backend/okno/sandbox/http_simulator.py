"""What the simulators that speak HTTP share: bearer tokens, faults on the wire, the listener."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import orjson
from aiohttp import web

from okno.sandbox.faults import NOISE, Dropped, FaultBoard, drip
from okno.sandbox.serving import Listener, Port

MAX_BODY = 1024 * 1024
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ErrorAnswer(Protocol):
    """How a system words its errors."""

    def __call__(self, status: int, message: str) -> web.Response: ...


class HttpSimulator:
    """One HTTP system on one port. Routes are the subclass's `app`; errors are worded by `error`."""

    def __init__(self, app: web.Application, board: FaultBoard, token: str, error: ErrorAnswer) -> None:
        if not token:
            raise ValueError(f"the simulator of {board.system} needs a bearer token that is not empty")
        self._app = app
        self._board = board
        self._token = token.encode()
        self._error = error
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        app.middlewares.append(self._middleware())

    async def start(self, port: Port) -> None:
        self._runner = web.AppRunner(
            self._app, access_log=None, handler_cancellation=True, keepalive_timeout=120
        )
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._listener = Listener(self._board, port, server, self._abort_all)
        await self._listener.start()

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    def _abort_all(self) -> None:
        server = self._runner.server if self._runner is not None else None
        for connection in list(server.connections) if server is not None else []:
            _cut(connection.transport)

    def _middleware(self) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
            try:
                if await self._board.arrived():
                    response = self._error(503, "The system is overloaded. Try again later.")
                    response.headers["Retry-After"] = "1"
                    return response
            except Dropped:
                _cut(request.transport)
                return web.Response()
            response = await self._answer(request, handler)
            return await self._damage(request, response) if self._board.current.damages_answers else response

        return middleware

    async def _answer(self, request: web.Request, handler: _Handler) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token):
            response = self._error(401, "A valid bearer token is needed.")
            response.headers["WWW-Authenticate"] = 'Bearer realm="sandbox"'
            return response
        if request.method in ("GET", "HEAD") or request.path.endswith("/.search"):
            self._board.reads += 1
        else:
            self._board.writes += 1
        try:
            answer = await handler(request)
        except web.HTTPException as error:  # aiohttp's own: unknown path, method, body too large
            answer = self._error(error.status, error.reason)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
        assert isinstance(answer, web.Response)
        return answer

    async def _damage(self, request: web.Request, response: web.Response) -> web.StreamResponse:
        """Sends noise, a half, or drops of an answer that was made properly."""
        faults = self._board.current
        body = response.body if isinstance(response.body, bytes) else b""
        if faults.garbage:
            body = NOISE
        headers = {
            k: v
            for k, v in response.headers.items()
            if k.lower() not in ("content-length", "transfer-encoding")
        }
        stream = web.StreamResponse(status=response.status, headers=headers)
        stream.content_length = len(body)
        await stream.prepare(request)
        if faults.half:
            await stream.write(body[: len(body) // 2])
            if request.transport is not None:
                request.transport.close()
            return stream
        if faults.slow_drip and request.transport is not None:
            await drip(request.transport.write, body)
            return stream
        await stream.write(body)
        return stream


def json_response(
    document: Any, *, status: int = 200, content_type: str = "application/json"
) -> web.Response:
    """An answer from a document, or from JSON that is already bytes."""
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    return web.Response(body=body, status=status, content_type=content_type)


def _cut(transport: asyncio.BaseTransport | None) -> None:
    if transport is not None:
        cast(asyncio.Transport, transport).abort()  # uvloop's transports are not subclasses of asyncio's
