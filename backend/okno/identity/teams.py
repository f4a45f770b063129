"""Teams and their rights, read from `config/roles/*.yaml`: one file per team, all problems told at once."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from okno.errors import ConfigurationError
from okno.identity.hours import Hours
from okno.identity.model import employee_uuid
from okno.policy.service import Incompatible, Rights

# Stands for every country; policies/roles.polar knows it by this name.
ALL_COUNTRIES = "all"

_Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)]
_Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
_Country = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2}|all)$")]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
_Login = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._@-]{0,127}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Title(_Part):
    """A team's name for people; further languages are further keys."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    en: _Text
    ru: _Text

    @property
    def texts(self) -> Mapping[str, str]:
        return self.model_dump()


class DemoMember(_Part):
    """A person who may use the development sign-in as a member of the team."""

    login: _Login
    display_name: _Text
    personnel_number: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}$")]


class Team(_Part):
    """A team: what its members may do, in which countries and at which hours, and who they are."""

    id: _Slug
    title: Title
    roles: Annotated[list[_Role], Field(min_length=1)]
    countries: Annotated[list[_Country], Field(min_length=1)]
    hours: Hours | None = None
    groups: list[_Text] = []
    card: Annotated[list[_Slug], Field(min_length=1)]
    members: list[DemoMember] = []

    @field_validator("countries", mode="before")
    @classmethod
    def _all_countries(cls, value: object) -> object:
        return [ALL_COUNTRIES] if value == "all" else value

    @field_validator("roles", "countries", "groups", "card")
    @classmethod
    def _once_each(cls, value: list[str]) -> list[str]:
        if twice := sorted(v for v, n in Counter(value).items() if n > 1):
            raise ValueError(f"{', '.join(twice)} stands twice")
        return value

    def rights(self, facts: Iterable[str]) -> Rights:
        """The rights of a member who acts for this team; `facts` tell how and when: see `okno.policy.model.FACTS`."""
        return Rights(
            roles=frozenset(self.roles),
            teams=frozenset({self.id}),
            countries=frozenset(self.countries),
            facts=frozenset(facts),
            scopes=frozenset(),
        )

    def facts_at(self, now: datetime) -> frozenset[str]:
        """What the time of the request makes true. A team without hours has no working hours."""
        working = self.hours is not None and self.hours.include(now)
        return frozenset({"working_hours"} if working else ())


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """A demo login with the teams it is a member of."""

    login: str
    display_name: str
    personnel_number: str
    teams: tuple[Team, ...]

    @property
    def employee_id(self) -> UUID:
        return employee_uuid(self.personnel_number)


