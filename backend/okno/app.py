"""The API process: routes of the domains and the web application, served by uvicorn."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from okno.asgi import Application, json_response
from okno.errors import NotFound, OknoError
from okno.graph.http import graphql_routes
from okno.identity.http import identity_routes
from okno.processes import stop_asked
from okno.settings import Settings
from okno.wiring import Services, open_services

_CHECK_SECONDS = 2.0
_LAST_WORDS_SECONDS = 2.0
_MOST_PIECES = 1_000
# Looked at twice: who took nothing from one look to the next is let go
_STALLED_SECONDS = 10.0


def create_app(services: Services) -> Application:
    """The ASGI application over services that are open already."""
    routes: list[BaseRoute] = [
        Route("/livez", _alive),
        Route("/readyz", _readiness(services)),
        *identity_routes(services.identity),
        *graphql_routes(
            services.graph,
            services.for_graph,
            services.identity,
            frontend_dir=services.settings.frontend_dir,
            limits=services.settings.graphql,
            browsers_are_free=services.settings.mode == "development",
        ),
    ]
    if (services.settings.frontend_dir / "index.html").exists():
        routes += _frontend_routes(services.settings.frontend_dir)
    return application(routes, services.settings)


def application(routes: Sequence[BaseRoute], settings: Settings) -> Application:
    """The routes with what stands around them in a deployment."""
    return Application(routes, https=settings.public_url.startswith("https://"))


def spare_collector() -> None:
    """Keeps Python's collector of cycles from what it cannot find anything in; to be called when all is loaded.

    The schema and the policy are 190,000 objects that live as long as the process: they are looked through now and never
    again. An answer of a thousand objects is no reason to look for garbage either. Together that is a third of the time of
    a long list. Cycles, such as those of parsed documents, are still found: after 500,000 new objects at the latest, some
    50 MB.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 5, 5)


class Server(uvicorn.Server):
    """Leaves the signals alone: uvicorn's own handling repeats them once it has stopped, and the process would die of them
    before its services are closed and its journal has ended.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        spare_collector()
        await super().startup(sockets)

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()


class SocketProtocol(WebSocketsSansIOProtocol):
    """Lets go of a client that does not take what it was sent: to close a connection politely is to wait until it does."""

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self.loop.call_later(_LAST_WORDS_SECONDS, self.transport.abort)

    def handle_cont(self, event: Frame) -> None:
        """A message in so many pieces is none: empty ones count against no limit of size, and each is kept."""
        if len(self.frames) < _MOST_PIECES:
            super().handle_cont(event)
        else:
            self.transport.abort()

    def handle_ping(self) -> None:
        """Answers unless the client leaves the answers lying: they would pile up for as long as it sends (RFC 6455, section
        5.5.3, lets pings be passed over)."""
        if self.writable.is_set() or self.conn.state is not State.OPEN:
            super().handle_ping()
        else:
            self.conn.data_to_send()


class HttpProtocol(HttpToolsProtocol):
    """Lets go of a client that takes nothing of what was written to it: asyncio closes a connection only once all is gone,
    so that each answer that nobody reads would keep its socket and its buffer for ever."""

    _next_look: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_later(None)

    def resume_writing(self) -> None:
        self._look_no_more()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._look_no_more()
        super().connection_lost(exc)

    def _look_later(self, before: int | None) -> None:
        self._next_look = self.loop.call_later(_STALLED_SECONDS, self._look, before)

    def _look_no_more(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()

    def _look(self, before: int | None) -> None:
        left = self.transport.get_write_buffer_size()
        if before is not None and left >= before:
            self.transport.abort()
        else:
            self._look_later(left)


def server_config(app: ASGIApp, settings: Settings, *, port: int) -> uvicorn.Config:
    """How uvicorn serves the API; port 0 takes a free one."""
    return uvicorn.Config(
        app,
        host=settings.http.host,
        port=port,
        http=HttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.mode == "production",
        ws=SocketProtocol,
        ws_max_size=settings.graphql.body_bytes,
        # it would keep some 30 kB for each connection, and most messages are small
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
    )


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM."""
    stop = stop_asked()
    async with open_services(settings, application_name="okno-api") as services:
        server = Server(server_config(create_app(services), settings, port=settings.http.port))
        services.feed.start()
        stopping = asyncio.create_task(_stop(server, services, stop))
        try:
            await server.serve()
        finally:
            stopping.cancel()
            await services.feed.close()


async def _stop(server: uvicorn.Server, services: Services, stop: asyncio.Event) -> None:
    await stop.wait()
    # uvicorn waits for all answers to end, and that of a subscription has no end of its own
    services.feed.fanout.close()
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
        return json_response(body, 200 if is_ready else 503)

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
