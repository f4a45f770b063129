"""The values that policy hands out: rights, decisions with their reasons, problems of the files."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from uuid import UUID

from okno.errors import ConfigurationError
from okno.policy.condition import Chooser, Condition, Facts, Test, any_of, compile_choice, compile_condition

# To "mask" is to read a field in its masked form only; to "match" is to find an employee by its exact value.
ACTIONS = ("read", "write", "run", "use", "mask", "match")
FIELD_ACTIONS = frozenset({"read", "mask", "match"})

# What a rule may ask of a row. The names are those of `Person.facts()`, and of the columns behind them.
RESOURCES: Mapping[str, frozenset[str]] = {
    "Employee": frozenset({"id", "country", "department", "office", "state", "protected", "manager_id"}),
    "Okno": frozenset(),
    "JournalRecord": frozenset({"actor_id", "subject_id", "event_type", "team"}),
    "OwnHistory": frozenset({"subject_id", "event_type", "team"}),
}

# The types of these attributes; the others are texts.
FLAGS = frozenset({"protected"})
UUIDS = frozenset({"id", "manager_id", "actor_id", "subject_id"})

# The actor's own id, by the resource whose ids it is compared with. It becomes ME.
OWN_ID = {"Employee": "employee_id", "JournalRecord": "id", "OwnHistory": "employee_id"}

PERSON_LISTS = frozenset({"roles", "teams", "countries", "facts", "scopes"})
LEVELS = ("public", "internal", "confidential", "secret")
FACTS = frozenset({"session", "token", "service", "development", "second_factor", "working_hours"})

# Facts that pass and come: who is denied for want of one is told so, and can do something about it, or wait.
PASSING_FACTS = ("second_factor", "working_hours")


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
    MASK = "mask"
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
    """What one person's rights say about one field, operation or page. Without alternatives it denies.

    `outcome`, `alternatives`, `allows`, `for_person` and `condition` speak of reading in full, so that code which knows
    no masks denies. A row that is not read in full may be seen masked: `masks` and `mask` say which. `Outcome.MASK`:
    no row is read in full, and every row is seen masked.
    """

    outcome: Outcome
    alternatives: tuple[Alternative, ...] = ()
    masks: tuple[Alternative, ...] = ()
    _tests: tuple[tuple[Test, Alternative], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tests = tuple(
            (compile_condition(a.condition), a) for a in self.alternatives if a.condition is not None
        )
        object.__setattr__(self, "_tests", tests)

    def allows(self, facts: Facts, me: UUID | None) -> Alternative | None:
        """The first alternative that admits this row in full, or None.

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

    def mask(self, facts: Facts, me: UUID | None) -> Alternative | None:
        """The first rule by which this row is seen masked, or None; to be asked only when `allows` gives None."""
        return self.mask_for_person(me)(facts)

    def for_person(self, me: UUID | None) -> Chooser[Alternative]:
        """`allows` for one person and many rows: a third of its time. Facts of None admit nothing."""
        if self.outcome is Outcome.ALLOW:
            first = self.alternatives[0]
            return lambda facts: None if facts is None else first
        return self._choose(me)

    def mask_for_person(self, me: UUID | None) -> Chooser[Alternative]:
        """`mask` for one person and many rows. Facts of None admit nothing."""
        certain = next((a for a in self.masks if a.condition is None), None)
        if certain is not None:
            return lambda facts: None if facts is None else certain
        return self._choose_mask(me)

    @cached_property
    def _choose(self) -> Callable[[UUID | None], Chooser[Alternative]]:
        conditional = [(a.condition, a) for a in self.alternatives if a.condition is not None]
        return compile_choice(conditional)

    @cached_property
    def _choose_mask(self) -> Callable[[UUID | None], Chooser[Alternative]]:
        return compile_choice([(a.condition, a) for a in self.masks if a.condition is not None])

    @property
    def condition(self) -> Condition | None:
        """The rows admitted in full by any alternative, for SQL; None means all. A denial is `AnyOf(())`: no row."""
        if self.outcome is Outcome.ALLOW:
            return None
        return any_of(a.condition for a in self.alternatives if a.condition is not None)

    @property
    def mask_condition(self) -> Condition | None:
        """The rows that a rule shows masked, those read in full among them; None means all, `AnyOf(())` none."""
        conditions = [a.condition for a in self.masks]
        return None if None in conditions else any_of(c for c in conditions if c is not None)


DENY = Decision(Outcome.DENY)


def decide(alternatives: tuple[Alternative, ...], masks: tuple[Alternative, ...] = ()) -> Decision:
    """Alternatives in the order of the files; one without a condition makes the others superfluous, and all masks."""
    certain = tuple(a for a in alternatives if a.condition is None)
    if certain:
        return Decision(Outcome.ALLOW, certain[:1])
    all_masked = tuple(a for a in masks if a.condition is None)
    masks = all_masked[:1] or masks
    if all_masked and not alternatives:
        return Decision(Outcome.MASK, (), masks)
    return Decision(Outcome.CONDITIONAL, alternatives, masks) if alternatives or masks else DENY


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


@dataclass(frozen=True, slots=True)
class Incompatible:
    """Two roles that one person must not hold together, why, and where that stands."""

    roles: frozenset[str]
    why: str
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
