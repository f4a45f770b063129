"""Rows of the exports: how far each has come."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, PrimaryKeyConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from okno.storage.models import Base, UtcDateTime


class AuditExportRow(Base):
    """An export. `position` counts what it has sent; `pending` is what it is to send next, in an order that stands already."""

    __tablename__ = "audit_export"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
    pending: Mapped[str | None] = mapped_column(Text)  # JSON: the number of the last record of each chain
    settings: Mapped[str | None] = mapped_column(Text)  # with which it began, as last recorded
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(Text)


class AuditExportCursorRow(Base):
    """The number of the last record of a chain that the export's sink has taken."""

    __tablename__ = "audit_export_cursor"
    __table_args__ = (PrimaryKeyConstraint("export", "chain_id"),)

    export: Mapped[str] = mapped_column(Text)
    chain_id: Mapped[UUID]
    seq: Mapped[int] = mapped_column(BigInteger)
