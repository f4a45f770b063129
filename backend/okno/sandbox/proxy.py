"""A TCP proxy in front of PostgreSQL, so that the equipment system has faults on demand like the others."""

import asyncio
import os
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from okno.errors import ConfigurationError
from okno.sandbox.faults import Dropped, FaultBoard, drip
from okno.sandbox.serving import Listener, Port

_CHUNK = 65536
_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
_REQUESTS = b"QPBEC"  # first message of what a client asks: Query, Parse, Bind, Execute, Close


@dataclass(frozen=True, slots=True)
class Upstream:
    """A PostgreSQL server: `path` of its Unix socket, or host and port."""

    path: str | None
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "Upstream":
        """Reads postgresql://…, host:port, or the path of a socket. Only the address is used.

        Raises:
            ConfigurationError: it is none of these. The message does not repeat it: it may hold a password.
        """
        try:
            if text.startswith("/"):
                return cls(text)
            if "://" not in text:
                host, _, port = text.rpartition(":")
                return cls(None, host or "127.0.0.1", int(port))
            parts = urlsplit(text)
            query = parse_qs(parts.query)
            host = query.get("host", [unquote(parts.hostname or "127.0.0.1")])[0]
            port_number = int(query["port"][0]) if "port" in query else parts.port or 5432
        except ValueError as error:
            raise ConfigurationError(
                "the equipment upstream is postgresql://…, host:port or the path of a socket"
            ) from error
        if host.startswith("/"):
            return cls(f"{host.rstrip('/')}/.s.PGSQL.{port_number}")
        return cls(None, host, port_number)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.path is not None:
            return await asyncio.open_unix_connection(self.path, limit=_CHUNK)
        return await asyncio.open_connection(self.host, self.port, limit=_CHUNK)


class EquipmentProxy:
    """Carries bytes between clients and the server, and damages them as the faults say."""

    def __init__(self, upstream: Upstream, board: FaultBoard) -> None:
        self._upstream = upstream
        self._board = board
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener: Listener | None = None

    async def start(self, port: Port) -> None:
        self._listener = Listener(self._board, port, self._protocol, self._abort_all)
        await self._listener.start()

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.stop()

    def _protocol(self) -> asyncio.Protocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=_CHUNK), self._serve)

    def _abort_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        server_writer: asyncio.StreamWriter | None = None
        try:
            try:
                server_reader, server_writer = await self._upstream.connect()
            except OSError:
                return  # the client sees a connection that is cut, as when the server dies
            self._writers.add(server_writer)
            pumps = [
                asyncio.ensure_future(self._requests(reader, writer, server_writer)),
                asyncio.ensure_future(self._answers(server_reader, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            for each in (writer, server_writer):
                if each is not None:
                    self._writers.discard(each)
                    each.close()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self._board.current.latency_seconds:
                    await asyncio.sleep(self._board.current.latency_seconds)
                await self._board.hung()
                if data != _SSL_REQUEST and self._board.refuses():
                    writer.write(_fatal("57P01", "terminating connection due to administrator command"))
                    await writer.drain()
                    return
                self._board.reads += data[0] in _REQUESTS
                server.write(data)
                await server.drain()
        except Dropped:
            writer.transport.abort()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await self._board.hung()
                faults = self._board.current
                if faults.garbage:
                    data = os.urandom(len(data))
                if faults.half:
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    return
                if faults.slow_drip:
                    await drip(writer.write, data)
                else:
                    writer.write(data)
                await writer.drain()
        except Dropped:
            writer.transport.abort()


def _fatal(code: str, text: str) -> bytes:
    """An ErrorResponse that ends the session."""
    fields = b"".join(
        kind + value.encode() + b"\0"
        for kind, value in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", code), (b"M", text))
    )
    body = fields + b"\0"
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body
