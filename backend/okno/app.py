"""The API process: routes of the domains and the web application, served by uvicorn."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from okno.asgi import Application, json_response
from okno.errors import NotFound, OknoError
from okno.graph.gate import Gate
from okno.graph.http import graphql_routes
from okno.graph.subscriptions.live import LiveLimits
from okno.identity.http import SessionMiddleware, find_actor, identity_routes
from okno.limits.service import RequestLimits
from okno.processes import on_hangup, stop_asked
from okno.protocols import SocketProtocol, http_protocol
from okno.settings import Settings
from okno.wiring import Services, open_services

_CHECK_SECONDS = 2.0
_DETAILS = frozenset({"sources.read", "audit.read"})


def create_app(services: Services) -> Application:
    """The ASGI application over services that are open already."""
    routes: list[BaseRoute] = [
        Route("/livez", _alive),
        readiness_route(services),
        *identity_routes(services.identity),
        *graphql_routes(
            services.graph,
            services.for_graph,
            services.identity,
            frontend_dir=services.settings.frontend_dir,
            limits=services.settings.graphql,
            browsers_are_free=services.settings.mode == "development",
            live_limits=LiveLimits(messages_per_minute=services.settings.limits.socket_messages_per_minute),
        ),
    ]
    if (services.settings.frontend_dir / "index.html").exists():
        routes += _frontend_routes(services.settings.frontend_dir)
    return application(routes, services.settings, limits=services.limits)


def application(
    routes: Sequence[BaseRoute], settings: Settings, *, limits: RequestLimits | None = None
) -> Application:
    """The routes with what stands around them in a deployment."""
    return Application(
        routes,
        https=settings.public_url.startswith("https://"),
        limits=limits,
        body_bytes=settings.http.body_bytes,
    )


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


def server_config(app: ASGIApp, settings: Settings, *, port: int) -> uvicorn.Config:
    """How uvicorn serves the API; port 0 takes a free one."""
    return uvicorn.Config(
        app,
        host=settings.http.host,
        port=port,
        http=http_protocol(settings.http, https=settings.public_url.startswith("https://")),
        log_config=None,
        access_log=False,
        server_header=False,
        # uvicorn would trust this machine, and then anybody's X-Forwarded-For before that of a proxy here; see okno.limits.address
        proxy_headers=False,
        ws=SocketProtocol,
        ws_max_size=settings.graphql.body_bytes,
        # it would keep some 30 kB for each connection, and most messages are small
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
    )


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM.

    Raises:
        ConfigurationError: production would be served by plain http.
    """
    settings.check_serving()
    stop = stop_asked()
    async with open_services(settings, application_name="okno-api") as services:
        server = Server(server_config(create_app(services), settings, port=settings.http.port))
        services.feed.start()
        on_hangup(services.policy.ask_to_look)
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


def readiness_route(services: Services) -> Route:
    """`/readyz`, which anybody may ask, and which tells some of them more."""
    known = Middleware(SessionMiddleware, identity=services.identity)
    return Route("/readyz", _readiness(services), middleware=[known])


def _readiness(services: Services) -> Callable[[Request], Awaitable[Response]]:
    async def ready(request: Request) -> Response:
        """200 once a request could be served: the database answers, the journal writes, the people are indexed once.

        How many people there are and what the second place of checkpoints says is told to those alone who see it in Okno.
        """
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
        # told and not judged: the journal works without its second place, which catches up
        sink = await services.journal.sink_detail()
        may = _permissions(services, request)
        body = {
            "ready": is_ready,
            "checks": checks,
            "index": index if "sources.read" in may else None,
            "sink": sink if sink is None or "audit.read" in may else {"state": sink["state"]},
        }
        return json_response(body, 200 if is_ready else 503)

    return ready


def _permissions(services: Services, request: Request) -> frozenset[str]:
    """The pages that open to who asks. Development signs in anybody as anybody, and `okno up` reads there how far it is."""
    if services.settings.mode == "development":
        return _DETAILS
    try:
        actor = find_actor(request)
    except OknoError:  # a credential that is none, or too many of them: as without one
        return frozenset()
    if actor is None:
        return frozenset()
    gate = Gate(services.policy.get(), actor)
    return frozenset(page for page in _DETAILS if gate.may_use(page))


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
