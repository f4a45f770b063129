"""What request limits know of people, for minutes: who asks how much, and whose sign-ins failed."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from okno.limits.models import AllowanceRow, AttemptRow
from okno.storage.personal_data import (
    Kind,
    PersonalData,
    PersonalTable,
    Rows,
    Subject,
    columns,
    delete_rows,
    read_rows,
    table_of,
)

_ALLOWANCE, _ATTEMPT = table_of(AllowanceRow), table_of(AttemptRow)

ALLOWANCES = PersonalTable(
    "limits_allowance",
    {"who": Kind.IDENTIFIER, **columns(Kind.CONDUCT, ("name", "remaining", "refilled_at"))},
    frozenset({"granted"}),
    "some minutes after the limit is whole again",
)
ATTEMPTS = PersonalTable(
    "limits_attempt",
    {
        **columns(Kind.IDENTIFIER, ("login", "address")),
        **columns(Kind.CONDUCT, ("failures", "failed_at", "free_at")),
    },
    frozenset(),
    "an hour after the last failure, or until the lock ends",
)


async def _export(session: AsyncSession, subject: Subject) -> Rows:
    """By account and login; an address alone is nobody's."""
    who = sorted(account.hex for account in subject.accounts)
    logins = sorted(subject.logins)
    return {
        ALLOWANCES.name: await read_rows(session, ALLOWANCES, _ALLOWANCE, _ALLOWANCE.c.who.in_(who)),
        ATTEMPTS.name: await read_rows(session, ATTEMPTS, _ATTEMPT, _ATTEMPT.c.login.in_(logins)),
    }


async def _erase(session: AsyncSession, subject: Subject, now: datetime) -> Mapping[str, int]:
    who = sorted(account.hex for account in subject.accounts)
    logins = sorted(subject.logins)
    return {
        ALLOWANCES.name: await delete_rows(session, _ALLOWANCE, _ALLOWANCE.c.who.in_(who)),
        ATTEMPTS.name: await delete_rows(session, _ATTEMPT, _ATTEMPT.c.login.in_(logins)),
    }


PERSONAL_DATA = PersonalData("limits", tables=(ALLOWANCES, ATTEMPTS), export=_export, erase=_erase)
