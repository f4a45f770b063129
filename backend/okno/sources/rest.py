"""Kind `rest`: JSON over HTTP with a path for one person and, for the index, a listing by cursor."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from okno.sources.errors import SourceError
from okno.sources.http import HttpManifest, JsonClient
from okno.sources.kind import RawPage, ReadOnly, Scan
from okno.sources.manifest import JmesPath, Part, check_template
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


class RestRead(Part):
    """What is read, and how."""

    one: RestOne
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


class RestConnector(ReadOnly):
    """One REST system."""

    def __init__(self, manifest: RestManifest, environment: Mapping[str, str] | None) -> None:
        self._manifest = manifest
        one = manifest.read.one
        self._client = JsonClient(manifest, environment, accept="application/json")
        self._path = Template(one.path)
        self._query = {name: Template(text) for name, text in one.query.items()}
        self._record = Path(one.record)

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
