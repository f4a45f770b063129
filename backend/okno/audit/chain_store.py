"""SQL over whole chains: where they end, their records for verification, and what retention removes.

Rows are read past SQLAlchemy, by the driver itself: a million of them are verified at a time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from okno.audit.records import RecordRef

# In the order of `chain.record_text`, then the hash and what lies apart
_COLUMNS = """r.chain_id, r.seq, r.at, r.event_type, r.phase, r.outcome, r.actor_id, r.actor_kind, r.subject_kind, r.subject_id,
    r.refers_chain_id, r.refers_seq, r.policy_version, r.rule, r.request_id, r.digest, r.prev_hash, r.team, r.hash, v.salt, v.value"""
_ROWS = f"SELECT {_COLUMNS} FROM audit_record r LEFT JOIN audit_value v ON v.chain_id = r.chain_id AND v.seq = r.seq"  # noqa: S608

_PART = f"{_ROWS} WHERE r.chain_id = $1 AND r.seq BETWEEN $2 AND $3 ORDER BY r.seq"
# the condition on v repeats that on r, since the planner does not carry a list over to the other table of a join
_CHAINS = f"""SELECT {_COLUMNS} FROM (SELECT * FROM audit_record WHERE chain_id = ANY($1)) r
    LEFT JOIN (SELECT * FROM audit_value WHERE chain_id = ANY($1)) v ON v.chain_id = r.chain_id AND v.seq = r.seq
    ORDER BY r.chain_id, r.seq"""  # noqa: S608

# From chain to chain along the primary key: the time grows with the number of chains, not with that of records
_HEADS = """
    WITH RECURSIVE chain AS (
        SELECT (SELECT chain_id FROM audit_record WHERE chain_id >= $1 ORDER BY chain_id LIMIT 1) AS id
        UNION ALL
        SELECT (SELECT chain_id FROM audit_record WHERE chain_id > chain.id ORDER BY chain_id LIMIT 1)
        FROM chain WHERE chain.id IS NOT NULL
    )
    SELECT chain.id, head.seq, head.hash, head.at, head.event_type = 'journal.stopped' AS is_ended
    FROM chain CROSS JOIN LATERAL
        (SELECT seq, hash, at, event_type FROM audit_record WHERE chain_id = chain.id ORDER BY seq DESC LIMIT 1) head
    WHERE chain.id IS NOT NULL
"""
_HEADS_OF = """
    SELECT chain.id, head.seq, head.hash, head.at, head.event_type = 'journal.stopped' AS is_ended
    FROM unnest($1::uuid[]) AS chain(id) CROSS JOIN LATERAL
        (SELECT seq, hash, at, event_type FROM audit_record WHERE chain_id = chain.id ORDER BY seq DESC LIMIT 1) head
"""
_ERASED_BY = """
    SELECT DISTINCT ON (e.refers_chain_id, e.refers_seq) e.refers_chain_id, e.refers_seq, e.chain_id, e.seq
    FROM audit_record e JOIN unnest($1::uuid[], $2::bigint[]) AS gone(chain_id, seq)
        ON e.refers_chain_id = gone.chain_id AND e.refers_seq = gone.seq
    WHERE e.event_type = 'journal.erased'
    ORDER BY e.refers_chain_id, e.refers_seq, e.at, e.chain_id, e.seq
"""
_SINCE = "SELECT chain_id, min(seq) AS seq FROM audit_record WHERE at >= $1 GROUP BY chain_id"

Row = Sequence[Any]
FIRST = UUID(int=0)


class ChainHead:
    """Where a chain ends in the table; `is_ended` when its last record says that it was closed."""

    __slots__ = ("at", "chain", "hash", "is_ended", "seq")

    def __init__(self, row: Row) -> None:
        self.chain: UUID = row[0]
        self.seq: int = row[1]
        self.hash: bytes = row[2]
        self.at: datetime = row[3]
        self.is_ended: bool = row[4]


async def list_heads(session: AsyncSession, *, begun_after: UUID = FIRST) -> dict[UUID, ChainHead]:
    """Where every chain ends, or every one from this id on."""
    rows = await (await driver(session)).fetch(_HEADS, begun_after)
    return {row[0]: ChainHead(row) for row in rows}


async def find_heads(session: AsyncSession, chains: Sequence[UUID]) -> dict[UUID, ChainHead]:
    """Where these chains end; those without a record are left out."""
    rows = await (await driver(session)).fetch(_HEADS_OF, list(chains))
    return {row[0]: ChainHead(row) for row in rows}


async def read_part(session: AsyncSession, chain: UUID, first: int, last: int) -> list[Row]:
    """The records of a chain with these numbers, both included, in their order."""
    rows: list[Row] = await (await driver(session)).fetch(_PART, chain, first, last)
    return rows


async def read_chains(session: AsyncSession, chains: Sequence[UUID]) -> list[Row]:
    """All records of these chains, by chain and number."""
    rows: list[Row] = await (await driver(session)).fetch(_CHAINS, list(chains))
    return rows


async def find_erasures(session: AsyncSession, refs: Sequence[RecordRef]) -> dict[RecordRef, RecordRef]:
    """The first record that says that the values of each of these records were erased, where there is one."""
    rows = await (await driver(session)).fetch(
        _ERASED_BY, [ref.chain for ref in refs], [ref.seq for ref in refs]
    )
    return {RecordRef(row[0], row[1]): RecordRef(row[2], row[3]) for row in rows}


async def first_since(session: AsyncSession, since: datetime) -> Mapping[UUID, int]:
    """The number of the first record of each chain that was written at this moment or later."""
    rows = await (await driver(session)).fetch(_SINCE, since)
    return {row[0]: row[1] for row in rows}


# Retention


_CUTTABLE = """
    WITH RECURSIVE chain AS (
        SELECT (SELECT chain_id FROM audit_record ORDER BY chain_id LIMIT 1) AS id
        UNION ALL
        SELECT (SELECT chain_id FROM audit_record WHERE chain_id > chain.id ORDER BY chain_id LIMIT 1)
        FROM chain WHERE chain.id IS NOT NULL
    )
    SELECT chain.id, head.seq, head.hash, head.at, head.event_type = 'journal.stopped',
        (SELECT tableoid::regclass::text FROM audit_record WHERE chain_id = chain.id AND seq = head.seq),
        EXISTS (SELECT FROM audit_command WHERE intent_chain_id = chain.id AND state IN ('running', 'unknown'))
    FROM chain CROSS JOIN LATERAL
        (SELECT seq, hash, at, event_type FROM audit_record WHERE chain_id = chain.id ORDER BY seq DESC LIMIT 1) head
    WHERE chain.id IS NOT NULL AND head.at < $1
        AND NOT EXISTS (SELECT FROM audit_record WHERE chain_id = chain.id AND at >= $1)
