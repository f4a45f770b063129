"""Strawberry types of the journal."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import cast
from uuid import UUID

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from okno.audit.records import Record
from okno.audit.registry import EVENT_TYPES
from okno.audit.rows import NO_TEAM
from okno.audit.search import Concern
from okno.scalars import Int64


@strawberry.type(description="A record of the journal: who did, or tried to do, what to whom. Never altered.")
class AuditRecord(relay.Node):
    """A record. Carries the facts by which the gate decides it."""

    key: relay.NodeID[str]
    facts: strawberry.Private[Mapping[str, object]]
    at: datetime = strawberry.field(description="When it was written.")
    event_type: str = strawberry.field(description="Registered type of the event, such as operation.run.")
    title: JSON = strawberry.field(description="The type of the event as a sentence, by language.")
    phase: str = strawberry.field(
        description="intent (before the effect), outcome (after it) or event (stands alone)."
    )
    actor_name: str | None = strawberry.field(description="Who acted.")
    actor_login: str | None = strawberry.field(description="Login of who acted.")
    subject_kind: str | None = strawberry.field(
        description="What kind of object was acted upon, such as Employee."
    )
    subject_id: strawberry.ID | None = strawberry.field(description="Id of the object acted upon.")
    subject_label: str | None = strawberry.field(description="What the object was called then.")
    outcome: str | None = strawberry.field(description="succeeded, failed or unknown; null for an intent.")
    actor_id: strawberry.ID | None = strawberry.field(
        description="Id of the account that acted, for the argument `actor` of Query.auditRecords."
    )
    actor_kind: str | None = strawberry.field(description="person, service or system.")
    team: strawberry.ID | None = strawberry.field(description="The team as whose member the actor acted.")
    erased: bool = strawberry.field(
        description="Whether the personal values (names, label, detail) have been erased; the chain stays whole."
    )
    refers_to: strawberry.ID | None = strawberry.field(
        description="Id of the record that this one is about: an outcome's intent, the record an erasure erased."
    )
    detail: JSON | None = strawberry.field(description="What the type of the event records besides.")
    policy_version: str | None = strawberry.field(description="The version of the policy that decided it.")
    rule: str | None = strawberry.field(description="The rule of the policy that allowed or refused it.")
    request_id: str | None = strawberry.field(description="Id of the request that caused it, as in the log.")
    chain: str = strawberry.field(description="The hash chain the record is part of.")
    seq: Int64 = strawberry.field(description="Its place in the chain.")
    hash: str = strawberry.field(description="Its hash, over its content and the hash before.")

    @classmethod
    def of_record(cls, record: Record) -> "AuditRecord":
        """The GraphQL form of a record."""
        return cls(
            key=str(record.ref),
            facts=record_facts(record),
            at=record.at,
            event_type=record.event_type,
            title=cast(JSON, dict(EVENT_TYPES[record.event_type].sentence)),
            phase=record.phase.value,
            actor_name=record.actor_name,
            actor_login=record.actor_login,
            subject_kind=record.subject_kind,
            subject_id=_subject_id(record),
            subject_label=record.subject_label,
            outcome=record.outcome.value if record.outcome else None,
            actor_id=None if record.actor_id is None else strawberry.ID(str(record.actor_id)),
            actor_kind=record.actor_kind,
            team=None if record.team is None else strawberry.ID(record.team),
            erased=record.erased,
            refers_to=None
            if record.refers is None
            else strawberry.ID(relay.to_base64("AuditRecord", str(record.refers))),
            detail=cast(JSON, dict(record.detail)) if record.detail is not None else None,
            policy_version=record.policy_version,
            rule=record.rule,
            request_id=record.request_id,
            chain=str(record.ref.chain),
            seq=Int64(record.ref.seq),
            hash=record.hash.hex(),
        )


def record_facts(record: Record) -> Mapping[str, object]:
    """What the policy may decide by; an unknown fact is absent, and an absent fact denies."""
    known: dict[str, object] = {"event_type": record.event_type}
    if record.actor_id is not None:
        known["actor_id"] = record.actor_id
    if record.team is not None:
        known["team"] = record.team
    if record.subject_id is not None:
        known["subject_id"] = _uuid(record.subject_id) or record.subject_id
    return known


def _subject_id(record: Record) -> strawberry.ID | None:
    """Employees are named by their Relay id, so that a client can open the card; others by the id recorded."""
    if record.subject_id is None:
        return None
    if record.subject_kind == "Employee":
        return strawberry.ID(relay.to_base64("Employee", record.subject_id))
    return strawberry.ID(record.subject_id)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


@strawberry.type(description="A record in a list, with its place.")
class AuditRecordEdge:
    """One entry of a page."""

    cursor: str = strawberry.field(
        description="Opaque; pass it as `after` to go on behind this entry, as `before` to go back from it."
    )
    node: AuditRecord = strawberry.field(description="The record.")


@strawberry.type(description="A page of records, newest first.")
class AuditRecordConnection:
    """A bounded list, as the Relay specification has it."""

    edges: list[AuditRecordEdge] = strawberry.field(description="The entries of this page.")
    page_info: relay.PageInfo = strawberry.field(description="Whether there is more, and where to go on.")


@strawberry.enum(description="How a command ended, or an event.")
class AuditOutcome(Enum):
    """As `Outcome`, in the spelling of GraphQL."""

    SUCCEEDED = strawberry.enum_value("succeeded", description="It was done.")
    FAILED = strawberry.enum_value("failed", description="It was not done.")
    UNKNOWN = strawberry.enum_value("unknown", description="Nobody knows yet whether it was done.")


@strawberry.enum(description="What a record is: before an effect, after it, or on its own.")
class AuditPhase(Enum):
    """As `Phase`, in the spelling of GraphQL."""

    INTENT = strawberry.enum_value(
        "intent", description="What is about to be done; written before the effect."
    )
    OUTCOME = strawberry.enum_value("outcome", description="How it ended.")
    EVENT = strawberry.enum_value(
        "event", description="What is said by one record, having no effect of its own."
    )


@strawberry.type(description="A kind of thing that the journal records.")
class AuditEventType:
    """An entry of the registry."""

    id: strawberry.ID = strawberry.field(description="Such as operation.run.")
    title: JSON = strawberry.field(description="As a sentence, by language.")
    kind: str = strawberry.field(description="command: an intent and an outcome; event: one record.")

    @classmethod
    def all(cls) -> list["AuditEventType"]:
        """All of them, in the order of the registry."""
        return [
            cls(id=strawberry.ID(each.id), title=cast(JSON, dict(each.sentence)), kind=each.kind)
            for each in EVENT_TYPES.values()
        ]


@strawberry.type(
    description="Somebody did something to you in Okno, or looked at what is confidential of you."
)
class HistoryRecord:
    """A record about the employee who asks. It holds what a person may know of it, and nothing of anybody else."""

    facts: strawberry.Private[Mapping[str, object]]
    id: strawberry.ID = strawberry.field(
        description="Id of the journal's record, to be named in a question to security."
    )
    at: datetime = strawberry.field(description="When.")
    event_type: str = strawberry.field(description="Registered type of the event, such as sensitive.read.")
    title: JSON = strawberry.field(description="The type of the event as a sentence, by language.")
    actor_name: str | None = strawberry.field(description="Who; null once it is erased.")
    team: strawberry.ID | None = strawberry.field(description="The team as whose member they acted.")
    team_title: JSON | None = strawberry.field(description="The team's name by language.")
    fields: list[str] = strawberry.field(
        description="Which of your fields were read, such as HrSection.birthDate."
    )
    operation: str | None = strawberry.field(description="Which operation was run or looked at.")
    outcome: str | None = strawberry.field(description="How it ended: succeeded, failed or unknown.")
    erased: bool = strawberry.field(description="Whether the names and details have been erased.")

    @classmethod
    def of_concern(
        cls, concern: Concern, employee_id: UUID, team_title: Mapping[str, str] | None
    ) -> "HistoryRecord":
        """The GraphQL form of a record about the employee."""
        record = concern.record
        operation = (record.detail or {}).get("operation")
        return cls(
            facts=history_facts(record, employee_id),
            id=strawberry.ID(str(record.ref)),
            at=record.at,
            event_type=record.event_type,
            title=cast(JSON, dict(EVENT_TYPES[record.event_type].sentence)),
            actor_name=record.actor_name or record.actor_login,
            team=None if record.team is None else strawberry.ID(record.team),
            team_title=None if team_title is None else cast(JSON, dict(team_title)),
            fields=list(concern.fields),
            operation=operation if isinstance(operation, str) else None,
            outcome=concern.outcome.value if concern.outcome else None,
            erased=record.erased,
        )


def history_facts(record: Record, employee_id: UUID) -> Mapping[str, object]:
    """What the policy may decide by. Who has no team acted for none, which is known."""
    return {"subject_id": employee_id, "event_type": record.event_type, "team": record.team or NO_TEAM}


@strawberry.type(description="An entry of a person's own history, with its place.")
class HistoryRecordEdge:
    """One entry of a page."""

    cursor: str = strawberry.field(
        description="Opaque; pass it as `after` to go on behind this entry, as `before` to go back from it."
    )
    node: HistoryRecord = strawberry.field(description="The record.")


@strawberry.type(description="A page of a person's own history, newest first.")
class HistoryRecordConnection:
    """A bounded list, as the Relay specification has it."""

    edges: list[HistoryRecordEdge] = strawberry.field(description="The entries of this page.")
    page_info: relay.PageInfo = strawberry.field(description="Whether there is more, and where to go on.")
