"""Stage for the tests of the journal: people, a database that can be cut off, and journals that are closed in the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg

from okno.audit.records import ActorRef, SubjectRef
from okno.audit.service import Journal
from okno.clock import Clock
from okno.storage.engine import Database
from tests.conftest import Cloned

ANNA = ActorRef(UUID(int=7), "person", "anna.sorokina", "Анна Сорокина")
IVAN = SubjectRef("Employee", UUID(int=42), "Иван Петров")


@contextlib.asynccontextmanager
async def open_journal(db: Database, clock: Clock, data_dir: Path, **options: Any) -> AsyncIterator[Journal]:
    """A journal whose checkpoints come at start and end only, so that nothing in a test hangs on time."""
    journal = Journal(db, clock, data_dir, **{"process": "test", "checkpoint_seconds": 3600, **options})
    await journal.start()
    try:
        yield journal
    finally:
        await journal.close()


def unlock(**changes: Any) -> dict[str, Any]:
    """Arguments of a command as operations give them."""
    return {
        "actor": ANNA,
        "event_type": "operation.run",
        "subject": IVAN,
        "detail": {"operation": "domain.unlock", "input": {}},
        "idempotency_key": None,
        "policy_version": "v1",
        "rule": "people.first-line",
        **changes,
    }


@contextlib.asynccontextmanager
async def superuser(committed: Cloned) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A connection that may do anything, as an attacker of the journal might have."""
    connection = await asyncpg.connect(committed.superuser_url)
    try:
        yield connection
    finally:
        await connection.close()


class Line:
    """The wire between the application and its database: it can be cut, with or without the server noticing."""

    def __init__(self, server_socket: str, directory: Path) -> None:
        self._server_socket = server_socket
        self._directory = directory
        self._server: asyncio.Server | None = None
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._pumps: set[asyncio.Task[None]] = set()
        self.refusing = False

    def url(self, app_url: str) -> str:
        """The database's address through this wire."""
        return f"{app_url.partition('?host=')[0]}?host={quote(str(self._directory), safe='')}"

    async def __aenter__(self) -> "Line":
        self._server = await asyncio.start_unix_server(self._accept, self._directory / ".s.PGSQL.5432")
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for _, to_server in self._pairs:
            to_server.close()
        while self._pumps:
            await asyncio.wait(set(self._pumps))

    def cut(self, *, server_notices: bool = True) -> None:
        """Ends all connections. If the server does not notice, it goes on with what it was doing."""
        for to_client, to_server in self._pairs:
            to_client.close()
            if server_notices:
                to_server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_unix_connection(self._server_socket)
        self._pairs.append((writer, server_writer))
        for pumping in (_pump(reader, server_writer), _pump_and_close(server_reader, writer)):
            pump = asyncio.create_task(pumping)
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()


async def _pump_and_close(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    await _pump(source, target)
    target.close()
