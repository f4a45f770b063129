"""The equipment register in a database of its own on the real PostgreSQL of the tests, with a role that only reads."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.contract.peers import PEOPLE, Peer

PASSWORD = "reader-secret-of-okno"
DATABASE, ROLE = "okno_contract_equipment", "okno_contract_reader"

_TABLE = """
CREATE TABLE equipment (
    personnel_number text, inventory_number text PRIMARY KEY, kind text, model text, serial text,
    issued_on date, warranty_until date, state text
);
GRANT SELECT ON equipment TO okno_contract_reader;
"""


@contextmanager
def filled_postgres(admin_dsn: str) -> Iterator[Peer]:
    """A database that holds one laptop for each of PEOPLE, and two devices of Ivan Petrov."""
    url = asyncio.run(_create(admin_dsn))
    try:
        yield Peer(
            name="postgresql",
            source="equipment",
            environment={"OKNO_EQUIPMENT_URL": url},
            expected={
                "items": [
                    {
                        "inventoryNumber": "L-100010",
                        "kind": "LAPTOP",
                        "model": "ThinkPad X1",
                        "serial": "S-100010",
                        "issuedOn": date(2024, 3, 1),
                        "warrantyUntil": None,
                        "state": "ISSUED",
                    },
                    {
                        "inventoryNumber": "M-100010",
                        "kind": "MONITOR",
                        "model": "Монитор 27″",
                        "serial": "S-M",
                        "issuedOn": date(2025, 3, 1),
                        "warrantyUntil": date(2028, 3, 1),
                        "state": "IN_REPAIR",
                    },
                ]
            },
            secret=PASSWORD,
        )
    finally:
        asyncio.run(_drop(admin_dsn))


async def _create(admin_dsn: str) -> str:
    await _drop(admin_dsn)
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        await connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0")
    finally:
        await connection.close()
    parts = urlsplit(admin_dsn)
    inside = await asyncpg.connect(urlunsplit(parts._replace(path=f"/{DATABASE}")))
    try:
        await inside.execute(_TABLE)
        rows: list[tuple[object, ...]] = [
            (number, f"L-{number}", "LAPTOP", "ThinkPad X1", f"S-{number}", date(2024, 3, 1), None, "ISSUED")
            for number, *_ in PEOPLE
        ]
        rows.append(
            (
                "100010",
                "M-100010",
                "MONITOR",
                "Монитор 27″",
                "S-M",
                date(2025, 3, 1),
                date(2028, 3, 1),
                "IN_REPAIR",
            )
        )
        await inside.executemany("INSERT INTO equipment VALUES ($1,$2,$3,$4,$5,$6,$7,$8)", rows)
    finally:
        await inside.close()
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{ROLE}:{PASSWORD}@{address}", path=f"/{DATABASE}"))


async def _drop(admin_dsn: str) -> None:
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        await connection.execute(f"DROP ROLE IF EXISTS {ROLE}")
    finally:
        await connection.close()
