"""Rows of privacy: who was erased."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from okno.storage.models import Base, UtcDateTime


class ErasureRow(Base):
    """One erasure, under way or finished. Once finished it names nobody: what it keeps is a digest under a key of the data
    folder, by which the index knows whom not to take in, and the ids of accounts that are nobody's any more.
    """

    __tablename__ = "privacy_erasure"
    __table_args__ = (
        CheckConstraint("(known IS NULL) = (finished_at IS NOT NULL)", name="finished_knows_nothing"),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    key_id: Mapped[str] = mapped_column(Text)
    bars_index: Mapped[bool]
    known: Mapped[str | None] = mapped_column(Text)  # JSON of `Subject`, while it is under way
    done: Mapped[str] = mapped_column(Text)  # JSON: domain -> table -> rows
    accounts: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    intent: Mapped[str] = mapped_column(Text)  # the journal's record of it
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)
    touched_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
