"""The migrated database is what the models say, and the comparison would notice if it were not."""

import importlib
import pkgutil

import asyncpg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, make_url

import okno
from okno.errors import ConfigurationError
from okno.storage import migrate
from okno.storage.embedded import EmbeddedPostgres
from okno.storage.models import Base
from tests.conftest import Cloned


@pytest.fixture(scope="module", autouse=True)
def _all_models() -> None:
    for module in pkgutil.walk_packages(okno.__path__, "okno."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)


async def test_migrated_equals_models(committed: Cloned) -> None:
    assert {"audit_record", "identity_session", "people_person"} <= set(Base.metadata.tables)
    assert list(await migrate.differences(committed.owner_url, Base.metadata)) == []


async def test_a_model_without_its_migration_is_noticed(committed: Cloned) -> None:
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.tables.values():
        table.to_metadata(metadata)
    Table("forgotten", metadata, Column("id", Integer, primary_key=True))
    differences = await migrate.differences(committed.owner_url, metadata)
    assert [difference[0] for difference in differences] == ["add_table"]


async def test_a_column_changed_by_hand_is_noticed(committed: Cloned) -> None:
    owner = await asyncpg.connect(committed.owner_url)
    try:
        await owner.execute("ALTER TABLE people_person ADD COLUMN added_by_hand text")
    finally:
        await owner.close()
    differences = await migrate.differences(committed.owner_url, Base.metadata)
    assert [difference[0] for difference in differences] == ["remove_column"]


async def test_the_application_owns_no_table_and_every_table_is_open_to_it_only_as_granted(
    committed: Cloned,
) -> None:
    owner = await asyncpg.connect(committed.owner_url)
    try:
        rows = await owner.fetch(
            "SELECT tablename, tableowner, has_table_privilege('okno_app', tablename::regclass, 'TRUNCATE') AS may_truncate"
            " FROM pg_tables WHERE schemaname = 'public'"
        )
    finally:
        await owner.close()
    assert rows
    assert {row["tableowner"] for row in rows} == {"okno_owner"}
    assert [row["tablename"] for row in rows if row["may_truncate"]] == []


async def test_migrating_gives_the_application_its_login_when_told_to(
    committed: Cloned, postgres: EmbeddedPostgres
) -> None:
    admin = await asyncpg.connect(committed.superuser_url)
    try:
        wanted = "it's $1 %L"
        app_url = make_url(committed.app_url).set(password=wanted).render_as_string(hide_password=False)
        assert await migrate.give_login(committed.superuser_url, app_url) is True
        connection = await asyncpg.connect(committed.app_url, password=wanted)
        await connection.close()
        assert await migrate.give_login(committed.superuser_url, committed.owner_url) is False
    finally:
        await postgres.ensure_roles()
        await admin.close()


async def test_an_owner_who_may_not_change_roles_is_told_so(committed: Cloned) -> None:
    with pytest.raises(ConfigurationError, match="may not give okno_app a login"):
        await migrate.give_login(committed.owner_url, committed.app_url)
