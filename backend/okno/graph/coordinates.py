"""Which parts of the schema a document uses, as coordinates of the schema coordinates specification.

"Type.field", "Type.field(argument:)", "Enum.VALUE" and "Input.field". What usage is counted by.
"""

from collections.abc import Iterable, Mapping

from graphql import (
    ArgumentNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ListTypeNode,
    ListValueNode,
    NamedTypeNode,
    NonNullTypeNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    get_named_type,
    is_introspection_type,
)


def coordinates(schema: GraphQLSchema, document: DocumentNode) -> frozenset[str]:
    """The coordinates that a valid document uses; `__typename` and the schema's own fields are left out.

    What a variable of an input type will hold, and which value of an enum a field will give, is not known from the text: all
    fields and values of the type count, since taking one of them away could break the client.
    """
    found = _Coordinates(schema)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            root = schema.get_root_type(node.operation)
            if root is not None:
                found.selections(node.selection_set, root)
            for variable in node.variable_definitions or ():
                kind = variable.type
                while isinstance(kind, ListTypeNode | NonNullTypeNode):
                    kind = kind.type
                assert isinstance(kind, NamedTypeNode)
                found.whole(schema.type_map.get(kind.name.value))
        elif isinstance(node, FragmentDefinitionNode):
            found.selections(node.selection_set, schema.type_map[node.type_condition.name.value])
    return frozenset(found.seen)


class _Coordinates:
    def __init__(self, schema: GraphQLSchema) -> None:
        self._types: Mapping[str, GraphQLNamedType] = schema.type_map
        self.seen: set[str] = set()

    def selections(self, selection_set: SelectionSetNode, parent: GraphQLNamedType) -> None:
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                self._field(node, parent)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                self.selections(
                    node.selection_set, self._types[condition.name.value] if condition else parent
                )

    def whole(self, kind: object) -> None:
        """Every value of an enum, every field of an input and of the inputs in it."""
        if isinstance(kind, GraphQLEnumType):
            self.seen.update(f"{kind.name}.{value}" for value in kind.values)
        elif isinstance(kind, GraphQLInputObjectType):
            for name, field in kind.fields.items():
                coordinate = f"{kind.name}.{name}"
                if coordinate not in self.seen:
                    self.seen.add(coordinate)
                    self.whole(get_named_type(field.type))

    def _field(self, node: FieldNode, parent: GraphQLNamedType) -> None:
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) or is_introspection_type(parent):
            return
        field = parent.fields.get(node.name.value)
        if field is None:
            return
        coordinate = f"{parent.name}.{node.name.value}"
        self.seen.add(coordinate)
        self._arguments(node.arguments or (), coordinate, field)
        kind = get_named_type(field.type)
        if node.selection_set is not None:
            self.selections(node.selection_set, kind)
        else:
            self.whole(kind)

    def _arguments(self, nodes: Iterable[ArgumentNode], coordinate: str, field: GraphQLField) -> None:
        for node in nodes:
            self.seen.add(f"{coordinate}({node.name.value}:)")
            self._value(node.value, field.args[node.name.value].type)

    def _value(self, node: ValueNode, kind: GraphQLInputType) -> None:
        named = get_named_type(kind)
        if isinstance(node, ListValueNode):
            for each in node.values:
                self._value(each, kind)
        elif isinstance(node, EnumValueNode) and isinstance(named, GraphQLEnumType):
            self.seen.add(f"{named.name}.{node.value}")
        elif isinstance(node, ObjectValueNode) and isinstance(named, GraphQLInputObjectType):
            for part in node.fields:
                self.seen.add(f"{named.name}.{part.name.value}")
                self._value(part.value, named.fields[part.name.value].type)
