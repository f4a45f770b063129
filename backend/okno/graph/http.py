"""POST and GET /graphql, as "GraphQL over HTTP" has it; and the explorer page for browsers that may use it."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import structlog
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from okno.asgi import headers_of
from okno.errors import OknoError, Unauthenticated
from okno.graph.context import Services
from okno.graph.documents import DocumentReader
from okno.graph.errors import INTERNAL, BadRequest, error_body, failure_body
from okno.graph.gate import Gate
from okno.graph.limits import DEFAULT_LIMITS, Limits
from okno.graph.negotiation import GRAPHQL_JSON, JSON, accepts_events, is_json, negotiate, prefers_html
from okno.graph.request import read_operations, read_query_string
from okno.graph.schema import Graph
from okno.graph.server import Answer, GraphServer
from okno.graph.subscriptions.live import Caller, Live, LiveLimits
from okno.graph.subscriptions.sse import EventStream, respond
from okno.graph.subscriptions.transport_ws import Sockets
from okno.graph.trusted import TrustedDocuments
from okno.identity.http import SessionMiddleware, find_actor, get_actor
from okno.identity.model import Actor
from okno.identity.service import Identity
from okno.limits.service import Asking
from okno.usage.clients import HEADER as CLIENT_HEADER

PATH = "/graphql"
EXPLORER_PERMISSION = "graphiql.use"
OWN_EXPLORER = Path(__file__).parent / "explorer"

log = structlog.get_logger(__name__)


def graphql_routes(
    graph: Graph,
    services: Services,
    identity: Identity,
    *,
    frontend_dir: Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
    browsers_are_free: bool = True,
    live_limits: LiveLimits | None = None,
) -> list[BaseRoute]:
    """The routes of the API.

    Args:
        frontend_dir: the built front end; its `graphiql/` is the explorer when it is there, else Okno's own small page. Its
            `documents.json` are documents to be trusted.
        browsers_are_free: whether a browser's session may run other documents than trusted ones.

    Raises:
        ConfigurationError: a document to be trusted does not fit the schema, or may cost too much.
    """
    reader, texts = DocumentReader(graph.core, limits), services.dashboards.documents
    server = GraphServer(
        graph,
        services,
        limits=limits,
        trusted=TrustedDocuments.load(reader, frontend_dir=frontend_dir, widgets=texts),
        browsers_are_free=browsers_are_free,
    )
    live = Live(server, services.fanout, limits=live_limits)
    endpoint = GraphEndpoint(server, live, identity, _explorer(frontend_dir))
    middleware = [Middleware(SessionMiddleware, identity=identity)]
    return [
        Route(PATH, endpoint, methods=["GET", "POST"], middleware=middleware),
        WebSocketRoute(PATH, Sockets(live, identity).handle),
        Mount(f"{PATH}/explorer", StaticFiles(directory=endpoint.explorer)),
    ]


class GraphEndpoint:
    """The endpoint of one process."""

    def __init__(self, server: GraphServer, live: Live, identity: Identity, explorer: Path) -> None:
        self._server = server
        self._live = live
        self._identity = identity
        self.explorer = explorer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request; never raises. An ASGI application: Starlette's form for functions costs 5 µs a request."""
        request = Request(scope, receive, send)
        request_id = scope["state"].get("request_id")
        if request_id is not None:
            response = await self._handle(request, request_id)
        else:
            request_id = str(uuid4())
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                response = await self._handle(request, request_id)
            response.headers["X-Request-Id"] = request_id
        await response(scope, receive, send)

    async def _handle(self, request: Request, request_id: str) -> Response:
        accept = request.headers.get("accept")
        media_type = negotiate(accept)
        try:
            if _wants_explorer(request):
                return self._explore(request)
            return await self._answer(request, request_id, media_type or JSON, accept)
        except OknoError as error:
            response = _response(failure_body(error, request_id), error.http_status, media_type or JSON)
            response.headers.update(headers_of(error))
            return response
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            log.exception("graphql.request_failed")
            return _response(error_body(INTERNAL, "INTERNAL", request_id), 500, media_type or JSON)

    async def _answer(
        self, request: Request, request_id: str, media_type: str, accept: str | None
    ) -> Response:
        actor = get_actor(request)
        takes_events, takes_json = accepts_events(accept), negotiate(accept) is not None
        if not (takes_json or takes_events):
            raise BadRequest(
                f"This endpoint answers {GRAPHQL_JSON} and {JSON}.", code="NOT_ACCEPTABLE", status=406
            )
        limits = self._server.limits
        if request.method != "POST":
            batched, operations = False, [read_query_string(request.scope["query_string"], limits)]
        else:
            batched, operations = read_operations(await _body(request, limits.body_bytes), limits)
        if len(operations) > 1 and (asking := Asking.find(request.scope)) is not None:
            waiting = asking.limits.act(actor.kind, actor.id, len(operations) - 1)
            if waiting is not None:
                await waiting
        client, read_only = request.headers.get(CLIENT_HEADER), request.method != "POST"
        if read_only and actor.csrf_token is not None:
            self._check_page(actor, request, takes_events=takes_events)
        if takes_events and not batched:
            authorization = request.headers.get("authorization")
            caller = Caller(
                self._identity, actor, authorization=authorization, request_id=request_id, client=client
            )
            given = await respond(
                self._live, caller, operations[0], read_only=read_only, always=not takes_json
            )
            if isinstance(given, EventStream):
                return given
            answers = [given]
        elif not takes_json:
            raise BadRequest("A stream of events answers one operation, not a batch.")
        else:
            context = self._server.context(actor, request_id, client=client)
            answers = await self._server.answer(context, operations, read_only=read_only)
        if batched:
            failed = [answer.status for answer in answers if answer.status >= 500]
            return _response([answer.body for answer in answers], failed[0] if failed else 200, media_type)
        answer = answers[0]
        response = _response(answer.body, _status(answer, media_type, accept), media_type)
        if answer.status == 405:
            response.headers["Allow"] = "POST"  # RFC 9110 section 15.5.6: it has to be told
        elif answer.status == 429:
            told = answer.body["errors"][0]["extensions"]
            response.headers["Retry-After"] = str(told["retryAfterSeconds"])
        return response

    def _check_page(self, actor: Actor, request: Request, *, takes_events: bool) -> None:
        """A page of another site may send a browser here with GET. It learns nothing by that, but what is read would be recorded
        as read by this person, and streams would use up those they may have; so a stream needs the CSRF token as well."""
        if takes_events:
            self._identity.browser.check_csrf(actor, request.headers)
        else:
            self._identity.browser.check_origin(request.headers)

    def _explore(self, request: Request) -> Response:
        """The explorer, for those who may use it; whoever is not signed in is sent to do so."""
        try:
            actor = find_actor(request)
        except Unauthenticated:
            actor = None
        if actor is None:
            return RedirectResponse(f"/?next={PATH}", status_code=303)
        if not Gate(self._server.services.policy.get(), actor).may_use(EXPLORER_PERMISSION):
            raise BadRequest("The policy does not let you use the explorer.", code="DENIED", status=403)
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; form-action 'none'; "
            "frame-ancestors 'none'; base-uri 'none'",
            "Vary": "Accept",
        }
        return FileResponse(self.explorer / "index.html", headers=headers)


