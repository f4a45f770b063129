"""What a schema consists of, as usage counts it: fields, arguments, values of enums, fields of inputs."""

from collections.abc import Iterator, Mapping

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_introspection_type,
)

from okno.errors import InvalidInput
from okno.usage.model import Member, MemberKind


def schema_members(schema: GraphQLSchema) -> list[Member]:
    """All that a document can use, by the same coordinates as `okno.graph.coordinates` gives.

    Enums that only directives of the schema itself take are left out: no document can name their values.
    """
    found: list[Member] = []
    reached: dict[str, GraphQLNamedType] = {}
    for name, kind in schema.type_map.items():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not is_introspection_type(kind):
            for field_name, field in kind.fields.items():
                coordinate = f"{name}.{field_name}"
                found.append(Member(coordinate, MemberKind.FIELD, field.deprecation_reason))
                found += _arguments(coordinate, field.args)
                for each in (field, *field.args.values()):
                    named = get_named_type(each.type)
                    reached[named.name] = named
    waiting = list(reached.values())
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, GraphQLEnumType):
            found += (
                Member(f"{kind.name}.{value}", MemberKind.ENUM_VALUE, each.deprecation_reason)
                for value, each in kind.values.items()
            )
        elif isinstance(kind, GraphQLInputObjectType):
            for field_name, input_field in kind.fields.items():
                coordinate = f"{kind.name}.{field_name}"
                found.append(Member(coordinate, MemberKind.INPUT_FIELD, input_field.deprecation_reason))
                named = get_named_type(input_field.type)
                if named.name not in reached:
                    reached[named.name] = named
                    waiting.append(named)
    return found


def read_coordinates(sdl: str) -> list[str]:
    """The coordinates of a schema in the schema definition language.

    Raises:
        InvalidInput: the text is no such schema.
    """
    try:
        schema = build_schema(sdl, assume_valid_sdl=True)
        return [member.coordinate for member in schema_members(schema)]
    except (GraphQLError, TypeError) as error:
        raise InvalidInput(f"it is no GraphQL schema: {error}") from error


def _arguments(coordinate: str, arguments: Mapping[str, GraphQLArgument]) -> Iterator[Member]:
    for name, argument in arguments.items():
        yield Member(f"{coordinate}({name}:)", MemberKind.ARGUMENT, argument.deprecation_reason)
