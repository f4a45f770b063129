"""The wire to PostgreSQL, which understands so much of its protocol that it breaks at the n-th statement."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

# before: the statement never arrives. after: it is done and its answer is lost. late: it arrives once the client has given up.
Break = Literal["before", "after", "late"]

_STATEMENTS = b"QE"  # Query, and Execute of a prepared one
_READY = b"Z"


class Wire:
    """One server, one wire, any number of connections. What is broken stays broken until `mend`."""

    def __init__(self, server_socket: str, directory: Path) -> None:
        self._server_socket = server_socket
        self._directory = directory
        self._server: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: int | None = None
        self._how: Break = "before"
        self.statements = 0
        self.is_broken = False
        self.refusing = False
        self.seconds = 0.0
        """By how much each statement is held up."""

    def url(self, app_url: str) -> str:
        """The database's address through this wire."""
        return f"{app_url.partition('?host=')[0]}?host={quote(str(self._directory), safe='')}"

    def arm(self, statement: int, how: Break) -> None:
        """Breaks at that statement from now on, 1 being the next one."""
        self._left, self._how, self.is_broken = statement, how, False

    def mend(self) -> None:
        """Everything works again, on new connections."""
        self._left, self.refusing, self.is_broken = None, False, False

    def cut(self) -> None:
        """Ends all connections and takes no new ones."""
        self.refusing = True
        for line in list(self._lines):
            line.cut()

    def reached(self) -> Break | None:
        """Counts a statement; says how to break at it, if this is the one."""
        self.statements += 1
        if self._left is None:
            return None
        self._left -= 1
        if self._left > 0:
            return None
        self._left, self.is_broken = None, True
        return self._how

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_unix_server(self._accept, self._directory / ".s.PGSQL.5432")
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_unix_connection(self._server_socket)
        line = _Line(self, writer, server_writer)
        self._lines.add(line)
        for work in (line.carry_there(reader), line.carry_back(server_reader)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: self._lines.discard(line))


class _Line:
    """One connection."""

    def __init__(self, wire: Wire, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._wire = wire
        self._client = client
        self._server = server
        self._how: Break | None = None

    def cut(self) -> None:
        self._client.close()
        self._server.close()

    async def carry_there(self, reader: asyncio.StreamReader) -> None:
        """From the client to the server, message by message: the first one has no letter before its length."""
        late = bytearray()
        started = False
        pending = bytearray()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                pending += data
                if not started:
                    length = int.from_bytes(pending[:4], "big") if len(pending) >= 4 else 5
                    if len(pending) < length:
                        continue
                    # a request to cancel is the first and only message of its connection
                    self._server.write(bytes(pending[:length]))
                    del pending[:length]
                    started = True
                for kind, message in _messages(pending):
                    if self._how is None and kind in _STATEMENTS:
                        await asyncio.sleep(self._wire.seconds)
                        self._how = self._wire.reached()
                        if self._how == "before":
                            self._wire.cut()
                            return
                        if self._how == "after":
                            self._wire.refusing = True
                    if self._how == "late":
                        late += message
                    else:
                        self._server.write(message)
                await self._server.drain()
        with contextlib.suppress(OSError):
            if late:
                self._server.write(bytes(late))
                await self._server.drain()
            self._server.close()

    async def carry_back(self, reader: asyncio.StreamReader) -> None:
        """From the server to the client; of the statement whose answer is lost nothing."""
        pending = bytearray()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self._how == "after":
                    pending += data
                    if any(kind in _READY for kind, _ in _messages(pending)):
                        self._wire.cut()
                        return
                    continue
                self._client.write(data)
                await self._client.drain()
        self._client.close()


def _messages(pending: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes the whole messages out: letter and bytes."""
    while len(pending) >= 5:
        length = 1 + int.from_bytes(pending[1:5], "big")
        if len(pending) < length:
            return
        message = bytes(pending[:length])
        del pending[:length]
        yield message[0], message
