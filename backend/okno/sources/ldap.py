"""Kind `ldap`: directory servers. ldap3 blocks, so it works in a bounded pool of threads over kept, bound connections."""

import asyncio
import base64
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import ldap3
from ldap3.core.exceptions import LDAPCommunicationError

from okno.network import AddressRefused, NetworkGuard
from okno.sources.errors import Code, SourceError, SourceRefused, SourceUnreachable
from okno.sources.http import resolve
from okno.sources.kind import Effect, RawPage, Scan
from okno.sources.ldap_lease import Aborted, Lease, close_quietly, is_alive
from okno.sources.ldap_manifest import ENTRY_DN, LdapManifest, LdapOperation, any_of
from okno.sources.manifest import Operation
from okno.sources.many import Many, assign
from okno.sources.template import Template, TemplateError, as_is, escape_dn, escape_filter

T = TypeVar("T")
_SCOPES: Mapping[str, Literal["BASE", "LEVEL", "SUBTREE"]] = {
    "base": ldap3.BASE,
    "one": ldap3.LEVEL,
    "subtree": ldap3.SUBTREE,
}
_VERBS = {"add": ldap3.MODIFY_ADD, "delete": ldap3.MODIFY_DELETE, "replace": ldap3.MODIFY_REPLACE}

# Result codes (RFC 4511, appendix A) that are not plain refusals.
_SUCCESS, _TIME_LIMIT, _SIZE_LIMIT, _REFERRAL, _NO_ATTRIBUTE, _EXISTS = 0, 3, 4, 10, 16, 20
_NO_OBJECT, _BUSY, _UNAVAILABLE, _OTHER = 32, 51, 52, 80


