"""All SQL of privacy: the erasures, and whom the index may not take in."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from okno.privacy.digests import Digests
from okno.privacy.model import Erasure
from okno.privacy.models import ErasureRow
from okno.storage.personal_data import Limit, Subject, count_rows, delete_rows, table_of

Session = AsyncSession

_ERASURE = table_of(ErasureRow)


async def begin(session: AsyncSession, erasure: Erasure, *, key_id: str) -> None:
    """Notes what is to be erased, before anything is."""
    values = {
        "digest": erasure.digest,
        "key_id": key_id,
        "bars_index": erasure.bars_index,
        "known": json.dumps(erasure.subject.as_json()),
        "done": "{}",
        "accounts": sorted(erasure.accounts),
        "intent": erasure.intent,
        "begun_at": erasure.begun_at,
        "touched_at": erasure.begun_at,
        "finished_at": None,
    }
    statement = insert(ErasureRow).values(values)
    await session.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=values))


async def find(session: AsyncSession, digest: bytes, *, lock: bool = False) -> Erasure | None:
    """The erasure of this person, if there was one; `lock` holds it until the transaction ends."""
    statement = select(_ERASURE).where(_ERASURE.c.digest == digest)
    row = (await session.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return None if row is None else _erasure(row)


async def list_unfinished(session: AsyncSession, *, untouched_since: datetime | None = None) -> list[Erasure]:
    """Erasures under way; with a moment only those that nobody has worked at since."""
    statement = select(_ERASURE).where(_ERASURE.c.finished_at.is_(None)).order_by(_ERASURE.c.begun_at)
    if untouched_since is not None:
        statement = statement.where(_ERASURE.c.touched_at < untouched_since)
    return [_erasure(row) for row in await session.execute(statement)]


async def was_begun(session: AsyncSession, intent: str) -> bool:
    """Whether the command with this record came as far as to begin."""
    return await session.scalar(select(_ERASURE.c.digest).where(_ERASURE.c.intent == intent)) is not None


async def note_done(
    session: AsyncSession, digest: bytes, done: Mapping[str, Mapping[str, int]], now: datetime
) -> None:
    """Says what has been erased so far, in the transaction that erased it."""
    await session.execute(
        update(ErasureRow).where(_ERASURE.c.digest == digest).values(done=json.dumps(done), touched_at=now)
    )


async def finish(session: AsyncSession, digest: bytes, now: datetime) -> None:
    """Forgets the person's names."""
    await session.execute(
        update(ErasureRow)
        .where(_ERASURE.c.digest == digest)
        .values(known=None, finished_at=now, touched_at=now)
    )


async def list_accounts(session: AsyncSession) -> list[UUID]:
    """The accounts that are nobody's any more."""
    found = await session.scalars(select(_ERASURE.c.accounts).where(_ERASURE.c.finished_at.is_not(None)))
    return sorted({account for accounts in found for account in accounts})


async def lift(session: AsyncSession, digest: bytes) -> bool:
    """The index may take the person in again; False when it might already."""
    statement = (
        update(ErasureRow)
        .where(_ERASURE.c.digest == digest, _ERASURE.c.bars_index)
        .values(bars_index=False)
        .returning(_ERASURE.c.digest)
    )
    return (await session.execute(statement)).first() is not None


async def barred(session: AsyncSession, digests: Digests, numbers: Collection[str]) -> set[str]:
    """Those of the personnel numbers whose people the index may not take in.

    Raises:
        ConfigurationError: there are erasures under another key.
    """
    for key_id in await session.scalars(select(_ERASURE.c.key_id).distinct()):
        digests.check(key_id)
    found = set(await session.scalars(select(_ERASURE.c.digest).where(_ERASURE.c.bars_index)))
    return {number for number in numbers if digests.of_number(number) in found} if found else set()


async def count_due(session: AsyncSession, limit: Limit, before: datetime) -> int:
    return await count_rows(session, limit.table, limit.due(before))


async def delete_due(session: AsyncSession, limit: Limit, before: datetime) -> int:
    return await delete_rows(session, limit.table, limit.due(before))


def _erasure(row: Any) -> Erasure:
    subject = Subject() if row.known is None else Subject.of_json(json.loads(row.known))
    return Erasure(
        digest=bytes(row.digest),
        subject=subject,
        accounts=tuple(row.accounts),
        bars_index=row.bars_index,
        intent=row.intent,
        begun_at=row.begun_at,
        done=json.loads(row.done),
        finished=row.finished_at is not None,
    )
