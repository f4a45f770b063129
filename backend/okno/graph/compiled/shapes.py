"""What generated code is made from: a small tree read from a template and the schema.

Only what is known to have no effect but its value becomes part of the tree: fields that Strawberry reads as attributes,
Relay ids, sections whose answers were loaded before. Everything else is left to the executor (`Node.others`).
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLAbstractType,
    GraphQLField,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import GroupedFieldSet
from strawberry import relay
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from okno.graph.sections import VALUE_PREFIX

if TYPE_CHECKING:
    from okno.graph.plan import Guard, Selection, Template

# More would be slow to compile and seldom asked for again
MAX_FIELDS = 400
# CPython refuses more than 20 nested blocks; a row takes three
MAX_NESTED_LISTS = 12

_CONVERTER = "GraphQLCoreConverter.from_resolver.<locals>."
_OWN_TYPE_CHECK = "GraphQLCoreConverter.from_object.<locals>._get_is_type_of.<locals>.is_type_of"
_OWN_TYPE_CHOICE = (
    "GraphQLCoreConverter.from_interface.<locals>._get_resolve_type.<locals>.resolve_type",
    "StrawberryUnion.get_type_resolver.<locals>._resolve_union_type",
)


@dataclass(frozen=True, slots=True)
class Read:
    """How a field's value is had: the attribute `name`, the entry `name` of a section's data, or a Relay id of `name`."""

    way: str  # attribute, entry, relay
    name: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar or an enum."""

    type: GraphQLLeafType
    nullable: bool


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    item: "Shape"
    nullable: bool


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """An object of one of these types; more than one where the schema says interface or union."""

    nodes: tuple["Node", ...]
    nullable: bool
    abstract: GraphQLAbstractType | None = None


Shape = Leaf | ListOf | ObjectOf


@dataclass(frozen=True, slots=True)
class Value:
    """A field that is read from its object and completed."""

    response_name: str
    selection: "Selection"
    read: Read
    shape: Shape

    @property
    def is_entry(self) -> bool:
        """Whether it is the entry of a section's data as it stands."""
        shape = self.shape
        while isinstance(shape, ListOf):
            shape = shape.item
        return self.read.way == "entry" and isinstance(shape, Leaf)


@dataclass(frozen=True, slots=True)
class Constant:
    """A field that is the same for every row: `__typename`, or the null of what is denied."""

    response_name: str
    value: str | None
    selection: "Selection | None" = None


@dataclass(frozen=True, slots=True)
class Section:
    """A section of an employee, loaded for all rows before the loop."""

    response_name: str
    selection: "Selection"
    node: "Node"

    @property
    def is_plain(self) -> bool:
        """Whether nothing but entries of its data is read."""
        return all(
            each.is_entry if isinstance(each, Value) else isinstance(each, Constant)
            for each in self.node.fields
        )


@dataclass(frozen=True, slots=True)
class Other:
    """A field that the executor resolves row by row, after all that is compiled has gone well."""

    response_name: str
    selection: "Selection"


Field = Value | Constant | Section | Other


@dataclass(slots=True)
class Node:
    """The selected fields of one object type.

    Attributes:
        of_section: its values are a section, or were made from its data, and carry the facts of the employee.
        has_sections: it or what lies in it has sections, to be loaded beforehand.
    """

    type: GraphQLObjectType
    fields: list[Field] = field(default_factory=list)
    of_section: bool = False
    has_sections: bool = False

    @property
    def others(self) -> list[Other]:
        """The fields that are left to the executor."""
        return [each for each in self.fields if isinstance(each, Other)]


class TooLarge(Exception):
    """The selection is beyond what is worth compiling."""


def is_read_as_attribute(field: GraphQLField) -> str | None:
    """The attribute that the field's resolver reads and nothing more, or None.

    That is the resolver of Strawberry's converter for a field without a resolver of its own, extensions and handlers.
    """
    strawberry_field = _untouched(field, "_get_basic_result")
    if strawberry_field is None or not strawberry_field.is_basic_field or field.args:
        return None
    plain = (
        type(strawberry_field).get_result is StrawberryField.get_result
        and strawberry_field.default_resolver is getattr
    )
    return strawberry_field.python_name if plain else None


