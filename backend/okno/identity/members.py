"""Who can act for which team: demo people of the configuration, and members in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from okno.identity import store
from okno.identity.teams import Teams
from okno.storage.engine import Database


@dataclass(frozen=True, slots=True)
class TeamMember:
    """A person in a team. `origin`: "config" for demo people, "provider" or "database" for accounts."""

    team: str
    login: str
    display_name: str
    origin: str
    employee_id: UUID | None


def list_configured(teams: Teams) -> Sequence[TeamMember]:
    """The demo people, who exist in development only."""
    return [
        TeamMember(team.id, person.login, person.display_name, "config", person.employee_id)
        for person in teams.list_demo_people()
        for team in person.teams
    ]


async def list_stored(db: Database) -> Sequence[TeamMember]:
    """The enabled accounts that have a team by the provider's groups or by a grant.

    Raises:
        Unavailable: the database does not answer.
    """
    async with db.transaction() as session:
        found = await store.list_memberships(session)
        return [
            TeamMember(team, account.login, account.display_name, origin, account.employee_id)
            for account, team, origin in found
        ]
