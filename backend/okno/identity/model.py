"""The values of identity that other domains see: who acts, and which employee that is."""

from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID, uuid5

from okno.policy.service import Rights

# Fixed for ever: the ids of all employees follow from it.
EMPLOYEE_NAMESPACE = UUID("6f6b6e6f-0000-5000-8000-000000000001")


def employee_uuid(personnel_number: str) -> UUID:
    """The id under which Okno knows an employee, the same in every process and after every rebuild of the index."""
    return uuid5(EMPLOYEE_NAMESPACE, personnel_number)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a request, with the rights read for this request.

    A person acts for one team at a time (`team`), so that the roles of one team never meet the countries of another;
    `teams` are all that the person may switch to. A service principal has no team, only scopes.
    """

    id: UUID
    kind: Literal["person", "service"]
    login: str
    display_name: str
    employee_id: UUID | None
    rights: Rights
    session_id: UUID | None = None
    token_id: UUID | None = None
    csrf_token: str | None = field(default=None, repr=False)
    team: str | None = None
    teams: tuple[str, ...] = ()

    @property
    def stepped_up(self) -> Rights | None:
        """The rights that proving a second factor would give. None for who has proven one, and for a token, which cannot."""
        facts = self.rights.facts
        if "session" not in facts or "second_factor" in facts:
            return None
        return replace(self.rights, facts=facts | {"second_factor"})
