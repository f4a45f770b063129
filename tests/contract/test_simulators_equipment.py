"""The equipment system: a real PostgreSQL behind a proxy that has faults; spoken to by asyncpg."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from okno.errors import ConfigurationError, Unavailable
from okno.sandbox.company import generate
from okno.sandbox.equipment import DATABASE, ROLE, prepare
from okno.sandbox.runner import Sandbox

PASSWORD = 'it\'s "quoted" \\ %s'


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("company") / "company.sqlite"
    generate(5, 120, path, date(2026, 11, 2), lambda done, total: None)
    return path


@asynccontextmanager
async def entered(sandbox: Sandbox, **options: Any) -> "AsyncIterator[asyncpg.Connection[Any]]":
    address = urlsplit(sandbox.environment()["OKNO_EQUIPMENT_URL"])
    connection = await asyncpg.connect(
        host=address.hostname,
        port=address.port,
        user=ROLE,
        password=PASSWORD,
        database=DATABASE,
        **{"timeout": 10, "command_timeout": 10, **options},
    )
    try:
        yield connection
    finally:
        connection.terminate()


@pytest.fixture
async def sandbox(admin_dsn: str, company: Path) -> AsyncIterator[Sandbox]:
    await prepare(admin_dsn, company, PASSWORD)
    async with Sandbox(company, admin_dsn, private=False) as running:
        yield running


async def items(connection: "asyncpg.Connection[Any]", number: str) -> list[Any]:
    return await connection.fetch(
        "SELECT * FROM equipment WHERE personnel_number = $1 ORDER BY inventory_number", number
    )


async def test_preparing_fills_the_table_once_and_again_for_another_company(
    admin_dsn: str, company: Path, tmp_path: Path
) -> None:
    generate(6, 60, tmp_path / "other", date(2026, 11, 2), lambda done, total: None)
    first = await prepare(admin_dsn, tmp_path / "other", PASSWORD)
    assert (first.database, first.role) == (DATABASE, ROLE)
    again = await prepare(admin_dsn, company, PASSWORD)
    assert again.rows > 120
    both = await asyncio.gather(prepare(admin_dsn, company, PASSWORD), prepare(admin_dsn, company, PASSWORD))
    assert [each.rows for each in both] == [0, 0]


async def test_a_person_reads_as_typed_rows_and_nothing_can_be_written(sandbox: Sandbox) -> None:
    async with entered(sandbox) as connection:
        rows = await items(connection, "100010")
        assert 1 <= len(rows) <= 5
        assert list(rows[0].keys()) == [
            "personnel_number", "inventory_number", "kind", "model", "serial", "issued_on", "warranty_until", "state",
        ]  # fmt: skip
        assert isinstance(rows[0]["issued_on"], date)
        await connection.execute("SET default_transaction_read_only = off")
        for statement in ("DELETE FROM equipment", "CREATE TABLE mine(x int)", "TRUNCATE equipment"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    assert (await sandbox.counters())["equipment"]["reads"] >= 1


async def test_latency_delays_every_answer(sandbox: Sandbox) -> None:
    async with entered(sandbox) as connection:
        await items(connection, "100010")
        await sandbox.fault("equipment", latency_seconds=0.2)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await items(connection, "100010")
        assert loop.time() - start >= 0.2


async def test_an_outage_cuts_sessions_and_refuses_new_ones(sandbox: Sandbox) -> None:
    async with entered(sandbox) as connection:
        await items(connection, "100010")
        await sandbox.fault("equipment", outage=True)
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
            await items(connection, "100010")
    with pytest.raises(ConnectionRefusedError):
        async with entered(sandbox):
            pass
    await sandbox.clear("equipment")
    async with entered(sandbox) as connection:
        assert await items(connection, "100010")


async def test_an_error_ends_the_session_in_the_protocol_s_own_way(sandbox: Sandbox) -> None:
    async with entered(sandbox) as connection:
        await sandbox.fault("equipment", error_rate=1)
        with pytest.raises(asyncpg.ConnectionDoesNotExistError, match="administrator command"):
            await items(connection, "100010")


@pytest.mark.parametrize("fault", ["hang", "half", "garbage", "slow_drip"])
async def test_a_damaged_answer_never_passes_for_a_good_one(sandbox: Sandbox, fault: str) -> None:
    async with entered(sandbox, command_timeout=0.5) as connection:
        await items(connection, "100010")
        await sandbox.fault("equipment", **{fault: True})
        with pytest.raises(
            (
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
                OSError,
                TimeoutError,
            )
        ):
            async with asyncio.timeout(3):
                await items(connection, "100010")
    await sandbox.clear("equipment")
    async with entered(sandbox) as connection:
        assert await items(connection, "100010")


async def test_preparing_says_what_is_missing(company: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no demo company"):
        await prepare("postgresql://localhost:1/x", tmp_path / "missing", PASSWORD)
    with pytest.raises(Unavailable):
        await prepare("postgresql://u@127.0.0.1:1/x", company, PASSWORD)
