"""The API process: routes of the domains, the web application, and what every answer carries."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from okno.errors import NotFound, OknoError
from okno.graph.http import graphql_routes
from okno.identity.http import identity_routes
from okno.processes import stop_asked
from okno.settings import Settings
from okno.wiring import Services, open_services

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
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_CHECK_SECONDS = 2.0


def create_app(services: Services) -> Starlette:
    """The ASGI application over services that are open already."""
    routes: list[BaseRoute] = [
        Route("/livez", _alive),
        Route("/readyz", _readiness(services)),
        *identity_routes(services.identity),
        *graphql_routes(
            services.graph, services.for_graph, services.identity, frontend_dir=services.settings.frontend_dir
        ),
    ]
    if (services.settings.frontend_dir / "index.html").exists():
        routes += _frontend_routes(services.settings.frontend_dir)
    middleware = [Middleware(_EveryAnswer, https=services.settings.public_url.startswith("https://"))]
    return Starlette(routes=routes, middleware=middleware)


class _Server(uvicorn.Server):
    """Leaves the signals alone: uvicorn's own handling repeats them once it has stopped, and the process would die of them
    before its services are closed and its journal has ended."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM."""
    stop = stop_asked()
    async with open_services(settings, application_name="okno-api") as services:
        config = uvicorn.Config(
            create_app(services),
            host=settings.http.host,
            port=settings.http.port,
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=settings.mode == "production",
            timeout_graceful_shutdown=5,
        )
        server = _Server(config)
        stopping = asyncio.create_task(_stop(server, stop))
        try:
            await server.serve()
        finally:
            stopping.cancel()


async def _stop(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


async def _alive(request: Request) -> Response:
    return Response(status_code=204)


def _readiness(services: Services) -> Callable[[Request], Awaitable[Response]]:
    async def ready(request: Request) -> Response:
        """200 once a request could be served: the database answers, the journal writes, the people are indexed once."""
        checks: dict[str, str] = {}
        index: dict[str, Any] | None = None
        for name, check in (("database", services.db.ping), ("journal", services.journal.ping)):
            try:
                await asyncio.wait_for(check(), _CHECK_SECONDS)
                checks[name] = "ok"
            except (OknoError, TimeoutError) as error:
                checks[name] = getattr(error, "code", "TIMEOUT")
        if checks["database"] == "ok":
            try:
                state = await services.people.index_state()
                index = {"done": state.done, "total": state.total, "complete": state.complete}
                checks["index"] = "ok" if state.complete else "FILLING"
            except OknoError as error:
                checks["index"] = error.code
        is_ready = all(value == "ok" for value in checks.values())
        body = {"ready": is_ready, "checks": checks, "index": index}
        return _json(body, 200 if is_ready else 503)

    return ready


def _frontend_routes(directory: Path) -> list[BaseRoute]:
    index = directory / "index.html"

    async def page(request: Request) -> Response:
        """Any path of the application is its one page; which one is shown is the browser's matter."""
        if request.url.path.startswith(("/auth/", "/v1/", "/assets/")):
            raise NotFound(f"There is nothing at {request.url.path}.")
        return FileResponse(index, headers={"cache-control": "no-cache"})

    assets = _Immutable(directory=directory / "assets")
    return [
        Mount("/assets", GZipMiddleware(assets, minimum_size=1000)),
        Route("/{path:path}", page, methods=["GET"]),
    ]


class _Immutable(StaticFiles):
    """Files whose names carry the hash of their content."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


class _EveryAnswer:
    """A request id, the security headers, and no trace: an error leaves as a code and a sentence."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = [*SECURITY_HEADERS]
        if https:
            self._headers.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else uuid4().hex
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                have = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(header for header in self._headers if header[0] not in have),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            except OknoError as error:
                if started:
                    raise
                if error.http_status >= 500:
                    log.warning("request failed", code=error.code, path=scope["path"])
                body = {"code": error.code, "message": error.message, "requestId": request_id}
                await _json(body, error.http_status)(scope, receive, send_with_headers)
            except Exception:
                log.exception("request failed", path=scope["path"])
                if started:
                    raise
                body = {
                    "code": "INTERNAL",
                    "message": "Something failed inside Okno.",
                    "requestId": request_id,
                }
                await _json(body, 500)(scope, receive, send_with_headers)


def _json(body: object, status: int) -> Response:
    return Response(
        orjson.dumps(body), status, media_type="application/json", headers={"cache-control": "no-store"}
    )
