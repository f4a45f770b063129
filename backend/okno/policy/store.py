"""All SQL of recorded decisions. Every function works in the transaction it is given."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ARRAY, CursorResult, Text, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from okno.policy.decisions import Decided, Key
from okno.policy.model import Rights
from okno.policy.models import DecidedRow, DecisionCountRow

_DECIDED = DecidedRow.__table__
_COUNT = DecisionCountRow.__table__
_RIGHTS = ("roles", "teams", "countries", "facts", "scopes")

# One array a column, whatever the number of rows; lists and documents travel as JSON, since arrays of arrays have to be even
_NEW_KINDS = (
    "key",
    "policy_version",
    "rights",
    "action",
    "resource",
    "things",
    "outcome",
    "facts",
    "last_hour",
)


async def add(session: AsyncSession, counted: Sequence[tuple[Key, int]]) -> None:
    """Adds to the rows of the same keys, whoever wrote them; in the order of the keys, so that processes do not wait in a circle."""
    rows = sorted((digest(key.decided), key.hour, number, key.decided) for key, number in counted)
    kinds: dict[bytes, tuple[datetime, Decided]] = {}
    for key, hour, _, decided in rows:
        known = kinds.get(key)
        kinds[key] = (hour if known is None else max(known[0], hour), decided)
    await _add_kinds(session, kinds)
    await _add_counts(session, [(hour, key, number) for key, hour, number, _ in rows])


async def _add_kinds(session: AsyncSession, kinds: Mapping[bytes, tuple[datetime, Decided]]) -> None:
    arrays = (
        _array(list(kinds), _DECIDED.c.key.type),
        _array([each.policy_version for _, each in kinds.values()], Text()),
        _array([_json(rights_json(each.rights)) for _, each in kinds.values()], Text()),
        _array([each.action for _, each in kinds.values()], Text()),
        _array([each.resource for _, each in kinds.values()], Text()),
        _array([" ".join(each.things) for _, each in kinds.values()], Text()),
        _array([each.outcome for _, each in kinds.values()], Text()),
        _array([_json(dict(each.facts)) for _, each in kinds.values()], Text()),
        _array([hour for hour, _ in kinds.values()], _DECIDED.c.last_hour.type),
    )
    given = func.unnest(*arrays).table_valued(*_NEW_KINDS).render_derived()
    columns = [
        func.string_to_array(given.c.things, " ")
        if name == "things"
        else given.c[name].cast(_DECIDED.c[name].type)
        for name in _NEW_KINDS
    ]
    statement = insert(DecidedRow).from_select(list(_NEW_KINDS), select(*columns))
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["key"],
            set_={"last_hour": statement.excluded.last_hour},
            where=_DECIDED.c.last_hour < statement.excluded.last_hour,
        )
    )


async def _add_counts(session: AsyncSession, counts: Sequence[tuple[datetime, bytes, int]]) -> None:
    columns = list(_COUNT.columns)
    arrays = [_array([row[index] for row in counts], column.type) for index, column in enumerate(columns)]
    given = func.unnest(*arrays).table_valued(*(column.name for column in columns)).render_derived()
    statement = insert(DecisionCountRow).from_select([column.name for column in columns], select(*given.c))
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["hour", "key"],
            set_={"decisions": _COUNT.c.decisions + statement.excluded.decisions},
        )
    )


async def list_decided(session: AsyncSession, since: datetime) -> list[tuple[Decided, int]]:
    """What was decided in the hours from that one on, and how often."""
    total = func.sum(_COUNT.c.decisions)
    sums = (
        select(_COUNT.c.key, total.label("total"))
        .where(_COUNT.c.hour >= since)
        .group_by(_COUNT.c.key)
        .subquery()
    )
    statement = (
        select(DecidedRow, sums.c.total).join(sums, sums.c.key == _DECIDED.c.key).order_by(_DECIDED.c.key)
    )
    return [(_decided(row), int(number)) for row, number in (await session.execute(statement)).all()]


async def find_oldest_hour(session: AsyncSession) -> datetime | None:
    """From when on something is recorded."""
    return cast("datetime | None", await session.scalar(select(func.min(_COUNT.c.hour))))


async def delete_before(session: AsyncSession, hour: datetime) -> int:
    """Deletes what is older than that hour; says how many counts."""
    result = await session.execute(delete(DecisionCountRow).where(_COUNT.c.hour < hour))
    await session.execute(delete(DecidedRow).where(_DECIDED.c.last_hour < hour))
    return cast(CursorResult[Any], result).rowcount


def digest(decided: Decided) -> bytes:
    """The key of a kind of decision."""
    text = _json([*decided[:1], rights_json(decided.rights), *decided[2:]])
    return hashlib.sha256(text.encode()).digest()[:16]


def rights_json(rights: Rights) -> dict[str, list[str]]:
    """Rights as they are stored; empty lists are left out."""
    return {name: sorted(values) for name in _RIGHTS if (values := getattr(rights, name))}


def _decided(row: DecidedRow) -> Decided:
    return Decided(
        policy_version=row.policy_version,
        rights=Rights(**{name: frozenset(row.rights.get(name, ())) for name in _RIGHTS}),
        action=row.action,
        resource=row.resource,
        things=tuple(row.things),
        outcome=row.outcome,
        facts=tuple(sorted(row.facts.items())),
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _array(values: list[Any], type_: Any) -> Any:
    """One parameter for any number of values: the statement stays the same, so it is prepared once."""
    return literal(values, ARRAY(type_))
