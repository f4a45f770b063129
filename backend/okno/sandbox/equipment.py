"""The equipment system: a real PostgreSQL database with the company's devices and a role that may only read."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg

from okno.errors import Unavailable
from okno.sandbox.company import describe

DATABASE = "okno_equipment"
ROLE = "okno_equipment"
_LOCK = 7_020_261  # advisory: two preparations never run at once
_TABLE = """
CREATE TABLE IF NOT EXISTS equipment(
  personnel_number text NOT NULL, inventory_number text PRIMARY KEY, kind text NOT NULL, model text NOT NULL,
  serial text NOT NULL, issued_on date NOT NULL, warranty_until date, state text NOT NULL
);
CREATE INDEX IF NOT EXISTS equipment_personnel_number ON equipment(personnel_number);
"""


@dataclass(frozen=True, slots=True)
class EquipmentDatabase:
    """What was prepared; `rows` is how many were copied, 0 when the database was up to date."""

    database: str
    role: str
    rows: int


async def prepare(owner_dsn: str, company_file: Path, password: str) -> EquipmentDatabase:
    """Creates database, table and read-only role `okno_equipment`, and fills the table from the company. Repeating it is cheap.

    Args:
        owner_dsn: postgresql://… of a role that may create databases and roles; its own database is only connected to.
        password: of the read-only role, set anew each time.

    Raises:
        ConfigurationError: the company file is missing or of another version.
        Unavailable: the server does not answer or refuses.
    """
    facts = describe(company_file)
    fingerprint = " ".join(f"{key}={facts[key]}" for key in ("format", "seed", "employees", "today"))
    try:
        owner = await asyncpg.connect(owner_dsn, timeout=10)
        try:
            await owner.execute("SELECT pg_advisory_lock($1)", _LOCK)
            await _role(owner, password)
            if not await owner.fetchval(
                "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE
            ):
                await owner.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'")
            connection = await asyncpg.connect(owner_dsn, database=DATABASE, timeout=10)
            try:
                rows = await _fill(connection, company_file, fingerprint)
            finally:
                await connection.close()
        finally:
            await owner.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable(f"the equipment database cannot be prepared: {error}") from error
    return EquipmentDatabase(DATABASE, ROLE, rows)


async def _role(owner: "asyncpg.Connection[Any]", password: str) -> None:
    verb = (
        "ALTER"
        if await owner.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", ROLE)
        else "CREATE"
    )
    statement = await owner.fetchval(
        f"SELECT format('{verb} ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD %L', $1::text)",
        password,
    )
    await owner.execute(statement)
    await owner.execute(f"ALTER ROLE {ROLE} SET default_transaction_read_only = on")


async def _fill(connection: "asyncpg.Connection[Any]", company_file: Path, fingerprint: str) -> int:
    async with connection.transaction():
        await connection.execute(_TABLE)
        await connection.execute(
            f"REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {ROLE}; "
            f"REVOKE ALL ON equipment FROM {ROLE}; GRANT SELECT ON equipment TO {ROLE};"
        )
        if await connection.fetchval("SELECT obj_description('equipment'::regclass)") == fingerprint:
            return 0
        await connection.execute("TRUNCATE equipment")
        await connection.copy_records_to_table("equipment", records=_records(company_file), timeout=120)
        comment: str = await connection.fetchval(
            "SELECT format('COMMENT ON TABLE equipment IS %L', $1::text)", fingerprint
        )
        await connection.execute(comment)
        count: int = await connection.fetchval("SELECT count(*) FROM equipment")
    await connection.execute("ANALYZE equipment")
    return count


def _records(company_file: Path) -> Iterator[tuple[Any, ...]]:
    company = sqlite3.connect(f"{company_file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        for row in company.execute("SELECT * FROM equipment ORDER BY personnel_number, inventory_number"):
            yield (
                *row[:5],
                date.fromisoformat(row[5]),
                date.fromisoformat(row[6]) if row[6] else None,
                row[7],
            )
    finally:
        company.close()
