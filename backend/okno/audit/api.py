"""Strawberry types of the journal."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast
from uuid import UUID

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from okno.audit.records import Record
from okno.audit.registry import EVENT_TYPES
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
