"""The LDAP server: ldaptor decodes the requests, asyncio carries them, so that no second event loop (reactor) is needed."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, cast

import structlog
from ldaptor.protocols import pureber, pureldap

from okno.clock import Clock
from okno.sandbox.faults import NOISE, Dropped, FaultBoard, drip
from okno.sandbox.ldap import ber
from okno.sandbox.ldap.directory import BASE, Directory, Page, after_cookie, cookie_of
from okno.sandbox.ldap.errors import Code, LdapError
from okno.sandbox.ldap.modify import Change, modify
from okno.sandbox.records import SUFFIX
from okno.sandbox.serving import Listener, Port

MAX_ENTRIES = 1000  # of a search without paging; of one page
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"
_KNOWN_CONTROLS = frozenset(
    {ber.PAGED, "2.16.840.1.113730.3.4.2"}
)  # paged results; ManageDsaIT, which changes nothing here
_log = structlog.get_logger(__name__)

_DECODER = pureldap.LDAPBERDecoderContext_TopLevel(
    inherit=pureldap.LDAPBERDecoderContext_LDAPMessage(
        fallback=pureldap.LDAPBERDecoderContext(fallback=pureber.BERDecoderContext()),
        inherit=pureldap.LDAPBERDecoderContext(fallback=pureber.BERDecoderContext()),
    )
)
# request -> the tag of its answer
_ANSWERS: dict[type, int] = {
    pureldap.LDAPBindRequest: ber.BIND,
    pureldap.LDAPSearchRequest: ber.SEARCH_DONE,
    pureldap.LDAPModifyRequest: ber.MODIFY,
    pureldap.LDAPAddRequest: ber.ADD,
    pureldap.LDAPDelRequest: ber.DELETE,
    pureldap.LDAPModifyDNRequest: ber.MODIFY_DN,
    pureldap.LDAPCompareRequest: ber.COMPARE,
    pureldap.LDAPExtendedRequest: ber.EXTENDED,
}
_WRITES = (
    pureldap.LDAPModifyRequest,
    pureldap.LDAPAddRequest,
    pureldap.LDAPDelRequest,
    pureldap.LDAPModifyDNRequest,
)


class DomainSimulator:
    """The domain on one port."""

    def __init__(
        self,
        company: sqlite3.Connection,
        board: FaultBoard,
        clock: Clock,
        bind_dn: str,
        password: str,
        people_password: str | None = None,
    ) -> None:
        if not password:
            raise ValueError("the simulator of domain needs a password that is not empty")
        self.company = company
        self.board = board
        self.clock = clock
        self.directory = Directory(company, clock, bind_dn, password, people_password)
        self.connections: set[Connection] = set()
        self._listener: Listener | None = None

    async def start(self, port: Port) -> None:
        self._listener = Listener(self.board, port, lambda: Connection(self), self._abort_all)
        await self._listener.start()

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.stop()

    def _abort_all(self) -> None:
        for connection in list(self.connections):
            connection.abort()


class Connection(asyncio.Protocol):
    """One client. Operations run side by side; what one may do depends on the last bind."""

    def __init__(self, server: DomainSimulator) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._bound: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            asyncio.Transport, transport
        )  # uvloop's transports are not subclasses of asyncio's
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        for task in self._tasks.values():
            task.cancel()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (length := ber.whole_message(self._buffer)) is not None:
                raw = bytes(self._buffer[:length])
                del self._buffer[:length]
                decoded, _ = pureber.berDecodeObject(_DECODER, raw)
                self._dispatch(decoded)
        except (
            Exception
        ) as error:  # whatever ldaptor raises on malformed bytes; RFC 4511, 5.3: say so and close
            _log.info("sandbox.domain.malformed", error=type(error).__name__)
            notice = ber.result(
                ber.EXTENDED,
                Code.PROTOCOL_ERROR,
                "decoding error",
                extra=ber.tlv(0x8A, ber.NOTICE_OF_DISCONNECTION),
            )
            if self._transport is not None:
                self._transport.write(ber.message(0, notice))
                self._transport.close()

    def _dispatch(self, message: Any) -> None:
        request = message.value
        if isinstance(request, pureldap.LDAPUnbindRequest):
            if self._transport is not None:
                self._transport.close()
        elif isinstance(request, pureldap.LDAPAbandonRequest):
            if task := self._tasks.pop(request.value, None):
                task.cancel()
        elif message.id in self._tasks or type(request) not in _ANSWERS:
            raise ValueError("message id in use, or no request")
        else:
            task = asyncio.get_running_loop().create_task(
                self._run(message.id, request, message.controls or [])
            )
            self._tasks[message.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(message.id, None))

    async def _run(self, message_id: int, request: Any, controls: list[Any]) -> None:
        board = self._server.board
        tag = _ANSWERS[type(request)]
        try:
            if await board.arrived():
                await self._send(ber.message(message_id, ber.result(tag, Code.BUSY, "too many operations")))
                return
            board.writes += isinstance(request, _WRITES)
            board.reads += not isinstance(request, _WRITES)
            answer = self._answer(message_id, tag, request, controls)
            await self._send(answer)
        except Dropped:
            self.abort()

    def _answer(self, message_id: int, tag: int, request: Any, controls: list[Any]) -> bytes:
        try:
            page = self._page(controls)
            if isinstance(request, pureldap.LDAPSearchRequest):
                return self._search(message_id, request, page)
            handlers: dict[type, Callable[[Any], bytes]] = {
                pureldap.LDAPBindRequest: self._bind,
                pureldap.LDAPModifyRequest: self._modify,
                pureldap.LDAPCompareRequest: self._compare,
                pureldap.LDAPExtendedRequest: self._extended,
            }
            handler = handlers.get(type(request), self._refused)
            return ber.message(message_id, handler(request))
        except LdapError as error:
            return ber.message(message_id, ber.result(tag, error.code, error.text, error.matched))
        except Exception:
            _log.exception("sandbox.domain.failed", request=type(request).__name__)
            return ber.message(message_id, ber.result(tag, 80, "internal error"))

    async def _send(self, data: bytes) -> None:
        faults, transport = self._server.board.current, self._transport
        if transport is None or transport.is_closing():
            return
        if faults.garbage:
            data = NOISE
        if faults.half:
            transport.write(data[: len(data) // 2])
            transport.close()
        elif faults.slow_drip:
            await drip(transport.write, data)
        else:
            transport.write(data)

    @staticmethod
    def _page(controls: list[Any]) -> Page | None:
        page = None
        for oid, critical, value in controls:
            name = oid.decode("ascii", "replace")
            if critical and name not in _KNOWN_CONTROLS:
                raise LdapError(Code.UNAVAILABLE_CRITICAL_EXTENSION, "critical extension is not recognized")
            if name == ber.PAGED:
                try:
                    size, cookie = ber.paged_value(value or b"")
                except ValueError as error:
                    raise LdapError(Code.PROTOCOL_ERROR, f"paged results control: {error}") from error
                page = Page(max(0, size), after_cookie(cookie))
        return page

    def _bind(self, request: Any) -> bytes:
        self._bound = None
        if request.version != 3:
            raise LdapError(Code.PROTOCOL_ERROR, "requested protocol version not supported")
        if request.sasl:
            raise LdapError(Code.AUTH_METHOD_NOT_SUPPORTED, "SASL is not supported")
        if request.dn:
            self._bound = self._server.directory.bind(_text(request.dn), _text(request.auth))
        return ber.result(ber.BIND, Code.SUCCESS)

    def _search(self, message_id: int, request: Any, page: Page | None) -> bytes:
        requested = tuple(_text(name) for name in request.attributes)
        base = _text(request.baseObject)
        if not base and request.scope == BASE:
            return self._root(message_id, requested)
        self._authenticated()
        directory, clock = self._server.directory, self._server.clock
        limit = min(page.size or MAX_ENTRIES, MAX_ENTRIES) if page is not None else MAX_ENTRIES
        asked = request.sizeLimit if request.sizeLimit > 0 else None
        if asked is not None:
            limit = min(limit, asked)
        deadline = clock.monotonic() + request.timeLimit if request.timeLimit > 0 else None
        parts: list[bytes] = []
        code, last, after = Code.SUCCESS, 0, b""
        for entry in directory.search(base, request.scope, request.filter, page, limit):
            if len(parts) == limit:  # there are more
                if page is not None and page.size and (asked is None or limit < asked):
                    after = cookie_of(last)
                else:
                    code = Code.SIZE_LIMIT_EXCEEDED
                break
            if deadline is not None and clock.monotonic() > deadline:
                code = Code.TIME_LIMIT_EXCEEDED
                break
            shown = directory.shown(entry, requested)
            if request.typesOnly:
                shown = [(name, ()) for name, _ in shown]
            parts.append(ber.message(message_id, ber.entry(entry.dn, shown)))
            last = entry.id
        controls = ber.paged_control(after) if page is not None else b""
        parts.append(ber.message(message_id, ber.result(ber.SEARCH_DONE, code), controls))
        return b"".join(parts)

    @staticmethod
    def _root(message_id: int, requested: tuple[str, ...]) -> bytes:
        """The root DSE; like OpenLDAP's, all but objectClass is operational."""
        values: dict[str, list[str]] = {
            "objectClass": ["top", "OpenLDAProotDSE"],
            "namingContexts": [SUFFIX],
            "supportedControl": sorted(_KNOWN_CONTROLS),
            "supportedExtension": [WHO_AM_I],
            "supportedLDAPVersion": ["3"],
            "vendorName": ["Okno sandbox"],
        }
        lowers = {name.lower() for name in requested}
        shown = [
            (name, each)
            for name, each in values.items()
            if name.lower() in lowers
            or "+" in lowers
            or (name == "objectClass" and (not lowers or "*" in lowers))
        ]
        done = ber.message(message_id, ber.result(ber.SEARCH_DONE, Code.SUCCESS))
        return ber.message(message_id, ber.entry("", shown)) + done

    def _compare(self, request: Any) -> bytes:
        self._authenticated()
        ava = request.ava
        same = self._server.directory.compare(
            _text(request.entry), _text(ava.attributeDesc.value), _text(ava.assertionValue.value)
        )
        return ber.result(ber.COMPARE, Code.COMPARE_TRUE if same else Code.COMPARE_FALSE)

    def _modify(self, request: Any) -> bytes:
        bound = self._writer()
        changes = []
        for each in request.modification:
            operation, pair = each.data
            changes.append(
                Change(
                    operation.value, _text(pair.data[0].value), [_text(value.value) for value in pair.data[1]]
                )
            )
        server = self._server
        modify(server.company, server.directory, server.clock, bound, _text(request.object), changes)
        return ber.result(ber.MODIFY, Code.SUCCESS)

    def _extended(self, request: Any) -> bytes:
        if _text(request.requestName) != WHO_AM_I:
            raise LdapError(Code.PROTOCOL_ERROR, "unsupported extended operation")
        identity = f"dn:{self._bound}" if self._bound else ""
        return ber.result(ber.EXTENDED, Code.SUCCESS, extra=ber.tlv(0x8B, identity.encode()))

    def _refused(self, request: Any) -> bytes:
        self._writer()
        raise LdapError(Code.UNWILLING_TO_PERFORM, "entries are neither made nor removed here")

    def _authenticated(self) -> str:
        if self._bound is None:
            raise LdapError(Code.STRONGER_AUTH_REQUIRED, "authentication required")
        return self._bound

    def _writer(self) -> str:
        bound = self._authenticated()
        if not self._server.directory.is_service(bound):
            raise LdapError(Code.INSUFFICIENT_ACCESS_RIGHTS, "no write access")
        return bound


def _text(value: Any) -> str:
    """Octets as text; what is no UTF-8 matches nothing."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
