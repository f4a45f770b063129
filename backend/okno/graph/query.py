"""The root Query: thin resolvers over the services."""

import asyncio
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry
from strawberry import relay

from okno.audit.api import AuditEventType, AuditRecordConnection, HistoryRecordConnection
from okno.dashboards.api import Widget
from okno.errors import InvalidInput
from okno.graph.connections import After, Before, First, Last, page_info, window
from okno.graph.context import Context
from okno.graph.ids import parse_employee_id
from okno.graph.journal import audit_records, who_looked_at_me
from okno.graph.me import Me
from okno.graph.schema_usage import schema_usage
from okno.operations.api import Operation
from okno.people.api import Employee, EmployeeConnection, EmployeeEdge
from okno.people.model import Knowing, Known, Match, Matching, Place
from okno.people.query import parse
from okno.policy.condition import all_of
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
# What may be found by who knows it whole, each by the permission to match the field
KNOWN_FIELDS: dict[Known, str] = {
    Known.NAME: "displayName",
    Known.LATIN_NAME: "latinName",
    Known.LOGIN: "login",
    Known.EMAIL: "email",
    Known.NUMBER: "personnelNumber",
    Known.PHONE: "workPhone",
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
            knowing=_knowing(context),
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

    audit_records: AuditRecordConnection | None = strawberry.field(
        resolver=audit_records, description="Records of the journal that you may read, newest first."
    )

    @strawberry.field(description="Every kind of thing that the journal records.")
    def audit_event_types(self) -> list[AuditEventType]:
        return AuditEventType.all()

    who_looked_at_me: HistoryRecordConnection | None = strawberry.field(
        resolver=who_looked_at_me,
        description="Who read what is confidential of you, or did or tried something to you; newest first.",
    )

    schema_usage: SchemaUsageConnection | None = strawberry.field(
        resolver=schema_usage,
        description="The parts of this schema by coordinate, with the clients that used them: who would miss what.",
    )


def _person_place(rank: int, left: bool | None, sort_name: str | None, person_id: str) -> Place:
    return Place(rank, left, sort_name, UUID(person_id))


def _matching(context: Context) -> Matching:
    matching: dict[Match, Any] = {}
    for match, fields in MATCHED_FIELDS.items():
        possible, conditions = context.gate.matchable(fields)
        if possible:
            matching[match] = all_of(conditions) if conditions else None
    return matching


def _knowing(context: Context) -> Knowing:
    found = {known: context.gate.recognisable(field) for known, field in KNOWN_FIELDS.items()}
    return {known: condition for known, (possible, condition) in found.items() if possible}
