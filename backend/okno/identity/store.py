"""All SQL of identity. Every function works in the transaction it is given and takes the time as a parameter."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, CursorResult, Select, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from okno.identity.models import AccountRow, MembershipRow, ServiceRow, SessionRow, TokenRow


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session with its account and the account's teams, from one query."""

    session: SessionRow
    account: AccountRow
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A token with its holder: an account with its teams, or a service principal."""

    token: TokenRow
    account: AccountRow | None
    service: ServiceRow | None
    teams: tuple[str, ...]


def _teams_of(account_id: Any) -> ColumnElement[Any]:
    return (
        select(func.array_agg(MembershipRow.team_id))
        .where(MembershipRow.account_id == account_id)
        .scalar_subquery()
        .label("teams")
    )


async def find_session(db: AsyncSession, key_hash: bytes) -> HeldSession | None:
    return await _find_session(db, SessionRow.key_hash == key_hash)


async def find_session_by_id(db: AsyncSession, session_id: UUID) -> HeldSession | None:
    return await _find_session(db, SessionRow.id == session_id)


async def _find_session(db: AsyncSession, which: ColumnElement[bool]) -> HeldSession | None:
    statement = select(SessionRow, AccountRow, _teams_of(SessionRow.account_id))
    row = (
        await db.execute(statement.join(AccountRow, AccountRow.id == SessionRow.account_id).where(which))
    ).one_or_none()
    return None if row is None else HeldSession(row[0], row[1], tuple(row[2] or ()))


async def add_session(db: AsyncSession, row: SessionRow) -> None:
    db.add(row)
    await db.flush()


async def touch_session(db: AsyncSession, session_id: UUID, *, now: datetime) -> None:
    await db.execute(update(SessionRow).where(SessionRow.id == session_id).values(last_seen_at=now))


async def confirm_session(
    db: AsyncSession, session_id: UUID, secret_hash: bytes, *, grace_until: datetime
) -> None:
    """The client has shown the newest secret: from now on the previous one lives only until `grace_until`."""
    await db.execute(
        update(SessionRow)
        .where(
            SessionRow.id == session_id,
            SessionRow.secret_hash == secret_hash,
            SessionRow.grace_until.is_(None),
        )
        .values(grace_until=grace_until)
    )


async def rotate_session(
    db: AsyncSession, session_id: UUID, *, current: bytes, shown: bytes, new: bytes, now: datetime
) -> bool:
    """Puts `new` in the place of `current` and keeps `shown`, which the client still holds, as the previous one.

    Returns:
        False when another request rotated first; its answer carries the cookie.
    """
    return await _changed(
        db,
        update(SessionRow)
        .where(SessionRow.id == session_id, SessionRow.secret_hash == current)
        .values(secret_hash=new, previous_hash=shown, grace_until=None, rotated_at=now, last_seen_at=now),
    )


async def delete_session(db: AsyncSession, session_id: UUID) -> bool:
    return await _changed(db, delete(SessionRow).where(SessionRow.id == session_id))


async def lock_account(db: AsyncSession, account_id: UUID) -> None:
    """Until the transaction ends, no other one that asks for this begins or ends sessions of the account."""
    # NO KEY UPDATE: those who only refer to the account, as a sign-in does, do not wait
    mine = select(AccountRow.id).where(AccountRow.id == account_id).with_for_update(key_share=True)
    await db.execute(mine)


async def delete_sessions_of(db: AsyncSession, account_id: UUID) -> int:
    """Deletes all sessions of the account; how many there were."""
    await lock_account(db, account_id)
    result = await db.execute(delete(SessionRow).where(SessionRow.account_id == account_id))
    return cast(CursorResult[Any], result).rowcount


async def revoke_tokens_of(db: AsyncSession, account_id: UUID, *, now: datetime) -> int:
    """Revokes all tokens of the person that are not revoked yet; how many."""
    mine = (TokenRow.account_id == account_id, TokenRow.revoked_at.is_(None))
    result = await db.execute(update(TokenRow).where(*mine).values(revoked_at=now))
    return cast(CursorResult[Any], result).rowcount


async def delete_past_sessions(db: AsyncSession, *, now: datetime, idle_since: datetime) -> int:
    """Deletes the sessions that can never be used again."""
    past = or_(SessionRow.ends_at <= now, SessionRow.last_seen_at <= idle_since)
    result = await db.execute(delete(SessionRow).where(past))
    return cast(CursorResult[Any], result).rowcount


async def find_account(db: AsyncSession, login: str) -> AccountRow | None:
    return (await db.scalars(select(AccountRow).where(AccountRow.login == login))).one_or_none()


async def find_account_of_subject(db: AsyncSession, issuer: str, subject: str) -> AccountRow | None:
    statement = select(AccountRow).where(AccountRow.issuer == issuer, AccountRow.subject == subject)
    return (await db.scalars(statement)).one_or_none()


async def ensure_account(
    db: AsyncSession, login: str, *, display_name: str, employee_id: UUID | None, now: datetime
) -> AccountRow:
    """Finds or creates the account and locks it until the transaction ends; two first sign-ins at once make one."""
    await db.execute(
        insert(AccountRow)
        .values(id=uuid4(), login=login, display_name=display_name, employee_id=employee_id, created_at=now)
        .on_conflict_do_nothing(index_elements=["login"])
    )
    return (await db.scalars(select(AccountRow).where(AccountRow.login == login).with_for_update())).one()


async def list_team_ids(db: AsyncSession, account_id: UUID) -> tuple[str, ...]:
    statement = select(MembershipRow.team_id).where(MembershipRow.account_id == account_id).distinct()
    return tuple(await db.scalars(statement))


async def list_memberships(db: AsyncSession) -> Sequence[tuple[AccountRow, str, str]]:
    """Everybody who may act for a team: the account, the team's id, and by what one is a member, each once."""
    statement = (
        select(AccountRow, MembershipRow.team_id, func.min(MembershipRow.origin))
        .join(MembershipRow, MembershipRow.account_id == AccountRow.id)
        .where(AccountRow.disabled_at.is_(None))
        .group_by(AccountRow.id, MembershipRow.team_id)
        .order_by(MembershipRow.team_id, AccountRow.login)
    )
    return [(account, team, origin) for account, team, origin in (await db.execute(statement)).all()]


