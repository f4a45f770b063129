"""The SQL of searching the journal. It finds places; the records at them are read as everywhere, by `store.find_records`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    column,
    false,
    func,
    literal,
    or_,
    select,
    text,
    true,
    union,
)
from sqlalchemy.ext.asyncio import AsyncSession

from okno.audit import store
from okno.audit.models import AuditRecordRow, AuditValueRow
from okno.audit.records import Outcome, Phase, Place, Record, RecordRef
from okno.audit.rows import NO_TEAM, Every, Filter, Is, Rows, Some
from okno.storage.keyset import Window, read_window, select_window

_RECORD = cast(Table, AuditRecordRow.__table__)
_VALUE = cast(Table, AuditValueRow.__table__)
_R, _V = _RECORD.c, _VALUE.c
_BY_TIME = (_R.at, _R.chain_id, _R.seq)
_OF_RECORD = and_(_V.chain_id == _R.chain_id, _V.seq == _R.seq)
# Fewer hits are fetched and sorted; with more, going back through time meets enough of them soon. Where both cost about the
# same, with 1,000,000 records.
_FEW = 4000
_NEAR = 2000


@dataclass(frozen=True, slots=True)
class Places:
    """A window of a list by time, newest first."""

    places: list[Place]
    has_previous: bool
    has_next: bool


async def list_places(
    session: AsyncSession, window: Window[Place], asked: Filter, reach: Rows | None
) -> Places:
    """Where the records of a list stand."""
    await _plan_each(session)
    statement = select(*_BY_TIME).where(*_narrowed(asked))
    if reach is not None:
        statement = statement.where(compile_rows(reach))
    if not asked.words:
        return await _read(session, statement, window, indexed=True)
    said = and_(*(func.audit_words(_V.value).like(_infix(word)) for word in asked.words))
    # What is in every hundredth record is met soon by going back through time, what is rare is looked up. The planner
    # knows neither how rare a word is nor when it was said last.
    if not await _is_dense(session, statement, window, said):
        hits = (await session.execute(select(_V.chain_id, _V.seq).where(said).limit(_FEW + 1))).all()
        if len(hits) <= _FEW:
            found = statement.where(_is_one_of([(hit[0], hit[1]) for hit in hits]))
            return await _read(session, found, window, indexed=False)
    await session.execute(text("SET LOCAL enable_bitmapscan = off"))
    return await _read(session, statement.join(_VALUE, _OF_RECORD).where(said), window, indexed=True)


async def _is_dense(
    session: AsyncSession, statement: Select[Any], window: Window[Place], said: ColumnElement[bool]
) -> bool:
    """Whether the nearest records of the list fill the window already."""
    near = select_window(statement, _BY_TIME, replace(window, size=_NEAR - 1), descending=True).subquery()
    filled = (
        select(literal(1))
        .select_from(near)
        .join(_VALUE, and_(_V.chain_id == near.c.chain_id, _V.seq == near.c.seq))
        .where(said)
        .limit(window.size + 1)
        .subquery()
    )
    count: int = (await session.execute(select(func.count()).select_from(filled))).scalar_one()
    return count > window.size


async def list_concerning(
    session: AsyncSession, window: Window[Place], employee_id: str, reach: Rows
) -> Places:
    """Where the records about an employee stand, those among them that name several employees; without outcomes."""
    await _plan_each(session)
    alone = select(_R.chain_id, _R.seq).where(_R.subject_id == employee_id, _R.subject_kind == "Employee")
    among = select(_V.chain_id, _V.seq).where(
        text("value LIKE '%\"employees\":%'"),
        func.audit_employees(_V.value).op("@>")(literal([employee_id], ARRAY(Text))),
    )
    theirs = union(alone, among).subquery()
    # the fact that it is about this employee holds for both kinds, so it is said here and not read from the row
    statement = (
        select(*_BY_TIME)
        .join(theirs, and_(theirs.c.chain_id == _R.chain_id, theirs.c.seq == _R.seq))
        .where(_R.phase != Phase.OUTCOME.value, compile_rows(reach, subject=employee_id))
    )
    return await _read(session, statement, window, indexed=False)


async def find_outcomes(session: AsyncSession, intents: Sequence[RecordRef]) -> dict[RecordRef, Outcome]:
    """How the commands of these intents ended; where it was found out later, what was found out."""
    if not intents:
        return {}
    wanted = _unnested([(ref.chain, ref.seq) for ref in intents])
    rows = await session.execute(
        select(_R.refers_chain_id, _R.refers_seq, _R.outcome, _R.at)
        .join(wanted, and_(wanted.c.chain_id == _R.refers_chain_id, wanted.c.seq == _R.refers_seq))
        .where(_R.phase == Phase.OUTCOME.value, _R.outcome.is_not(None))
        .order_by(_R.at)
    )
    return {RecordRef(row.refers_chain_id, row.refers_seq): Outcome(row.outcome) for row in rows}


async def records_at(session: AsyncSession, places: Sequence[Place]) -> list[Record]:
    """The records at these places, in their order."""
    refs = [RecordRef(chain, seq) for _, chain, seq in places]
    found = await store.find_records(session, refs) if refs else {}
    return [found[ref] for ref in refs if ref in found]


def compile_rows(rows: Rows, *, subject: str | None = None) -> ColumnElement[bool]:
    """The SQL of what somebody may find.

    Args:
        subject: the employee whom all rows are about, whatever they say themselves; facts are those of `history_facts`.
    """
    if isinstance(rows, Every):
        return and_(true(), *(compile_rows(part, subject=subject) for part in rows.parts))
    if isinstance(rows, Some):
        return or_(false(), *(compile_rows(part, subject=subject) for part in rows.parts))
    return _compile_is(rows, subject)


def _compile_is(rows: Is, subject: str | None) -> ColumnElement[bool]:
    if rows.fact == "subject_id" and subject is not None:
        return true() if (subject in map(str, rows.values)) is not rows.negated else false()
    if rows.fact == "actor_id":
        ids = [value for value in rows.values if isinstance(value, UUID)]
        if rows.negated:
            return and_(_R.actor_id.is_not(None), _R.actor_id.not_in(ids))
        return _R.actor_id.in_(ids)
    team = _R.team if subject is None else func.coalesce(_R.team, NO_TEAM)
    found = {"subject_id": _R.subject_id, "event_type": _R.event_type, "team": team}.get(rows.fact)
    if found is None:
        return false()
    values = [str(value) for value in rows.values]
    return and_(found.is_not(None), found.not_in(values)) if rows.negated else found.in_(values)


def _narrowed(asked: Filter) -> list[ColumnElement[bool]]:
    terms: list[ColumnElement[bool]] = []
    for column_, value in (
        (_R.subject_id, asked.subject_id),
        (_R.actor_id, asked.actor_id),
        (_R.team, asked.team),
        (_R.chain_id, asked.chain),
        (_R.outcome, asked.outcome and asked.outcome.value),
        (_R.phase, asked.phase and asked.phase.value),
    ):
        if value is not None:
            terms.append(column_ == value)
    if asked.event_types is not None:
        types = sorted(asked.event_types)
        terms.append(_R.event_type == types[0] if len(types) == 1 else _R.event_type.in_(types))
    if asked.since is not None:
        terms.append(_R.at >= asked.since)
    if asked.until is not None:
        terms.append(_R.at < asked.until)
    return terms


def _infix(word: str) -> str:
    for sign in ("\\", "%", "_"):
        word = word.replace(sign, "\\" + sign)
    return f"%{word}%"


def _is_one_of(places: Sequence[tuple[UUID, int]]) -> ColumnElement[bool]:
    wanted = _unnested(places)
    return (
        select(literal(1))
        .where(wanted.c.chain_id == _R.chain_id, wanted.c.seq == _R.seq)
        .correlate(_RECORD)
        .exists()
    )


def _unnested(places: Sequence[tuple[UUID, int]]) -> Any:
    chains = literal([chain for chain, _ in places], ARRAY(Uuid))
    seqs = literal([seq for _, seq in places], ARRAY(BigInteger))
    return (
        func.unnest(chains, seqs)
        .table_valued(column("chain_id", Uuid), column("seq", BigInteger))
        .render_derived(name="wanted")
    )


async def _plan_each(session: AsyncSession) -> None:
    """What is rare and what is not differs from one search to the next, so each is planned by its own values."""
    await session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


async def _read(
    session: AsyncSession, statement: Select[Any], window: Window[Place], *, indexed: bool
) -> Places:
    page = await read_window(session, statement, _BY_TIME, window, descending=True, indexed=indexed)
    return Places([(row.at, row.chain_id, row.seq) for row in page.rows], page.has_previous, page.has_next)
