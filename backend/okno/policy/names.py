"""What the commands are told by the wiring: the schema's names, the teams, and who is a member of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from okno.policy.model import Rights


@dataclass(frozen=True, slots=True)
class Asker:
    """The person that an explanation is about."""

    rights: Rights
    actor_id: UUID | None
    employee_id: UUID | None


@dataclass(frozen=True, slots=True)
class SchemaNames:
    """What the policy must cover. Fields are "Type.field" of every object type; pages may be None: unchecked.

    `texts` are the fields of type String or list of String, the only ones that can be masked; None leaves that unchecked.
    `roles` are those that some team holds, `teams` the ids of the teams; None leaves them unchecked.
    """

    fields: frozenset[str]
    mutations: frozenset[str]
    operations: frozenset[str]
    pages: frozenset[str] | None = None
    texts: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    teams: frozenset[str] | None = None


class HolderKind(StrEnum):
    """What can be given rights."""

    EVERYBODY = "everybody"
    TEAM = "team"
    ROLE = "role"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose rights a table shows: a team as it is configured, one role alone, or a service's scope alone.

    Attributes:
        rights: without facts of the request (way of signing in, second factor, …), which tables leave open.
        title: what people call it.
    """

    kind: HolderKind
    name: str
    rights: Rights
    title: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A person who can act for a team. `origin` says from where that is known: config or database."""

    team: str
    login: str
    display_name: str
    origin: str
    employee_id: UUID | None = None


Facts = Mapping[str, object]