def _explorer(frontend_dir: Path | None) -> Path:
    built = frontend_dir / "graphiql" if frontend_dir is not None else None
    return built if built is not None and (built / "index.html").is_file() else OWN_EXPLORER


def _wants_explorer(request: Request) -> bool:
    return (
        request.method == "GET"
        and not {"query", "documentId"} & request.query_params.keys()
        and prefers_html(request.headers.get("accept"))
    )


async def _body(request: Request, limit: int) -> bytes:
    if not is_json(request.headers.get("content-type")):
        raise BadRequest(
            "The body has to be JSON in UTF-8, with Content-Type: application/json.",
            code="UNSUPPORTED_MEDIA_TYPE",
            status=415,
        )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise BadRequest.exceeds("body_bytes", int(declared), limit, "The body", status=413)
    body = bytearray()
    more = True
    while more:  # request.stream() would be a generator for what mostly is one message
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise BadRequest.exceeds("body_bytes", len(body), limit, "The body", status=413)
        more = message.get("more_body", False)
    return bytes(body)


def _status(answer: Answer, media_type: str, accept: str | None) -> int:
    """The status of a response.

    Clients from before GraphQL over HTTP name application/json alone and expect 200 for whatever has a GraphQL body
    (section 6.4.1 there); to everybody else a request that could not be executed is an error of HTTP as well.
    """
    legacy = media_type == JSON and JSON in (accept or "")
    return 200 if legacy and answer.request_error and answer.status == 400 else answer.status


def _response(body: Any, status: int, media_type: str) -> Response:
    return _JsonResponse(orjson.dumps(body), status, media_type)


class _JsonResponse(Response):
    """A response whose headers are known beforehand, so that none has to be looked for, folded or encoded."""

    def __init__(self, body: bytes, status: int, media_type: str) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [
            (b"cache-control", b"no-store"),
            (b"vary", b"Accept"),
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"%b; charset=utf-8" % media_type.encode()),
        ]
