"""How a stored session or token becomes an actor: its teams as they are now, and the rights of one of them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from okno.clock import Clock
from okno.errors import Unauthenticated
from okno.identity.credentials import SessionCookie
from okno.identity.model import Actor
from okno.identity.models import AccountRow, ServiceRow, TokenRow
from okno.identity.store import HeldSession, HeldToken
from okno.identity.teams import Team, Teams, find_conflict
from okno.policy.service import Incompatible, Rights

DEVELOPMENT = "development"


class Actors:
    """Makes actors. Rights are never stored with a session: they are read anew whenever an actor is made.

    Args:
        second_factor: how long after it was proven a second factor counts as fresh.
        incompatible: the roles that nobody may hold together, as the policy has them now.
    """

    def __init__(
        self,
        teams: Teams,
        clock: Clock,
        *,
        development: bool,
        second_factor: timedelta,
        incompatible: Callable[[], Sequence[Incompatible]] = tuple,
    ) -> None:
        self._teams = teams
        self._clock = clock
        self._development = development
        self._second_factor = second_factor
        self._incompatible = incompatible

    def teams_of(self, login: str, stored: Iterable[str]) -> tuple[Team, ...]:
        """The existing teams among the stored memberships and, in development, those of the demo person."""
        ids = set(stored)
        demo = self._teams.find_demo_person(login) if self._development else None
        if demo is not None:
            ids.update(team.id for team in demo.teams)
        return tuple(team for team in self._teams if team.id in ids)

    def find_conflict(self, teams: Sequence[Team]) -> str | None:
        """Why nobody may be a member of all these teams, if so: the duties of their roles are to be separate."""
        pair = find_conflict(teams, self._incompatible())
        if pair is None:
            return None
        names = ", ".join(team.id for team in teams if pair.roles & set(team.roles))
        return (
            f"Your teams ({names}) give you the roles {' and '.join(sorted(pair.roles))}, which one person must not hold: "
            f"{pair.why}. Ask to be taken out of one of the teams."
        )

    def of_session(self, held: HeldSession, cookie: SessionCookie) -> Actor:
        """
        Raises:
            Unauthenticated: the account may not act any more, its teams are not to be held together, or the way of
                signing in does not exist here.
        """
        session, account = held.session, held.account
        if session.method == DEVELOPMENT and not self._development:
            raise Unauthenticated("The development sign-in does not exist in production. Sign in again.")
        check_enabled(account)
        teams = self.teams_of(account.login, held.teams)
        team = next((team for team in teams if team.id == session.team_id), teams[0] if teams else None)
        if team is None:
            raise Unauthenticated("You are no longer a member of any team.")
        self._check_duties(teams)
        now = self._clock.now()
        facts = {"session"} | team.facts_at(now)
        if session.method == DEVELOPMENT:
            facts.add(DEVELOPMENT)
        if self._is_fresh(session.second_factor_at, now):
            facts.add("second_factor")
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
        self._check_duties(teams)
        return Actor(
            id=account.id,
            kind="person",
            login=account.login,
            display_name=account.display_name,
            employee_id=account.employee_id,
            # A token proves nothing afresh, so it never has a second factor
            rights=team.rights({"token"} | team.facts_at(self._clock.now())),
            token_id=token.id,
            team=team.id,
            teams=tuple(team.id for team in teams),
        )

    def _check_duties(self, teams: Sequence[Team]) -> None:
        if conflict := self.find_conflict(teams):
            raise Unauthenticated(conflict)

    def _is_fresh(self, proven_at: datetime | None, now: datetime) -> bool:
        """A moment that is yet to come proves nothing: some clock was moved."""
        return proven_at is not None and timedelta(0) <= now - proven_at < self._second_factor


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
