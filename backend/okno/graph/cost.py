"""What a document costs, in points: asked for before it runs, and spent by the answer.

An object costs 1, a value 0, a list as many times its entries as it may have; `@cost` and `@listSize` in `directives` say
where it is otherwise. That is the arithmetic of Federation 2.9's routers, so that both count alike, but for this: fields that
are selected twice at one place cost once, as they are resolved once, and the schema's own fields cost too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    ValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)
from strawberry.federation.schema_directives import Cost, ListSize
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from okno.graph.directives import ASSUMED_SIZE, GREATEST_SIZE, INTROSPECTION_SIZES, SIZED_BY_LENGTH

_META_FIELDS = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}


@dataclass(frozen=True, slots=True)
class Price:
    """What the schema says about the cost of one field.

    Attributes:
        weight: points of each object that the field gives; of the value, where it gives none.
        assumed: how many entries its list is taken to have when no argument says so; None for what is no list.
        slicing: the arguments that say how many.
        sized: those of its own fields that the arguments size instead of the field itself, as in connections.
    """

    weight: int
    assumed: int | None = None
    slicing: tuple[str, ...] = ()
    sized: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Variable:
    """A list is as long as this variable says: a number, or a list itself."""

    name: str
    default: int | None


@dataclass(frozen=True, slots=True)
class FieldCost:
    """One field of an operation that costs something.

    Attributes:
        sizes: how many entries there may be, the greatest counts; what else than a number is known with the variables.
    """

    key: str
    weight: int
    sizes: tuple[int | Variable, ...]
    fields: tuple["FieldCost", ...]

    def points(self, variables: Mapping[str, Any] | None) -> int:
        """The points with these variables; None is for the greatest that they may come to."""
        each = self.weight
        for field in self.fields:
            each += field.points(variables)
        if self.sizes == (1,):
            return each
        return each * max(size if isinstance(size, int) else _size_of(size, variables) for size in self.sizes)


@dataclass(frozen=True, slots=True)
class OperationCost:
    """The compiled cost of one operation. `fixed`: what it asks for when that does not hang on variables."""

    fields: tuple[FieldCost, ...] = ()
    greatest: int = 0
    fixed: int | None = 0


@dataclass(frozen=True, slots=True)
class DocumentCost:
    """The compiled cost of a document's operations, by their names."""

    operations: Mapping[str | None, OperationCost]

    def of(self, operation_name: str | None) -> OperationCost:
        """The operation that executes under this name, or the only one."""
        found = self.operations.get(operation_name)
        return found if found is not None else next(iter(self.operations.values()), OperationCost())

    @property
    def greatest(self) -> int:
        """The most that an operation of the document may ask for, whatever its variables."""
        return max((each.greatest for each in self.operations.values()), default=0)


NO_COST = DocumentCost({})


@dataclass(frozen=True, slots=True)
class Bill:
    """What one execution of an operation asks for, and may."""

    operation: OperationCost
    requested: int
    limit: int

    def as_json(self, data: Mapping[str, Any] | None) -> dict[str, int]:
        """`extensions.cost` beside this answer."""
        return {"requested": self.requested, "spent": spent(self.operation, data), "limit": self.limit}


def requested(cost: OperationCost, variables: Mapping[str, Any]) -> int:
    """Points that the operation may come to with these variables, as the client sent them."""
    return cost.fixed if cost.fixed is not None else sum(field.points(variables) for field in cost.fields)


def spent(cost: OperationCost, data: Mapping[str, Any] | None) -> int:
    """Points that the answer came to. Takes time by the objects in `data`, not by their values."""
    return _spent(cost.fields, [data]) if data else 0


def _spent(fields: Sequence[FieldCost], objects: Sequence[Mapping[str, Any]]) -> int:
    """Level by level: all objects of one place at once."""
    total = 0
    for field in fields:
        try:
            found = list(map(itemgetter(field.key), objects))
        except KeyError:  # left out by @skip, or of another type
            found = [each.get(field.key) for each in objects]
        found = _without_nulls(found)
        while found and isinstance(found[0], list):
            found = _without_nulls(found[0] if len(found) == 1 else list(chain.from_iterable(found)))
        total += field.weight * len(found)
        if field.fields and found:
            total += _spent(field.fields, found)
    return total


def _without_nulls(values: list[Any]) -> list[Any]:
    return values if all(values) else [value for value in values if value is not None]