async def replace_provider_teams(
    db: AsyncSession, account_id: UUID, team_ids: Collection[str], *, now: datetime
) -> None:
    """Makes the memberships that come from the provider equal to `team_ids`; grants of the database stay."""
    mine = (MembershipRow.account_id == account_id, MembershipRow.origin == "provider")
    await db.execute(delete(MembershipRow).where(*mine, MembershipRow.team_id.not_in(team_ids)))
    if team_ids:
        await db.execute(
            insert(MembershipRow).on_conflict_do_nothing(),
            [
                {"account_id": account_id, "team_id": t, "origin": "provider", "created_at": now}
                for t in team_ids
            ],
        )


async def list_provider_teams(db: AsyncSession, account_id: UUID) -> list[str]:
    """The memberships that come from the provider, sorted."""
    found = await db.scalars(
        select(MembershipRow.team_id).where(
            MembershipRow.account_id == account_id, MembershipRow.origin == "provider"
        )
    )
    return sorted(found)


async def find_service(db: AsyncSession, name: str) -> ServiceRow | None:
    return (await db.scalars(select(ServiceRow).where(ServiceRow.name == name))).one_or_none()


async def ensure_service(db: AsyncSession, name: str, service_id: UUID, *, now: datetime) -> ServiceRow:
    """The service of this name, made with this id if there is none yet."""
    await db.execute(
        insert(ServiceRow)
        .values(id=service_id, name=name, created_at=now)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    return (await db.scalars(select(ServiceRow).where(ServiceRow.name == name))).one()


async def add_token(db: AsyncSession, row: TokenRow) -> None:
    db.add(row)
    await db.flush()


def _held_tokens() -> Select[Any]:
    return (
        select(TokenRow, AccountRow, ServiceRow, _teams_of(TokenRow.account_id))
        .outerjoin(AccountRow, AccountRow.id == TokenRow.account_id)
        .outerjoin(ServiceRow, ServiceRow.id == TokenRow.service_id)
    )


async def find_token(db: AsyncSession, secret_hash: bytes) -> HeldToken | None:
    return await _find_token(db, TokenRow.secret_hash == secret_hash)


async def find_token_by_id(db: AsyncSession, token_id: UUID) -> HeldToken | None:
    return await _find_token(db, TokenRow.id == token_id)


async def _find_token(db: AsyncSession, which: ColumnElement[bool]) -> HeldToken | None:
    row = (await db.execute(_held_tokens().where(which))).one_or_none()
    return None if row is None else HeldToken(row[0], row[1], row[2], tuple(row[3] or ()))


async def list_tokens(db: AsyncSession, *, now: datetime) -> Sequence[HeldToken]:
    """Tokens that still open something, the youngest first."""
    valid = (TokenRow.revoked_at.is_(None), TokenRow.expires_at > now)
    rows = await db.execute(_held_tokens().where(*valid).order_by(TokenRow.created_at.desc(), TokenRow.id))
    return [HeldToken(row[0], row[1], row[2], tuple(row[3] or ())) for row in rows]


async def revoke_token(db: AsyncSession, token_id: UUID, *, now: datetime) -> bool:
    return await _changed(
        db,
        update(TokenRow).where(TokenRow.id == token_id, TokenRow.revoked_at.is_(None)).values(revoked_at=now),
    )


async def touch_token(db: AsyncSession, token_id: UUID, *, now: datetime) -> None:
    await db.execute(update(TokenRow).where(TokenRow.id == token_id).values(last_used_at=now))


async def _changed(db: AsyncSession, statement: Any) -> bool:
    return bool(cast(CursorResult[Any], await db.execute(statement)).rowcount)
