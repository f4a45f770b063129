"""Rows of the journal.

Records and values are partitioned by their chain, whose id begins with the time at which it began (`chain.new_chain_id`): so a
place in a chain stays unique in the whole journal, and a month of chains can be cut off as a table. No foreign keys
between the tables: a value or a command must not hold a record back.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from okno.storage.models import Base, UtcDateTime


class AuditRecordRow(Base):
    """One link of a chain. Append-only: the application's role has no right to update or delete here."""

    __tablename__ = "audit_record"
    __table_args__ = (
        PrimaryKeyConstraint("chain_id", "seq"),
        CheckConstraint("phase IN ('intent', 'outcome', 'event')", name="phase"),
        CheckConstraint("outcome IN ('succeeded', 'failed', 'unknown')", name="outcome"),
        Index(None, "at", "chain_id", "seq"),
        Index(None, "subject_id", "at", "chain_id", "seq", postgresql_where=text("subject_id IS NOT NULL")),
        Index(None, "actor_id", "at", "chain_id", "seq", postgresql_where=text("actor_id IS NOT NULL")),
        Index(None, "refers_chain_id", "refers_seq", postgresql_where=text("refers_chain_id IS NOT NULL")),
        Index(None, "event_type", "at", "chain_id", "seq"),
        Index(None, "team", "at", "chain_id", "seq", postgresql_where=text("team IS NOT NULL")),
        Index(
            None,
            "outcome",
            "at",
            "chain_id",
            "seq",
            postgresql_where=text("outcome IN ('failed', 'unknown')"),
        ),
        {"postgresql_partition_by": "RANGE (chain_id)"},
    )

    chain_id: Mapped[UUID]
    seq: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    event_type: Mapped[str] = mapped_column(Text)
    phase: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    actor_id: Mapped[UUID | None]
    actor_kind: Mapped[str | None] = mapped_column(Text)
    subject_kind: Mapped[str | None] = mapped_column(Text)
    subject_id: Mapped[str | None] = mapped_column(Text)
    # an outcome refers to its intent, an erasure to the record whose values it erased
    refers_chain_id: Mapped[UUID | None]
    refers_seq: Mapped[int | None] = mapped_column(BigInteger)
    policy_version: Mapped[str | None] = mapped_column(Text)
    rule: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    prev_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    team: Mapped[str | None] = mapped_column(Text)  # of the actor; stands last because it came later


class AuditValueRow(Base):
    """The personal values behind a record's digest. Deleting a row erases them and leaves the chain whole."""

    __tablename__ = "audit_value"
    __table_args__ = (
        PrimaryKeyConstraint("chain_id", "seq"),
        Index(
            "ix_audit_value_employees",
            text("audit_employees(value)"),
            postgresql_using="gin",
            postgresql_where=text("value LIKE '%\"employees\":%'"),
        ),
        {"postgresql_partition_by": "RANGE (chain_id)"},
    )

    chain_id: Mapped[UUID]
    seq: Mapped[int] = mapped_column(BigInteger)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    # canonical JSON as text: jsonb would change its bytes, and refuses the escape of NUL
    value: Mapped[str] = mapped_column(Text)


# Names are found by what lies here alone, so that they are gone from the index when they are erased
Index(
    "ix_audit_value_words",
    func.audit_words(AuditValueRow.value).label("words"),
    postgresql_using="gin",
    postgresql_ops={"words": "gin_trgm_ops"},
)


class AuditCommandRow(Base):
    """The state of a command: what its idempotency key was used for, and how it ended. Derived from the records."""

    __tablename__ = "audit_command"
    __table_args__ = (
        UniqueConstraint("actor_id", "idempotency_key"),
        UniqueConstraint("intent_chain_id", "intent_seq"),
        CheckConstraint("state IN ('running', 'succeeded', 'failed', 'unknown')", name="state"),
        Index(None, "started_at", postgresql_where=text("state IN ('running', 'unknown')")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    actor_id: Mapped[UUID]
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    event_type: Mapped[str] = mapped_column(Text)
    input_salt: Mapped[bytes] = mapped_column(LargeBinary)
    input_digest: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text)
    result: Mapped[str | None] = mapped_column(Text)  # canonical JSON of {result, code, message}
    intent_chain_id: Mapped[UUID]
    intent_seq: Mapped[int] = mapped_column(BigInteger)
    outcome_chain_id: Mapped[UUID | None]
    outcome_seq: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
