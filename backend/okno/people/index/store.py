"""The SQL that writes the people index: how far a source was read, batches of rows and keys, who vanished."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, delete, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from okno.people.index.merge import Known, Row
from okno.people.model import IndexState
from okno.people.models import IndexStateRow, KeyRow, PersonRow

Session = AsyncSession

_PERSON = PersonRow.__table__
_KEY = KeyRow.__table__
_STATE = IndexStateRow.__table__


@dataclass(frozen=True, slots=True)
class Run:
    """One reading of a source, begun or taken up again at `cursor` after `pages` pages."""

    source_id: str
    number: int
    cursor: str | None
    pages: int
    seen: int

    @property
    def resumed(self) -> bool:
        """Whether an earlier call read the first pages."""
        return self.pages > 0

    @property
    def complete(self) -> bool:
        """Whether all pages were read, and only the end is missing."""
        return self.pages > 0 and self.cursor is None


@dataclass(slots=True)
class Counts:
    """What a page or a run came to."""

    seen: int = 0
    changed: int = 0
    unmatched: int = 0
    rejected: int = 0
    vanished: int = 0
    withheld: int = 0

    def items(self) -> dict[str, int]:
        """By name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def add(self, other: "Counts") -> None:
        """Adds another page's."""
        for name, value in other.items().items():
            setattr(self, name, getattr(self, name) + value)


