"""SQL of the journal: records by place, by time and by what they speak of. The writer's is in `batch_store`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Select,
    Table,
    Uuid,
    and_,
    bindparam,
    column,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncSession

from okno.audit.chain import Entry
from okno.audit.models import AuditCommandRow, AuditRecordRow, AuditValueRow
from okno.audit.records import Outcome, Phase, Place, Record, RecordPage, RecordRef
from okno.storage.keyset import Window, read_window

_RECORD = cast(Table, AuditRecordRow.__table__)
_VALUE = cast(Table, AuditValueRow.__table__)
_COMMAND = cast(Table, AuditCommandRow.__table__)


class ChainTakenError(Exception):
    """A record of ours found its place in the chain taken: somebody else writes to this chain."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A record with its place and hash, and the values behind its digest."""

    entry: Entry
    hash: bytes
    salt: bytes
    value: str

    @property
    def ref(self) -> RecordRef:
        return RecordRef(self.entry.chain, self.entry.seq)


@dataclass(frozen=True, slots=True)
class CommandState:
    """What is known of a command that has begun. `result` is canonical JSON of {result, code, message}."""

    id: UUID
    salt: bytes
    digest: bytes
    state: str
    result: str | None
    intent: RecordRef
    started_at: datetime


async def append_or_read(session: AsyncSession, record: Sealed) -> bytes | None:
    """Adds the record if its place is free, and gives None; else gives the hash of the record that stands there.

    If a transaction that has not ended yet holds the place, this waits for its end: that is what makes the answer final.
    """
    statement = (
        pg_insert(_RECORD).on_conflict_do_nothing(index_elements=["chain_id", "seq"]).returning(_RECORD.c.seq)
    )
    if (await session.execute(statement, [_record_values(record)])).first() is not None:
        await session.execute(insert(_VALUE), [_value_values(record)])
        return None
    place = and_(_RECORD.c.chain_id == record.entry.chain, _RECORD.c.seq == record.entry.seq)
    found: bytes = (await session.execute(select(_RECORD.c.hash).where(place))).scalar_one()
    return found


async def erase_values(session: AsyncSession, refs: Sequence[RecordRef]) -> None:
    """Removes the personal values of these records, also where a command repeats them."""
    places = [(ref.chain, ref.seq) for ref in refs]
    await session.execute(delete(_VALUE).where(tuple_(_VALUE.c.chain_id, _VALUE.c.seq).in_(places)))
    await session.execute(
        update(_COMMAND)
        .where(
            or_(
                tuple_(_COMMAND.c.intent_chain_id, _COMMAND.c.intent_seq).in_(places),
                tuple_(_COMMAND.c.outcome_chain_id, _COMMAND.c.outcome_seq).in_(places),
            )
        )
        # without its salt the digest of the input can no longer be tried against likely inputs
        .values(result=None, input_salt=b"")
    )


async def list_records(
    session: AsyncSession,
    window: Window[Place],
    *,
    since: datetime | None = None,
    subject_id: str | None = None,
    actor_id: UUID | None = None,
    event_type: str | None = None,
) -> RecordPage:
    """Records, newest first."""
    statement = _records()
    if since is not None:
        statement = statement.where(_RECORD.c.at >= since)
    if subject_id is not None:
        statement = statement.where(_RECORD.c.subject_id == subject_id)
    if actor_id is not None:
        statement = statement.where(_RECORD.c.actor_id == actor_id)
    if event_type is not None:
        statement = statement.where(_RECORD.c.event_type == event_type)
    page = await read_window(session, statement, _BY_TIME, window, descending=True)
    return RecordPage([_record(row) for row in page.rows], page.has_previous, page.has_next)


async def find_records(session: AsyncSession, refs: Sequence[RecordRef]) -> dict[RecordRef, Record]:
    """The records at these places, those that there are, in one statement.

    Two arrays instead of a list of pairs: the statement stays the same for any number, so it is prepared once.
    """
    rows = await session.execute(
        _BY_REFS, {"chains": [ref.chain for ref in refs], "seqs": [ref.seq for ref in refs]}
    )
    return {(record := _record(row)).ref: record for row in rows}


