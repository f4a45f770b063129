"""What the journal holds about people: the records of what they did and of what was done to them.

Ids stand in the chain, which nobody rewrites. The values behind a record can be erased; that is for `Journal.erase`,
which writes a record of each erasure, so that this module only says which.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from okno.audit.models import AuditCommandRow, AuditRecordRow, AuditValueRow
from okno.audit.records import RecordRef
from okno.storage.personal_data import (
    Kind,
    PersonalData,
    PersonalTable,
    Rows,
    Subject,
    columns,
    read_rows,
    table_of,
)

_RECORD, _VALUE, _COMMAND = map(table_of, (AuditRecordRow, AuditValueRow, AuditCommandRow))
_KEPT = "while the journal keeps the record; values until erased, deeds at the latest after privacy.retention.deeds_days"

RECORDS = PersonalTable(
    "audit_record",
    {
        **columns(Kind.IDENTIFIER, ("actor_id", "subject_id")),
        **columns(Kind.CONDUCT, ("at", "event_type", "phase", "outcome", "request_id")),
        "team": Kind.WORK,
    },
    frozenset(
        {
            "chain_id",
            "seq",
            "actor_kind",
            "subject_kind",
            "refers_chain_id",
            "refers_seq",
            "policy_version",
            "rule",
            "digest",
            "prev_hash",
            "hash",
        }
    ),
    "while the journal keeps the record",
)
VALUES = PersonalTable(
    "audit_value", {"value": Kind.CONDUCT, "salt": Kind.SECRET}, frozenset({"chain_id", "seq"}), _KEPT
)
COMMANDS = PersonalTable(
    "audit_command",
    {
        "actor_id": Kind.IDENTIFIER,
        **columns(Kind.CONDUCT, ("event_type", "state", "result", "started_at", "finished_at")),
        **columns(Kind.SECRET, ("input_salt", "input_digest")),
    },
    frozenset({"id", "idempotency_key", "intent_chain_id", "intent_seq", "outcome_chain_id", "outcome_seq"}),
    _KEPT,
)

# They speak of erasing itself, without a name: erased, nobody could tell any more what was done
_OWN_EVENTS = ("privacy.erased", "privacy.exported", "privacy.lifted", "privacy.forgotten", "journal.erased")


@dataclass(frozen=True, slots=True)
class Erasable:
    """Records whose values are to go now, and how many deeds stay until they are old enough."""

    refs: Sequence[RecordRef]
    more: bool


def _about(subject: Subject) -> ColumnElement[bool]:
    """Done to the person or to what is the person's; a failed sign-in knows nothing of the person but the login typed."""
    typed = [
        # the canonical text: keys sorted, no blanks, ASCII
        _VALUE.c.value.contains(f'"login":{json.dumps(login, ensure_ascii=True)}', autoescape=True)
        for login in sorted(subject.logins)
    ]
    failed = and_(_RECORD.c.event_type == "session.failed", or_(false(), *typed))
    return or_(_RECORD.c.subject_id.in_(subject.ids), failed)


def _by(subject: Subject) -> ColumnElement[bool]:
    return _RECORD.c.actor_id.in_(sorted(subject.accounts))


async def find_erasable(
    session: AsyncSession, subject: Subject, *, deeds_before: datetime, limit: int
) -> Erasable:
    """At most `limit` records with values still there: all that was done to the person, and the person's deeds before a moment."""
    due = or_(_about(subject), and_(_by(subject), _RECORD.c.at < deeds_before))
    statement = (
        select(_RECORD.c.chain_id, _RECORD.c.seq)
        .join(_VALUE, and_(_VALUE.c.chain_id == _RECORD.c.chain_id, _VALUE.c.seq == _RECORD.c.seq))
        .where(due, _RECORD.c.event_type.not_in(_OWN_EVENTS))
        .limit(limit + 1)
    )
    found = [RecordRef(row.chain_id, row.seq) for row in await session.execute(statement)]
    return Erasable(found[:limit], len(found) > limit)


async def count_kept(session: AsyncSession, subject: Subject, *, deeds_before: datetime) -> int:
    """The person's deeds on others whose values stay for now."""
    statement = (
        select(_RECORD.c.seq)
        .join(_VALUE, and_(_VALUE.c.chain_id == _RECORD.c.chain_id, _VALUE.c.seq == _RECORD.c.seq))
        .where(
            _by(subject),
            _RECORD.c.at >= deeds_before,
            or_(_RECORD.c.subject_id.is_(None), not_(_RECORD.c.subject_id.in_(subject.ids))),
        )
    )
    return len((await session.execute(statement)).all())


async def _export(session: AsyncSession, subject: Subject) -> Rows:
    """Who else was concerned is not told: that would be another person's data."""
    statement = (
        select(_RECORD, _VALUE.c.value)
        .outerjoin(_VALUE, and_(_VALUE.c.chain_id == _RECORD.c.chain_id, _VALUE.c.seq == _RECORD.c.seq))
        .order_by(_RECORD.c.at, _RECORD.c.chain_id, _RECORD.c.seq)
    )
    records = []
    for row in await session.execute(statement.where(or_(_about(subject), _by(subject)))):
        mine, about = row.actor_id in subject.accounts, row.subject_id in subject.ids
        records.append(_record(row, mine=mine, about=about or not (mine or about)))
    commands = await read_rows(session, COMMANDS, _COMMAND, _COMMAND.c.actor_id.in_(sorted(subject.accounts)))
    # a result may show another person's values: the record of it says what may be shown
    return {
        RECORDS.name: records,
        COMMANDS.name: [{name: value for name, value in row.items() if name != "result"} for row in commands],
    }


def _record(row: Any, *, mine: bool, about: bool) -> Mapping[str, Any]:
    values = _values(row.value)
    shown: dict[str, Any] = {
        "record": f"{row.chain_id}:{row.seq}",
        "at": row.at.isoformat(),
        "event_type": row.event_type,
        "phase": row.phase,
        "outcome": row.outcome,
        "as": "actor and subject" if mine and about else "actor" if mine else "subject",
        "rule": row.rule,
        "request_id": row.request_id,
        "erased": row.value is None,
    }
    if mine:
        shown |= {
            "actor_id": str(row.actor_id),
            "actor": values.get("actor"),
            "subject_kind": row.subject_kind,
        }
    if about:
        shown |= {
            "subject_kind": row.subject_kind,
            "subject_id": row.subject_id,
            "subject": values.get("subject"),
            "detail": values.get("detail"),
            "actor_kind": row.actor_kind,
        }
    return shown


def _values(text: str | None) -> Mapping[str, Any]:
    try:
        values = json.loads(text or "{}")
    except ValueError:  # altered: verification tells
        return {}
    return values if isinstance(values, dict) else {}


PERSONAL_DATA = PersonalData(
    "audit",
    tables=(RECORDS, VALUES, COMMANDS),
    others={
        "audit_export": "where records are sent",
        "audit_export_cursor": "how far records were sent",
    },
    export=_export,
)
