"""Strawberry types of people: the employee as the index knows them. Sections are added by `graph.schema`."""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import strawberry
from strawberry import relay

from okno.people.model import Person


@strawberry.enum(description="Whether an employee works.")
class EmployeeState(enum.Enum):
    """The states of an employee in HR."""

    WORKS = strawberry.enum_value("WORKS", description="Works.")
    ON_LEAVE = strawberry.enum_value("ON_LEAVE", description="On leave now.")
    LEAVING = strawberry.enum_value("LEAVING", description="Works, and the last day is known.")
    DISMISSED = strawberry.enum_value("DISMISSED", description="Has left the company.")


@strawberry.federation.type(
    keys=["id"],
    description="An employee, stitched from the systems that know them. Top-level fields come from Okno's own index.",
)
class Employee(relay.Node):
    """An employee. Carries the facts of the row, by which the gate decides it and its sections."""

    key: relay.NodeID[UUID]
    facts: strawberry.Private[Mapping[str, object]]
    person: strawberry.Private[Person]
    display_name: str | None = strawberry.field(description="Full name in the employee's own script.")
    latin_name: str | None = strawberry.field(description="Full name in Latin letters.")
    login: str | None = strawberry.field(description="Login in the corporate directory.")
    email: str | None = strawberry.field(description="Work e-mail address.")
    personnel_number: str | None = strawberry.field(description="Number in HR, which never changes.")
    position: str | None = strawberry.field(description="Position held.")
    department: str | None = strawberry.field(description="Department worked in.")
    office: str | None = strawberry.field(description="Office worked in.")
    country: str | None = strawberry.field(description="Country of the office, ISO 3166-1 alpha-2.")
    city: str | None = strawberry.field(description="City of the office.")
    time_zone: str | None = strawberry.field(description="IANA time zone of the office, such as Asia/Almaty.")
    work_phone: str | None = strawberry.field(description="Work telephone number in E.164.")
    state: EmployeeState | None = strawberry.field(description="Whether the employee works.")
    protected: bool | None = strawberry.field(
        description="Whether only selected teams may support the employee."
    )
    held_abroad: bool | None = strawberry.field(
        description="Whether this employee's data may not be copied here. Then name and contacts stand in the sections alone, "
        "read live, and search finds the employee by personnel number only."
    )
    indexed_at: datetime | None = strawberry.field(
        description="When the index last took these fields from the systems."
    )

    @property
    def subject_label(self) -> str:
        """What the journal calls the employee."""
        return self.person.login or self.person.personnel_number

    @strawberry.field(description="The direct manager.")
    async def manager(self, info: strawberry.Info[Any]) -> "Employee | None":
        return cast("Employee | None", await info.context.loaders.employee(self.person.manager_id))

    @strawberry.field(description="The managers from the direct one upwards.")
    async def managers(self, info: strawberry.Info[Any]) -> "list[Employee] | None":
        return cast("list[Employee]", await info.context.loaders.managers(self.key))

    @classmethod
    async def resolve_reference(cls, info: strawberry.Info[Any], id: strawberry.ID) -> "Employee | None":  # noqa: A002
        """Answers a federation router that knows the employee's id."""
        node = await info.context.loaders.node(str(id))
        return node if isinstance(node, cls) else None

    @classmethod
    def of_person(cls, person: Person) -> "Employee":
        """The GraphQL form of a row of the index."""
        return cls(
            key=person.id,
            facts=person.facts(),
            person=person,
            display_name=person.full_name or None,
            latin_name=person.latin_name,
            login=person.login,
            email=person.email,
            personnel_number=person.personnel_number,
            position=person.position,
            department=person.department,
            office=person.office,
            country=person.country,
            city=person.city,
            time_zone=person.time_zone,
            work_phone=person.work_phone,
            state=None if person.state is None else EmployeeState[person.state.name],
            protected=person.protected,
            held_abroad=not person.resident,
            indexed_at=person.indexed_at,
        )


@strawberry.type(description="An employee in a list, with its place.")
class EmployeeEdge:
    """One entry of a page."""

    cursor: str = strawberry.field(
        description="Opaque; pass it as `after` to go on behind this entry, as `before` to go back from it."
    )
    node: Employee = strawberry.field(description="The employee.")


@strawberry.type(description="A page of employees.")
class EmployeeConnection:
    """A bounded list, as the Relay specification has it."""

    edges: list[EmployeeEdge] = strawberry.field(description="The entries of this page.")
    page_info: relay.PageInfo = strawberry.field(description="Whether there is more, and where to go on.")