def is_relay_id(field: GraphQLField, object_type: GraphQLObjectType) -> str | None:
    """The attribute with the id within the type if the field is Relay's own `id`, or None."""
    strawberry_field = _untouched(field, "_resolver")
    definition = _definition(object_type)
    if strawberry_field is None or definition is None or strawberry_field.extensions or field.args:
        return None
    resolver, origin = strawberry_field.base_resolver, definition.origin
    if resolver is None or not issubclass(origin, relay.Node) or not names_ids_as_relay(origin):
        return None
    own = getattr(resolver.wrapped_func, "__func__", None) is relay.Node._id.__func__
    return origin.resolve_id_attr() if own else None


def names_ids_as_relay(cls: type) -> bool:
    """Whether objects of the class have their id in the attribute of `NodeID`, and the type's name before it."""
    return all(
        getattr(getattr(cls, name, None), "__func__", None) is getattr(relay.Node, name).__func__
        for name in ("resolve_id", "resolve_typename")
    )


def checks_types_by_class(object_type: GraphQLObjectType) -> bool:
    """Whether only the class of a value decides, besides a cast, if it is of the type."""
    check = object_type.is_type_of
    return check is None or getattr(check, "__qualname__", "") == _OWN_TYPE_CHECK


def is_section_resolver(field: GraphQLField) -> bool:
    """Whether the field is resolved as the schema made it, so that its section may be loaded beforehand."""
    return _untouched(field, "_async_resolver") is not None and not field.args


def _untouched(field: GraphQLField, name: str) -> StrawberryField | None:
    """Strawberry's own field if graphql-core still calls its own resolver of this name."""
    found = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    resolver = getattr(field.resolve, "__qualname__", "")
    return found if isinstance(found, StrawberryField) and resolver == _CONVERTER + name else None


def _definition(object_type: GraphQLObjectType) -> StrawberryObjectDefinition | None:
    found = object_type.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return found if isinstance(found, StrawberryObjectDefinition) else None


def class_of(object_type: GraphQLObjectType) -> type | None:
    """The Python class that the type was made from, unless it is generic."""
    definition = _definition(object_type)
    if definition is None or definition.is_graphql_generic or definition.concrete_of is not None:
        return None
    return definition.origin