class Prices:
    """What the fields of a schema cost, read from their directives once."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self._prices = {
            (kind.name, name): _price(kind.name, name, field)
            for kind in schema.type_map.values()
            if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
            for name, field in kind.fields.items()
        }

    def of(self, type_name: str, field_name: str) -> Price:
        """The price of a field of an object or interface type."""
        return self._prices.get((type_name, field_name), _INTROSPECTION)


# `__schema` and `__type` themselves
_INTROSPECTION = Price(1)


def _price(type_name: str, name: str, field: GraphQLField) -> Price:
    kind = field.type.of_type if is_non_null_type(field.type) else field.type
    is_object = is_composite_type(get_named_type(kind))
    is_list = is_object and is_list_type(kind)
    coordinate = f"{type_name}.{name}"
    if type_name.startswith("__"):
        return Price(int(is_list), INTROSPECTION_SIZES.get(coordinate, 1) if is_list else None)
    strawberry_field = (field.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
    directives = strawberry_field.directives if isinstance(strawberry_field, StrawberryField) else ()
    weight, assumed = int(is_object), ASSUMED_SIZE if is_list else None
    slicing: Sequence[str] = (SIZED_BY_LENGTH[coordinate],) if coordinate in SIZED_BY_LENGTH else ()
    sized: Sequence[str] = ()
    for directive in directives:
        if isinstance(directive, Cost):
            weight = directive.weight
        elif isinstance(directive, ListSize):
            assumed = directive.assumed_size or (GREATEST_SIZE if is_list else None)
            slicing = directive.slicing_arguments or slicing
            sized = directive.sized_fields or ()
    return Price(weight, assumed, tuple(slicing), frozenset(sized))


def compile_cost(prices: Prices, document: DocumentNode) -> DocumentCost:
    """The cost of a valid document that is within the limits: its fragments are spread."""
    compiler = _Compiler(prices, document)
    return DocumentCost(
        {
            node.name.value if node.name else None: compiler.operation(node)
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode)
        }
    )


class _Compiler:
    def __init__(self, prices: Prices, document: DocumentNode) -> None:
        self._schema = prices.schema
        self._prices = prices
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._defaults: dict[str, ValueNode | None] = {}
        self._hangs_on_variables = False

    def operation(self, node: OperationDefinitionNode) -> OperationCost:
        self._defaults = {
            each.variable.name.value: each.default_value for each in node.variable_definitions or ()
        }
        self._hangs_on_variables = False
        root = self._schema.get_root_type(node.operation)
        fields = () if root is None else self._place([(node.selection_set, root)], {})
        greatest = sum(field.points(None) for field in fields)
        return OperationCost(fields, greatest, None if self._hangs_on_variables else greatest)

    def _place(
        self,
        merged: list[tuple[SelectionSetNode, GraphQLNamedType]],
        sizes: Mapping[str, tuple[int | Variable, ...]],
    ) -> tuple[FieldCost, ...]:
        """What is selected at one place, by response name.

        Args:
            merged: the selection sets of the place, each with the type that it selects from.
            sizes: of those fields that the field above sizes.
        """
        named: dict[str, list[tuple[FieldNode, GraphQLNamedType]]] = {}
        spread: set[str] = set()
        waiting = list(merged)
        while waiting:
            selection_set, parent = waiting.pop()
            for selection in selection_set.selections:
                if isinstance(selection, FieldNode):
                    key = (selection.alias or selection.name).value
                    named.setdefault(key, []).append((selection, parent))
                elif isinstance(selection, InlineFragmentNode):
                    condition = selection.type_condition
                    kind = self._schema.type_map[condition.name.value] if condition else parent
                    waiting.append((selection.selection_set, kind))
                elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                    spread.add(selection.name.value)
                    fragment = self._fragments[selection.name.value]
                    kind = self._schema.type_map[fragment.type_condition.name.value]
                    waiting.append((fragment.selection_set, kind))
        costs = (self._field(key, nodes, sizes) for key, nodes in named.items())
        return tuple(cost for cost in costs if cost is not None)

    def _field(
        self,
        key: str,
        nodes: Iterable[tuple[FieldNode, GraphQLNamedType]],
        given: Mapping[str, tuple[int | Variable, ...]],
    ) -> FieldCost | None:
        weight = 0
        sizes: set[int | Variable] = set()
        below: list[tuple[SelectionSetNode, GraphQLNamedType]] = []
        sized: dict[str, tuple[int | Variable, ...]] = {}
        for node, parent in nodes:
            name = node.name.value
            field = _META_FIELDS.get(name) or getattr(parent, "fields", {}).get(name)
            if field is None:  # __typename
                return None
            price = self._prices.of(parent.name, name)
            weight = max(weight, price.weight)
            if price.sized:
                own = self._sizes(node, price)
                sized.update(dict.fromkeys(price.sized, own))
            elif price.assumed is not None:
                sizes.update(given.get(name) or self._sizes(node, price))
            if node.selection_set is not None:
                below.append((node.selection_set, get_named_type(field.type)))
        fields = self._place(below, sized) if below else ()
        if not weight and not fields:
            return None
        return FieldCost(key, weight, tuple(sizes) or (1,), fields)

    def _sizes(self, node: FieldNode, price: Price) -> tuple[int | Variable, ...]:
        sizes = []
        for argument in node.arguments or ():
            if argument.name.value in price.slicing:
                size = self._size(argument.value)
                if size is not None:
                    sizes.append(size)
        return tuple(sizes) or (price.assumed or GREATEST_SIZE,)

    def _size(self, value: ValueNode) -> int | Variable | None:
        if isinstance(value, VariableNode):
            self._hangs_on_variables = True
            default = self._defaults.get(value.name.value)
            known = self._size(default) if default is not None else None
            return Variable(value.name.value, known if isinstance(known, int) else None)
        if isinstance(value, IntValueNode):
            return max(0, int(value.value))
        return len(value.values) if isinstance(value, ListValueNode) else None


def _size_of(size: Variable, variables: Mapping[str, Any] | None) -> int:
    if variables is None:
        return max(GREATEST_SIZE, size.default or 0)
    value = variables.get(size.name, size.default)
    if isinstance(value, list):
        return len(value)
    return max(0, value) if isinstance(value, int) else GREATEST_SIZE
