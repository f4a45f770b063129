"""SQL of the writer: what one group commit reads and writes, in one statement a table however many records there are.

Arrays instead of lists of rows: the statements stay the same for any number, so they are prepared once, and neither side handles
each row by itself.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from okno.audit.drafts import Finish
from okno.audit.records import RecordRef
from okno.audit.store import ChainTakenError, CommandState, Sealed

Result = TypeVar("Result")

# (column, type), in the order of `_record_row`
_RECORD = (
    ("chain_id", "uuid"), ("seq", "bigint"), ("at", "timestamptz"), ("event_type", "text"), ("phase", "text"),
    ("outcome", "text"), ("actor_id", "uuid"), ("actor_kind", "text"), ("subject_kind", "text"), ("subject_id", "text"),
    ("refers_chain_id", "uuid"), ("refers_seq", "bigint"), ("policy_version", "text"), ("rule", "text"),
    ("request_id", "text"), ("digest", "bytea"), ("prev_hash", "bytea"), ("team", "text"), ("hash", "bytea"),
)  # fmt: skip
_VALUE = (("chain_id", "uuid"), ("seq", "bigint"), ("salt", "bytea"), ("value", "text"))
_COMMAND = (
    ("id", "uuid"), ("actor_id", "uuid"), ("idempotency_key", "text"), ("event_type", "text"), ("input_salt", "bytea"),
    ("input_digest", "bytea"), ("state", "text"), ("intent_chain_id", "uuid"), ("intent_seq", "bigint"),
    ("started_at", "timestamptz"),
)  # fmt: skip


def _insert(table: str, columns: Sequence[tuple[str, str]]) -> str:
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"${number}::{kind}[]" for number, (_, kind) in enumerate(columns, start=1))
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608 - names of this module


_INSERT_RECORDS = _insert("audit_record", _RECORD)
_INSERT_VALUES = _insert("audit_value", _VALUE)
_INSERT_COMMANDS = (
    _insert("audit_command", _COMMAND) + " ON CONFLICT (actor_id, idempotency_key) DO NOTHING RETURNING id"
)
_STATE = (
    "c.id, c.input_salt, c.input_digest, c.state, c.result, c.intent_chain_id, c.intent_seq, c.started_at"
)
_FIND_COMMANDS = f"""
    SELECT {_STATE}, c.actor_id, c.idempotency_key FROM audit_command c
    JOIN unnest($1::uuid[], $2::text[]) AS wanted(actor_id, key) ON c.actor_id = wanted.actor_id AND c.idempotency_key = wanted.key
"""  # noqa: S608 - names of this module
_LOCK_COMMANDS = f"""
    SELECT {_STATE} FROM audit_command c
    JOIN unnest($1::uuid[], $2::bigint[]) AS wanted(chain_id, seq) ON c.intent_chain_id = wanted.chain_id AND c.intent_seq = wanted.seq
    ORDER BY c.id FOR UPDATE OF c
"""  # noqa: S608 - names of this module
_FINISH_COMMANDS = """
    UPDATE audit_command c SET state = e.state, result = e.result, outcome_chain_id = e.by_chain, outcome_seq = e.by_seq,
        finished_at = e.at
    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::bigint[], $7::timestamptz[])
        AS e(chain_id, seq, state, result, by_chain, by_seq, at)
    WHERE c.intent_chain_id = e.chain_id AND c.intent_seq = e.seq
"""


async def append(session: AsyncSession, records: Sequence[Sealed]) -> None:
    """Adds records and their values.

    Raises:
        ChainTakenError: a place is taken.
    """
    try:
        await _run(session, _INSERT_RECORDS, [_record_row(each) for each in records])
    except IntegrityError as error:
        raise ChainTakenError from error
    values = [(each.entry.chain, each.entry.seq, each.salt, each.value) for each in records]
    await _run(session, _INSERT_VALUES, values)


async def find_commands(
    session: AsyncSession, keys: Iterable[tuple[UUID, str]]
) -> dict[tuple[UUID, str], CommandState]:
    """The commands that have used these (actor, idempotency key)."""
    if not (wanted := list(keys)):
        return {}
    rows = await _run(session, _FIND_COMMANDS, wanted)
    return {(row[8], row[9]): _command_state(row) for row in rows}


async def lock_commands(session: AsyncSession, intents: Iterable[RecordRef]) -> dict[RecordRef, CommandState]:
    """The commands of these intents, locked until the transaction ends, in one order for everybody."""
    if not (wanted := [(ref.chain, ref.seq) for ref in intents]):
        return {}
    rows = await _run(session, _LOCK_COMMANDS, wanted)
    return {(state := _command_state(row)).intent: state for row in rows}


async def insert_commands(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> int:
    """Adds commands and gives how many: fewer than asked when another process has just used a key.

    In the order of their keys, so that two processes that insert the same keys wait for each other and do not deadlock.
    """
    ordered = sorted(rows, key=lambda row: (row["actor_id"], row["idempotency_key"] or ""))
    return len(
        await _run(session, _INSERT_COMMANDS, [[row[name] for name, _ in _COMMAND] for row in ordered])
    )


async def finish_commands(session: AsyncSession, ends: Sequence[tuple[Finish, RecordRef, datetime]]) -> None:
    """Writes how commands ended, beside their outcome records. Of two ends of one command the later one stands."""
    rows = {
        end.intent: (end.intent.chain, end.intent.seq, end.outcome.value, end.result, ref.chain, ref.seq, at)
        for end, ref, at in ends
    }
    await _run(session, _FINISH_COMMANDS, list(rows.values()))


async def take_effect(session: AsyncSession, effect: Callable[[Any], Awaitable[Result]]) -> Result:
    """Runs a local effect inside the transaction, all of it or, when it raises, nothing of it.

    It waits for nobody's lock for long: others have their records in this transaction.
    """
    async with session.begin_nested():
        await _set_lock_timeout(session, "2s")
        done = await effect(session)
        await session.flush()
        await _set_lock_timeout(session, "0")
    return done


async def _set_lock_timeout(session: AsyncSession, longest: str) -> None:
    connection = await session.connection()
    await connection.exec_driver_sql("SELECT set_config('lock_timeout', $1, true)", (longest,))


async def _run(session: AsyncSession, statement: str, rows: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Runs a statement over columns; gives its rows, if it has any."""
    result = await (await session.connection()).exec_driver_sql(
        statement, tuple(map(list, zip(*rows, strict=True)))
    )
    return result.all() if result.returns_rows else ()


def _record_row(record: Sealed) -> Sequence[Any]:
    entry, refers = record.entry, record.entry.refers
    return (
        entry.chain, entry.seq, entry.at, entry.event_type, entry.phase, entry.outcome, entry.actor_id, entry.actor_kind,
        entry.subject_kind, entry.subject_id, None if refers is None else refers.chain,
        None if refers is None else refers.seq, entry.policy_version, entry.rule, entry.request_id, entry.digest,
        entry.prev_hash, entry.team, record.hash,
    )  # fmt: skip


def _command_state(row: Any) -> CommandState:
    return CommandState(row[0], row[1], row[2], row[3], row[4], RecordRef(row[5], row[6]), row[7])
