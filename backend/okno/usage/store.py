"""All SQL of usage. Every function works in the transaction it is given."""

from collections.abc import Sequence
from datetime import date
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CursorResult,
    Select,
    and_,
    any_,
    delete,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from okno.usage.counts import Count, Key
from okno.usage.model import Client, ClientUse, PrincipalKind
from okno.usage.models import UsageCountRow

_COUNT = UsageCountRow.__table__
_KEY = ("coordinate", "day", "client", "version", "principal_kind", "principal")


async def add(session: AsyncSession, counted: Sequence[tuple[Key, Count]]) -> None:
    """Adds to the rows of the same keys, whoever wrote them. `counted` has to be in the order of its keys.

    One statement with one array a column; 2,000 rows take about 70 ms on two busy cores.
    """
    rows = [
        (key.coordinate, key.day, *key.client, count.operations, count.last_seen_at) for key, count in counted
    ]
    columns = list(_COUNT.columns)
    arrays = [_array([row[index] for row in rows], column.type) for index, column in enumerate(columns)]
    table = func.unnest(*arrays).table_valued(*(column.name for column in columns)).render_derived()
    statement = insert(UsageCountRow).from_select([column.name for column in columns], select(*table.c))
    given = statement.excluded
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=list(_KEY),
            set_={
                "operations": _COUNT.c.operations + given.operations,
                "last_seen_at": func.greatest(_COUNT.c.last_seen_at, given.last_seen_at),
            },
        )
    )


async def list_used(
    session: AsyncSession, coordinates: Sequence[str] | None = None, *, since: date, client: str | None = None
) -> set[str]:
    """Those of the coordinates, or of all, that were used since that day, by that client or by any."""
    among = [] if coordinates is None else [_among(coordinates)]
    statement = select(_COUNT.c.coordinate).where(_COUNT.c.day >= since, *_by(client), *among).distinct()
    return set(await session.scalars(statement))


async def list_clients(
    session: AsyncSession, coordinates: Sequence[str], *, since: date, client: str | None = None
) -> dict[str, list[ClientUse]]:
    """Who used each of these coordinates since that day, the busiest first; what nobody used is absent."""
    operations, last = func.sum(_COUNT.c.operations), func.max(_COUNT.c.last_seen_at)
    who = (_COUNT.c.coordinate, *(_COUNT.c[name] for name in _KEY[2:]))
    statement: Select[Any] = (
        select(*who, operations, last)
        .where(
            _among(coordinates),
            _COUNT.c.day >= since,
            *_by(client),
        )
        .group_by(*who)
        .order_by(operations.desc(), *who)
    )
    found: dict[str, list[ClientUse]] = {}
    for row in await session.execute(statement):
        coordinate, name, version, kind, principal, count, at = row
        use = ClientUse(Client(name, version, PrincipalKind(kind), principal), int(count), at)
        found.setdefault(coordinate, []).append(use)
    return found


async def find_oldest_day(session: AsyncSession) -> date | None:
    """From when on something is recorded."""
    return cast("date | None", await session.scalar(select(func.min(_COUNT.c.day))))


async def delete_before(session: AsyncSession, day: date) -> int:
    """Deletes what is older than that day."""
    result = await session.execute(delete(UsageCountRow).where(_COUNT.c.day < day))
    return cast(CursorResult[Any], result).rowcount


def _among(coordinates: Sequence[str]) -> ColumnElement[bool]:
    return _COUNT.c.coordinate == any_(_array(coordinates, _COUNT.c.coordinate.type))


def _by(client: str | None) -> list[ColumnElement[bool]]:
    if client is None:
        return []
    name, _, version = client.partition("/")
    versioned = and_(_COUNT.c.client == name, _COUNT.c.version == version)
    return [or_(_COUNT.c.client == client, versioned) if version else _COUNT.c.client == client]


def _array(values: Sequence[Any], type_: Any) -> ColumnElement[Any]:
    """One parameter for any number of values: the statement stays the same, so it is prepared once."""
    return literal(list(values), ARRAY(type_))
