"""All SQL of the exports; records are read by `okno.audit.store`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Table, Uuid, column, func, literal, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from okno.audit.export.models import AuditExportCursorRow, AuditExportRow
from okno.audit.models import AuditRecordRow

_EXPORT = cast(Table, AuditExportRow.__table__)
_CURSOR = cast(Table, AuditExportCursorRow.__table__)
_R = cast(Table, AuditRecordRow.__table__).c

#: The number of a record in each chain.
Marks = Mapping[UUID, int]


@dataclass(frozen=True, slots=True)
class ExportState:
    """How far an export has come. `pending`: up to where it sends next."""

    name: str
    position: int
    pending: Marks | None
    settings: str | None
    sent_at: datetime | None
    failed_at: datetime | None
    failure: str | None


async def add(session: AsyncSession, name: str) -> bool:
    """Begins an export that is not known yet; whether it was not."""
    statement = (
        insert(_EXPORT).values(name=name, position=0).on_conflict_do_nothing().returning(_EXPORT.c.name)
    )
    return (await session.execute(statement)).first() is not None


async def lock(session: AsyncSession, name: str) -> ExportState | None:
    """The export, held until the transaction ends; None while another process holds it, or when there is none."""
    statement = select(_EXPORT).where(_EXPORT.c.name == name).with_for_update(skip_locked=True)
    row = (await session.execute(statement)).first()
    return None if row is None else _state(row)


async def list_states(session: AsyncSession) -> list[ExportState]:
    """All exports that ever began, by name."""
    return [_state(row) for row in await session.execute(select(_EXPORT).order_by(_EXPORT.c.name))]


async def find_cursors(session: AsyncSession, name: str) -> dict[UUID, int]:
    """Up to where the sink has taken each chain."""
    rows = await session.execute(select(_CURSOR.c.chain_id, _CURSOR.c.seq).where(_CURSOR.c.export == name))
    return {row.chain_id: row.seq for row in rows}


async def move(session: AsyncSession, name: str, marks: Marks) -> None:
    """Moves the cursors of these chains."""
    if not marks:
        return
    rows = [{"export": name, "chain_id": chain, "seq": seq} for chain, seq in sorted(marks.items())]
    statement = insert(_CURSOR)
    statement = statement.on_conflict_do_update(
        index_elements=["export", "chain_id"], set_={"seq": statement.excluded.seq}
    )
    await session.execute(statement, rows)


async def change(session: AsyncSession, name: str, **values: Any) -> None:
    """Writes columns of an export; `pending` as marks."""
    if values.get("pending") is not None:
        values["pending"] = json.dumps({str(chain): seq for chain, seq in values["pending"].items()})
    await session.execute(update(_EXPORT).where(_EXPORT.c.name == name).values(**values))


async def list_next(session: AsyncSession, behind: Sequence[tuple[UUID, int]]) -> dict[UUID, datetime]:
    """When the first record of each chain behind this number was written."""
    if not behind:
        return {}
    wanted = (
        func.unnest(
            literal([chain for chain, _ in behind], ARRAY(Uuid)),
            literal([seq for _, seq in behind], ARRAY(BigInteger)),
        )
        .table_valued(column("chain_id", Uuid), column("seq", BigInteger))
        .render_derived(name="wanted")
    )
    following = (
        select(_R.at)
        .where(_R.chain_id == wanted.c.chain_id, _R.seq > wanted.c.seq)
        .order_by(_R.seq)
        .limit(1)
        .lateral("following")
    )
    rows = await session.execute(
        select(wanted.c.chain_id, following.c.at).select_from(wanted.join(following, true()))
    )
    return {row.chain_id: row.at for row in rows}


def _state(row: Any) -> ExportState:
    pending = None if row.pending is None else json.loads(row.pending)
    return ExportState(
        row.name,
        row.position,
        None if pending is None else {UUID(chain): seq for chain, seq in pending.items()},
        row.settings,
        row.sent_at,
        row.failed_at,
        row.failure,
    )
