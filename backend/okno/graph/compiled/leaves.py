"""How values of scalars and enums are completed: a test of the exact type in line, and a function for everything else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import isfinite
from typing import Any

import orjson
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
    Undefined,
)
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema_converter import CustomGraphQLEnumType

from okno.graph import scalars


class Mismatch(Exception):
    """A value is not what the generated code was made for; the stock executor completes it, or says what is wrong."""


JSON_TYPES = frozenset({str, int, float, bool, dict, list})

# What the texts below may name
NAMES: Mapping[str, Any] = {
    "UTC": UTC,
    "Mismatch": Mismatch,
    "date": date,
    "datetime": datetime,
    "dumps": orjson.dumps,
    "isfinite": isfinite,
    "json_types": JSON_TYPES,
}


@dataclass(frozen=True, slots=True)
class Inline:
    """The text of a test that `{v}` is of the exact type, and of its completed value; "" where that is the value itself."""

    test: str
    completed: str = ""


def _between(low: int, high: int) -> Inline:
    return Inline(f"type({{v}}) is int and {low} <= {{v}} <= {high}")


# By the function that the schema coerces with, so that a scalar of the same name that does something else is not taken
# for one of these
_INLINE: Mapping[Any, Inline] = {
    GraphQLString.coerce_output_value: Inline("type({v}) is str"),
    GraphQLID.coerce_output_value: Inline("type({v}) is str"),
    GraphQLBoolean.coerce_output_value: Inline("type({v}) is bool"),
    GraphQLInt.coerce_output_value: _between(GRAPHQL_MIN_INT, GRAPHQL_MAX_INT),
    GraphQLFloat.coerce_output_value: Inline("type({v}) is float and isfinite({v})"),
    scalars.int64_out: _between(-(2**63), 2**63 - 1),
    scalars.json_out: Inline("type({v}) in json_types"),
    scalars.date_out: Inline("type({v}) is date", "{v}.isoformat()"),
    scalars.datetime_out: Inline(
        "type({v}) is datetime and {v}.tzinfo is not None",
        # A third of the time of isoformat(), and the same text
        "(dumps({v})[1:-1].decode() if {v}.tzinfo is UTC else {v}.isoformat())",
    ),
}


def find_inline(leaf_type: GraphQLLeafType) -> Inline | None:
    """The text for a type that has one."""
    return _INLINE.get(leaf_type.coerce_output_value) if not isinstance(leaf_type, GraphQLEnumType) else None


def enum_names(leaf_type: GraphQLLeafType) -> dict[int, str] | None:
    """The names of an enum's values by the identity of its members; None for what is no Strawberry enum.

    By identity, because Python computes the hash of a member in Python. Members live as long as the schema.
    """
    if not isinstance(leaf_type, CustomGraphQLEnumType):
        return None
    members: list[Any] = list(leaf_type.wrapped_cls)
    return {id(member): leaf_type.coerce_output_value(member) for member in members}


def leaf_completer(leaf_type: GraphQLLeafType) -> Callable[[Any], Any]:
    """Completes any value of the type as the stock executor does.

    The function raises Mismatch, or what the type raises, where the stock executor has an error or a null.
    """
    coerce = leaf_type.coerce_output_value

    def complete(value: Any) -> Any:
        if (
            value is None
            or value is Undefined
            or isinstance(value, Exception)
            or optimized_is_awaitable(value)
        ):
            raise Mismatch
        completed = coerce(value)
        if completed is None or completed is Undefined:
            raise Mismatch
        return completed

    return complete


def exact_completer(leaf_type: GraphQLLeafType) -> Callable[[Any], Any]:
    """Completes a value as the texts above do, for those who call a function; it raises what `leaf_completer` raises."""
    inline, completer = find_inline(leaf_type), leaf_completer(leaf_type)
    if inline is None:
        return completer
    written = f"lambda v: {(inline.completed or '{v}').format(v='v')} if {inline.test.format(v='v')} else completer(v)"
    return eval(written, {**NAMES, "completer": completer})  # type: ignore[no-any-return]  # noqa: S307 -- of the texts above
