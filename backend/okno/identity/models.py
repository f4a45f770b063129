"""Rows of identity. Secrets are present as SHA-256 digests only."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from okno.storage.models import Base, UtcDateTime


class AccountRow(Base):
    """A person who may sign in. `issuer` and `subject` are the provider's own, lasting name for the person."""

    __tablename__ = "identity_account"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        CheckConstraint("login = lower(login)", name="login_lower"),
        CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="issuer_with_subject"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(Text, unique=True)
    display_name: Mapped[str] = mapped_column(Text)
    employee_id: Mapped[UUID | None]
    issuer: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class MembershipRow(Base):
    """One is a member because of the provider's groups (replaced at each sign-in) or by a grant in the database."""

    __tablename__ = "identity_membership"
    __table_args__ = (CheckConstraint("origin IN ('provider', 'database')", name="origin_known"),)

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("identity_account.id", ondelete="CASCADE"), primary_key=True
    )
    team_id: Mapped[str] = mapped_column(Text, primary_key=True)
    origin: Mapped[str] = mapped_column(Text, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ServiceRow(Base):
    """A service principal: an internal tool that acts in its own name."""

    __tablename__ = "identity_service"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SessionRow(Base):
    """A browser's session. How the hashes move when the cookie rotates is told in `sessions.py`."""

    __tablename__ = "identity_session"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("identity_account.id", ondelete="CASCADE"), index=True
    )
    method: Mapped[str] = mapped_column(Text)
    team_id: Mapped[str | None] = mapped_column(Text)
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    previous_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    grace_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rotated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    # When a second factor was last proven in this browser; null when never
    second_factor_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TokenRow(Base):
    """A bearer token of a person (who acts for `team_id`) or of a service principal (who has `scopes`)."""

    __tablename__ = "identity_token"
    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (service_id IS NULL)", name="one_holder"),
        Index("ix_identity_token_account_id", "account_id"),
        Index("ix_identity_token_service_id", "service_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("identity_account.id", ondelete="CASCADE"))
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("identity_service.id", ondelete="CASCADE"))
    team_id: Mapped[str | None] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
