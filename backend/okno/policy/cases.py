"""Runs `policies/tests/matrix.yaml`: cases that say who may do what to whom, and by which rule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from okno.errors import ConfigurationError
from okno.policy.model import ACTIONS, FIELD_ACTIONS, Rights
from okno.policy.service import Policy

_ME = UUID(int=10)
_SOMEONE = UUID(int=11)
# The rows of a case are of somebody else, unless it says `me`
_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "Employee": {"id": _SOMEONE},
    "JournalRecord": {"actor_id": _SOMEONE},
}


@dataclass(frozen=True, slots=True)
class Case:
    """One cell: this actor does this with this thing of this row. `rule` None: it is denied."""

    actor: str
    action: str
    thing: str
    row: str
    rule: str | None

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.thing} of {self.row}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that does not hold; `found` is the rule that allows, None if none does, or what is wrong with the case."""

    case: Case
    found: str | None
    problem: str | None = None

    def __str__(self) -> str:
        if self.problem is not None:
            return self.problem
        return f"expected {_verdict(self.case.rule)}, found {_verdict(self.found)}"


def _verdict(rule: str | None) -> str:
    return "a denial" if rule is None else f"allowed by {rule}"


@dataclass(frozen=True, slots=True)
class Cases:
    """The actors, rows and cells of the file."""

    file: Path
    actors: Mapping[str, Rights]
    rows: Mapping[str, tuple[str, Mapping[str, object]]]
    cases: tuple[Case, ...]

    def run(self, policy: Policy) -> list[Failure]:
        """Those that do not hold.

        Raises:
            PolicyError: a rule cannot be compiled for an actor's rights.
        """
        return [failure for case in self.cases if (failure := self._run(policy, case)) is not None]

    def _run(self, policy: Policy, case: Case) -> Failure | None:
        rights = self.actors.get(case.actor)
        row = self.rows.get(case.row)
        if rights is None or row is None:
            missing = f"actor {case.actor}" if rights is None else f"row {case.row}"
            return Failure(case, None, f"there is no {missing} in {self.file.name}")
        resource, facts = row
        if case.action in FIELD_ACTIONS:
            owner = case.thing.partition(".")[0]
            if policy.resource_of(owner) != resource:
                problem = f"{case.thing} is decided by {policy.resource_of(owner)}, not by {resource}"
                return Failure(case, None, problem)
        found = policy.table(rights, case.action, resource).decide(case.thing).allows(facts, _ME)
        rule = found.rule_id if found else None
        return None if rule == case.rule else Failure(case, rule)


def load(file: Path) -> Cases:
    """Reads the file.

    Raises:
        ConfigurationError: it cannot be read, or a case has another form.
    """
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    try:
        actors = {name: _rights(values) for name, values in given["actors"].items()}
        rows = {name: _row(values) for name, values in given["rows"].items()}
        cases = tuple(case for each in given["cases"] for case in _cases(file, each))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"{file}: has to consist of actors, rows and cases, as its head tells; cause: {error!r}"
        ) from error
    return Cases(file, actors, rows, cases)


def _rights(values: Mapping[str, Any]) -> Rights:
    return Rights(**{name: frozenset(given) for name, given in values.items()})


def _row(values: Mapping[str, Any]) -> tuple[str, Mapping[str, object]]:
    row = {key: _ME if value == "me" else value for key, value in values.items()}
    resource = str(row.pop("resource"))
    return resource, {**_DEFAULTS.get(resource, {}), **row}


def _cases(file: Path, given: Mapping[str, Any]) -> Iterator[Case]:
    actions = [action for action in ACTIONS if action in given]
    verdict = set(given) & {"rule", "deny"}
    if len(actions) != 1 or len(verdict) != 1 or set(given) != {"as", "of", *actions, *verdict}:
        raise ConfigurationError(
            f"{file}: the case {dict(given)} needs `as`, one of {', '.join(ACTIONS)}, `of`, and either `rule` or `deny: true`"
        )
    for thing in given[actions[0]]:
        yield Case(given["as"], actions[0], thing, given["of"], given.get("rule"))
