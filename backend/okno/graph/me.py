"""Strawberry types of the actor: who asks, in which teams, and what the policy lets them enter."""

from typing import Any, cast
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from okno.graph.context import Context
from okno.people.api import Employee


@strawberry.type(description="A team of internal support.")
class Team:
    """A team, as config/roles has it."""

    id: strawberry.ID = strawberry.field(description="Id of the team, as in config/roles.")
    title: JSON = strawberry.field(description="The team's name by language.")


@strawberry.type(description="The person or service that makes the request.")
class Me:
    """The actor."""

    employee_id: strawberry.Private[UUID | None]
    id: strawberry.ID = strawberry.field(description="Id of the person or service principal.")
    kind: str = strawberry.field(description="person or service.")
    display_name: str = strawberry.field(description="Name to show.")
    login: str | None = strawberry.field(description="Login; null when there is none to show.")
    teams: list[Team] = strawberry.field(description="All teams one is a member of.")
    roles: list[str] = strawberry.field(description="Roles in force.")
    permissions: list[str] = strawberry.field(
        description="Pages and abilities that the policy grants, such as audit.read."
    )

    @strawberry.field(description="The same person as an employee.")
    async def employee(self, info: strawberry.Info[Any]) -> Employee | None:
        return cast("Employee | None", await info.context.loaders.employee(self.employee_id))

    @classmethod
    def of_context(cls, context: Context) -> "Me":
        """The actor of a request."""
        actor = context.actor
        return cls(
            employee_id=actor.employee_id,
            id=strawberry.ID(str(actor.id)),
            kind=actor.kind,
            display_name=actor.display_name,
            login=actor.login,
            teams=[
                Team(id=strawberry.ID(team.id), title=cast(JSON, dict(team.title.texts)))
                for team_id in actor.teams
                if (team := context.services.teams.find(team_id))
            ],
            roles=sorted(actor.rights.roles),
            permissions=list(context.policy.table(actor.rights, "use", "Okno").fields),
        )