class IndexStore:
    """Statements that write the index; the caller holds the transaction."""

    async def unfinished(self, session: AsyncSession, since: datetime) -> set[str]:
        """Sources whose last reading was begun after `since` and cut off."""
        found = select(_STATE.c.source_id).where(_STATE.c.finished_at.is_(None), _STATE.c.started_at >= since)
        return set((await session.scalars(found)).all())

    async def begin(
        self, session: AsyncSession, source_id: str, now: datetime, resume_within: timedelta | None
    ) -> Run:
        """Takes up the reading that was cut off within `resume_within`, else begins a new one."""
        state = (
            await session.execute(select(_STATE).where(_STATE.c.source_id == source_id).with_for_update())
        ).one_or_none()
        if (
            state is not None
            and state.finished_at is None
            and resume_within is not None
            and now - state.started_at <= resume_within
        ):
            return Run(source_id, state.run, state.cursor, state.pages, state.seen)
        number = 1 if state is None else state.run + 1
        fresh = {
            "source_id": source_id,
            "run": number,
            "cursor": None,
            "pages": 0,
            "started_at": now,
            "finished_at": None,
            **Counts().items(),
        }
        statement = insert(IndexStateRow).values(fresh)
        await session.execute(statement.on_conflict_do_update(index_elements=["source_id"], set_=fresh))
        return Run(source_id, number, None, 0, 0)

    async def claim(self, session: AsyncSession, run: Run, page: int) -> bool:
        """Locks the reading for this transaction; False when another process is further, or began anew."""
        state = (
            await session.execute(
                select(_STATE.c.run, _STATE.c.pages, _STATE.c.finished_at)
                .where(_STATE.c.source_id == run.source_id)
                .with_for_update()
            )
        ).one()
        return (state.run, state.pages, state.finished_at) == (run.number, page, None)

    async def advance(self, session: AsyncSession, run: Run, cursor: str | None, counts: Counts) -> None:
        """Moves the claimed reading behind its page; `cursor` None: that was the last one."""
        values = {"cursor": cursor, "pages": _STATE.c.pages + 1, **_added(counts)}
        await session.execute(update(IndexStateRow).where(_STATE.c.source_id == run.source_id).values(values))

    async def finish(self, session: AsyncSession, run: Run, now: datetime, counts: Counts) -> None:
        """Closes the claimed reading."""
        values = {"finished_at": now, "completed_at": now, "failure": None, **_added(counts)}
        await session.execute(update(IndexStateRow).where(_STATE.c.source_id == run.source_id).values(values))

    async def note_failure(self, session: AsyncSession, run: Run, code: str) -> None:
        """Notes why the reading was cut off."""
        await session.execute(
            update(IndexStateRow).where(_STATE.c.source_id == run.source_id).values(failure=code)
        )

    async def state(self, session: AsyncSession, primary: str, sources: Sequence[str]) -> IndexState:
        """How far the index is. A source other than HR that fails does not keep the rest from being complete."""
        found = {row.source_id: row for row in await session.execute(select(_STATE))}
        complete = [
            (row := found.get(source_id)) is not None
            and (row.completed_at is not None or (row.failure is not None and source_id != primary))
            for source_id in sources
        ]
        people = found[primary].seen if primary in found and found[primary].completed_at is not None else 0
        return IndexState(
            done=sum(found[source_id].seen for source_id in sources if source_id in found),
            total=people * len(sources),
            complete=all(complete),
        )

    async def load(self, session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Known]:
        """Rows and keys of these people; those not in the index are absent."""
        rows = await session.execute(select(_PERSON).where(_PERSON.c.id == any_(_array(ids, Uuid()))))
        known = {row.id: Known(dict(row._mapping)) for row in rows}
        keys = await session.execute(select(_KEY).where(_KEY.c.person_id == any_(_array(ids, Uuid()))))
        for key in keys:
            if key.person_id in known:
                known[key.person_id].keys.setdefault(key.kind, {})[key.source] = key.value
        return known

    async def write(self, session: AsyncSession, rows: Sequence[Row]) -> None:
        """Inserts or replaces rows, in one statement with one array a column.

        50,000 rows in batches of 500 take 4.3 s with the index's pending list of 512 kB, 15.2 s without one (fastupdate=off).
        """
        if not rows:
            return
        columns = list(_PERSON.columns)
        given = func.unnest(*(_array([row[c.name] for row in rows], c.type) for c in columns))
        table = given.table_valued(*(c.name for c in columns)).render_derived()
        statement = insert(PersonRow).from_select([c.name for c in columns], select(*table.c))
        replaced = {c.name: statement.excluded[c.name] for c in columns if c.name != "id"}
        await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=replaced))

    async def touch(self, session: AsyncSession, ids: Sequence[UUID], now: datetime, run: Run) -> None:
        """Notes that HR still lists these people. No index holds these columns: the update stays in the heap page."""
        if ids:
            await session.execute(
                update(PersonRow)
                .where(_PERSON.c.id == any_(_array(ids, Uuid())))
                .values(indexed_at=now, index_run=run.number)
            )

    async def replace_keys(
        self, session: AsyncSession, run: Run, ids: Sequence[UUID], keys: Sequence[tuple[UUID, str, str]]
    ) -> None:
        """Makes these (person, kind, value) the only keys by which the source knows these people."""
        arrays = [_array([key[i] for key in keys], type_) for i, type_ in enumerate(_KEY_TYPES)]
        table = func.unnest(*arrays).table_valued("person_id", "kind", "value").render_derived()
        given = select(
            table.c.kind, table.c.value, table.c.person_id, literal(run.source_id), literal(run.number)
        )
        statement = insert(KeyRow).from_select(["kind", "value", "person_id", "source", "run"], given)
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["kind", "value", "person_id", "source"], set_={"run": run.number}
            )
        )
        await session.execute(
            delete(KeyRow).where(
                _KEY.c.person_id == any_(_array(ids, Uuid())),
                _KEY.c.source == run.source_id,
                _KEY.c.run != run.number,
            )
        )

    async def count_present(self, session: AsyncSession) -> int:
        """People whom HR lists."""
        return await session.scalar(select(func.count()).where(_PERSON.c.vanished_at.is_(None))) or 0

    async def count_unseen(self, session: AsyncSession, run: Run) -> int:
        """People whom HR listed until now, and not in this reading."""
        return await session.scalar(select(func.count()).where(*_unseen(run))) or 0

    async def mark_vanished(self, session: AsyncSession, run: Run, now: datetime) -> int:
        """Marks those whom HR no longer lists; they stay findable, after all others."""
        result = await session.execute(
            update(PersonRow).where(*_unseen(run)).values(vanished_at=now, gone=True).returning(_PERSON.c.id)
        )
        return len(result.all())

    async def forgotten(self, session: AsyncSession, run: Run) -> tuple[list[UUID], int]:
        """People whom the source knew by a key and did not list in this reading, and how many it knew in all."""
        people = select(_KEY.c.person_id).where(_KEY.c.source == run.source_id)
        every = await session.scalar(select(func.count()).select_from(people.distinct().subquery()))
        seen = people.where(_KEY.c.run == run.number)
        gone = people.where(_KEY.c.run != run.number, _KEY.c.person_id.not_in(seen)).distinct()
        return list((await session.scalars(gone)).all()), every or 0

    async def drop_keys(self, session: AsyncSession, run: Run, ids: Sequence[UUID]) -> None:
        """Forgets by which keys the source knew these people."""
        await session.execute(
            delete(KeyRow).where(
                _KEY.c.person_id == any_(_array(ids, Uuid())), _KEY.c.source == run.source_id
            )
        )

    async def drop_all_keys(self, session: AsyncSession, ids: Sequence[UUID]) -> None:
        """Forgets by which keys any source knew these people."""
        if ids:
            await session.execute(delete(KeyRow).where(_KEY.c.person_id == any_(_array(ids, Uuid()))))

    async def settle(self, session: AsyncSession) -> None:
        """Merges the pending list of the search index and refreshes the planner's statistics (a function of the owner)."""
        await session.execute(text("SELECT people_index_settle()"))


_PAGES_LOCK = 0x6F6B6E6F_0001  # of advisory locks in Okno's database


async def hold_pages(session: AsyncSession, *, alone: bool = False) -> None:
    """Held by each transaction that writes a page; `alone`: none is being written until this transaction ends."""
    lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
    await session.execute(select(lock(_PAGES_LOCK)))


_KEY_TYPES = (_KEY.c.person_id.type, _KEY.c.kind.type, _KEY.c.value.type)


def _added(counts: Counts) -> dict[str, Any]:
    return {name: _STATE.c[name] + value for name, value in counts.items().items() if value}


def _unseen(run: Run) -> tuple[ColumnElement[bool], ...]:
    return (_PERSON.c.vanished_at.is_(None), _PERSON.c.index_run != run.number)


def _array(values: Sequence[Any], type_: Any) -> ColumnElement[Any]:
    """One parameter for any number of values: the statement stays the same, so it is prepared once."""
    return literal(list(values), ARRAY(type_))
