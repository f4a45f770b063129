"""Strawberry types of usage: a part of the schema and who uses it."""

import enum
from datetime import date, datetime

import strawberry
from strawberry import relay

from okno.scalars import Int64
from okno.usage.model import ClientUse, MemberUse

MAX_CLIENTS = 20


@strawberry.enum(description="What kind of part of the schema it is.")
class SchemaMemberKind(enum.Enum):
    """The parts that are counted."""

    FIELD = strawberry.enum_value("FIELD", description="A field of a type or an interface.")
    ARGUMENT = strawberry.enum_value("ARGUMENT", description="An argument of a field.")
    ENUM_VALUE = strawberry.enum_value("ENUM_VALUE", description="A value of an enum.")
    INPUT_FIELD = strawberry.enum_value("INPUT_FIELD", description="A field of an input.")


@strawberry.enum(description="By what a client was known.")
class SchemaPrincipalKind(enum.Enum):
    """The kinds of credential."""

    SESSION = strawberry.enum_value("SESSION", description="A browser's session.")
    PERSON = strawberry.enum_value("PERSON", description="A person's token.")
    SERVICE = strawberry.enum_value("SERVICE", description="A token of an internal tool.")


@strawberry.type(description="A client, and how often it used a part of the schema.")
class SchemaClientUsage:
    """One client of one part."""

    name: str = strawberry.field(
        description='As the client calls itself in X-Okno-Client; else "web" or who holds the token; "*" for one of too many '
        "names of one holder."
    )
    version: str | None = strawberry.field(description="As the client gives it behind its name.")
    principal_kind: SchemaPrincipalKind = strawberry.field(description="By what it was known.")
    principal: str | None = strawberry.field(
        description="Login or service that holds the credential; null for the web application, whose users are not noted."
    )
    operations: Int64 = strawberry.field(description="How many operations used the part.")
    last_seen_at: datetime = strawberry.field(description="When the last of them was.")

    @classmethod
    def of_use(cls, use: ClientUse) -> "SchemaClientUsage":
        """The GraphQL form of a client's use."""
        client = use.client
        return cls(
            name=client.name,
            version=client.version or None,
            principal_kind=SchemaPrincipalKind[client.kind.name],
            principal=client.principal or None,
            operations=Int64(use.operations),
            last_seen_at=use.last_seen_at,
        )


@strawberry.type(description="A part of the schema, and which clients used it in the time asked about.")
class SchemaUsage:
    """One coordinate."""

    coordinate: str = strawberry.field(
        description="Type.field, Type.field(argument:), Enum.VALUE or Input.field."
    )
    kind: SchemaMemberKind = strawberry.field(description="What it is.")
    deprecated: bool = strawberry.field(description="Whether it is to be taken away.")
    deprecation_reason: str | None = strawberry.field(description="Why, and what to use instead.")
    removal_date: date | None = strawberry.field(description="Until which day it is promised.")
    operations: Int64 = strawberry.field(description="How many operations used it.")
    last_seen_at: datetime | None = strawberry.field(description="When the last of them was.")
    client_count: int = strawberry.field(description="How many clients used it.")
    clients: list[SchemaClientUsage] = strawberry.field(
        description=f"Who they are, the busiest first, at most {MAX_CLIENTS}."
    )

    @classmethod
    def of_use(cls, use: MemberUse) -> "SchemaUsage":
        """The GraphQL form of what is known of a part."""
        member = use.member
        return cls(
            coordinate=member.coordinate,
            kind=SchemaMemberKind[member.kind.name],
            deprecated=member.deprecation is not None,
            deprecation_reason=member.deprecation,
            removal_date=member.removal,
            operations=Int64(use.operations),
            last_seen_at=use.last_seen_at,
            client_count=len(use.clients),
            clients=[SchemaClientUsage.of_use(each) for each in use.clients[:MAX_CLIENTS]],
        )


@strawberry.type(description="A part of the schema in a list, with its place.")
class SchemaUsageEdge:
    """One entry of a page."""

    cursor: str = strawberry.field(description="Opaque; pass it as `after` to go on behind this entry.")
    node: SchemaUsage = strawberry.field(description="The part.")


@strawberry.type(description="A page of parts of the schema, by coordinate.")
class SchemaUsageConnection:
    """A bounded list, as the Relay specification has it."""

    edges: list[SchemaUsageEdge] = strawberry.field(description="The entries of this page.")
    page_info: relay.PageInfo = strawberry.field(description="Whether there is more, and where to go on.")
    total_count: int = strawberry.field(description="How many entries all pages have.")
    recorded_since: date | None = strawberry.field(
        description="The oldest day of which usage is known; null when nothing was recorded yet."
    )
