"""What identity holds about people: accounts, their teams, sessions and tokens."""

import contextlib
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from okno.identity.models import AccountRow, MembershipRow, ServiceRow, SessionRow, TokenRow
from okno.storage.personal_data import (
    Kind,
    Limit,
    PersonalData,
    PersonalTable,
    Rows,
    Subject,
    columns,
    delete_rows,
    read_rows,
    table_of,
)

_ACCOUNT, _MEMBERSHIP, _SESSION, _TOKEN = map(table_of, (AccountRow, MembershipRow, SessionRow, TokenRow))

ACCOUNTS = PersonalTable(
    "identity_account",
    {
        **columns(Kind.IDENTIFIER, ("id", "login", "display_name", "employee_id", "issuer", "subject")),
        **columns(Kind.CONDUCT, ("created_at", "last_sign_in_at")),
    },
    frozenset({"disabled_at"}),
    "until erased, or unused for privacy.retention.accounts_days",
)
MEMBERSHIPS = PersonalTable(
    "identity_membership",
    {"account_id": Kind.IDENTIFIER, "team_id": Kind.WORK, "created_at": Kind.WORK},
    frozenset({"origin"}),
    "with its account",
)
SESSIONS = PersonalTable(
    "identity_session",
    {
        **columns(Kind.IDENTIFIER, ("id", "account_id")),
        "team_id": Kind.WORK,
        **columns(
            Kind.CONDUCT,
            (
                "method",
                "started_at",
                "last_seen_at",
                "rotated_at",
                "ends_at",
                "grace_until",
                "second_factor_at",
            ),
        ),
        **columns(Kind.SECRET, ("key_hash", "secret_hash", "previous_hash")),
    },
    frozenset(),
    "until it can be used no longer (identity.session_idle_seconds, identity.session_lifetime_seconds)",
)
TOKENS = PersonalTable(
    "identity_token",
    {
        **columns(Kind.IDENTIFIER, ("id", "account_id")),
        "team_id": Kind.WORK,
        **columns(Kind.CONDUCT, ("created_at", "expires_at", "revoked_at", "last_used_at")),
        "secret_hash": Kind.SECRET,
    },
    frozenset({"service_id", "scopes"}),
    "privacy.retention.tokens_days after it has expired or was revoked",
)


async def _find(session: AsyncSession, asked: str) -> Subject:
    """By login or by the account's id."""
    where = _ACCOUNT.c.login == asked.strip().lower()
    with contextlib.suppress(ValueError):
        where = or_(where, _ACCOUNT.c.id == UUID(asked), _ACCOUNT.c.employee_id == UUID(asked))
    return await _of_accounts(session, where)


async def _widen(session: AsyncSession, subject: Subject) -> Subject:
    """The accounts of the employee; one with the login alone only when it belongs to no other employee."""
    same = true() if subject.employee_id is None else _ACCOUNT.c.employee_id.is_(None)
    where = or_(
        and_(_ACCOUNT.c.login.in_(sorted(subject.logins)), same),
        _ACCOUNT.c.id.in_(sorted(subject.accounts)),
        false() if subject.employee_id is None else _ACCOUNT.c.employee_id == subject.employee_id,
    )
    return subject.joined(await _of_accounts(session, where))


async def _of_accounts(session: AsyncSession, where: ColumnElement[bool]) -> Subject:
    rows = (
        await session.execute(select(_ACCOUNT.c.id, _ACCOUNT.c.login, _ACCOUNT.c.employee_id).where(where))
    ).all()
    ids = [row.id for row in rows]
    things = {
        found
        for table in (_SESSION, _TOKEN)
        for found in await session.scalars(select(table.c.id).where(table.c.account_id.in_(ids)))
    }
    return Subject(
        next((row.employee_id for row in rows if row.employee_id is not None), None),
        logins=frozenset(row.login for row in rows),
        accounts=frozenset(ids),
        things=frozenset(things),
    )


async def _export(session: AsyncSession, subject: Subject) -> Rows:
    ids = sorted(subject.accounts)
    return {
        ACCOUNTS.name: await read_rows(session, ACCOUNTS, _ACCOUNT, _ACCOUNT.c.id.in_(ids)),
        **{
            of.name: await read_rows(session, of, table, table.c.account_id.in_(ids))
            for of, table in ((MEMBERSHIPS, _MEMBERSHIP), (SESSIONS, _SESSION), (TOKENS, _TOKEN))
        },
    }


async def _erase(session: AsyncSession, subject: Subject, now: datetime) -> Mapping[str, int]:
    """Nobody can act under the account any more; its id stays, for the journal names who acted by it."""
    ids = sorted(subject.accounts)
    counts = {
        of.name: await delete_rows(session, table, table.c.account_id.in_(ids))
        for of, table in ((SESSIONS, _SESSION), (TOKENS, _TOKEN), (MEMBERSHIPS, _MEMBERSHIP))
    }
    blanked = await session.execute(
        update(_ACCOUNT)
        .where(_ACCOUNT.c.id.in_(ids), _ACCOUNT.c.display_name != "")
        .values(
            login=func.concat("erased-", _ACCOUNT.c.id),
            display_name="",
            employee_id=None,
            issuer=None,
            subject=None,
            last_sign_in_at=None,
            disabled_at=func.coalesce(_ACCOUNT.c.disabled_at, now),
        )
        .returning(_ACCOUNT.c.id)
    )
    return {ACCOUNTS.name: len(blanked.all()), **counts}


def _tokens_due(before: datetime) -> ColumnElement[bool]:
    return or_(_TOKEN.c.expires_at < before, _TOKEN.c.revoked_at < before)


def _accounts_due(before: datetime) -> ColumnElement[bool]:
    """Unused: neither signed in nor signed up since, and nothing of it can be used now."""
    last = func.coalesce(_ACCOUNT.c.last_sign_in_at, _ACCOUNT.c.created_at)
    return and_(
        last < before,
        _ACCOUNT.c.id.not_in(select(_SESSION.c.account_id)),
        _ACCOUNT.c.id.not_in(select(_TOKEN.c.account_id).where(_TOKEN.c.account_id.is_not(None))),
    )


PERSONAL_DATA = PersonalData(
    "identity",
    tables=(ACCOUNTS, MEMBERSHIPS, SESSIONS, TOKENS),
    others={ServiceRow.__tablename__: "names of tools that act for nobody"},
    find=_find,
    widen=_widen,
    export=_export,
    erase=_erase,
    limits=(
        Limit("tokens_days", _TOKEN, _tokens_due),
        Limit("accounts_days", _ACCOUNT, _accounts_due),
    ),
)
