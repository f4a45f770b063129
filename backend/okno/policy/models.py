"""Rows of recorded decisions. No person is in them: rights, things, and what conditions asked of a row."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, PrimaryKeyConstraint, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from okno.storage.models import Base, UtcDateTime


class DecidedRow(Base):
    """A kind of decision; `key` is the SHA-256 of the rest, cut to 16 bytes, so that every process gives it the same."""

    __tablename__ = "policy_decided"
    __table_args__ = (Index(None, "last_hour"),)

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    policy_version: Mapped[str] = mapped_column(Text)
    rights: Mapped[dict[str, Any]] = mapped_column(JSONB)
    action: Mapped[str] = mapped_column(Text)
    resource: Mapped[str] = mapped_column(Text)
    things: Mapped[list[str]] = mapped_column(ARRAY(Text))
    outcome: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    last_hour: Mapped[datetime] = mapped_column(UtcDateTime)


class DecisionCountRow(Base):
    """How often it was decided so in an hour. All processes add to the same row."""

    __tablename__ = "policy_decision_count"
    __table_args__ = (PrimaryKeyConstraint("hour", "key"), Index(None, "key"))

    hour: Mapped[datetime] = mapped_column(UtcDateTime)
    key: Mapped[bytes] = mapped_column(LargeBinary, ForeignKey("policy_decided.key", ondelete="CASCADE"))
    decisions: Mapped[int] = mapped_column(BigInteger)
