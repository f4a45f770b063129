"""What can be subscribed to: which records of the journal make an event, and who may have it.

To add one: a field of `Subscription`, a topic here, a line in TOPICS, and levels and rules in policies/.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from okno.audit.api import record_facts
from okno.audit.records import Outcome, Phase, Record
from okno.audit.search import matches
from okno.errors import Denied, NotFound
from okno.graph.context import Context
from okno.graph.gate import Gate
from okno.graph.ids import parse_employee_id
from okno.graph.journal import check_searchable, filter_of
from okno.graph.subscription import Subscription
from okno.operations.model import EVENT_TYPES, SETTLED, keys_of
from okno.people.service import People
from okno.policy.service import Outcome as Decided
from okno.sources.service import Sources

RUN = EVENT_TYPES["operationRun"]
# Arguments of Subscription.auditRecordAdded, by those of `filter_of`
_FILTERS = {
    "employee": "employee",
    "text": "text",
    "actor": "actor",
    "subject": "subject",
    "event_types": "eventTypes",
    "outcome": "outcome",
    "phase": "phase",
    "team": "team",
    "chain": "chain",
}


class Topic(Protocol):
    """One subscription to one field with its arguments."""

    async def check(self, context: Context) -> None:
        """Whether the actor may have any event now.

        Raises:
            Denied: no.
            NotFound: what it is about is not there (any more).
        """

    def wants(self, record: Record, gate: Gate) -> bool:
        """Whether the record may be an event. Asked for every record of every process, so it has to be cheap."""

    def key(self, record: Record) -> Hashable:
        """Records with one key tell the subscriber the same: the last one that is pending tells it all."""

    async def root(self, context: Context, record: Record) -> Subscription | None:
        """What the event's fields are resolved on; None when this actor is not told.

        Raises:
            Denied, NotFound: as `check`.
        """


class AuditRecordAdded:
    """Records of the journal that the actor may read, as `Query.auditRecords` lists them."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._asked = filter_of(**{name: arguments.get(given) for name, given in _FILTERS.items()})

    async def check(self, context: Context) -> None:
        _admit(context.gate, "auditRecordAdded", {})
        if context.gate.visible_rows("AuditRecord").outcome is Decided.DENY:
            raise Denied("The policy lets you read no records of the journal.")
        check_searchable(context.gate, self._asked)

    def wants(self, record: Record, gate: Gate) -> bool:
        if not matches(record, self._asked):
            return False
        decision = gate.visible_rows("AuditRecord")
        if decision.outcome is Decided.CONDITIONAL:  # asked without memory: there is no end of records
            return gate.rows("AuditRecord", decision).ask(record_facts(record)) is not None
        return decision.outcome is Decided.ALLOW

    def key(self, record: Record) -> Hashable:
        return record.ref

    async def root(self, context: Context, record: Record) -> Subscription | None:
        await self.check(context)
        return Subscription(facts={}, record=record) if self.wants(record, context.gate) else None


class EmployeeChanged:
    """Operations on one employee that ended well, or of which it was found out later how they ended."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._person = parse_employee_id(str(arguments["id"]), field="id")

    async def check(self, context: Context) -> None:
        await self._facts(context)

    def wants(self, record: Record, gate: Gate) -> bool:
        return record.subject_id == str(self._person) and tells_change(record)

    def key(self, record: Record) -> Hashable:
        return self._person

    async def root(self, context: Context, record: Record) -> Subscription | None:
        return Subscription(facts=await self._facts(context), record=record)

    async def _facts(self, context: Context) -> Mapping[str, object]:
        employee = await context.loaders.employee(self._person)
        if employee is None:
            raise NotFound("There is no such employee.", field="id")
        _admit(context.gate, "employeeChanged", employee.facts)
        return employee.facts


TOPICS: Mapping[str, Callable[[Mapping[str, Any]], Topic]] = {
    "auditRecordAdded": AuditRecordAdded,
    "employeeChanged": EmployeeChanged,
}


def tells_change(record: Record) -> bool:
    """Whether the record says that something of the employee has changed, or is known at last."""
    return (
        record.phase is Phase.OUTCOME
        and record.event_type == RUN
        and record.subject_kind == "Employee"
        and (record.outcome is Outcome.SUCCEEDED or (record.detail or {}).get("code") == SETTLED)
    )


def forgetting(people: People, sources: Sources) -> Callable[[Sequence[Record]], Any]:
    """What is done with outcomes before subscribers hear of them: sections of those changed are read anew.

    The process that ran the operation has forgotten its own; each process has a cache.
    """

    async def forget(outcomes: Sequence[Record]) -> None:
        changed = {
            UUID(record.subject_id)
            for record in outcomes
            if record.subject_id is not None
            and (tells_change(record) or (record.event_type == RUN and record.outcome is Outcome.UNKNOWN))
        }
        if changed:
            for person in (await people.get_many(sorted(changed))).values():
                sources.forget(keys_of(person))

    return forget


def _admit(gate: Gate, field: str, facts: Mapping[str, object]) -> None:
    if not gate.reads(facts, "Subscription", field):
        raise Denied(f"The policy does not let you subscribe to {field} here.")
