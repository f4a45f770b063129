"""The committed tables of rights, read and applied by the words of their files alone: none of Okno's own code has a say."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

POLICIES = Path(__file__).parents[2] / "policies"
ACCESS = POLICIES / "tests" / "access"


@dataclass(frozen=True)
class Person:
    """Who asks, as policy files speak of it."""

    id: str = "me"
    employee_id: str = "my employee"
    roles: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    countries: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Employee:
    id: str = "somebody"
    country: str = "RU"
    department: str = "IT"
    office: str = "HQ"
    state: str = "WORKS"
    protected: bool = False
    manager_id: str = "manager"


@dataclass(frozen=True)
class JournalRecord:
    actor_id: str = "somebody"
    subject_id: str = "somebody else"
    event_type: str = "operation.run"
    team: str = "a team that nobody is in"


@dataclass(frozen=True)
class OwnHistory:
    subject_id: str = "somebody"
    event_type: str = "operation.run"
    team: str = "a team that nobody is in"


@dataclass(frozen=True)
class Okno:
    pass


Row = Employee | JournalRecord | OwnHistory | Okno


@dataclass(frozen=True)
class Line:
    action: str
    rule: str
    when: str
    thing: str

    def holds(self, person: Person, row: Row) -> bool:
        return self.when == "always" or _holds(self.when, person, row)


def _holds(when: str, person: Person, row: Row) -> bool:
    known = {"p": person, "e": row, "r": row, "h": row, "o": row}
    return bool(eval(_python(when), {"__builtins__": {}}, known))  # noqa: S307 - a file of this repository


@cache
def _python(when: str) -> Any:
    """A condition as policy files spell it, as Python."""
    text = re.sub(r"(?<![!<>=])=(?!=)", "==", when)
    return compile(text.replace("true", "True").replace("false", "False"), when, "eval")


@cache
def _file(name: str) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load((ACCESS / f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def table(name: str) -> frozenset[Line]:
    """What the holder may do, everybody's rights among it.

    Args:
        name: a team, `roles/ROLE`, or `services/SCOPE`, which alone does not include what people may.
    """
    own = frozenset(_lines(_file(name).get("may") or {}))
    if name.startswith("services/") or name == "_everybody":
        return own
    return (table("_everybody") - frozenset(_lines(_file(name).get("may_not") or {}))) | own


def _lines(actions: Mapping[str, Any]) -> Iterator[Line]:
    for action, rules in actions.items():
        for rule, blocks in rules.items():
            for block in blocks:
                for thing in block["things"]:
                    yield Line(action, rule, block["when"], thing)


def names(folder: str = "") -> list[str]:
    """The committed tables of teams, or of `roles` or `services`."""
    found = sorted(path.stem for path in (ACCESS / folder).glob("*.yaml"))
    return [name for name in found if name != "_everybody"]


def given(name: str, person: Person, row: Row, resource_of: Mapping[str, str]) -> set[tuple[str, str, str]]:
    """(action, thing, rule) of all that the table gives the person on the row.

    Args:
        resource_of: by type of the schema, or by action, what its things are decided by.
    """
    kind = type(row).__name__
    return {
        (line.action, line.thing, line.rule)
        for line in table(name)
        if resource(line.action, line.thing, resource_of) == kind and line.holds(person, row)
    }


def resource(action: str, thing: str, resource_of: Mapping[str, str]) -> str:
    """By which row the policy decides about a thing."""
    by_action = {"run": "Employee", "use": "Okno", "write": "Okno"}
    return by_action.get(action) or resource_of.get(thing.partition(".")[0], "Okno")