class LdapConnector:
    """One directory server."""

    def __init__(
        self, manifest: LdapManifest, environment: Mapping[str, str] | None, network: NetworkGuard
    ) -> None:
        self._manifest = manifest
        self._bind_dn = resolve(manifest.auth.bind_dn, environment)
        self._password = manifest.auth.password.resolve(environment)
        self._url = resolve(manifest.endpoint.url, environment)
        self._network = network
        _server(manifest, self._url, network)  # a wrong address is an error of the start
        self._filter = Template(manifest.read.filter)
        self._threads = ThreadPoolExecutor(manifest.concurrency, thread_name_prefix=f"ldap-{manifest.id}")
        self._idle: list[ldap3.Connection] = []
        self._closed = False

    async def fetch(self, key: str) -> Any:
        text = self._filter.render({self._manifest.key: key}, escape_filter)
        # Two, so that an ambiguous key is seen and not taken for the first entry it fits.
        entries = await self._in_thread(
            Lease(), lambda lease: self._pooled(lease, lambda c: self._search(c, text, size_limit=2))
        )
        if not entries:
            raise SourceError("NOT_FOUND", f"{self._manifest.id}: no such entry")
        if len(entries) > 1:
            raise SourceError(
                "BAD_ANSWER", f"{self._manifest.id}: several entries have this {self._manifest.key}"
            )
        return entries[0]

    async def fetch_many(self, keys: Sequence[str]) -> Many:
        spec = self._manifest.read.many
        assert spec is not None, "the reader asks for many only where the manifest has them"
        text = any_of(self._filter, keys)

        def ask(connection: ldap3.Connection) -> Many:
            read = self._manifest.read
            # Twice as many as there should be, so that ambiguous keys are seen. Whoever a limit cuts off, the client's
            # or the server's, is not known; so nobody is taken for unknown then.
            _, result, response, _ = connection.search(
                read.base,
                text,
                _SCOPES[read.scope],
                attributes=list(read.attributes),
                size_limit=2 * len(keys),
            )
            if result["result"] == _SIZE_LIMIT:
                return {}
            self._check(result)
            records = [self._borne(item, spec.key) for item in self._items(response)]
            return assign(self._manifest.id, self._manifest.key, keys, records)

        return await self._in_thread(Lease(), lambda lease: self._pooled(lease, ask))

    def _borne(self, item: Mapping[str, Any], attribute: str) -> tuple[list[str], Any]:
        """The entry with the keys that it bears; an attribute that is no text costs this entry alone."""
        bears = [
            value.decode(errors="replace")
            for name, values in item["raw_attributes"].items()
            if name.lower() == attribute.lower()
            for value in values
        ]
        try:
            return bears, self._record(item, self._manifest.read.attributes)
        except SourceError as error:
            return bears, error

    def scan(self, cursor: str | None) -> Scan:
        return _Listing(self, int(cursor) if cursor is not None else 0)

    async def ping(self) -> None:
        def ask(connection: ldap3.Connection) -> None:
            _, result, _, _ = connection.search(
                self._manifest.read.base, "(objectClass=*)", ldap3.BASE, attributes=["1.1"]
            )
            self._check(result)

        await self._in_thread(Lease(), lambda lease: self._pooled(lease, ask))

    async def execute(self, operation: Operation, values: Mapping[str, str], effect: Effect) -> None:
        assert isinstance(operation, LdapOperation), "the loader checks it"
        dn, changes = self._modification(operation, values)
        lease = Lease()

        def send(lease: Lease) -> None:
            if not lease.may_send(effect):
                raise SourceError(
                    "TIMEOUT", f"{self._manifest.id}: the deadline passed before the request was sent"
                )
            assert lease.connection is not None
            _, result, _, _ = lease.connection.modify(dn, changes)  # type: ignore[no-untyped-call]
            self._check_modified(operation, result)

        try:
            # A connection of its own, opened now: what fails before `sent` is set is certainly not done.
            await self._in_thread(lease, self._open)
            await effect.about_to_send()
            await self._in_thread(lease, send)
        finally:
            lease.abort()

    async def close(self) -> None:
        self._closed = True
        while self._idle:
            close_quietly(self._idle.pop())
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def page(self, lease: Lease, cookie: bytes | None) -> tuple[list[dict[str, Any]], bytes | None]:
        """One page of everybody on the lease's own connection, which is opened when it has none."""
        read = self._manifest.read
        assert read.list_filter is not None, "the loader checks it"
        text = read.list_filter

        def ask(lease: Lease) -> tuple[list[dict[str, Any]], bytes | None]:
            if lease.connection is None:
                self._open(lease)
            connection = lease.connection
            assert connection is not None
            names = read.list_attributes or read.attributes
            _, result, response, _ = connection.search(
                read.base,
                text,
                _SCOPES[read.scope],
                attributes=list(names),
                paged_size=read.page_size,
                paged_cookie=cookie,
            )
            self._check(result)
            control = result.get("controls", {}).get("1.2.840.113556.1.4.319", {})
            return self._entries(response, names), control.get("value", {}).get("cookie") or None

        return await self._in_thread(lease, ask)

    async def _in_thread(self, lease: Lease, work: Callable[[Lease], T]) -> T:
        """Runs blocking work. When the caller's deadline strikes, its socket is shut, which frees the thread."""

        def run() -> T:
            with lease.in_use():
                try:
                    return work(lease)
                except (SourceError, Aborted):
                    raise
                except AddressRefused as error:
                    raise SourceError("REFUSED", f"{self._manifest.id}: {error}") from None
                except (LDAPCommunicationError, OSError) as error:
                    raise SourceError(
                        "UNREACHABLE", f"{self._manifest.id}: no connection ({type(error).__name__})"
                    ) from None
                except Exception as error:  # ldap3 meets noise with whatever its decoder stumbles over
                    raise SourceError(
                        "BAD_ANSWER", f"{self._manifest.id}: the answer is not LDAP ({type(error).__name__})"
                    ) from None

        future = asyncio.get_running_loop().run_in_executor(self._threads, run)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            lease.abort()
            future.cancel()
            raise

    def _pooled(self, lease: Lease, work: Callable[[ldap3.Connection], T]) -> T:
        while self._idle:
            connection = self._idle.pop()
            if is_alive(connection):
                lease.hold(connection)
                break
            close_quietly(connection)
        else:
            self._open(lease)
            assert lease.connection is not None
            connection = lease.connection
        try:
            result = work(connection)
        except SourceError as error:
            if error.code in ("UNREACHABLE", "BAD_ANSWER"):
                raise
            self._give_back(lease)
            raise
        self._give_back(lease)
        return result

    def _give_back(self, lease: Lease) -> None:
        connection = lease.release()
        if connection is not None and not self._closed:
            self._idle.append(connection)
        elif connection is not None:
            close_quietly(connection)

    def _open(self, lease: Lease) -> None:
        seconds = max(self._manifest.deadline_seconds, self._manifest.scan_page_seconds)
        connection = ldap3.Connection(
            # One for each connection: ldap3 keeps the current address in it and, when another connection has set that,
            # swallows a failure to open.
            _server(self._manifest, self._url, self._network),
            user=self._bind_dn,
            password=self._password,
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            check_names=False,
            return_empty_attributes=False,
            receive_timeout=int(seconds) + 1,
            raise_exceptions=False,
        )
        lease.hold(connection)
        connection.open(read_server_info=False)
        lease.check()
        _, result, _, _ = connection.bind(read_server_info=False)
        if result["result"] != _SUCCESS:
            if result["result"] in (_BUSY, _UNAVAILABLE):
                self._check(result)
            raise SourceError(
                "REFUSED", f"{self._manifest.id}: the bind was refused ({result['description']})"
            )

    def _search(self, connection: ldap3.Connection, text: str, *, size_limit: int) -> list[dict[str, Any]]:
        read = self._manifest.read
        _, result, response, _ = connection.search(
            read.base, text, _SCOPES[read.scope], attributes=list(read.attributes), size_limit=size_limit
        )
        if result["result"] != _SIZE_LIMIT:
            self._check(result)
        return self._entries(response, read.attributes)

    def _entries(self, response: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [self._record(item, names) for item in self._items(response)]

    def _items(self, response: Any) -> Iterator[Mapping[str, Any]]:
        for item in response or ():
            if item["type"] == "searchResRef":
                raise SourceError(
                    "REFUSED",
                    f"{self._manifest.id}: the server refers to another one; referrals are not followed",
                )
            if item["type"] == "searchResEntry":
                yield item

    def _record(self, item: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        # Servers may spell attribute names as their schema does; the record spells them as the manifest.
        found = {name.lower(): values for name, values in item["raw_attributes"].items()}
        record: dict[str, Any] = {"dn": item["dn"]}
        for name in names:
            values = found.get(name.lower(), [])
            try:
                if name in self._manifest.read.binary:
                    record[name] = [base64.b64encode(value).decode() for value in values]
                else:
                    record[name] = [value.decode() for value in values]
            except UnicodeDecodeError:
                raise SourceError(
                    "BAD_ANSWER",
                    f"{self._manifest.id}: attribute {name}: expected UTF-8 text, got other bytes; name it in read.binary",
                ) from None
        return record

    def _modification(
        self, operation: LdapOperation, values: Mapping[str, str]
    ) -> tuple[str, dict[str, list[Any]]]:
        changes: dict[str, list[Any]] = {}
        try:
            for change in operation.request.modify:
                rendered = [Template(value).render(values, as_is) for value in change.values]
                changes.setdefault(change.attribute, []).append((_VERBS[change.verb], rendered))
            target = Template(operation.request.modify[0].dn)
            dn = target.render(values, as_is if target.names == (ENTRY_DN,) else escape_dn)
        except TemplateError as error:
            raise SourceRefused("REFUSED", f"{operation.id}: {error}") from None
        return dn, changes

    def _check(self, result: Mapping[str, Any]) -> None:
        number, text = result["result"], result["description"]
        if number == _SUCCESS:
            return
        code: Code = "REFUSED"
        if number in (_BUSY, _UNAVAILABLE):
            code = "UNREACHABLE"
        elif number == _TIME_LIMIT:
            code = "TIMEOUT"
        elif number == _NO_OBJECT:
            raise SourceError("BAD_ANSWER", f"{self._manifest.id}: read.base does not exist there")
        elif number == _REFERRAL:
            text = "referral to another server; referrals are not followed"
        raise SourceError(code, f"{self._manifest.id}: LDAP {number}, {text}")

    def _check_modified(self, operation: Operation, result: Mapping[str, Any]) -> None:
        number, text = result["result"], result["description"]
        if number == _SUCCESS:
            return
        message = f"{operation.id}: LDAP {number}, {text}"
        if number in (_BUSY, _UNAVAILABLE):
            raise SourceUnreachable("UNREACHABLE", message)
        if number in (_TIME_LIMIT, _OTHER):
            raise SourceError(
                "BAD_ANSWER", message
            )  # a server's own failure: what it did before is not known
        if number == _NO_OBJECT:
            raise SourceRefused("NOT_FOUND", f"{operation.id}: the entry to change does not exist")
        if number in (_NO_ATTRIBUTE, _EXISTS):
            raise SourceRefused("REFUSED", f"{operation.id}: it is so already (LDAP {number}, {text})")
        raise SourceRefused("REFUSED", message)


class _Listing:
    """Paged results (RFC 2696). The server's cookie dies with the connection, so the cursor counts entries instead: going
    on from one lists again and passes over what was delivered."""

    def __init__(self, connector: LdapConnector, delivered: int) -> None:
        self._connector = connector
        self._delivered = delivered
        self._restart()

    def _restart(self) -> None:
        self._lease, self._cookie, self._position = Lease(), None, 0  # type: tuple[Lease, bytes | None, int]

    async def next(self) -> RawPage:
        try:
            while True:
                entries, self._cookie = await self._connector.page(self._lease, self._cookie)
                passed = max(0, self._delivered - self._position)
                self._position += len(entries)
                entries = entries[passed:]
                if entries or self._cookie is None:
                    break
        except BaseException:
            self._lease.abort()
            self._restart()
            raise
        self._delivered = max(self._delivered, self._position)
        return RawPage(entries, str(self._delivered) if self._cookie is not None else None)

    async def close(self) -> None:
        self._lease.abort()


class _Server(ldap3.Server):
    """One whose addresses are looked at each time they are read."""

    network: NetworkGuard

    @property
    def address_info(self) -> list[Any]:
        return self.network.admitted(super().address_info)


def _server(manifest: LdapManifest, url: str, network: NetworkGuard) -> ldap3.Server:
    what = f"source {manifest.id}: endpoint.url"
    parts = network.check_url(url, ("ldap", "ldaps"), what=what)
    assert parts.hostname is not None, "check_url sees to it"
    secure = parts.scheme == "ldaps"
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=manifest.endpoint.ca_file) if secure else None
    server = _Server(
        parts.hostname,
        port=parts.port or (636 if secure else 389),
        use_ssl=secure,
        tls=tls,
        get_info=ldap3.NONE,
        connect_timeout=manifest.deadline_seconds,
    )
    server.network = network
    return server
