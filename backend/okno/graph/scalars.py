"""Scalars of the schema beyond GraphQL's own five."""

from datetime import date, datetime
from typing import Any

import strawberry
from graphql import GraphQLError, ValueNode, value_from_ast_untyped
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from okno.graph.times import parse_date, parse_datetime
from okno.scalars import Int64

_LIMIT = 2**63


def int64_out(value: Any) -> int:
    """The number itself, in and out.

    Raises:
        GraphQLError: no whole number of at most 64 bits.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not -_LIMIT <= value < _LIMIT:
        raise GraphQLError("Int64 takes a whole number of at most 64 bits")
    return value


def date_out(value: Any) -> str:
    """The day in ISO 8601.

    Raises:
        GraphQLError: the value is no day.
    """
    if isinstance(value, datetime) or not isinstance(value, date):
        raise GraphQLError("Date cannot represent this value")
    return value.isoformat()


def datetime_out(value: Any) -> str:
    """The moment in RFC 3339.

    Raises:
        GraphQLError: the value is no aware time.
    """
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise GraphQLError("DateTime cannot represent a value that is not an aware time")
    return value.isoformat()


def json_out(value: Any) -> Any:
    """Whatever JSON can hold, as it is."""
    return value


def _literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    return value_from_ast_untyped(node, variables)


SCALARS: dict[object, ScalarDefinition] = {
    Int64: strawberry.scalar(
        name="Int64",
        description="A whole number of at most 64 bits, sent as a JSON number.",
        serialize=int64_out,
        parse_value=int64_out,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description='Any JSON value. Texts for people are objects by language: `{"en": …, "ru": …}`.',
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=json_out,
        parse_value=lambda value: value,
        parse_literal=_literal,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment with its offset, as in RFC 3339: `2026-11-02T09:00:00+00:00`.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=datetime_out,
        parse_value=parse_datetime,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A day without time and zone: `2026-11-02`.",
        specified_by_url="https://scalars.graphql.org/andimarek/local-date",
        serialize=date_out,
        parse_value=parse_date,
    ),
}