"""
_ERASING = """
    SELECT DISTINCT chain_id FROM audit_record
    WHERE chain_id = ANY($1) AND event_type = 'journal.erased' AND NOT refers_chain_id = ANY($1)
        AND EXISTS (SELECT FROM audit_record o WHERE o.chain_id = audit_record.refers_chain_id AND o.seq = audit_record.refers_seq)
"""
_PARTITIONS = """
    SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit_record'::regclass ORDER BY 1
"""
_CHAINS_OF = "SELECT chain_id, count(*) FROM {} GROUP BY chain_id"
_DELETE_COMMANDS = "DELETE FROM audit_command WHERE intent_chain_id = ANY($1)"


class OldChain(ChainHead):
    """A chain whose records are all older than some moment."""

    __slots__ = ("has_open_commands", "partition")

    def __init__(self, row: Row) -> None:
        super().__init__(row)
        self.partition: str = row[5]
        self.has_open_commands: bool = row[6]


async def list_old_chains(session: AsyncSession, before: datetime) -> list[OldChain]:
    """The chains all of whose records are older than this."""
    return [OldChain(row) for row in await (await driver(session)).fetch(_CUTTABLE, before, timeout=600)]


async def list_erasing(session: AsyncSession, chains: Sequence[UUID]) -> set[UUID]:
    """Those of the chains that say of records outside of them that their values were erased."""
    return {row[0] for row in await (await driver(session)).fetch(_ERASING, list(chains), timeout=600)}


async def remove_chains(session: AsyncSession, chains: Sequence[UUID]) -> int:
    """Removes these chains, as the owner of the tables: months in which nothing else lies as tables, else row by row. Gives how many
    records.

    Raises:
        DBAPIError: the role may not, or somebody reads a month for longer than one may wait.
    """
    connection = await driver(session)
    gone = set(chains)
    async with connection.transaction():
        # whoever waits behind us for these tables waits no longer than that
        await connection.execute("SET LOCAL lock_timeout = '5s'")
        await connection.execute(_DELETE_COMMANDS, list(chains), timeout=600)
        removed = 0
        for (partition,) in await connection.fetch(_PARTITIONS):
            values = partition.replace("audit_record", "audit_value")
            inside = await connection.fetch(_CHAINS_OF.format(partition), timeout=600)
            mine = [row[0] for row in inside if row[0] in gone]
            if not mine:
                continue
            removed += sum(row[1] for row in inside if row[0] in gone)
            if len(mine) == len(inside) and not partition.endswith("_default"):
                await connection.execute(f"DROP TABLE {partition}, {values}")
            else:
                for table in (values, partition):
                    await connection.execute(
                        f"DELETE FROM {table} WHERE chain_id = ANY($1)",  # noqa: S608 - a name of the catalogue
                        mine,
                        timeout=600,
                    )
    return removed


async def add_partitions(session: AsyncSession, first: datetime, months: int) -> list[str]:
    """Makes the tables of months to come; gives the names of those that are new."""
    rows = await (await driver(session)).fetch(
        "SELECT public.audit_add_partitions($1::date, $2)", first.date(), months
    )
    return [row[0] for row in rows]


async def driver(session: AsyncSession) -> Any:
    """asyncpg's connection under the session, in its transaction."""
    return (await (await session.connection()).get_raw_connection()).driver_connection
