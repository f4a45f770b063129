"""The root Query: thin resolvers over the services."""

import asyncio
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry
from strawberry import relay

from okno.audit.api import AuditRecord, AuditRecordConnection, AuditRecordEdge
from okno.audit.records import Place as RecordPlace
from okno.dashboards.api import Widget
from okno.errors import InvalidInput
from okno.graph.connections import After, Before, First, Last, page_info, window
from okno.graph.context import Context
from okno.graph.ids import parse_employee_id
from okno.graph.me import Me
from okno.graph.schema_usage import schema_usage
from okno.operations.api import Operation
from okno.people.api import Employee, EmployeeConnection, EmployeeEdge
from okno.people.model import Match, Matching, Place
from okno.people.query import parse
from okno.policy.condition import ME, Compare, all_of
from okno.policy.service import Outcome
from okno.sources.api import Source
from okno.usage.api import SchemaUsageConnection

Info = strawberry.Info[Any]

# What may be searched follows from what may be read: all of these fields have to be readable on the row
MATCHED_FIELDS: dict[Match, tuple[str, ...]] = {
    Match.NAMES: ("displayName", "latinName"),
    Match.LOGIN: ("login",),
    Match.EMAIL: ("email",),
    Match.NUMBER: ("personnelNumber",),
    Match.PHONE: ("workPhone",),
    Match.STATE: ("state",),
}
MAX_NODES = 100


def _context(info: Info) -> Context:
    return cast(Context, info.context)


@strawberry.type(
    description="Everything that can be read. What the policy denies is null; `extensions.gate` says why."
)
class Query:
    """The root of reading."""

    @strawberry.field(description="The object of a Relay id; null when there is none that you may know of.")
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the object.")],  # noqa: A002
    ) -> relay.Node | None:
        return await _context(info).loaders.node(str(id))

    @strawberry.field(description="The objects of Relay ids, in their order, at most 100.")
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Ids of the objects.")],
    ) -> list[relay.Node | None]:
        if len(ids) > MAX_NODES:
            raise InvalidInput(f"ids has {len(ids)} entries; {MAX_NODES} are the limit.", field="ids")
        loaders = _context(info).loaders
        # What is wrong with one id is an error of its own place, not of the list
        found = await asyncio.gather(*(loaders.node(str(node_id)) for node_id in ids), return_exceptions=True)
        return cast(list[relay.Node | None], found)

    @strawberry.field(description="Who makes this request.")
    def me(self, info: Info) -> Me | None:
        return Me.of_context(_context(info))

    @strawberry.field(description="One employee; null when there is none that you may know of.")
    async def employee(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the employee.")],  # noqa: A002
    ) -> Employee | None:
        return await _context(info).loaders.employee(parse_employee_id(str(id), field="id"))

    @strawberry.field(
        description="Employees found by what they are known by, the best first. Only those you may know of."
    )
    async def employees(
        self,
        info: Info,
        search: Annotated[
            str | None,
            strawberry.argument(
                description="Parts of a name in any alphabet, login, e-mail, number or phone; null lists all."
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> EmployeeConnection | None:
        context = _context(info)
        of = f"employees {context.actor.id} {parse(search).fingerprint}"
        asked = window(
            "employees",
            first=first,
            after=after,
            last=last,
            before=before,
            place=lambda text, field: _person_place(*context.cursors.open(of, text, field=field)),
        )
        visible = context.gate.visible_rows("Employee")
        page = await context.people.search(
            search,
            matching=_matching(context),
            where=visible.condition,
            me=context.actor.employee_id,
            window=asked,
        )
        seal = context.cursors.sealer(of)
        cursors = [seal((at.rank, at.left, at.sort_name, at.id.hex)) for at in (f.place for f in page.items)]
        return EmployeeConnection(
            edges=[
                EmployeeEdge(cursor=cursor, node=Employee.of_person(found.person))
                for cursor, found in zip(cursors, page.items, strict=True)
            ],
            page_info=page_info(cursors, has_previous=page.has_previous, has_next=page.has_next),
        )

    @strawberry.field(description="The ready-made actions that you may run on this employee.")
    async def operations(
        self,
        info: Info,
        employee: Annotated[strawberry.ID, strawberry.argument(description="Id of the employee.")],
    ) -> list[Operation] | None:
        context = _context(info)
        found = await context.loaders.employee(parse_employee_id(str(employee)))
        if found is None:
            return None
        return [
            Operation.of_offer(offer) for offer in context.operations.offered(context.actor, found.person)
        ]

    @strawberry.field(description="The widgets that your team's card is made of, in their order.")
    def widgets(
        self,
        info: Info,
        slot: Annotated[str, strawberry.argument(description="Where they stand, such as employee-card.")],
    ) -> list[Widget] | None:
        context = _context(info)
        return [Widget.of_definition(widget) for widget in context.dashboards.offered(context.actor, slot)]

    @strawberry.field(description="The connected corporate systems and how they do.")
    def sources(self, info: Info) -> list[Source] | None:
        return [Source.of_health(health) for health in _context(info).sources.health()]

    @strawberry.field(description="Records of the journal that you may read, newest first.")
    async def audit_records(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        employee: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only what was done to this employee.")
        ] = None,
    ) -> AuditRecordConnection | None:
        context = _context(info)
        subject = parse_employee_id(str(employee)) if employee is not None else None
        of = f"auditRecords {context.actor.id} {subject or ''}"
        asked = window(
            "auditRecords",
            first=first,
            after=after,
            last=last,
            before=before,
            place=lambda text, field: _record_place(*context.cursors.open(of, text, field=field)),
        )
        reach = _journal_reach(context)
        if reach is Reach.NOTHING:
            return None
        actor_id = context.actor.id if reach is Reach.OWN else None
        page = await context.journal.list_records(asked, subject_id=subject, actor_id=actor_id)
        seal = context.cursors.sealer(of)
        cursors = [
            seal((record.at.isoformat(), record.ref.chain.hex, record.ref.seq)) for record in page.records
        ]
        return AuditRecordConnection(
            edges=[
                AuditRecordEdge(cursor=cursor, node=AuditRecord.of_record(record))
                for cursor, record in zip(cursors, page.records, strict=True)
            ],
            page_info=page_info(cursors, has_previous=page.has_previous, has_next=page.has_next),
        )

    schema_usage: SchemaUsageConnection | None = strawberry.field(
        resolver=schema_usage,
        description="The parts of this schema by coordinate, with the clients that used them: who would miss what.",
    )


def _person_place(rank: int, left: bool | None, sort_name: str | None, person_id: str) -> Place:
    return Place(rank, left, sort_name, UUID(person_id))


def _record_place(at: str, chain: str, seq: int) -> RecordPlace:
    return datetime.fromisoformat(at), UUID(chain), seq


def _matching(context: Context) -> Matching:
    matching: dict[Match, Any] = {}
    for match, fields in MATCHED_FIELDS.items():
        possible, conditions = context.gate.matchable(fields)
        if possible:
            matching[match] = all_of(conditions) if conditions else None
    return matching


class Reach(Enum):
    """Which rows of the journal a list may hold."""

    ALL = "all"
    OWN = "own"
    NOTHING = "nothing"


def _journal_reach(context: Context) -> Reach:
    """Brings the policy's condition on records into the two forms that the journal can filter by before its limit.

    A condition of another form admits nothing here: a short page would tell how many records are hidden.
    """
    decision = context.gate.visible_rows("AuditRecord")
    if decision.outcome is Outcome.ALLOW:
        return Reach.ALL
    return Reach.OWN if decision.condition == Compare("actor_id", "=", ME) else Reach.NOTHING
