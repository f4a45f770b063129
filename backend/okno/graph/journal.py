"""The journal's fields of Query: the searchable list, and what concerns the person who asks."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry

from okno.audit.api import (
    AuditOutcome,
    AuditPhase,
    AuditRecord,
    AuditRecordConnection,
    AuditRecordEdge,
    HistoryRecord,
    HistoryRecordConnection,
    HistoryRecordEdge,
)
from okno.audit.records import Outcome, Phase, Place
from okno.audit.rows import Every, Filter, Is, Rows, Some
from okno.audit.search import MAX_TYPES, words_of
from okno.errors import Denied, InvalidInput
from okno.graph.connections import After, Before, First, Last, page_info, window
from okno.graph.context import Context
from okno.graph.gate import Gate
from okno.graph.ids import parse_employee_id, parse_id
from okno.policy.condition import AllOf, AnyOf, Compare, Condition, Me
from okno.policy.service import Outcome as Decided

Info = strawberry.Info[Any]
_LONGEST = 200
# What a list narrowed by it tells of: all of these have to be readable wherever the record is
_TOLD_BY: Mapping[str, tuple[str, ...]] = {
    "words": ("actorName", "actorLogin", "subjectLabel", "title", "detail"),
    "subject_id": ("subjectId",),
    "actor_id": ("actorId",),
    "event_types": ("eventType",),
    "outcome": ("outcome",),
    "phase": ("phase",),
    "since": ("at",),
    "until": ("at",),
    "team": ("team",),
    "chain": ("chain",),
}

OfEmployee = Annotated[
    strawberry.ID | None, strawberry.argument(description="Only what was done to this employee.")
]
Text = Annotated[
    str | None,
    strawberry.argument(
        description="Words of the name or login of who acted, of what was acted upon, of the operation or of the event's title."
    ),
]
OfActor = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Only what this account did; AuditRecord.actorId."),
]
OfSubject = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Only what was done to this object; AuditRecord.subjectId."),
]
OfTypes = Annotated[
    list[str] | None, strawberry.argument(description="Only events of these types; at most 50.")
]
OfOutcome = Annotated[AuditOutcome | None, strawberry.argument(description="Only what ended so.")]
OfPhase = Annotated[
    AuditPhase | None, strawberry.argument(description="Only intents, outcomes or single events.")
]
Since = Annotated[datetime | None, strawberry.argument(description="Only what was written then or later.")]
Until = Annotated[datetime | None, strawberry.argument(description="Only what was written before.")]
OfTeam = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Only what was done by members of this team, as such."),
]
OfChain = Annotated[strawberry.ID | None, strawberry.argument(description="Only records of this hash chain.")]


async def audit_records(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    employee: OfEmployee = None,
    text: Text = None,
    actor: OfActor = None,
    subject: OfSubject = None,
    event_types: OfTypes = None,
    outcome: OfOutcome = None,
    phase: OfPhase = None,
    since: Since = None,
    until: Until = None,
    team: OfTeam = None,
    chain: OfChain = None,
) -> AuditRecordConnection | None:
    """Resolves Query.auditRecords."""
    context = cast(Context, info.context)
    asked = filter_of(
        employee=employee, text=text, actor=actor, subject=subject, event_types=event_types, outcome=outcome,
        phase=phase, since=since, until=until, team=team, chain=chain,
    )  # fmt: skip
    of = f"auditRecords {context.actor.id} {asked.fingerprint}"
    wanted = window(
        "auditRecords",
        first=first,
        after=after,
        last=last,
        before=before,
        place=lambda cursor, field: _place(*context.cursors.open(of, cursor, field=field)),
    )
    decision = context.gate.visible_rows("AuditRecord")
    if decision.outcome is Decided.DENY:
        return None
    check_searchable(context.gate, asked)
    reach = None if decision.condition is None else rows_of(decision.condition, context.actor.id)
    page = await context.search.list_records(wanted, asked, reach)
    seal = context.cursors.sealer(of)
    cursors = [seal(_sealable(record.place)) for record in page.records]
    return AuditRecordConnection(
        edges=[
            AuditRecordEdge(cursor=cursor, node=AuditRecord.of_record(record))
            for cursor, record in zip(cursors, page.records, strict=True)
        ],
        page_info=page_info(cursors, has_previous=page.has_previous, has_next=page.has_next),
    )


async def who_looked_at_me(
    info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
) -> HistoryRecordConnection | None:
    """Resolves Query.whoLookedAtMe; null for who is no employee."""
    context = cast(Context, info.context)
    me = context.actor.employee_id
    of = f"whoLookedAtMe {context.actor.id}"
    wanted = window(
        "whoLookedAtMe",
        first=first,
        after=after,
        last=last,
        before=before,
        place=lambda cursor, field: _place(*context.cursors.open(of, cursor, field=field)),
    )
    decision = context.gate.visible_rows("HistoryRecord")
    if me is None or decision.outcome is Decided.DENY:
        return None
    reach = Every(()) if decision.condition is None else rows_of(decision.condition, me)
    page = await context.search.list_concerns(wanted, me, reach)
    seal = context.cursors.sealer(of)
    cursors = [seal(_sealable(concern.record.place)) for concern in page.items]
    teams = context.services.teams
    nodes = [
        HistoryRecord.of_concern(
            concern, me, found.title.texts if (found := teams.find(concern.record.team or "")) else None
        )
        for concern in page.items
    ]
    return HistoryRecordConnection(
        edges=[
            HistoryRecordEdge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)
        ],
        page_info=page_info(cursors, has_previous=page.has_previous, has_next=page.has_next),
    )


def filter_of(
    *,
    employee: str | None = None,
    text: str | None = None,
    actor: str | None = None,
    subject: str | None = None,
    event_types: list[str] | None = None,
    outcome: AuditOutcome | str | None = None,
    phase: AuditPhase | str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    team: str | None = None,
    chain: str | None = None,
) -> Filter:
    """What a list or a subscription was narrowed to.

    Raises:
        InvalidInput: an argument cannot be understood; it names the argument.
    """
    if event_types is not None and len(event_types) > MAX_TYPES:
        raise InvalidInput(f"eventTypes has at most {MAX_TYPES} entries.", field="eventTypes")
    of_subject = None if subject is None else _subject(str(subject))
    if employee is not None:
        of_employee = str(parse_employee_id(str(employee), field="employee"))
        if of_subject not in (None, of_employee):
            raise InvalidInput("Give either employee or subject.", field="subject")
        of_subject = of_employee
    return Filter(
        words=words_of(text),
        subject_id=of_subject,
        actor_id=None if actor is None else _uuid(str(actor), "actor"),
        event_types=None if event_types is None else frozenset(map(_short, event_types)),
        # the executor hands resolvers the member, and subscriptions the value
        outcome=None if outcome is None else Outcome(_value(outcome)),
        phase=None if phase is None else Phase(_value(phase)),
        since=since,
        until=until,
        team=None if team is None else _short(str(team)),
        chain=None if chain is None else _uuid(str(chain), "chain"),
    )


def check_searchable(gate: Gate, asked: Filter) -> None:
    """Nobody narrows the journal by what they may not read: what is found would tell it.

    Raises:
        Denied: a field that the filter asks is denied or masked on records that are listed.
    """
    seen = gate.visible_rows("AuditRecord")
    for name, fields in _TOLD_BY.items():
        for field in fields if getattr(asked, name) not in (None, ()) else ():
            decision = gate.decide("AuditRecord", field)
            if decision.outcome is not Decided.ALLOW and decision.alternatives != seen.alternatives:
                raise Denied(f"The policy does not let you search the journal by {field}.")


def rows_of(condition: Condition, me: UUID | None) -> Rows:
    """The policy's condition on records as the journal understands it.

    Args:
        me: what ME stands for; None compares with nothing, so that it admits nothing.
    """
    if isinstance(condition, AllOf):
        return Every(tuple(rows_of(term, me) for term in condition.terms))
    if isinstance(condition, AnyOf):
        return Some(tuple(rows_of(term, me) for term in condition.terms))
    return _compared(condition, me)


def _compared(compare: Compare, me: UUID | None) -> Rows:
    value: Any = compare.value
    if isinstance(value, Me):
        return Some(()) if me is None else Is(compare.attribute, (me,), negated=compare.op == "!=")
    values = value if isinstance(value, tuple) else (value,)
    texts = [each for each in values if isinstance(each, str)]
    if compare.attribute == "actor_id":
        known: tuple[str | UUID, ...] = tuple(found for each in texts if (found := _found_uuid(each)))
    else:
        known = tuple(texts)
    return Is(compare.attribute, known, negated=compare.op == "!=")


def _value(member: Enum | str) -> str:
    return str(member.value) if isinstance(member, Enum) else member


def _subject(text: str) -> str:
    """An employee's Relay id, or the id of another object as it was recorded."""
    try:
        type_name, key = parse_id(text)
    except InvalidInput:
        return _short(text)
    return key if type_name == "Employee" else _short(text)


def _short(text: str) -> str:
    """What cannot be an id in the journal finds nothing, as any unknown one; the database would refuse NUL."""
    return text[:_LONGEST].replace("\x00", "")


def _uuid(text: str, field: str) -> UUID:
    found = _found_uuid(text)
    if found is None:
        raise InvalidInput(f"{field} is not an id of this kind.", field=field)
    return found


def _found_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _sealable(place: Place) -> tuple[str, str, int]:
    at, chain, seq = place
    return at.isoformat(), chain.hex, seq


def _place(at: str, chain: str, seq: int) -> Place:
    return datetime.fromisoformat(at), UUID(chain), seq
