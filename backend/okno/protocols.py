"""How connections behave below the application: who does not send, does not read or sends too much is let go."""

import asyncio
from collections import Counter
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from okno.asgi import HEADER_BYTES, bare_answer
from okno.limits.address import Addresses
from okno.settings import HttpSettings

_LAST_WORDS_SECONDS = 2.0
_MOST_PIECES = 1_000
# Looked at twice: who took nothing from one look to the next is let go
_STALLED_SECONDS = 10.0
# Beside the headers' values: their names, the request line, and what of the next request came with it
_HEADERS_OVERHEAD = 65_536


class SocketProtocol(WebSocketsSansIOProtocol):
    """Lets go of a client that does not take what it was sent: to close a connection politely is to wait until it does."""

    let_go: Callable[[], None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.let_go is not None:
            self.let_go()
        super().connection_lost(exc)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self.loop.call_later(_LAST_WORDS_SECONDS, self.transport.abort)

    def handle_cont(self, event: Frame) -> None:
        """A message in so many pieces is none: empty ones count against no limit of size, and each is kept."""
        if len(self.frames) < _MOST_PIECES:
            super().handle_cont(event)
        else:
            self.transport.abort()

    def handle_ping(self) -> None:
        """Answers unless the client leaves the answers lying: they would pile up for as long as it sends (RFC 6455, section
        5.5.3, lets pings be passed over)."""
        if self.writable.is_set() or self.conn.state is not State.OPEN:
            super().handle_ping()
        else:
            self.conn.data_to_send()


class HttpProtocol(HttpToolsProtocol):
    """Lets go of a client that takes its time with a request, and of one that takes nothing of what was written to it.

    asyncio closes a connection only once all is gone, so that each answer that nobody reads would keep its socket and its
    buffer for ever. uvicorn bounds neither the time nor the length of headers.
    """

    http: HttpSettings
    https: bool
    addresses: Addresses
    # of this process, by address; those of trusted proxies are not counted
    held: Counter[str]

    _held_by: str | None = None

    _next_look: asyncio.TimerHandle | None = None
    _awaited: asyncio.TimerHandle | None = None
    # what is missing of the request that is coming in: None when nothing is
    _missing: str | None = "headers"
    _timed: str | None = None
    _headers_read = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.addresses.of_connection(self.client[0] if self.client else "")
        if address is not None:
            self._held_by = address
            self.held[address] += 1
            if self.held[address] > self.http.connections_per_address:
                most = self.http.connections_per_address
                self._refuse(
                    429, "LIMIT_EXCEEDED", f"Your address has {most} connections open already; close some."
                )
                return
        self._time()

    def let_go(self) -> None:
        """The connection counts no more."""
        address, self._held_by = self._held_by, None
        if address is not None:
            self.held[address] -= 1
            if not self.held[address]:
                del self.held[address]

    def connection_lost(self, exc: Exception | None) -> None:
        self.let_go()
        self._look_no_more()
        self._missing = None
        self._time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._missing == "headers":
            self._headers_read += len(data)
            if self._headers_read > HEADER_BYTES + _HEADERS_OVERHEAD:
                self._refuse(431, "LIMIT_EXCEEDED", f"The headers have more than {HEADER_BYTES} bytes.")
                return
        elif self._missing is None and self.cycle is not None and self.cycle.response_complete:
            # line breaks before a request begin none, but they have stopped uvicorn's own time for the next one
            self._missing, self._headers_read = "headers", 0
        if self._missing != self._timed:
            self._time()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._missing, self._headers_read = "headers", 0

    def on_headers_complete(self) -> None:
        self._missing = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._missing = None
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._missing = None
        self._time()
        super().handle_websocket_upgrade()
        socket = self.transport.get_protocol()
        if isinstance(socket, SocketProtocol):
            socket.let_go = self.let_go

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or could be read in two ways. The rest of the connection is not looked at any more."""
        self._refuse(400, "BAD_REQUEST", msg)

    def _time(self) -> None:
        """Starts the time for what is missing now. Most requests come in one piece and start none."""
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited = None
        self._timed = self._missing
        if self._missing is not None:
            seconds = self.http.headers_seconds if self._missing == "headers" else self.http.body_seconds
            self._awaited = self.loop.call_later(seconds, self._too_slow, self._missing)

    def _too_slow(self, missing: str) -> None:
        self._awaited = None
        if missing == "body" and self.cycle.response_complete:
            self.transport.close()  # it has its answer
            return
        self._refuse(408, "TIMEOUT", f"The {missing} of the request did not come in time.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answers, unless an answer is under way, and closes."""
        self._missing = None
        self._time()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(bare_answer(status, code, message, https=self.https))
        elif not self.cycle.response_started and not self.pipeline:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.write(bare_answer(status, code, message, https=self.https))
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_later(None)

    def resume_writing(self) -> None:
        self._look_no_more()
        super().resume_writing()

    def _look_later(self, before: int | None) -> None:
        self._next_look = self.loop.call_later(_STALLED_SECONDS, self._look, before)

    def _look_no_more(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()

    def _look(self, before: int | None) -> None:
        left = self.transport.get_write_buffer_size()
        if before is not None and left >= before:
            self.transport.abort()
        else:
            self._look_later(left)


def http_protocol(settings: HttpSettings, *, https: bool) -> type[HttpProtocol]:
    """The protocol with the settings of this deployment; uvicorn makes one for each connection."""
    around = {"addresses": Addresses(settings.trusted_proxies), "held": Counter()}
    return type("HttpProtocol", (HttpProtocol,), {"http": settings, "https": https, **around})
