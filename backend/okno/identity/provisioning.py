"""How whom a provider vouches for becomes an account: found by the provider's lasting name, created on first sign-in."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from okno.identity import store
from okno.identity.models import AccountRow
from okno.identity.oidc import ProvidedPerson, SignInRefused
from okno.identity.recorder import Recorder
from okno.storage.engine import Database

Provisioned = tuple[AccountRow, Sequence[str]]


async def provision(
    database: Database,
    recorder: Recorder,
    person: ProvidedPerson,
    team_ids: Collection[str],
    employee_id: UUID | None,
    *,
    now: datetime,
) -> Provisioned:
    """The account and its teams. What changes by it is committed together with a record of it.

    It is committed also when the person turns out to be in no team: somebody who left all groups loses the memberships, and
    with them every session and token, by the very attempt that is then refused.

    Raises:
        SignInRefused: there is no account for the person, and nothing has changed.
        Unavailable: it could not be recorded, and nothing has changed.
    """
    done: list[Provisioned] = []

    async def take_over(db: Any) -> None:
        done[:] = [await _take_over(db, person, team_ids, employee_id, now=now)]

    async with database.transaction() as db:
        account = await store.find_account_of_subject(db, person.issuer, person.subject)
        before = [] if account is None else await store.list_provider_teams(db, account.id)
        if (
            account is not None
            and before == sorted(team_ids)
            and _says_the_same(account, person, employee_id)
        ):
            await take_over(db)  # the time of the sign-in and nothing else
            return done[0]
    detail = {
        "login": person.login,
        "issuer": person.issuer,
        "created": account is None,
        "teams": {"before": before, "after": sorted(team_ids)},
    }
    await recorder.event("account.provisioned", None, detail, effect=take_over)
    return done[0]


async def _take_over(
    db: Any, person: ProvidedPerson, team_ids: Collection[str], employee_id: UUID | None, *, now: datetime
) -> Provisioned:
    account = await store.find_account_of_subject(db, person.issuer, person.subject)
    if account is None:
        known = await store.find_account(db, person.login)
        if known is None and not team_ids:
            raise SignInRefused(
                "NO_TEAM", "None of your groups makes you a member of a team. Ask your team lead."
            )
        account = await store.ensure_account(
            db, person.login, display_name=person.display_name, employee_id=employee_id, now=now
        )
        if account.subject is not None and (account.issuer, account.subject) != (
            person.issuer,
            person.subject,
        ):
            raise _taken(person.login)
        account.issuer, account.subject = person.issuer, person.subject
    elif account.login != person.login:
        if await store.find_account(db, person.login) is not None:
            raise _taken(person.login)
        account.login = person.login
    if account.disabled_at is not None:
        raise SignInRefused("ACCOUNT_DISABLED", "This account is disabled. Ask your administrator.")
    account.display_name = person.display_name
    account.employee_id = employee_id or account.employee_id
    account.last_sign_in_at = now
    await db.flush()
    await store.replace_provider_teams(db, account.id, team_ids, now=now)
    return account, await store.list_team_ids(db, account.id)


def _says_the_same(account: AccountRow, person: ProvidedPerson, employee_id: UUID | None) -> bool:
    return (account.login, account.display_name) == (person.login, person.display_name) and employee_id in (
        None,
        account.employee_id,
    )


def _taken(login: str) -> SignInRefused:
    return SignInRefused(
        "LOGIN_TAKEN", f"The login {login} belongs to another person of the provider. Ask your administrator."
    )
