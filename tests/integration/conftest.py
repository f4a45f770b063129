"""A database that the tests of one module share, emptied before each: a clone costs ten times as much."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from okno.storage.embedded import APP, SUPERUSER, EmbeddedPostgres
from okno.storage.engine import Database

_NAME = "okno_emptied"


@pytest.fixture(scope="module")
def emptied_name(postgres: EmbeddedPostgres) -> Iterator[str]:
    async def drop() -> None:
        connection = await asyncpg.connect(postgres.url("postgres", SUPERUSER))
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{_NAME}" WITH (FORCE)')
        finally:
            await connection.close()

    asyncio.run(postgres.ensure_database(_NAME, template="okno_template"))
    yield _NAME
    asyncio.run(drop())


@pytest.fixture
async def emptied_db(postgres: EmbeddedPostgres, emptied_name: str) -> AsyncIterator[Database]:
    """The application's pool on an empty database: what is committed stays until the next test."""
    connection = await asyncpg.connect(postgres.url(emptied_name, SUPERUSER))
    try:
        rows = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
        names = ", ".join(f'"{row["tablename"]}"' for row in rows)
        await connection.execute(f"TRUNCATE {names}")
    finally:
        await connection.close()
    database = Database.connect(postgres.url(emptied_name, APP), role=None)
    yield database
    await database.dispose()
