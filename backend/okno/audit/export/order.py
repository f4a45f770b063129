"""The order in which records of many chains go out: each chain in its own, and among chains by time.

A record becomes visible at its commit, which may be later than that of another chain with a later time. So times alone give
no order that stands; what has been put in an order once stays in it, since the same chains up to the same numbers always
merge the same.
"""

import heapq
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

from okno.audit import store as journal
from okno.audit.export import store
from okno.audit.export.store import Marks
from okno.audit.records import Record


async def merged(session: Any, behind: Marks, upto: Marks, limit: int) -> AsyncIterator[Record]:
    """The records of these chains behind and up to these numbers, at most `limit`; a chain without a mark begins at its start.

    Reads of each chain only what is needed: most chains have ended long before the first of these records.
    """
    late = [(chain, behind.get(chain, -1)) for chain, last in upto.items() if last > behind.get(chain, -1)]
    first = await store.list_next(session, late)
    waiting: list[tuple[datetime, UUID]] = [(at, chain) for chain, at in first.items()]
    heapq.heapify(waiting)
    read: dict[UUID, list[Record]] = {}
    place = dict(late)
    while waiting and limit:
        _, chain = heapq.heappop(waiting)
        if not read.get(chain):
            read[chain] = await _read(session, chain, place[chain], upto[chain], limit)
            if not read[chain]:
                continue
        record = read[chain].pop()
        place[chain] = record.ref.seq
        yield record
        limit -= 1
        if limit and not read[chain] and record.ref.seq < upto[chain]:
            read[chain] = await _read(session, chain, record.ref.seq, upto[chain], limit)
        if read[chain]:
            heapq.heappush(waiting, (read[chain][-1].at, chain))


async def _read(session: Any, chain: UUID, behind: int, upto: int, limit: int) -> list[Record]:
    """The next records of a chain, the first of them last."""
    found = await journal.read_chain(
        session, chain, behind=behind, upto=upto, limit=limit, outcomes_only=False
    )
    return found[::-1]
