"""Rows of limits. They describe minutes, not people: the worker deletes what is full again or long past."""

from datetime import datetime

from sqlalchemy import Float, Integer, PrimaryKeyConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from okno.storage.models import Base, UtcDateTime


class AllowanceRow(Base):
    """What is left of a limit to one who asks. `granted` is what the last statement took out for a process."""

    __tablename__ = "limits_allowance"
    __table_args__ = (PrimaryKeyConstraint("name", "who"),)

    name: Mapped[str] = mapped_column(Text)
    who: Mapped[str] = mapped_column(Text)
    remaining: Mapped[float] = mapped_column(Float)
    granted: Mapped[float] = mapped_column(Float)
    refilled_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class AttemptRow(Base):
    """Failed sign-ins in a row with one login from one address."""

    __tablename__ = "limits_attempt"
    __table_args__ = (PrimaryKeyConstraint("login", "address"),)

    login: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(Integer)
    failed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    free_at: Mapped[datetime] = mapped_column(UtcDateTime)
