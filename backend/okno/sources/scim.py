"""Kind `scim`: SCIM 2.0 (RFC 7643, 7644). One person by filter, everybody by startIndex and count."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from okno.network import NetworkGuard
from okno.sources.errors import SourceError
from okno.sources.http import HttpManifest, JsonClient
from okno.sources.kind import RawPage, ReadOnly, Scan
from okno.sources.manifest import JmesPath, Part, ReadMany, check_template
from okno.sources.many import Many, assign
from okno.sources.paths import Path, PathError
from okno.sources.template import Template, escape_scim


class ScimMany(ReadMany):
    """Several people are read by joining their filters with `or`; `key` says where a resource has its key. The filter
    travels in the URL: mind what length the system takes."""

    size: int = Field(default=50, ge=2, le=1000)
    key: JmesPath


# Answers beyond so many times the people asked for are not read on: the filter finds others.
_MOST = 3


class ScimRead(Part):
    """What is read: a resource type's endpoint, the filter that finds one person, the attributes to return (when
    listing, `list_attributes` where given)."""

    resource: str = Field(default="Users", pattern=r"^[A-Za-z]+$")
    filter: str
    attributes: tuple[str, ...] = ()
    list_attributes: tuple[str, ...] = ()
    many: ScimMany | None = None
    page_size: int = Field(default=500, ge=1)


class ScimManifest(HttpManifest):
    """A system with a SCIM interface. `endpoint.url` includes the version, as in https://host/scim/v2."""

    KIND: ClassVar[str] = "scim"
    kind: Literal["scim"]
    read: ScimRead

    @model_validator(mode="after")
    def _templates(self) -> Self:
        template = check_template(self.read.filter, [self.key])
        if not template.names:
            raise ValueError(f"read.filter names nobody: write it as externalId eq {{{self.key}}}")
        _check_quotes(template)
        return self

    @property
    def can_scan(self) -> bool:
        return True


def _check_quotes(template: Template) -> None:
    # The value becomes a quoted JSON string; a placeholder inside quotes would leave them.
    before = ""
    for literal in template.render(dict.fromkeys(template.names, ""), lambda _: "\0").split("\0")[:-1]:
        before += literal.replace('\\"', "")
        if before.count('"') % 2:
            raise ValueError(
                "a placeholder in read.filter stands without quotes: externalId eq {personnel_number}"
            )


def _repeats(records: Sequence[Any]) -> bool:
    ids = [each["id"] for each in records if isinstance(each, dict) and isinstance(each.get("id"), str)]
    return len(set(ids)) < len(ids)


def _selection(attributes: tuple[str, ...]) -> dict[str, str]:
    return {"attributes": ",".join(attributes)} if attributes else {}


class ScimConnector(ReadOnly):
    """One SCIM service provider."""

    def __init__(
        self, manifest: ScimManifest, environment: Mapping[str, str] | None, network: NetworkGuard
    ) -> None:
        self._manifest = manifest
        self._client = JsonClient(
            manifest, environment, network, accept="application/scim+json, application/json"
        )
        self._filter = Template(manifest.read.filter)
        read = manifest.read
        self._many_key = Path(read.many.key if read.many else "@")
        self._attributes = _selection(read.attributes)
        self._list_attributes = _selection(read.list_attributes or read.attributes)

    async def fetch(self, key: str) -> Any:
        # Two, so that an ambiguous key is seen and not taken for the first person it fits.
        resources, _ = await self._list(
            {
                **self._attributes,
                "filter": self._filter.render({self._manifest.key: key}, escape_scim),
                "count": "2",
            }
        )
        if not resources:
            raise SourceError("NOT_FOUND", f"{self._manifest.id}: no such record")
        if len(resources) > 1:
            raise SourceError(
                "BAD_ANSWER", f"{self._manifest.id}: several records have this {self._manifest.key}"
            )
        return resources[0]

    async def fetch_many(self, keys: Sequence[str]) -> Many:
        spec = self._manifest.read.many
        assert spec is not None, "the reader asks for many only where the manifest has them"
        filters = [f"({self._filter.render({self._manifest.key: key}, escape_scim)})" for key in keys]
        query = {**self._attributes, "filter": " or ".join(filters)}
        records: list[Any] = []
        while True:
            # One more than there should be, so that an ambiguous key is seen without another request.
            page = {**query, "startIndex": str(len(records) + 1), "count": str(len(keys) + 1)}
            resources, total = await self._list_many(page)
            records += resources
            # A server may return fewer than asked for; an empty page ends the list whatever the total says.
            if not resources or len(records) >= total or len(records) > _MOST * len(keys):
                break
        if len(records) < total or _repeats(records):
            return {}  # who stands in the rest is not known, nor who was passed over when the pages shifted
        return assign(self._manifest.id, self._manifest.key, keys, [self._borne(each) for each in records])

    async def _list_many(self, query: Mapping[str, str]) -> tuple[list[Any], int]:
        try:
            return await self._list(query)
        except SourceError as error:
            if error.code != "NOT_FOUND":
                raise
            raise SourceError(
                "BAD_ANSWER", f"{self._manifest.id}: HTTP 404 for {self._manifest.read.resource}"
            ) from None

    def _borne(self, record: Any) -> tuple[list[str], Any]:
        try:
            key = self._many_key.search(record)
        except PathError:
            key = None
        return ([key] if isinstance(key, str) else []), record

    def scan(self, cursor: str | None) -> Scan:
        return _Listing(self, cursor)

    async def ping(self) -> None:
        await self._list({"count": "1", "attributes": "id"})

    async def close(self) -> None:
        await self._client.close()

    async def page(self, start: int) -> tuple[list[Any], int]:
        """Resources from the 1-based index, and how many there are in all."""
        return await self._list(
            {**self._list_attributes, "startIndex": str(start), "count": str(self._manifest.read.page_size)}
        )

    async def _list(self, query: Mapping[str, str]) -> tuple[list[Any], int]:
        answer = await self._client.get(f"/{self._manifest.read.resource}", query)
        if not isinstance(answer, dict):
            raise SourceError("BAD_ANSWER", f"{self._manifest.id}: the answer is no SCIM ListResponse")
        # Resources may be absent when there are none (RFC 7644, section 3.4.2).
        resources, total = answer.get("Resources", []), answer.get("totalResults")
        if (
            type(total) is not int
            or not isinstance(resources, list)
            or any(type(item) is not dict for item in resources)
        ):
            raise SourceError("BAD_ANSWER", f"{self._manifest.id}: the answer is no SCIM ListResponse")
        return resources, total


class _Listing:
    def __init__(self, connector: ScimConnector, cursor: str | None) -> None:
        self._connector = connector
        self._start = int(cursor) if cursor is not None else 1

    async def next(self) -> RawPage:
        resources, total = await self._connector.page(self._start)
        # A server may return fewer than asked for; an empty page ends the listing whatever the total says.
        following = self._start + len(resources)
        if not resources or following > total:
            return RawPage(resources, None)
        self._start = following
        return RawPage(resources, str(following))

    async def close(self) -> None:
        """Nothing is held between pages."""
