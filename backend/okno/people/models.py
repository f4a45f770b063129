"""Rows of the people index: employees, the keys they are known by, and how far each source was read."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, PrimaryKeyConstraint, Text, UniqueConstraint, true
from sqlalchemy.orm import Mapped, mapped_column

from okno.storage.models import Base, UtcDateTime


class PersonRow(Base):
    """An employee as HR last told, enriched by the other systems. Rows that vanish from HR are marked, never deleted.

    Unknown facts are NULL, and a NULL denies: see `okno.people.store.compile_condition`.
    """

    __tablename__ = "people_person"
    __table_args__ = (
        UniqueConstraint("personnel_number"),
        Index("ix_people_person_manager_id", "manager_id"),
        Index("ix_people_person_sorted", "gone", "sort_name", "id"),
        Index(
            "ix_people_person_search",
            "search_names",
            "search_login",
            "search_email",
            "search_number",
            "search_phone",
            postgresql_using="gin",
            # kB; searches read the pending list too: 0.2 ms more at 512, at 1,024 and above the planner gives the index up (22 ms)
            postgresql_with={"gin_pending_list_limit": 512},
            postgresql_ops={
                "search_names": "gin_trgm_ops",
                "search_login": "gin_trgm_ops",
                "search_email": "gin_trgm_ops",
                "search_number": "gin_trgm_ops",
                "search_phone": "gin_trgm_ops",
            },
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    personnel_number: Mapped[str] = mapped_column(Text)
    login: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    dn: Mapped[str | None] = mapped_column(Text)
    full_name: Mapped[str] = mapped_column(Text)
    latin_name: Mapped[str | None] = mapped_column(Text)
    position: Mapped[str | None] = mapped_column(Text)
    department: Mapped[str | None] = mapped_column(Text)
    office: Mapped[str | None] = mapped_column(Text)
    country: Mapped[str | None] = mapped_column(Text)
    city: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str | None] = mapped_column(Text)
    protected: Mapped[bool | None]
    manager_id: Mapped[UUID | None]
    work_phone: Mapped[str | None] = mapped_column(Text)
    # One searched column for each right: what one may not read cannot be found by it.
    search_names: Mapped[str] = mapped_column(Text)
    search_login: Mapped[str | None] = mapped_column(Text)
    search_email: Mapped[str | None] = mapped_column(Text)
    search_number: Mapped[str] = mapped_column(Text)
    search_phone: Mapped[str | None] = mapped_column(Text)
    sort_name: Mapped[str] = mapped_column(Text(collation="C"))
    gone: Mapped[bool]
    index_run: Mapped[int] = mapped_column(BigInteger)
    indexed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # false: the law of the country keeps the person's data there; the row holds no more than `admission.HELD_OF_ALL`
    resident: Mapped[bool] = mapped_column(server_default=true())


class KeyRow(Base):
    """One name under which one source knows an employee. Two employees under one value are a conflict, kept as it is."""

    __tablename__ = "people_key"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "value", "person_id", "source"),
        Index("ix_people_key_person_id", "person_id"),
    )

    kind: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    person_id: Mapped[UUID]
    source: Mapped[str] = mapped_column(Text)
    run: Mapped[int] = mapped_column(BigInteger)


class IndexStateRow(Base):
    """How far one source was read. `finished_at` NULL: the reading goes on at `cursor`, by whoever comes next.

    `completed_at` and `failure` outlive the run: when the source was last read to the end, and why it could not be since.
    A run is one reading from the first page to the last; what carries an older run was not listed in it.
    """

    __tablename__ = "people_index_state"

    source_id: Mapped[str] = mapped_column(Text, primary_key=True)
    run: Mapped[int] = mapped_column(BigInteger)
    cursor: Mapped[str | None] = mapped_column(Text)
    pages: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(Text)
    seen: Mapped[int] = mapped_column(BigInteger)
    changed: Mapped[int] = mapped_column(BigInteger)
    unmatched: Mapped[int] = mapped_column(BigInteger)
    rejected: Mapped[int] = mapped_column(BigInteger)
    vanished: Mapped[int] = mapped_column(BigInteger)
    withheld: Mapped[int] = mapped_column(BigInteger)
