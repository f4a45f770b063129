"""Brings the database to the newest revision and tells where tables and models differ."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from okno.errors import ConfigurationError
from okno.storage.engine import APP_ROLE, driver_url, told_unavailable

# any constant will do: it keeps two processes that start at once from migrating side by side
_LOCK = 0x6F6B6E6F


def config() -> Config:
    """Alembic's configuration; there is no ini file, all of it stands here."""
    result = Config()
    result.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    result.set_main_option("path_separator", "os")
    return result


def head() -> str:
    """The newest revision known to this code."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision


async def upgrade(url: str) -> tuple[str | None, str]:
    """Migrates the database at `url` (as its owner). Gives the revision before and after.

    Raises:
        Unavailable: the database does not answer.
    """
    before = await _run(url, _upgrade)
    return before, head()


async def give_login(url: str, app_url: str) -> bool:
    """Lets the application's role sign in with the password of `app_url`; says whether it is that role's address.

    So a deployment has two addresses and no step by hand: the owner's for this, the application's for all that runs.

    Raises:
        ConfigurationError: the owner may not change the role.
    """
    wanted = make_url(driver_url(app_url))
    if wanted.username != APP_ROLE or not wanted.password:
        return False
    with told_unavailable():
        connection = await asyncpg.connect(url)
    try:
        statement = await connection.fetchval(
            f"SELECT format('ALTER ROLE {APP_ROLE} LOGIN PASSWORD %L', $1::text)", wanted.password
        )
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            f"the owner in DATABASE_URL may not give {APP_ROLE} a login; do it as a superuser, or leave"
            " OKNO_APP_DATABASE_URL empty"
        ) from error
    finally:
        await connection.close()
    return True


async def differences(url: str, metadata: MetaData) -> Sequence[Any]:
    """What Alembic would still have to change for the tables to equal the models; empty when they agree."""
    found: Sequence[Any] = await _run(url, lambda connection: _differences(connection, metadata))
    return found


def _upgrade(connection: Connection) -> str | None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    before = MigrationContext.configure(connection).get_current_revision()
    if before != head():
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
    return before


def _differences(connection: Connection, metadata: MetaData) -> Sequence[Any]:
    # partitions are made while Okno runs and have the form of their table
    partitions = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition")))
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, _parents: kind != "table" or name not in partitions,
        },
    )
    return list(compare_metadata(context, metadata))


async def _run(url: str, work: Any) -> Any:
    engine = create_async_engine(driver_url(url), poolclass=NullPool, hide_parameters=True)
    try:
        with told_unavailable():
            async with engine.begin() as connection:
                return await connection.run_sync(work)
    finally:
        await engine.dispose()