class Teams:
    """All teams of the deployment."""

    def __init__(self, teams: Iterable[Team]) -> None:
        self._by_id = {team.id: team for team in sorted(teams, key=lambda team: team.id)}
        self._by_group: dict[str, set[str]] = {}
        people: dict[str, list[tuple[Team, DemoMember]]] = {}
        for team in self._by_id.values():
            for group in team.groups:
                self._by_group.setdefault(group, set()).add(team.id)
            for member in team.members:
                people.setdefault(member.login, []).append((team, member))
        self._people = {
            login: DemoPerson(
                login, found[0][1].display_name, found[0][1].personnel_number, tuple(t for t, _ in found)
            )
            for login, found in sorted(people.items())
        }

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        known_roles: Collection[str] | None = None,
        known_widgets: Collection[str] | None = None,
        incompatible: Sequence[Incompatible] = (),
    ) -> "Teams":
        """Reads every `*.yaml` of the folder.

        Args:
            known_roles: the roles that the policy speaks of; any other is a problem. None skips the check.
            known_widgets: likewise the widgets a card may be made of.
            incompatible: the roles that nobody may hold together, neither by one team nor, as a demo person, by several.

        Raises:
            ConfigurationError: lists every problem of every file, with file and key.
        """
        problems: list[str] = []
        teams: dict[Path, Team] = {}
        for file in sorted(directory.glob("*.yaml")):
            try:
                teams[file] = Team.model_validate(_read(file))
            except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
                problems.append(f"{file}: cannot be read as YAML: {' '.join(str(error).split())}")
            except ValidationError as error:
                problems += [
                    f"{file}, {_problem(p)}" for p in error.errors(include_url=False, include_input=False)
                ]
        for file, team in teams.items():
            if team.id != file.stem:
                problems.append(
                    f"{file}, key id: is {team.id}; it has to be the name of the file, {file.stem}"
                )
            problems += _unknown(file, "roles", team.roles, known_roles)
            problems += _unknown(file, "card", team.card, known_widgets)
        problems += _contradictions(teams)
        problems += _conflicts(teams, incompatible)
        if not teams and not problems:
            problems.append(f"{directory}: holds no team; write one <team>.yaml there")
        if problems:
            raise ConfigurationError("Teams are wrong:\n  " + "\n  ".join(problems))
        return cls(teams.values())

    def __iter__(self) -> Iterator[Team]:
        return iter(self._by_id.values())

    def find(self, team_id: str) -> Team | None:
        return self._by_id.get(team_id)

    def of_groups(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Ids of the teams that any of the provider's groups makes one a member of."""
        return tuple(sorted({team for group in groups for team in self._by_group.get(group, ())}))

    def find_demo_person(self, login: str) -> DemoPerson | None:
        return self._people.get(login)

    def list_demo_people(self) -> tuple[DemoPerson, ...]:
        return tuple(self._people.values())


class _StrictLoader(yaml.SafeLoader):
    """A key that stands twice would silently replace the first: in a file of rights that is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read(file: Path) -> Any:
    return yaml.load(file.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader


def _problem(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    return f"key {key or '(whole file)'}: {problem['msg']}"


def _unknown(file: Path, key: str, values: Iterable[str], known: Collection[str] | None) -> list[str]:
    if known is None:
        return []
    choice = ", ".join(sorted(known)) or "none"
    return [
        f"{file}, key {key}: {value} is not known; known are {choice}"
        for value in values
        if value not in known
    ]


def find_conflict(teams: Iterable[Team], incompatible: Sequence[Incompatible]) -> Incompatible | None:
    """The first pair of roles that a member of all these teams would hold against the separation of duties."""
    roles = {role for team in teams for role in team.roles}
    return next((pair for pair in incompatible if pair.roles <= roles), None)


def _conflicts(teams: Mapping[Path, Team], incompatible: Sequence[Incompatible]) -> list[str]:
    problems = []
    memberships: dict[str, list[Team]] = {}
    for file, team in teams.items():
        if pair := find_conflict([team], incompatible):
            problems.append(f"{file}, key roles: {_told(pair)}")
            continue
        for member in team.members:
            memberships.setdefault(member.login, []).append(team)
    for login, found in memberships.items():
        if pair := find_conflict(found, incompatible):
            names = ", ".join(team.id for team in found)
            problems.append(f"members of {names}: {login} is in all of them, and {_told(pair)}")
    return problems


def _told(pair: Incompatible) -> str:
    return f"{' and '.join(sorted(pair.roles))} do not go together: {pair.why} ({pair.file}:{pair.line})"


def _contradictions(teams: Mapping[Path, Team]) -> list[str]:
    """A login, or a personnel number, that means two people in two files."""
    problems: list[str] = []
    by_login: dict[str, tuple[Path, DemoMember]] = {}
    by_number: dict[str, tuple[Path, DemoMember]] = {}
    for file, team in teams.items():
        logins = Counter(member.login for member in team.members)
        problems += [f"{file}, key members: {login} stands twice" for login, n in logins.items() if n > 1]
        for member in team.members:
            first = by_login.setdefault(member.login, (file, member))
            if first[1] != member:
                problems.append(f"{file}, key members: {member.login} is described otherwise in {first[0]}")
            other = by_number.setdefault(member.personnel_number, (file, member))
            if other[1].login != member.login:
                problems.append(
                    f"{file}, key members: {member.login} has the personnel number of {other[1].login} in {other[0]}"
                )
    return problems
