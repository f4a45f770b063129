"""The root Query: thin resolvers over the services."""

import asyncio
from enum import Enum
from typing import Annotated, Any, cast

import strawberry
from strawberry import relay

from okno.audit.api import AuditRecord, AuditRecordConnection, AuditRecordEdge
from okno.dashboards.api import Widget
from okno.errors import InvalidInput
from okno.graph.context import Context
from okno.graph.ids import parse_employee_id
from okno.graph.me import Me
from okno.operations.api import Operation
from okno.people.api import Employee, EmployeeConnection, EmployeeEdge
from okno.people.model import Match, Matching
from okno.policy.condition import ME, Compare, all_of
from okno.policy.service import Outcome
from okno.sources.api import Source

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

First = Annotated[int, strawberry.argument(description="How many at most, 1 to 100.")]
After = Annotated[
    str | None, strawberry.argument(description="Cursor to go on behind; null begins at the start.")
]


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
        first: First = 20,
        after: After = None,
    ) -> EmployeeConnection | None:
        context = _context(info)
        visible = context.gate.visible_rows("Employee")
        page = await context.people.search(
            search,
            matching=_matching(context),
            where=visible.condition,
            me=context.actor.employee_id,
            first=first,
            after=after,
        )
        edges = [
            EmployeeEdge(cursor=found.cursor, node=Employee.of_person(found.person)) for found in page.items
        ]
        return EmployeeConnection(edges=edges, page_info=_page_info(edges, page.has_next, after))

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
        first: First = 50,
        after: After = None,
        employee: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only what was done to this employee.")
        ] = None,
    ) -> AuditRecordConnection | None:
        context = _context(info)
        if not 1 <= first <= MAX_NODES:
            raise InvalidInput(f"first has to be between 1 and {MAX_NODES}, not {first}.", field="first")
        subject = parse_employee_id(str(employee)) if employee is not None else None
        reach = _journal_reach(context)
        if reach is Reach.NOTHING:
            return None
        actor_id = context.actor.id if reach is Reach.OWN else None
        page = await context.journal.list_records(
            first=first, after=after, subject_id=None if subject is None else str(subject), actor_id=actor_id
        )
        edges = [
            AuditRecordEdge(cursor=str(record.ref), node=AuditRecord.of_record(record))
            for record in page.records
        ]
        return AuditRecordConnection(edges=edges, page_info=_page_info(edges, page.next is not None, after))


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


def _page_info(edges: list[Any], has_next: bool, after: str | None) -> relay.PageInfo:
    return relay.PageInfo(
        has_next_page=has_next,
        has_previous_page=after is not None,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
