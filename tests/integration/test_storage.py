"""The database: transactions, roles, and what a caller is told when the server is away."""

from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from okno.errors import ConfigurationError, Unavailable
from okno.storage import migrate
from okno.storage.embedded import SUPERUSER, EmbeddedPostgres
from okno.storage.engine import Database
from tests.conftest import Cloned


async def test_a_transaction_commits_at_its_end_and_rolls_back_when_it_raises(committed: Cloned) -> None:
    owner = await asyncpg.connect(committed.owner_url)
    await owner.execute("CREATE TABLE note (body text)")
    await owner.close()
    async with committed.db.transaction() as session:
        await session.execute(text("INSERT INTO note VALUES ('kept')"))
    with pytest.raises(RuntimeError):
        async with committed.db.transaction() as session:
            await session.execute(text("INSERT INTO note VALUES ('dropped')"))
            raise RuntimeError
    async with committed.db.transaction() as session:
        assert (await session.scalars(text("SELECT body FROM note"))).all() == ["kept"]


async def test_the_application_can_neither_create_nor_drop_tables(db: Database) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with db.transaction() as session:
            await session.execute(text("CREATE TABLE sneaked_in (id int)"))


async def test_the_owner_may_act_as_the_application_by_role(committed: Cloned) -> None:
    database = Database.connect(committed.owner_url)
    try:
        async with database.transaction() as session:
            assert await session.scalar(text("SELECT current_user::text")) == "okno_app"
    finally:
        await database.dispose()


async def test_an_absent_server_is_unavailable_not_a_trace(tmp_path: Path) -> None:
    database = Database.connect(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(Unavailable, match="does not answer"):
        await database.ping()
    await database.dispose()


async def test_the_pool_recovers_after_its_connections_were_cut(committed: Cloned) -> None:
    await committed.db.ping()
    admin = await asyncpg.connect(committed.superuser_url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await admin.close()
    await committed.db.ping()


async def test_a_connection_cut_in_mid_transaction_is_unavailable(committed: Cloned) -> None:
    with pytest.raises(Unavailable):
        async with committed.db.transaction() as session:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def test_migrating_twice_changes_nothing(committed: Cloned) -> None:
    assert await migrate.upgrade(committed.owner_url) == (migrate.head(), migrate.head())


async def test_cyrillic_has_trigrams_and_case(postgres: EmbeddedPostgres, committed: Cloned) -> None:
    connection = await asyncpg.connect(postgres.url(committed.name, SUPERUSER))
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        assert await connection.fetchval("SELECT array_length(show_trgm('Петров'), 1)") == 7
        assert await connection.fetchval("SELECT lower('ПЕТРОВ')") == "петров"
    finally:
        await connection.close()


@pytest.mark.parametrize("url", ["mysql://localhost/okno", "Error: no address", ""])
async def test_a_url_of_another_database_is_refused_before_anything_is_done(url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        Database.connect(url)
    with pytest.raises(ConfigurationError, match="postgresql://"):
        await migrate.upgrade(url)


async def test_a_full_pool_is_unavailable_and_not_an_error_of_okno(committed: Cloned) -> None:
    database = Database.connect(committed.owner_url, pool_size=1, pool_timeout_seconds=0.05)
    try:
        async with database.transaction() as session:
            await session.execute(text("SELECT 1"))
            with pytest.raises(Unavailable, match="connections"):
                await database.ping()
        await database.ping()
    finally:
        await database.dispose()


@pytest.mark.parametrize("problem", ["TooManyConnectionsError", "CannotConnectNowError"])
async def test_a_server_that_takes_no_connection_now_is_unavailable(
    committed: Cloned, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*args: object, **options: object) -> None:
        raise getattr(asyncpg, problem)("not now")

    database = Database.connect(committed.owner_url)
    monkeypatch.setattr(asyncpg, "connect", refuse)
    try:
        with pytest.raises(Unavailable):
            await database.ping()
    finally:
        await database.dispose()


async def test_an_error_of_a_statement_never_quotes_its_parameters(committed: Cloned) -> None:
    with pytest.raises(ProgrammingError) as caught:
        async with committed.db.transaction() as session:
            await session.execute(text("SELECT nothing_there, :value"), {"value": "a personal value"})
    assert "a personal value" not in str(caught.value)


async def test_a_wrong_password_is_told_without_a_trace_and_without_the_password(committed: Cloned) -> None:
    before, _, host = committed.app_url.partition("@")
    database = Database.connect(f"{before.rpartition(':')[0]}:wrong-one@{host}", role=None)
    try:
        with pytest.raises(Unavailable, match="does not let Okno in") as caught:
            await database.ping()
        assert "wrong-one" not in str(caught.value)
    finally:
        await database.dispose()
