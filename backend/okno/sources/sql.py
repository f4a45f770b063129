"""Kind `sql`: PostgreSQL, read only. Statements stand in the manifest; values travel beside them as parameters."""

import asyncio
import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, cast
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from pydantic import AfterValidator, Field, field_validator, model_validator

from okno.errors import ConfigurationError
from okno.network import NetworkGuard, refusal_in
from okno.sources.errors import SourceError
from okno.sources.kind import RawPage, ReadOnly, Scan
from okno.sources.manifest import Part, ReadMany, Reference, SourceManifest
from okno.sources.many import Many, assign

T = TypeVar("T")

# What a colon means nothing in, in the order in which they may start; then casts; then the parameters themselves.
_TOKEN = re.compile(
    r"""
    (?P<skip> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | :: | := )
    | :(?P<name>[a-z_][a-z0-9_]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_POSITIONAL = re.compile(r"\$\d")


class Statement:
    """A statement with its named parameters turned into PostgreSQL's numbered ones."""

    __slots__ = ("names", "sql")

    def __init__(self, text: str) -> None:
        names: list[str] = []

        def number(match: re.Match[str]) -> str:
            name = match["name"]
            if name is None:
                return match[0]
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"

        self.sql = _TOKEN.sub(number, text)
        self.names = tuple(names)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of their numbers."""
        return [values[name] for name in self.names]


def _check_statement(text: str) -> str:
    bare = _TOKEN.sub(lambda match: match[0] if match["name"] else "''", text).strip()
    if not re.match(r"(?i)(select|with|values|table)\b", bare):
        raise ValueError("a statement reads: it starts with SELECT, WITH, VALUES or TABLE")
    if ";" in bare.rstrip("; \n"):
        raise ValueError("one statement only, without a semicolon inside")
    if _POSITIONAL.search(bare):
        raise ValueError("parameters are named, as :personnel_number, never numbered")
    return text


Sql = Annotated[str, AfterValidator(_check_statement)]


class SqlEndpoint(Part):
    """`url` holds the password, so it stands elsewhere."""

    url: Reference


class SqlList(Part):
    """Lists everybody in the order of `cursor`, a text column; parameters :after (null at the start) and :limit."""

    statement: Sql
    cursor: str
    page_size: int = Field(default=1000, ge=1)


class SqlMany(ReadMany):
    """Reads several people: the parameter :keys is the list of their keys, as in `WHERE number = ANY(:keys)`, and `key` the
    column of the result that says whose row it is."""

    size: int = Field(default=500, ge=2, le=1000)
    statement: Sql
    key: str

    @field_validator("statement")
    @classmethod
    def _parameters(cls, statement: str) -> str:
        _check_parameters("the statement", statement, {"keys"}, {"keys"})
        return statement


class SqlRead(Part):
    """`one` reads a person by the manifest's key. With rows: many the record is {rows: […]}, which may be empty."""

    one: Sql
    rows: Literal["one", "many"] = "one"
    many: SqlMany | None = None
    list: SqlList | None = None


class SqlManifest(SourceManifest):
    """A system whose database Okno may read."""

    KIND: ClassVar[str] = "sql"
    kind: Literal["sql"]
    endpoint: SqlEndpoint
    read: SqlRead

    @model_validator(mode="after")
    def _parameters(self) -> Self:
        _check_parameters("read.one", self.read.one, {self.key}, {self.key})
        if self.read.list is not None:
            _check_parameters(
                "read.list.statement", self.read.list.statement, {"after", "limit"}, {"after", "limit"}
            )
        if self.index and self.read.list is None:
            raise ValueError("index needs read.list")
        return self

    @property
    def can_scan(self) -> bool:
        return self.read.list is not None


def _check_parameters(at: str, text: str, needed: Iterable[str], allowed: Iterable[str]) -> None:
    names = set(Statement(text).names)
    if unknown := sorted(names - set(allowed)):
        raise ValueError(
            f"{at}: unknown parameter :{unknown[0]}; allowed here: {', '.join(f':{name}' for name in sorted(allowed))}"
        )
    if missing := sorted(set(needed) - names):
        raise ValueError(f"{at}: parameter :{missing[0]} is not used")


class SqlConnector(ReadOnly):
    """One database. Every statement is its own read-only transaction: one round trip."""

    def __init__(
        self, manifest: SqlManifest, environment: Mapping[str, str] | None, network: NetworkGuard
    ) -> None:
        self._manifest = manifest
        self._url = manifest.endpoint.url.resolve(environment)
        if not self._url.startswith(("postgresql://", "postgres://")):
            raise ConfigurationError(f"source {manifest.id}: endpoint.url has to start with postgresql://")
        self._network = network
        for host in _hosts(self._url):
            network.check_host(host, what=f"source {manifest.id}: endpoint.url")
        self._one = Statement(manifest.read.one)
        self._many = Statement(manifest.read.many.statement if manifest.read.many else "")
        self._idle: list[asyncpg.Connection[asyncpg.Record]] = []
        self._closed = False

    async def fetch(self, key: str) -> Any:
        rows = await self.rows(self._one, {self._manifest.key: key})
        if self._manifest.read.rows == "many":
            return {"rows": rows}
        if not rows:
            raise SourceError("NOT_FOUND", f"{self._manifest.id}: no such record")
        if len(rows) > 1:
            raise SourceError(
                "BAD_ANSWER", f"{self._manifest.id}: several rows have this {self._manifest.key}"
            )
        return rows[0]

    async def fetch_many(self, keys: Sequence[str]) -> Many:
        source, spec = self._manifest.id, self._manifest.read.many
        assert spec is not None, "the reader asks for many only where the manifest has them"
        rows = await self.rows(self._many, {"keys": list(keys)})
        of: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            key = row.get(spec.key)
            if not isinstance(key, str):
                raise SourceError("BAD_ANSWER", f"{source}: the column {spec.key} of read.many is no text")
            of.setdefault(key, []).append(row)
        if self._manifest.read.rows == "many":
            strangers = not of.keys() <= set(keys)
            return {key: {"rows": of.get(key, [])} for key in keys if key in of or not strangers}
        borne = [([key], row) for key, found in of.items() for row in found]
        return assign(source, self._manifest.key, keys, borne)

    def scan(self, cursor: str | None) -> Scan:
        assert self._manifest.read.list is not None, "the loader checks it"
        return _Listing(self, self._manifest.id, self._manifest.read.list, cursor)

    async def ping(self) -> None:
        await self.rows(Statement("SELECT 1"), {})

    async def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().terminate()

    async def rows(self, statement: Statement, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of one statement.

        Raises:
            SourceError: the code tells the fault.
        """
        connection = await self._take()
        reusable = False
        try:
            found = await _uncancelled(
                connection, connection.fetch(statement.sql, *statement.arguments(values))
            )
            reusable = True
            return [dict(row) for row in found]
        except asyncpg.PostgresError as error:
            reusable = not connection.is_closed() and not _is_gone(error)
            raise self._fault(error) from None
        except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError, EOFError) as error:
            raise self._fault(error) from None
        finally:
            if reusable and not self._closed:
                self._idle.append(connection)
            else:
                connection.terminate()

    async def _take(self) -> "asyncpg.Connection[asyncpg.Record]":
        # The runtime's bulkhead bounds how many are out at once, so this needs no limit of its own.
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        milliseconds = str(int(max(self._manifest.deadline_seconds, self._manifest.scan_page_seconds) * 1000))
        try:
            return await asyncpg.connect(
                self._url,
                loop=cast(asyncio.AbstractEventLoop, _GuardedLoop(self._network)),
                server_settings={
                    "application_name": "okno",
                    "default_transaction_read_only": "on",
                    "statement_timeout": milliseconds,
                    "timezone": "UTC",
                    "jit": "off",
                },
            )
        except (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            OSError,
            ValueError,
            EOFError,
        ) as error:
            raise self._fault(error) from None

    def _fault(self, error: Exception) -> SourceError:
        source = self._manifest.id
        if refusal := refusal_in(error):
            return SourceError("REFUSED", f"{source}: {refusal}")
        if isinstance(error, asyncpg.QueryCanceledError):
            return SourceError("TIMEOUT", f"{source}: the statement was cancelled by the server")
        if isinstance(error, asyncpg.PostgresError):
            if _is_gone(error):
                return SourceError(
                    "UNREACHABLE", f"{source}: the database is not available (SQLSTATE {error.sqlstate})"
                )
            if str(error.sqlstate).startswith(("28", "42501", "25006")):
                return SourceError("REFUSED", f"{source}: the database refuses (SQLSTATE {error.sqlstate})")
            return SourceError("BAD_ANSWER", f"{source}: the statement fails (SQLSTATE {error.sqlstate})")
        if isinstance(error, OSError | EOFError | asyncpg.InterfaceError):
            return SourceError("UNREACHABLE", f"{source}: no connection ({type(error).__name__})")
        return SourceError("BAD_ANSWER", f"{source}: the answer is not PostgreSQL's ({type(error).__name__})")


class _GuardedLoop:
    """The running loop for asyncpg, which asks it for connections: to addresses that may be connected to, and to no others.
    TLS goes on checking the certificate against the name."""

    def __init__(self, network: NetworkGuard) -> None:
        self._loop = asyncio.get_running_loop()
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Any, host: str, port: int, *, ssl: Any = None) -> Any:
        failure: OSError | None = None
        for address in await self._network.addresses(host, port):
            try:
                named = {"ssl": ssl, "server_hostname": host} if ssl is not None else {}
                return await self._loop.create_connection(factory, address, port, **named)
            except OSError as error:
                failure = error
        assert failure is not None, "addresses gives at least one"
        raise failure

    async def create_unix_connection(self, factory: Any, path: str) -> Any:
        self._network.check_address("127.0.0.1")  # whoever may reach this machine itself
        return await self._loop.create_unix_connection(factory, path)


def _hosts(url: str) -> list[str]:
    """The hosts of an address as asyncpg reads it: one or several before the path, or in the query."""
    parts = urlsplit(url)
    listed = parts.netloc.rpartition("@")[2] or ",".join(parse_qs(parts.query).get("host", []))
    hosts = [unquote(each) for each in listed.split(",")]
    return [
        host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        for host in hosts
        if host
    ]


def _is_gone(error: asyncpg.PostgresError) -> bool:
    # 08 connection, 53 out of resources, 57P0x shutting down or starting up
    return str(error.sqlstate).startswith(("08", "53", "57P0"))


async def _uncancelled(connection: "asyncpg.Connection[asyncpg.Record]", work: Awaitable[T]) -> T:
    # Cancelling a query makes asyncpg open a second connection to ask for its end; on a server that hangs this waits
    # for ever. So at the deadline the connection is cut instead, and the server's statement_timeout ends the query.
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        connection.terminate()
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise


class _Listing:
    def __init__(self, connector: SqlConnector, source: str, spec: SqlList, cursor: str | None) -> None:
        self._connector, self._source, self._spec, self._after = connector, source, spec, cursor
        self._statement = Statement(spec.statement)

    async def next(self) -> RawPage:
        rows = await self._connector.rows(
            self._statement, {"after": self._after, "limit": self._spec.page_size}
        )
        if len(rows) < self._spec.page_size:
            return RawPage(rows, None)
        last = rows[-1].get(self._spec.cursor)
        if not isinstance(last, str):
            raise SourceError(
                "BAD_ANSWER", f"{self._source}: the cursor column {self._spec.cursor} is no text"
            )
        self._after = last
        return RawPage(rows, last)

    async def close(self) -> None:
        """Nothing is held between pages."""
