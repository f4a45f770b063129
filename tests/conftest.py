"""Fixtures of all tests: a real PostgreSQL, migrated once, rolled back or cloned per test, and a clock one can move."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from okno.clock import ManualClock
from okno.storage import migrate
from okno.storage.embedded import APP, OWNER, SUPERUSER, EmbeddedPostgres
from okno.storage.engine import Database

_TEMPLATE = "okno_template"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Cloned:
    """A database of one test alone, with the addresses of those who may enter."""

    db: Database
    name: str
    app_url: str
    owner_url: str
    superuser_url: str


@pytest.fixture(scope="session", autouse=True)
def _loggers_follow_each_test() -> Iterator[None]:
    """A logger used while a test logs as a process does would otherwise keep writing where that test wrote."""
    configure = structlog.configure

    def uncached(**settings: Any) -> None:
        configure(**{**settings, "cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", uncached)
        yield


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 2, 9, 0, tzinfo=UTC))


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server for the whole run. It needs no durability, so it does not wait for the disk."""
    directory = Path(tempfile.mkdtemp(prefix="okno-test-"))
    server = EmbeddedPostgres(
        directory, settings={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    )
    try:
        server.start()
        asyncio.run(_prepare(server))
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def _prepare(server: EmbeddedPostgres) -> None:
    await server.ensure_roles()
    await server.ensure_database(_TEMPLATE)
    await migrate.upgrade(server.url(_TEMPLATE))
    await server.ensure_database("okno_shared", template=_TEMPLATE)


@pytest.fixture(scope="session")
def admin_dsn(postgres: EmbeddedPostgres) -> str:
    """Address of the superuser of the test server, for tests that make databases of their own."""
    return postgres.url("postgres", SUPERUSER)


@pytest.fixture
async def db(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The migrated database as the application's role; all that the test writes is rolled back."""
    engine = create_async_engine(
        "postgresql+asyncpg://" + postgres.url("okno_shared", APP).split("://", 1)[1], poolclass=NullPool
    )
    async with engine.connect() as connection:
        outer = await connection.begin()
        try:
            yield Database.bound(connection)
        finally:
            await outer.rollback()
    await engine.dispose()


@pytest.fixture
async def committed(postgres: EmbeddedPostgres) -> AsyncIterator[Cloned]:
    """A database of this test's own, cloned from the migrated template: what is committed stays in it."""
    name = f"okno_test_{next(_numbers)}"
    await postgres.ensure_database(name, template=_TEMPLATE)
    app_url = postgres.url(name, APP)
    database = Database.connect(app_url, role=None)
    try:
        yield Cloned(database, name, app_url, postgres.url(name, OWNER), postgres.url(name, SUPERUSER))
    finally:
        await database.dispose()
        connection = await asyncpg.connect(postgres.url("postgres", SUPERUSER))
        try:
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        finally:
            await connection.close()


@pytest.fixture
def committed_db(committed: Cloned) -> Database:
    """The application's pool on the database of this test's own."""
    return committed.db