async def list_unsettled(
    session: AsyncSession, *, before: datetime, after: datetime | None, limit: int
) -> list[tuple[Record, str, datetime]]:
    """Commands begun between these moments whose end is not known, oldest first: intent, state, begin."""
    statement = (
        _records()
        .add_columns(_COMMAND.c.state, _COMMAND.c.started_at)
        .join(
            _COMMAND,
            and_(_COMMAND.c.intent_chain_id == _RECORD.c.chain_id, _COMMAND.c.intent_seq == _RECORD.c.seq),
        )
        .where(_COMMAND.c.state.in_(["running", "unknown"]), _COMMAND.c.started_at < before)
        .order_by(_COMMAND.c.started_at)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(_COMMAND.c.started_at > after)
    return [(_record(row), row.state, row.started_at) for row in await session.execute(statement)]


async def find_head(session: AsyncSession, chain: UUID) -> int | None:
    """The number of the chain's last record; None when it has none."""
    statement = select(func.max(_RECORD.c.seq)).where(_RECORD.c.chain_id == chain)
    found: int | None = (await session.execute(statement)).scalar_one()
    return found


async def read_chain(
    session: AsyncSession, chain: UUID, *, behind: int, upto: int, limit: int, outcomes_only: bool
) -> list[Record]:
    """The records of a chain with these numbers, `behind` excluded, in their order."""
    statement = (
        _records()
        .where(_RECORD.c.chain_id == chain, _RECORD.c.seq > behind, _RECORD.c.seq <= upto)
        .order_by(_RECORD.c.seq)
        .limit(limit)
    )
    if outcomes_only:
        statement = statement.where(_RECORD.c.phase == Phase.OUTCOME.value)
    return [_record(row) for row in await session.execute(statement)]


def _records() -> Select[Any]:
    return select(_RECORD, _VALUE.c.value).outerjoin(
        _VALUE, and_(_VALUE.c.chain_id == _RECORD.c.chain_id, _VALUE.c.seq == _RECORD.c.seq)
    )


_BY_TIME = (_RECORD.c.at, _RECORD.c.chain_id, _RECORD.c.seq)
_WANTED = (
    func.unnest(bindparam("chains", type_=ARRAY(Uuid)), bindparam("seqs", type_=ARRAY(BigInteger)))
    .table_valued(column("chain_id", Uuid), column("seq", BigInteger))
    .render_derived(name="wanted")
)
_BY_REFS = _records().join(
    _WANTED, and_(_WANTED.c.chain_id == _RECORD.c.chain_id, _WANTED.c.seq == _RECORD.c.seq)
)


def _record_values(record: Sealed) -> dict[str, Any]:
    entry = record.entry
    return {
        "chain_id": entry.chain,
        "seq": entry.seq,
        "at": entry.at,
        "event_type": entry.event_type,
        "phase": entry.phase,
        "outcome": entry.outcome,
        "actor_id": entry.actor_id,
        "actor_kind": entry.actor_kind,
        "subject_kind": entry.subject_kind,
        "subject_id": entry.subject_id,
        "refers_chain_id": None if entry.refers is None else entry.refers.chain,
        "refers_seq": None if entry.refers is None else entry.refers.seq,
        "policy_version": entry.policy_version,
        "rule": entry.rule,
        "request_id": entry.request_id,
        "digest": entry.digest,
        "prev_hash": entry.prev_hash,
        "hash": record.hash,
        "team": entry.team,
    }


def _value_values(record: Sealed) -> dict[str, Any]:
    return {
        "chain_id": record.entry.chain,
        "seq": record.entry.seq,
        "salt": record.salt,
        "value": record.value,
    }


def _refers(row: Any) -> RecordRef | None:
    return None if row.refers_chain_id is None else RecordRef(row.refers_chain_id, row.refers_seq)


def _record(row: Any) -> Record:
    values = _values(row.value)
    actor, subject = values.get("actor") or {}, values.get("subject") or {}
    return Record(
        ref=RecordRef(row.chain_id, row.seq),
        at=row.at,
        event_type=row.event_type,
        phase=Phase(row.phase),
        outcome=None if row.outcome is None else Outcome(row.outcome),
        actor_id=row.actor_id,
        actor_kind=row.actor_kind,
        actor_login=actor.get("login"),
        actor_name=actor.get("name"),
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        subject_label=subject.get("label"),
        detail=values.get("detail"),
        refers=_refers(row),
        policy_version=row.policy_version,
        rule=row.rule,
        request_id=row.request_id,
        digest=row.digest,
        prev_hash=row.prev_hash,
        hash=row.hash,
        erased=row.value is None,
        team=row.team,
    )


def _values(text: str | None) -> dict[str, Any]:
    try:
        values = json.loads(text or "{}")
    except ValueError:  # somebody has altered it, which verification tells; reading the rest goes on
        return {}
    return values if isinstance(values, dict) else {}
