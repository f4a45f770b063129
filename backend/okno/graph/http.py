"""POST and GET /graphql, as "GraphQL over HTTP" has it; and the explorer page for browsers that may use it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import structlog
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from okno.errors import OknoError, Unauthenticated
from okno.graph.context import Services
from okno.graph.errors import INTERNAL, error_body
from okno.graph.gate import Gate
from okno.graph.limits import DEFAULT_LIMITS, Limits
from okno.graph.negotiation import GRAPHQL_JSON, JSON, negotiate, prefers_html
from okno.graph.schema import Graph
from okno.graph.server import Answer, GraphServer, Operation
from okno.identity.http import SessionMiddleware, find_actor, get_actor
from okno.identity.service import Identity

PATH = "/graphql"
EXPLORER_PERMISSION = "graphiql.use"
OWN_EXPLORER = Path(__file__).parent / "explorer"

log = structlog.get_logger(__name__)


class _BadRequest(OknoError):
    """The HTTP request is no GraphQL request."""

    code = "BAD_REQUEST"
    http_status = 400

    def __init__(self, message: str, *, code: str = "BAD_REQUEST", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = status


def graphql_routes(
    graph: Graph,
    services: Services,
    identity: Identity,
    *,
    frontend_dir: Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[BaseRoute]:
    """The routes of the API.

    Args:
        frontend_dir: the built front end; its `graphiql/` is the explorer when it is there, else Okno's own small page.
    """
    endpoint = GraphEndpoint(GraphServer(graph, services, limits=limits), _explorer(frontend_dir))
    middleware = [Middleware(SessionMiddleware, identity=identity)]
    return [
        Route(PATH, endpoint.handle, methods=["GET", "POST"], middleware=middleware),
        Mount(f"{PATH}/explorer", StaticFiles(directory=endpoint.explorer)),
    ]


class GraphEndpoint:
    """The endpoint of one process."""

    def __init__(self, server: GraphServer, explorer: Path) -> None:
        self._server = server
        self.explorer = explorer

    async def handle(self, request: Request) -> Response:
        """Answers one HTTP request; never raises."""
        known = structlog.contextvars.get_contextvars().get("request_id")
        request_id = str(known or uuid4())
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            media_type = negotiate(request.headers.get("accept"))
            try:
                if _wants_explorer(request):
                    return self._explore(request)
                response = await self._answer(request, request_id, media_type or JSON)
            except OknoError as error:
                response = _response(
                    error_body(error.message, error.code, request_id), error.http_status, media_type or JSON
                )
            except ClientDisconnect:
                response = Response(status_code=400)
            except Exception:
                log.exception("graphql.request_failed")
                response = _response(error_body(INTERNAL, "INTERNAL", request_id), 500, media_type or JSON)
            if known is None:
                response.headers["X-Request-Id"] = request_id
            return response

    async def _answer(self, request: Request, request_id: str, media_type: str) -> Response:
        actor = get_actor(request)
        if negotiate(request.headers.get("accept")) is None:
            raise _BadRequest(
                f"This endpoint answers {GRAPHQL_JSON} and {JSON}.", code="NOT_ACCEPTABLE", status=406
            )
        limits = self._server.limits
        if request.method != "POST":
            batched, operations = False, [_operation(_query_parameters(request))]
        else:
            batched, operations = _operations(await _body(request, limits.body_bytes), limits.batch)
        context = self._server.context(actor, request_id)
        answers = await self._server.answer(context, operations, read_only=request.method != "POST")
        if batched:
            failed = [answer.status for answer in answers if answer.status >= 500]
            return _response([answer.body for answer in answers], failed[0] if failed else 200, media_type)
        answer = answers[0]
        return _response(answer.body, _status(answer, media_type, request.headers.get("accept")), media_type)

    def _explore(self, request: Request) -> Response:
        """The explorer, for those who may use it; whoever is not signed in is sent to do so."""
        try:
            actor = find_actor(request)
        except Unauthenticated:
            actor = None
        if actor is None:
            return RedirectResponse(f"/?next={PATH}", status_code=303)
        if not Gate(self._server.services.policy, actor).may_use(EXPLORER_PERMISSION):
            raise _BadRequest("The policy does not let you use the explorer.", code="DENIED", status=403)
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'self'",
            "Vary": "Accept",
        }
        return FileResponse(self.explorer / "index.html", headers=headers)


def _explorer(frontend_dir: Path | None) -> Path:
    built = frontend_dir / "graphiql" if frontend_dir is not None else None
    return built if built is not None and (built / "index.html").is_file() else OWN_EXPLORER


def _wants_explorer(request: Request) -> bool:
    return (
        request.method == "GET"
        and "query" not in request.query_params
        and prefers_html(request.headers.get("accept"))
    )


async def _body(request: Request, limit: int) -> bytes:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != JSON:
        raise _BadRequest(
            "The body has to be JSON, with Content-Type: application/json.",
            code="UNSUPPORTED_MEDIA_TYPE",
            status=415,
        )
    declared = request.headers.get("content-length", "")
    too_large = _BadRequest(
        f"The body exceeds the limit of {limit} bytes.", code="LIMIT_EXCEEDED", status=413
    )
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _operations(body: bytes, most: int) -> tuple[bool, list[Operation]]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _BadRequest(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from error
    if not isinstance(parsed, list):
        return False, [_operation(parsed)]
    if not 1 <= len(parsed) <= most:
        raise _BadRequest(
            f"The batch has {len(parsed)} operations; 1 to {most} are allowed.", code="LIMIT_EXCEEDED"
        )
    return True, [_operation(each) for each in parsed]


def _query_parameters(request: Request) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if text := parameters.get(name):
            try:
                parameters[name] = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise _BadRequest(f"{name} is not JSON: {error.msg}.") from error
        else:
            parameters.pop(name, None)
    return parameters


def _operation(parameters: Any) -> Operation:
    if not isinstance(parameters, Mapping):
        raise _BadRequest('The body has to be an object such as {"query": "…", "variables": {…}}.')
    query = parameters.get("query")
    if not isinstance(query, str) or not query.strip():
        raise _BadRequest("query is missing; it has to be a text that is not empty.")
    name = parameters.get("operationName")
    if name is not None and not isinstance(name, str):
        raise _BadRequest("operationName has to be a text or null.")
    for part in ("variables", "extensions"):
        if parameters.get(part) is not None and not isinstance(parameters[part], Mapping):
            raise _BadRequest(f"{part} has to be an object or null.")
    return Operation(query, parameters.get("variables"), name or None)


def _status(answer: Answer, media_type: str, accept: str | None) -> int:
    """The status of a response.

    Clients from before GraphQL over HTTP name application/json alone and expect 200 for whatever has a GraphQL body
    (section 6.4.1 there); to everybody else a request that could not be executed is an error of HTTP as well.
    """
    legacy = media_type == JSON and JSON in (accept or "")
    return 200 if legacy and answer.request_error and answer.status == 400 else answer.status


def _response(body: Any, status: int, media_type: str) -> Response:
    content = orjson.dumps(body)
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return Response(content, status, headers=headers, media_type=f"{media_type}; charset=utf-8")
