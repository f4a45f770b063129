"""The root Subscription: what one event of a subscription shows. Which events there are stands in `subscriptions.topics`."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

import strawberry

from okno.audit.api import AuditRecord
from okno.audit.records import Record
from okno.graph.context import Context
from okno.graph.ids import parse_employee_id
from okno.graph.journal import (
    OfActor,
    OfChain,
    OfEmployee,
    OfOutcome,
    OfPhase,
    OfSubject,
    OfTeam,
    OfTypes,
    Text,
)
from okno.people.api import Employee


@strawberry.type(
    description="What happens, told as it happens, over graphql-transport-ws or server-sent events. Each event is decided anew."
)
class Subscription:
    """The root of one event: its fields are resolved like those of a query, once for each record that a topic lets through.

    Carries the facts of the employee that the event is about, by which the gate decides the field.
    """

    facts: strawberry.Private[Mapping[str, object]]
    record: strawberry.Private[Record]

    @strawberry.field(description="A record of the journal that you may read, right after it was written.")
    def audit_record_added(
        self,
        employee: OfEmployee = None,
        text: Text = None,
        actor: OfActor = None,
        subject: OfSubject = None,
        event_types: OfTypes = None,
        outcome: OfOutcome = None,
        phase: OfPhase = None,
        team: OfTeam = None,
        chain: OfChain = None,
    ) -> AuditRecord | None:
        return AuditRecord.of_record(self.record)

    @strawberry.field(
        description="The employee, whenever an operation has changed something of theirs, as the systems show them then."
    )
    async def employee_changed(
        self,
        info: strawberry.Info[Any],
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the employee.")],  # noqa: A002
    ) -> Employee | None:
        return await cast(Context, info.context).loaders.employee(parse_employee_id(str(id), field="id"))
