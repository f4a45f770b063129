"""The values that policy hands out: rights, decisions with their reasons, problems of the files."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from uuid import UUID

from okno.errors import ConfigurationError
from okno.policy.condition import Chooser, Condition, Facts, Test, any_of, compile_choice, compile_condition

ACTIONS = ("read", "write", "run", "use")

# What a rule may ask of a row. The names are those of `Person.facts()`, and of the columns behind them.
RESOURCES: Mapping[str, frozenset[str]] = {
    "Employee": frozenset({"id", "country", "department", "office", "state", "protected", "manager_id"}),
    "Okno": frozenset(),
    "JournalRecord": frozenset({"actor_id", "subject_id", "event_type"}),
}

# The actor's own id, by the resource whose ids it is compared with. It becomes ME.
OWN_ID = {"Employee": "employee_id", "JournalRecord": "id"}

PERSON_LISTS = frozenset({"roles", "teams", "countries", "facts", "scopes"})
LEVELS = ("public", "internal", "confidential", "secret")
FACTS = frozenset({"session", "token", "service", "development"})


@dataclass(frozen=True, slots=True)
class Rights:
    """All of an actor that decisions depend on, except who it is: people with equal rights share tables."""

    roles: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()


class Outcome(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    CONDITIONAL = "conditional"


@dataclass(frozen=True, slots=True)
class Alternative:
    """One rule that allows, and on which rows; a `condition` of None means all rows."""

    rule_id: str
    sentence: str
    condition: Condition | None


@dataclass(frozen=True)
class Decision:
    """What one person's rights say about one field, operation or page. Without alternatives it denies."""

    outcome: Outcome
    alternatives: tuple[Alternative, ...] = ()
    _tests: tuple[tuple[Test, Alternative], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tests = tuple(
            (compile_condition(a.condition), a) for a in self.alternatives if a.condition is not None
        )
        object.__setattr__(self, "_tests", tests)

    def allows(self, facts: Facts, me: UUID | None) -> Alternative | None:
        """The first alternative that admits this row, or None.

        Args:
            facts: What is known of the row; a missing or None fact denies what asks for it.
            me: The actor's `employee_id` for Employee rows, the actor's `id` for JournalRecord rows.
        """
        if self.outcome is Outcome.ALLOW:
            return self.alternatives[0]
        for test, alternative in self._tests:
            if test(facts, me):
                return alternative
        return None

    def for_person(self, me: UUID | None) -> Chooser[Alternative]:
        """`allows` for one person and many rows: a third of its time. Facts of None admit nothing."""
        if self.outcome is Outcome.ALLOW:
            first = self.alternatives[0]
            return lambda facts: None if facts is None else first
        return self._choose(me)

    @cached_property
    def _choose(self) -> Callable[[UUID | None], Chooser[Alternative]]:
        conditional = [(a.condition, a) for a in self.alternatives if a.condition is not None]
        return compile_choice(conditional)

    @property
    def condition(self) -> Condition | None:
        """The rows admitted by any alternative, for SQL; None means all. A denial is `AnyOf(())`: no row."""
        if self.outcome is Outcome.ALLOW:
            return None
        return any_of(a.condition for a in self.alternatives if a.condition is not None)


DENY = Decision(Outcome.DENY)


def decide(alternatives: tuple[Alternative, ...]) -> Decision:
    """Alternatives in the order of the files; one without a condition makes the others superfluous."""
    certain = tuple(a for a in alternatives if a.condition is None)
    if certain:
        return Decision(Outcome.ALLOW, certain[:1])
    return Decision(Outcome.CONDITIONAL, alternatives) if alternatives else DENY


class Table:
    """All decisions of one (rights, action, resource). What it does not name is denied."""

    def __init__(self, decisions: Mapping[str, Decision], structural: frozenset[str] = frozenset()) -> None:
        self._decisions = dict(decisions)
        self._structural = structural

    def decide(self, field: str) -> Decision:
        """The decision for a field "Type.name", an operation id or a page."""
        found = self._decisions.get(field)
        if found is not None:
            return found
        if not self._structural:
            return DENY
        owner = field.partition(".")[0]
        return self._decisions.get(f"{owner}.*", DENY) if owner in self._structural else DENY

    @property
    def fields(self) -> Mapping[str, Decision]:
        """All that is allowed, at least on some rows, in alphabetical order. "Type.*" stands for a structural type."""
        return self._decisions

    def __iter__(self) -> Iterator[str]:
        return iter(self._decisions)


@dataclass(frozen=True, slots=True)
class Rule:
    """A `permit` rule and where it stands."""

    id: str
    sentence: str
    action: str
    resource: str
    file: str
    line: int


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something in the policy files that a person must mend. `code` is stable, in kebab case."""

    file: str
    line: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message} [{self.code}]"


class PolicyError(ConfigurationError):
    """The policy files are refused as a whole. `file`, `line`, `cause` are those of the first problem."""

    code = "POLICY"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        self.file, self.line, self.cause = problems[0].file, problems[0].line, problems[0].message
