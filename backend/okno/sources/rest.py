"""Kind `rest`: JSON over HTTP with a path for one person and, for the index, a listing by cursor."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from okno.network import NetworkGuard
from okno.sources.errors import SourceError
from okno.sources.http import HttpManifest, JsonClient
from okno.sources.kind import RawPage, ReadOnly, Scan
from okno.sources.manifest import JmesPath, Part, ReadMany, check_template
from okno.sources.many import Many, assign
from okno.sources.paths import Path, PathError
from okno.sources.template import Template, TemplateError, as_is, escape_segment


class RestOne(Part):
    """How to read one person: `path` and `query` take the manifest's key as {placeholder}."""

    path: str = Field(pattern=r"^/")
    query: dict[str, str] = Field(default_factory=dict)
    record: JmesPath = "@"


class RestList(Part):
    """How to list everybody: pages in `records`, the next page's cursor in `next` (null at the end)."""

    path: str = Field(pattern=r"^/[^{}]*$")
    query: dict[str, str] = Field(default_factory=dict)
    records: JmesPath
    cursor: str = Field(description="query parameter that takes the cursor")
    next: JmesPath
    size: str = Field(description="query parameter that takes the size of a page")
    page_size: int = Field(default=500, ge=1)


class RestMany(ReadMany):
    """How to read several people: their keys in one query parameter, parted by commas, or as a list in a JSON body that is
    posted. `key` says where a record has its key."""

    path: str = Field(pattern=r"^/[^{}]*$")
    query: dict[str, str] = Field(default_factory=dict)
    parameter: str | None = None
    body: str | None = None
    records: JmesPath
    key: JmesPath

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.parameter is None) == (self.body is None):
            raise ValueError(
                "give either parameter (keys in the query) or body (keys in a JSON body), naming it"
            )
        return self


class RestRead(Part):
    """What is read, and how."""

    one: RestOne
    many: RestMany | None = None
    list: RestList | None = None


class RestManifest(HttpManifest):
    """A system with a REST interface."""

    KIND: ClassVar[str] = "rest"
    kind: Literal["rest"]
    read: RestRead

    @model_validator(mode="after")
    def _templates(self) -> Self:
        texts = [self.read.one.path, *self.read.one.query.values()]
        names = [name for text in texts for name in check_template(text, [self.key]).names]
        if not names:
            raise ValueError(f"read.one names nobody: put {{{self.key}}} into its path or query")
        if self.index and self.read.list is None:
            raise ValueError("index needs read.list")
        return self

    @property
    def can_scan(self) -> bool:
        return self.read.list is not None


# What cannot stand in a path is refused there, so it is asked for nowhere else either.
_NO_SEGMENTS = frozenset({"", ".", ".."})


class RestConnector(ReadOnly):
    """One REST system."""

    def __init__(
        self, manifest: RestManifest, environment: Mapping[str, str] | None, network: NetworkGuard
    ) -> None:
        self._manifest = manifest
        one = manifest.read.one
        self._client = JsonClient(manifest, environment, network, accept="application/json")
        self._path = Template(one.path)
        self._query = {name: Template(text) for name, text in one.query.items()}
        self._record = Path(one.record)
        many = manifest.read.many
        self._many_records, self._many_key = (
            Path(many.records if many else "@"),
            Path(many.key if many else "@"),
        )

    async def fetch(self, key: str) -> Any:
        values: dict[str, str] = {self._manifest.key: key}
        try:
            path = self._path.render(values, escape_segment)
        except TemplateError as error:
            raise SourceError("NO_KEY", f"{self._manifest.id}: {error}") from None
        query = {name: template.render(values, as_is) for name, template in self._query.items()}
        record = _search(self._manifest.id, self._record, await self._client.get(path, query))
        if record is None:
            raise SourceError("NOT_FOUND", f"{self._manifest.id}: no such record")
        if not isinstance(record, dict):
            raise SourceError("BAD_ANSWER", f"{self._manifest.id}: the record of one person is not an object")
        return record

    async def fetch_many(self, keys: Sequence[str]) -> Many:
        source, spec = self._manifest.id, self._manifest.read.many
        assert spec is not None, "the reader asks for many only where the manifest has them"
        keys = [key for key in keys if key not in _NO_SEGMENTS]
        if spec.body is not None:
            asked = keys
            answer = await self._ask_many(self._client.post(spec.path, {spec.body: asked}, spec.query))
        else:
            # a comma would part the key in two
            asked = [key for key in keys if "," not in key]
            if not asked:
                return {}
            assert spec.parameter is not None, "the loader checks it"
            query = {**spec.query, spec.parameter: ",".join(asked)}
            answer = await self._ask_many(self._client.get(spec.path, query))
        records = _search(source, self._many_records, answer)
        if not isinstance(records, list):
            raise SourceError("BAD_ANSWER", f"{source}: {spec.records} is no list of records")
        return assign(source, self._manifest.key, asked, [self._borne(record) for record in records])

    async def _ask_many(self, request: Awaitable[Any]) -> Any:
        try:
            return await request
        except SourceError as error:
            if error.code != "NOT_FOUND":
                raise
            raise SourceError("BAD_ANSWER", f"{self._manifest.id}: HTTP 404 for read.many.path") from None

    def _borne(self, record: Any) -> tuple[list[str], Any]:
        try:
            key = self._many_key.search(record)
        except PathError:
            key = None
        return ([key] if isinstance(key, str) else []), record

    def scan(self, cursor: str | None) -> Scan:
        assert self._manifest.read.list is not None, "the loader checks it"
        return _Listing(self._manifest.id, self._client, self._manifest.read.list, cursor)

    async def ping(self) -> None:
        listing = self._manifest.read.list
        if listing is not None:
            await self._client.get(listing.path, {**listing.query, listing.size: "1"})
            return
        try:
            await self._client.get("/")
        except SourceError as error:
            if error.code not in ("NOT_FOUND", "BAD_ANSWER"):  # any answer shows that it is there
                raise

    async def close(self) -> None:
        await self._client.close()


class _Listing:
    def __init__(self, source: str, client: JsonClient, spec: RestList, cursor: str | None) -> None:
        self._source, self._client, self._spec, self._cursor = source, client, spec, cursor
        self._records, self._next = Path(spec.records), Path(spec.next)

    async def next(self) -> RawPage:
        query = {**self._spec.query, self._spec.size: str(self._spec.page_size)}
        if self._cursor is not None:
            query[self._spec.cursor] = self._cursor
        answer = await self._client.get(self._spec.path, query)
        records = _search(self._source, self._records, answer)
        cursor = _search(self._source, self._next, answer)
        if not isinstance(records, list):
            raise SourceError("BAD_ANSWER", f"{self._source}: {self._spec.records} is no list of records")
        if cursor is not None and not isinstance(cursor, str | int):
            raise SourceError("BAD_ANSWER", f"{self._source}: {self._spec.next} is no cursor")
        if cursor is not None and str(cursor) == self._cursor:
            raise SourceError("BAD_ANSWER", f"{self._source}: the listing does not move on")
        self._cursor = None if cursor in (None, "") else str(cursor)
        return RawPage(records, self._cursor)

    async def close(self) -> None:
        """Nothing is held between pages."""


def _search(source: str, path: Path, answer: Any) -> Any:
    try:
        return path.search(answer)
    except PathError as error:
        raise SourceError("BAD_ANSWER", f"{source}: the answer does not fit {error}") from None