class Reader:
    """Reads one program's tree. Not to be used for a second one: it counts fields."""

    def __init__(self, template: "Template", schema: GraphQLSchema) -> None:
        self._template = template
        self._schema = schema
        self._fields = 0
        self._lists = 0

    def objects(self, selection: "Selection", named: Any) -> ObjectOf | None:
        """The tree for values of the type at the selection; None where nothing can be compiled.

        Raises:
            TooLarge: it has more than MAX_FIELDS fields or MAX_NESTED_LISTS lists in lists.
        """
        self._lists = 1
        if not is_object_type(named) and not is_abstract_type(named):
            return None
        return self._objects(selection, named, nullable=False, of_section=False, inner=False)

    def _objects(
        self, selection: "Selection", named: Any, *, nullable: bool, of_section: bool, inner: bool
    ) -> ObjectOf | None:
        if is_object_type(named):
            node = self._node(selection, named, of_section=of_section, inner=inner)
            return ObjectOf((node,), nullable) if node else None
        if getattr(named.resolve_type, "__qualname__", "") not in _OWN_TYPE_CHOICE:
            return None
        possible = self._schema.get_possible_types(named)
        if any(class_of(each) is None for each in possible):
            return None
        nodes = [self._node(selection, each, of_section=False, inner=True) for each in possible]
        found = tuple(node for node in nodes if node is not None)
        return ObjectOf(found, nullable, named) if len(found) == len(nodes) else None

    def _node(
        self, selection: "Selection", object_type: GraphQLObjectType, *, of_section: bool, inner: bool
    ) -> Node | None:
        """None where an object of the type cannot be part of generated code, at least not within another."""
        if not checks_types_by_class(object_type):
            return None
        found = self._template.collected.get((object_type, id(selection.details)))
        if found is None or found[1].new_defer_usages:
            return None
        node = Node(object_type, of_section=of_section)
        self._fill(node, found[1].grouped_field_set)
        others = node.others
        if others and (inner or len(others) == len(node.fields) or not _bear(node, others)):
            return None
        return node

    def _fill(self, node: Node, grouped: GroupedFieldSet) -> None:
        for response_name, details in grouped.items():
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise TooLarge
            if details[0].node.name.value == "__typename":
                node.fields.append(Constant(response_name, node.type.name))
                continue
            found = self._field(node, response_name, self._template.by_details[id(details)])
            node.fields.append(found)
            node.has_sections = node.has_sections or isinstance(found, Section) or bool(_sections_in(found))

    def _field(self, node: Node, response_name: str, selection: "Selection") -> Field:
        definition = selection.field
        assert definition is not None
        if selection.section is not None:
            inner = self._section(selection, definition)
            return Section(response_name, selection, inner) if inner else Other(response_name, selection)
        if selection.is_denied:
            return Constant(response_name, None, selection)
        read = self._read(node, definition)
        if read is None:
            return Other(response_name, selection)
        shape = self._shape(selection, definition.type, of_section=read.way == "entry")
        if shape is None:
            return Other(response_name, selection)
        found = Value(response_name, selection, read, shape)
        # What lies behind a condition must not be loaded for rows that the condition refuses
        return Other(response_name, selection) if selection.guards and _sections_in(found) else found

    def _section(self, selection: "Selection", definition: GraphQLField) -> Node | None:
        named = definition.type.of_type if is_non_null_type(definition.type) else None
        if not is_object_type(named) or not is_section_resolver(definition):
            return None
        return self._node(selection, named, of_section=True, inner=True)

    def _read(self, node: Node, definition: GraphQLField) -> Read | None:
        attribute = is_read_as_attribute(definition)
        if attribute is not None:
            if node.of_section and attribute.startswith(VALUE_PREFIX):
                return Read("entry", attribute)
            return Read("attribute", attribute)
        attribute = is_relay_id(definition, node.type)
        return Read("relay", attribute) if attribute is not None else None

    def _shape(self, selection: "Selection", of: GraphQLOutputType, *, of_section: bool) -> Shape | None:
        nullable = not is_non_null_type(of)
        bare: Any = of if nullable else of.of_type  # type: ignore[union-attr]
        if is_leaf_type(bare):
            return Leaf(bare, nullable)
        if is_list_type(bare):
            self._lists += 1
            if self._lists > MAX_NESTED_LISTS:
                raise TooLarge
            item = self._shape(selection, bare.of_type, of_section=of_section)
            self._lists -= 1
            return ListOf(item, nullable) if item else None
        if is_object_type(bare) or is_abstract_type(bare):
            return self._objects(selection, bare, nullable=nullable, of_section=of_section, inner=True)
        return None


def _bear(node: Node, others: list[Other]) -> bool:
    """Whether what is counted stays right if one of the others fails: what stands behind it is not met then."""
    if all(each.selection.nullable for each in others):
        return True
    return not any(_is_counted(each) for each in node.fields)


def _is_counted(each: Field) -> bool:
    selection = each.selection
    if selection is None:
        return False
    if selection.is_conditional or selection.in_abstract or selection.recorded:
        return True
    return any(_is_counted(inner) for node in nodes_in(each) for inner in node.fields)


def _sections_in(each: Field) -> bool:
    return any(node.has_sections for node in nodes_in(each))


def nodes_in(each: Field) -> tuple[Node, ...]:
    """The nodes directly below a field."""
    if isinstance(each, Section):
        return (each.node,)
    shape: Shape | None = each.shape if isinstance(each, Value) else None
    while isinstance(shape, ListOf):
        shape = shape.item
    return shape.nodes if isinstance(shape, ObjectOf) else ()


def guards_of(each: Field) -> "tuple[Guard, ...]":
    """The conditions that decide how much of a field a row's reader is given."""
    selection = each.selection
    if selection is None or selection.is_denied:
        return ()
    return selection.guards if selection.masking is None else (*selection.guards, *selection.masking.guards)
