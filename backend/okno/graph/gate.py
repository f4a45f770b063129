"""The gate: which of a request's selections may be resolved, decided by the policy's tables before anything runs."""

from collections.abc import Mapping
from enum import Enum
from typing import Any
from uuid import UUID

import structlog

from okno.graph.directives import RECORDED_LEVELS
from okno.identity.model import Actor
from okno.policy.condition import Condition
from okno.policy.masking import Mask
from okno.policy.service import Alternative, Decision, Outcome, Policy, PolicyError, Table

log = structlog.get_logger(__name__)


class View(Enum):
    """How much of a field a row's reader is given."""

    FULL = "full"
    MASKED = "masked"
    NOTHING = "nothing"


class RowDecision:
    """A conditional decision with its answers: a row is asked once, however many fields share the decision."""

    __slots__ = ("_answers", "ask", "me")

    def __init__(self, decision: Decision, me: UUID | None) -> None:
        # Without memory: for loops that ask once for each row anyway
        self.ask = decision.for_person(me)
        self.me = me
        # Keyed by identity of the facts, which are kept so that no other row can get the same id meanwhile
        self._answers: dict[int, tuple[Mapping[str, object], Alternative | None]] = {}

    def decide(self, facts: Mapping[str, object] | None) -> Alternative | None:
        """The rule that admits the row, or None. A row whose facts are not known is not admitted."""
        if facts is None:
            return None
        answer = self._answers.get(id(facts))
        if answer is None:
            answer = (facts, self.ask(facts))
            self._answers[id(facts)] = answer
        return answer[1]


class Gate:
    """The decisions for one actor. Tables come compiled from the policy; no policy engine is asked per field or row."""

    is_broken = False
    """Whether a table could not be had, and was taken to deny everything. The next request may be luckier."""

    def __init__(self, policy: Policy, actor: Actor) -> None:
        self.policy = policy
        self.actor = actor
        self._tables: dict[tuple[str, str], Table] = {}
        self._rows: dict[tuple[Any, UUID | None], RowDecision] = {}
        # By the identity of the decision, which is kept here: to hash one costs more than to decide a row by it
        self._known_rows: dict[tuple[int, bool], tuple[Decision, RowDecision]] = {}

    def decide(self, type_name: str, field_name: str) -> Decision:
        """The decision for a field of a type. What no rule covers is denied."""
        action = "write" if type_name == "Mutation" else "read"
        table = self._table(action, self.policy.resource_of(type_name))
        return table.decide(f"{type_name}.{field_name}")

    def lacks(self, type_name: str, field_name: str) -> str | None:
        """The fact whose absence alone denies the field on all rows, if the actor can mend that: `second_factor`."""
        rights = self.actor.stepped_up
        if rights is None:
            return None
        try:
            table = self.policy.table(rights, "read", self.policy.resource_of(type_name))
        except PolicyError:
            return None
        opened = table.decide(f"{type_name}.{field_name}").outcome is not Outcome.DENY
        return "second_factor" if opened else None

    def may_use(self, permission: str) -> bool:
        """Whether the actor has a page or an ability, such as introspection.use."""
        return self._table("use", "Okno").decide(permission).outcome is Outcome.ALLOW

    def _table(self, action: str, resource: str) -> Table:
        """The decisions of one action and resource; rules that cannot be compiled for these rights deny everything."""
        table = self._tables.get((action, resource))
        if table is None:
            try:
                table = self.policy.table(self.actor.rights, action, resource)
            except PolicyError as error:
                log.error("gate.policy_broken", action=action, resource=resource, cause=str(error))
                table = Table({})
                self.is_broken = True
            self._tables[action, resource] = table
        return table

    def rows(self, type_name: str, decision: Decision) -> RowDecision:
        """The row-wise form of a conditional decision, shared by all fields with the same condition."""
        of_journal = self.policy.resource_of(type_name) == "JournalRecord"
        known = self._known_rows.get((id(decision), of_journal))
        if known is not None:
            return known[1]
        me = self._me(type_name)
        key = (decision.alternatives, me)
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = RowDecision(decision, me)
        self._known_rows[id(decision), of_journal] = decision, found
        return found

    def _me(self, type_name: str) -> UUID | None:
        """Who asks, as conditions on rows of the type compare it."""
        of_journal = self.policy.resource_of(type_name) == "JournalRecord"
        return self.actor.id if of_journal else self.actor.employee_id

    def resource_of(self, type_name: str) -> str:
        """The resource by whose rows the fields of a type are decided."""
        return self.policy.resource_of(type_name)

    def mask_of(self, type_name: str, field_name: str) -> Mask:
        """How a field is shown to those who see it masked."""
        return self.policy.mask_of(f"{type_name}.{field_name}")

    def is_recorded(self, type_name: str, field_name: str) -> bool:
        """Whether reading the field of an employee leaves a record in the journal."""
        return self.policy.levels.get(f"{type_name}.{field_name}") in RECORDED_LEVELS

    def sees(self, facts: Mapping[str, object], type_name: str = "Employee") -> bool:
        """Whether the object exists for the actor at all: who may not read its id is told that there is none."""
        return self.reads(facts, type_name, "id")

    def reads(self, facts: Mapping[str, object], type_name: str, field_name: str) -> bool:
        """Whether the actor may read the field of the row with these facts in full."""
        decision = self.decide(type_name, field_name)
        if decision.outcome is Outcome.CONDITIONAL:
            return self.rows(type_name, decision).decide(facts) is not None
        return decision.outcome is Outcome.ALLOW

    def view(self, facts: Mapping[str, object], type_name: str, field_name: str) -> View:
        """How much of the field of the row with these facts the actor is given."""
        if self.reads(facts, type_name, field_name):
            return View.FULL
        decision = self.decide(type_name, field_name)
        me = self._me(type_name)
        return View.MASKED if decision.masks and decision.mask(facts, me) is not None else View.NOTHING

    def visible_rows(self, type_name: str) -> Decision:
        """The decision on the id, whose condition is the filter that lists put into SQL before their limit."""
        return self.decide(type_name, "id")

    def matchable(self, fields: tuple[str, ...]) -> tuple[bool, list[Condition]]:
        """Whether and on which rows one may search by the employee's fields: only where all of them may be read."""
        conditions: list[Condition] = []
        for field in fields:
            decision = self.decide("Employee", field)
            if not decision.alternatives:
                return False, []
            if decision.condition is not None:
                conditions.append(decision.condition)
        return True, conditions

    def recognisable(self, field: str) -> tuple[bool, Condition | None]:
        """Whether and on which rows one may find an employee by the whole value of the field, without reading it."""
        decision = self._table("match", "Employee").decide(f"Employee.{field}")
        return bool(decision.alternatives), decision.condition
