"""How a stored session or token becomes an actor: its teams as they are now, and the rights of one of them."""

from collections.abc import Iterable

from okno.errors import Unauthenticated
from okno.identity.credentials import SessionCookie
from okno.identity.model import Actor
from okno.identity.models import AccountRow, ServiceRow, TokenRow
from okno.identity.store import HeldSession, HeldToken
from okno.identity.teams import Team, Teams
from okno.policy.service import Rights

DEVELOPMENT = "development"


class Actors:
    """Makes actors. Rights are never stored with a session: they are read anew whenever an actor is made."""

    def __init__(self, teams: Teams, *, development: bool) -> None:
        self._teams = teams
        self._development = development

    def teams_of(self, login: str, stored: Iterable[str]) -> tuple[Team, ...]:
        """The existing teams among the stored memberships and, in development, those of the demo person."""
        ids = set(stored)
        demo = self._teams.find_demo_person(login) if self._development else None
        if demo is not None:
            ids.update(team.id for team in demo.teams)
        return tuple(team for team in self._teams if team.id in ids)

    def of_session(self, held: HeldSession, cookie: SessionCookie) -> Actor:
        """
        Raises:
            Unauthenticated: the account may not act any more, or the way of signing in does not exist here.
        """
        session, account = held.session, held.account
        if session.method == DEVELOPMENT and not self._development:
            raise Unauthenticated("The development sign-in does not exist in production. Sign in again.")
        check_enabled(account)
        teams = self.teams_of(account.login, held.teams)
        team = next((team for team in teams if team.id == session.team_id), teams[0] if teams else None)
        if team is None:
            raise Unauthenticated("You are no longer a member of any team.")
        facts = {"session", DEVELOPMENT} if session.method == DEVELOPMENT else {"session"}
        return Actor(
            id=account.id,
            kind="person",
            login=account.login,
            display_name=account.display_name,
            employee_id=account.employee_id,
            rights=team.rights(facts),
            session_id=session.id,
            csrf_token=cookie.csrf_token,
            team=team.id,
            teams=tuple(team.id for team in teams),
        )

    def of_token(self, held: HeldToken) -> Actor:
        """
        Raises:
            Unauthenticated: the holder may not act any more.
        """
        if held.account is not None:
            return self._of_person_token(held.token, held.account, held.teams)
        assert held.service is not None, "identity_token's check constraint: a token has one holder"
        return _of_service_token(held.token, held.service)

    def _of_person_token(self, token: TokenRow, account: AccountRow, stored: Iterable[str]) -> Actor:
        check_enabled(account)
        teams = self.teams_of(account.login, stored)
        team = next((team for team in teams if team.id == token.team_id), None)
        if team is None:
            raise Unauthenticated("The token's person is no longer a member of the token's team.")
        return Actor(
            id=account.id,
            kind="person",
            login=account.login,
            display_name=account.display_name,
            employee_id=account.employee_id,
            rights=team.rights({"token"}),
            token_id=token.id,
            team=team.id,
            teams=tuple(team.id for team in teams),
        )


def check_enabled(account: AccountRow) -> None:
    """
    Raises:
        Unauthenticated: the account was disabled.
    """
    if account.disabled_at is not None:
        raise Unauthenticated("This account is disabled.")


def _of_service_token(token: TokenRow, service: ServiceRow) -> Actor:
    if service.disabled_at is not None:
        raise Unauthenticated("This service is disabled.")
    return Actor(
        id=service.id,
        kind="service",
        login=service.name,
        display_name=service.name,
        employee_id=None,
        rights=Rights(
            roles=frozenset(),
            teams=frozenset(),
            countries=frozenset(),
            facts=frozenset({"token", "service"}),
            scopes=frozenset(token.scopes),
        ),
        token_id=token.id,
    )
