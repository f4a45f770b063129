"""How whom a provider vouches for becomes an account: found by the provider's lasting name, created on first sign-in."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from okno.identity import store
from okno.identity.models import AccountRow
from okno.identity.oidc import ProvidedPerson, SignInRefused
from okno.storage.engine import Database


async def provision(
    database: Database,
    person: ProvidedPerson,
    team_ids: Collection[str],
    employee_id: UUID | None,
    *,
    now: datetime,
) -> tuple[AccountRow, Sequence[str]] | SignInRefused:
    """The account and its teams, or why there is none.

    A refusal is returned, not raised, because what it rests on has to be committed: somebody who left all groups
    loses the memberships, and with them every session and token, by the very attempt that is refused.
    """
    async with database.transaction() as db:
        account = await store.find_account_of_subject(db, person.issuer, person.subject)
        if account is None:
            known = await store.find_account(db, person.login)
            if known is None and not team_ids:
                return SignInRefused(
                    "NO_TEAM", "None of your groups makes you a member of a team. Ask your team lead."
                )
            account = await store.ensure_account(
                db, person.login, display_name=person.display_name, employee_id=employee_id, now=now
            )
            if account.subject is not None and (account.issuer, account.subject) != (
                person.issuer,
                person.subject,
            ):
                return _taken(person.login)
            account.issuer, account.subject = person.issuer, person.subject
        elif account.login != person.login:
            if await store.find_account(db, person.login) is not None:
                return _taken(person.login)
            account.login = person.login
        if account.disabled_at is not None:
            return SignInRefused("ACCOUNT_DISABLED", "This account is disabled. Ask your administrator.")
        account.display_name = person.display_name
        account.employee_id = employee_id or account.employee_id
        account.last_sign_in_at = now
        await db.flush()
        await store.replace_provider_teams(db, account.id, team_ids, now=now)
        return account, await store.list_team_ids(db, account.id)


def _taken(login: str) -> SignInRefused:
    return SignInRefused(
        "LOGIN_TAKEN", f"The login {login} belongs to another person of the provider. Ask your administrator."
    )
