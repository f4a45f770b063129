"""All SQL of limits. Every function works in the transaction it is given and takes the time as a parameter."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, case, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from okno.limits.models import AllowanceRow, AttemptRow


@dataclass(frozen=True, slots=True)
class Asked:
    """A process asks for `wanted` and owns up to `owed`, which it has let pass already."""

    name: str
    who: str
    wanted: float
    owed: float
    burst: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Given:
    """What it gets, and what is left to all others; below zero when more was let pass than there was."""

    name: str
    who: str
    granted: float
    remaining: float


# A time of refilling that lies ahead is believed for a minute: clocks differ a little, and one that is far ahead must not keep
# the others' allowances from being filled. Debts end at one whole allowance, so that nobody is shut out for longer than its
# period. A negative debt is what a process gives back.
_TAKE = text("""
    WITH asked AS (
        SELECT *, greatest(0, least(wanted, floor(burst - greatest(0, owed)))) AS first
        FROM unnest(CAST(:names AS text[]), CAST(:whos AS text[]), CAST(:wanted AS float8[]), CAST(:owed AS float8[]),
                    CAST(:bursts AS float8[]), CAST(:rates AS float8[])) AS t(name, who, wanted, owed, burst, rate)
    ), asked_ordered AS (SELECT * FROM asked ORDER BY name, who)
    INSERT INTO limits_allowance AS held (name, who, remaining, granted, refilled_at)
    SELECT name, who, greatest(-burst, burst - greatest(0, owed) - first), first, CAST(:now AS timestamptz) FROM asked_ordered
    ON CONFLICT (name, who) DO UPDATE SET (remaining, granted, refilled_at) = (
        SELECT greatest(-a.burst, f.whole - greatest(0, least(a.wanted, floor(f.whole)))),
               greatest(0, least(a.wanted, floor(f.whole))),
               CASE WHEN held.refilled_at > CAST(:now AS timestamptz) + interval '60 seconds' THEN CAST(:now AS timestamptz)
                    ELSE greatest(held.refilled_at, CAST(:now AS timestamptz)) END
        FROM asked a,
             LATERAL (SELECT least(a.burst, least(a.burst, held.remaining + a.rate * greatest(0, extract(
                 epoch FROM CAST(:now AS timestamptz) - held.refilled_at)::float8)) - a.owed) AS whole) f
        WHERE a.name = held.name AND a.who = held.who
    )
    RETURNING name, who, granted, remaining
""")


async def take(db: AsyncSession, asked: Sequence[Asked], *, now: datetime) -> list[Given]:
    """Refills and takes, for each (name, who) once; two processes that ask at once get shares of the same whole."""
    rows = await db.execute(
        _TAKE,
        {
            "names": [each.name for each in asked],
            "whos": [each.who for each in asked],
            "wanted": [each.wanted for each in asked],
            "owed": [each.owed for each in asked],
            "bursts": [each.burst for each in asked],
            "rates": [each.per_second for each in asked],
            "now": now,
        },
    )
    return [Given(*row) for row in rows]


async def delete_full(db: AsyncSession, *, before: datetime) -> int:
    """Deletes allowances that nobody took from since: after that time they are whole again anyway."""
    result = await db.execute(delete(AllowanceRow).where(AllowanceRow.refilled_at < before))
    return cast(CursorResult[Any], result).rowcount


async def find_attempt(db: AsyncSession, login: str, address: str) -> AttemptRow | None:
    return await db.get(AttemptRow, (login, address))


async def count_failure(
    db: AsyncSession, login: str, address: str, *, now: datetime, forgotten_before: datetime
) -> int:
    """How many failures in a row these are now; those that lie long back count no more."""
    statement = insert(AttemptRow).values(
        login=login, address=address, failures=1, failed_at=now, free_at=now
    )
    failures = case((AttemptRow.failed_at < forgotten_before, 1), else_=AttemptRow.failures + 1)
    counted = await db.scalar(
        statement.on_conflict_do_update(
            index_elements=["login", "address"], set_={"failures": failures, "failed_at": now}
        ).returning(AttemptRow.failures)
    )
    return cast(int, counted)


async def hold_until(db: AsyncSession, login: str, address: str, free_at: datetime) -> None:
    row = await db.get(AttemptRow, (login, address))
    if row is not None:
        row.free_at = max(row.free_at, free_at)


async def forget_attempts(db: AsyncSession, *, login: str | None = None, address: str | None = None) -> int:
    """Deletes those with this login, or from this address, or both; with neither all."""
    statement = delete(AttemptRow)
    if login is not None:
        statement = statement.where(AttemptRow.login == login)
    if address is not None:
        statement = statement.where(AttemptRow.address == address)
    return cast(CursorResult[Any], await db.execute(statement)).rowcount


async def list_held(db: AsyncSession, *, now: datetime) -> Sequence[AttemptRow]:
    """Those who have to wait now, the longest first."""
    statement = select(AttemptRow).where(AttemptRow.free_at > now)
    return list(await db.scalars(statement.order_by(AttemptRow.free_at.desc(), AttemptRow.login)))


async def delete_past_attempts(db: AsyncSession, *, now: datetime, kept: timedelta) -> int:
    past = and_(AttemptRow.failed_at < now - kept, AttemptRow.free_at <= now)
    return cast(CursorResult[Any], await db.execute(delete(AttemptRow).where(past))).rowcount
