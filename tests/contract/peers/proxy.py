"""A TCP proxy that stands before any peer and misbehaves when told to."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal
from urllib.parse import parse_qs, urlsplit, urlunsplit

Mode = Literal["pass", "hang", "garbage", "half", "drip", "cut"]

# No HTTP status line, no LDAP tag, no PostgreSQL message, long enough to be taken for one.
NOISE = bytes((17 * n * n + 91 * n + 23) % 251 for n in range(4096))


class Proxy:
    """Forwards bytes. Modes: hang (swallow), garbage (answer noise), half (half of the next answer, then cut), drip (ten
    bytes a second), cut (let the request through, cut before the answer). `down` refuses connections."""

    def __init__(self, upstream: str) -> None:
        """
        Args:
            upstream: an address with host and port, or, for PostgreSQL, a socket folder in `?host=`.
        """
        self._upstream = urlsplit(upstream)
        self.mode: Mode = "pass"
        self.connections = 0
        self.requests = 0
        self._server: asyncio.Server | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """The upstream's address, by way of the proxy."""
        account, at, _ = self._upstream.netloc.rpartition("@")
        return urlunsplit(self._upstream._replace(netloc=f"{account}{at}127.0.0.1:{self._port}", query=""))

    async def __aenter__(self) -> "Proxy":
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def up(self) -> None:
        """Listens, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Cuts all connections and refuses new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            far_reader, far_writer = await self._connect()
            self._writers.add(far_writer)
            there = asyncio.create_task(self._requests(reader, far_writer, writer))
            back = asyncio.create_task(self._answers(far_reader, writer))
            try:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
                far_writer.transport.abort()
                self._writers.discard(far_writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        query: Mapping[str, list[str]] = parse_qs(self._upstream.query)
        if "host" in query:
            return await asyncio.open_unix_connection(
                f"{query['host'][0]}/.s.PGSQL.{self._upstream.port or 5432}"
            )
        return await asyncio.open_connection(self._upstream.hostname, self._upstream.port)

    async def _requests(
        self, reader: asyncio.StreamReader, far: asyncio.StreamWriter, near: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                self.requests += 1
                if self.mode == "hang":
                    continue
                if self.mode == "garbage":
                    near.write(NOISE)
                    await near.drain()
                    continue
                far.write(data)
                await far.drain()

    async def _answers(self, far: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await far.read(65536):
                if self.mode in ("hang", "garbage"):
                    continue
                if self.mode == "cut":
                    return
                if self.mode == "half":
                    near.write(data[: len(data) // 2])
                    await near.drain()
                    near.close()
                    await near.wait_closed()
                    return
                if self.mode == "drip":
                    for byte in data:
                        near.write(bytes([byte]))
                        await near.drain()
                        await asyncio.sleep(0.1)
                    continue
                near.write(data)
                await near.drain()
