"""The directory's endpoints: RFC 7644, section 3. Reads and writes the company file."""

import sqlite3
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from okno.clock import Clock
from okno.sandbox.faults import FaultBoard
from okno.sandbox.http_simulator import MAX_BODY, HttpSimulator, json_response
from okno.sandbox.scim import discovery
from okno.sandbox.scim.errors import ScimError, invalid_value
from okno.sandbox.scim.filter import parse_filter, split_path
from okno.sandbox.scim.patch import apply_patch
from okno.sandbox.scim.projection import Projection
from okno.sandbox.scim.repository import Query, Record, Repository
from okno.sandbox.scim.schema import resource_schemas
from okno.sandbox.scim.sql import compile_filter, sort_expression

CONTENT_TYPE = "application/scim+json"
PREFIX = "/scim/v2"
LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
SEARCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
DEFAULT_COUNT, MAX_COUNT = 100, 1000
_PARAMETERS = frozenset(
    {"filter", "startindex", "count", "attributes", "excludedattributes", "sortby", "sortorder"}
)


class DirectorySimulator(HttpSimulator):
    """SCIM 2.0 below /scim/v2: Users, Groups and the discovery endpoints."""

    def __init__(self, company: sqlite3.Connection, board: FaultBoard, token: str, clock: Clock) -> None:
        app = web.Application(client_max_size=MAX_BODY)
        self._resources = {
            name: Repository(company, schema, clock) for name, schema in resource_schemas().items()
        }
        for kind in self._resources:
            app.router.add_get(f"{PREFIX}/{kind}", self._guard(self._list))
            app.router.add_post(f"{PREFIX}/{kind}", self._guard(self._create))
            app.router.add_post(f"{PREFIX}/{kind}/.search", self._guard(self._search))
            app.router.add_get(f"{PREFIX}/{kind}/{{id}}", self._guard(self._get))
            app.router.add_put(f"{PREFIX}/{kind}/{{id}}", self._guard(self._replace))
            app.router.add_patch(f"{PREFIX}/{kind}/{{id}}", self._guard(self._patch))
            app.router.add_delete(f"{PREFIX}/{kind}/{{id}}", self._guard(self._delete))
        for path in (
            "ServiceProviderConfig",
            "Schemas",
            "Schemas/{id}",
            "ResourceTypes",
            "ResourceTypes/{id}",
        ):
            app.router.add_get(f"{PREFIX}/{path}", self._guard(self._discover))
        super().__init__(app, board, token, _error)

    @staticmethod
    def _guard(handler: Any) -> Any:
        async def guarded(request: web.Request) -> web.Response:
            try:
                response: web.Response = await handler(request)
            except ScimError as error:
                return json_response(error.document(), status=error.status, content_type=CONTENT_TYPE)
            return response

        return guarded

    async def _discover(self, request: web.Request) -> web.Response:
        document = discovery.document(request.path.removeprefix(f"{PREFIX}/"), _base(request))
        if document is None:
            raise ScimError(404, "There is no such resource.")
        if "filter" in request.query:
            raise ScimError(403, "Discovery resources cannot be filtered.")
        return json_response(document, content_type=CONTENT_TYPE)

    async def _list(self, request: web.Request) -> web.Response:
        return self._answer_query(request, self._repository(request), dict(request.query))

    async def _search(self, request: web.Request) -> web.Response:
        body = await _json(request)
        if not isinstance(body, Mapping) or SEARCH_SCHEMA not in (body.get("schemas") or []):
            raise ScimError(400, f"schemas must name {SEARCH_SCHEMA}.", "invalidSyntax")
        return self._answer_query(
            request, self._repository(request), {k: v for k, v in body.items() if k != "schemas"}
        )

    def _answer_query(
        self, request: web.Request, repository: Repository, raw: Mapping[str, Any]
    ) -> web.Response:
        given = {key.lower(): value for key, value in raw.items() if key.lower() in _PARAMETERS}
        schema = repository.schema
        projection = Projection.parse(given.get("attributes"), given.get("excludedattributes"), schema)
        start = max(1, _whole(given.get("startindex", 1), "startIndex"))
        count = min(max(0, _whole(given.get("count", DEFAULT_COUNT), "count")), MAX_COUNT)
        order = None
        if sort_by := given.get("sortby"):
            direction = " DESC" if str(given.get("sortorder", "ascending")).lower() == "descending" else ""
            order = sort_expression(split_path(str(sort_by)), schema) + direction
        condition = (
            compile_filter(parse_filter(str(given["filter"])), schema) if given.get("filter") else None
        )
        total, records = repository.search(Query(condition, order, start, count))
        resources = [self._present(request, repository, record, projection) for record in records]
        document = {
            "schemas": [LIST_SCHEMA],
            "totalResults": total,
            "startIndex": start,
            "itemsPerPage": len(resources),
            "Resources": resources,
        }
        return json_response(document, content_type=CONTENT_TYPE)

    async def _get(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        record = repository.get(request.match_info["id"])
        known = request.headers.get("If-None-Match")
        if known is not None and known.strip() in (record.etag, "*"):
            return web.Response(status=304, headers={"ETag": record.etag})
        return self._one(request, repository, record)

    async def _create(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        record = repository.create(await _json(request))
        response = self._one(request, repository, record, status=201)
        response.headers["Location"] = f"{_base(request)}/{repository.schema.endpoint}/{record.id}"
        return response

    async def _replace(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        body = await _json(request)
        record = _fresh(request, repository.get(request.match_info["id"]))
        return self._one(request, repository, repository.update(record, repository.schema.clean(body)))

    async def _patch(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        body = await _json(request)
        record = _fresh(request, repository.get(request.match_info["id"]))
        changed = apply_patch(repository.editable(record), body, repository.schema)
        return self._one(request, repository, repository.update(record, changed))

    async def _delete(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        repository.delete(_fresh(request, repository.get(request.match_info["id"])))
        return web.Response(status=204)

    def _one(
        self, request: web.Request, repository: Repository, record: Record, *, status: int = 200
    ) -> web.Response:
        projection = Projection.parse(
            request.query.get("attributes"), request.query.get("excludedAttributes"), repository.schema
        )
        document = self._present(request, repository, record, projection)
        response = json_response(document, status=status, content_type=CONTENT_TYPE)
        response.headers["ETag"] = record.etag
        return response

    def _present(
        self, request: web.Request, repository: Repository, record: Record, projection: Projection
    ) -> dict[str, Any]:
        return projection.apply(repository.complete(record, _base(request), projection.wants))

    def _repository(self, request: web.Request) -> Repository:
        return self._resources[request.path.removeprefix(f"{PREFIX}/").split("/", 1)[0]]


def _error(status: int, message: str) -> web.Response:
    return json_response(ScimError(status, message).document(), status=status, content_type=CONTENT_TYPE)


def _fresh(request: web.Request, record: Record) -> Record:
    """The record, if If-Match (RFC 7644, 3.14) names its version or is absent."""
    wanted = request.headers.get("If-Match")
    if (
        wanted is not None
        and record.etag not in [each.strip() for each in wanted.split(",")]
        and wanted.strip() != "*"
    ):
        raise ScimError(412, "The resource has changed: its version is another one.")
    return record


async def _json(request: web.Request) -> Any:
    if request.content_type not in (CONTENT_TYPE, "application/json"):
        raise ScimError(415, f"The body must be {CONTENT_TYPE} or application/json.")
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise ScimError(400, "The body is not valid JSON.", "invalidSyntax") from error


def _whole(value: Any, name: str) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise invalid_value(f"{name} must be a whole number.") from error


def _base(request: web.Request) -> str:
    return f"http://{request.host}{PREFIX}"
