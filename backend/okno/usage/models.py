"""Rows of usage."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, Index, PrimaryKeyConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from okno.storage.models import Base, UtcDateTime


class UsageCountRow(Base):
    """How many operations of a client used a coordinate on a day (UTC). All processes add to the same row."""

    __tablename__ = "usage_count"
    __table_args__ = (
        # the coordinate leads: "who uses this field" is the question
        PrimaryKeyConstraint("coordinate", "day", "client", "version", "principal_kind", "principal"),
        Index(None, "day"),
    )

    coordinate: Mapped[str] = mapped_column(Text)
    day: Mapped[date] = mapped_column(Date)
    client: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    principal_kind: Mapped[str] = mapped_column(Text)
    principal: Mapped[str] = mapped_column(Text)
    operations: Mapped[int] = mapped_column(BigInteger)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
