"""Bounds of one document, checked on its syntax alone, before it is validated: validation is what abuse makes slow.

Each error names the limit, the value and what is allowed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
)

from okno.settings import GraphqlSettings

Limits = GraphqlSettings
DEFAULT_LIMITS = Limits()

Fragments = dict[str, FragmentDefinitionNode]


class LimitExceeded(GraphQLError):
    """A limit is exceeded: which one, by what value, and what it allows."""

    def __init__(
        self, limit: str, value: int, allowed: int, what: str = "The document", *, at_least: bool = False
    ) -> None:
        told = f"more than {value - 1}" if at_least else str(value)
        super().__init__(
            f"{what} exceeds the limit of {limit}: {told}, at most {allowed} are allowed.",
            extensions={"code": "LIMIT_EXCEEDED", "limit": limit, "value": value, "allowed": allowed},
        )


class Allowance:
    """What the operations of one request may use together. Cheap documents in a batch must not add up to an expensive one.

    Raises (on taking):
        LimitExceeded: there is not that much left; nor is there for what comes after.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tokens = self._cost = 0
        self._read: set[bytes] = set()

    def take_tokens(self, key: bytes, tokens: int) -> None:
        """Takes the tokens of a free document: of each document once, and none are enough only while some are left."""
        if key in self._read:
            return
        before, allowed = self._tokens, self._limits.tokens
        self._tokens += tokens
        if self._tokens > allowed or before >= allowed:
            self._tokens = max(self._tokens, allowed)
            raise LimitExceeded("tokens", max(self._tokens, allowed + 1), allowed, "The batch", at_least=True)
        if tokens:
            self._read.add(key)

    def take_cost(self, points: int) -> None:
        """Takes what a free operation asks for."""
        before, allowed = self._cost, self._limits.cost
        if before + points > allowed:
            what = "The batch" if before else "The operation"
            raise LimitExceeded("cost", before + points, allowed, what)
        self._cost += points


def check_limits(document: DocumentNode, limits: Limits) -> list[GraphQLError]:
    """The first limit that the document exceeds, or the first cycle of its fragments; else nothing.

    The document may be anything that parses. Takes time by its length: what fragments amount to when they are spread is
    computed once for each, and only documents that stay small when spread are spread.
    """
    try:
        _check(document, limits)
    except GraphQLError as error:
        return [error]
    return []


def _check(document: DocumentNode, limits: Limits) -> None:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    definitions = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    _require("operations", len(operations), limits.operations)
    _require("fragments", len(definitions), limits.fragments)
    for operation in operations:
        _require("variables", len(operation.variable_definitions or ()), limits.variables, "The operation")
    fragments = {node.name.value: node for node in definitions}
    _refuse_cycles(fragments)
    sizes: dict[str, _Size] = {}
    reader = _Reader(fragments, sizes, limits)
    selections = 0
    for operation in operations:
        reader.read_operation(operation)
        size = reader.size(operation.selection_set)
        for name, value in (
            ("depth", size.depth),
            ("aliases", size.aliases),
            ("directives", size.directives + len(operation.directives or ())),
        ):
            _require(name, value, getattr(limits, name), "The operation")
        selections += size.selections
    roots = [operation.selection_set for operation in operations]
    for node in definitions:
        if (
            node.name.value not in sizes
        ):  # spread nowhere: invalid, but validation will read it before it says so
            sizes[node.name.value] = size = reader.size(node.selection_set)
            _require("depth", size.depth, limits.depth)
            selections += size.selections
            roots.append(node.selection_set)
    _require("selections", selections, limits.selections)
    _require("repeats", sum(_pairs([root], fragments) for root in roots), limits.repeats)


def _require(limit: str, value: int, allowed: int, what: str = "The document") -> None:
    if value > allowed:
        raise LimitExceeded(limit, value, allowed, what)


@dataclass(slots=True)
class _Size:
    """What a selection set amounts to with its fragments spread, as often as they are."""

    depth: int = 0
    selections: int = 0
    aliases: int = 0
    directives: int = 0


class _Reader:
    """Sums up selection sets; every fragment once. Refuses literals that would be slow to read."""

    def __init__(self, fragments: Fragments, sizes: dict[str, _Size], limits: Limits) -> None:
        self._fragments = fragments
        self._sizes = sizes
        self._limits = limits

    def read_operation(self, operation: OperationDefinitionNode) -> None:
        """Reads the literals that stand before the first brace."""
        for variable in operation.variable_definitions or ():
            if variable.default_value is not None:
                self._value(variable.default_value, 0)
            self._directives(variable.directives or ())
        self._directives(operation.directives or ())

    def size(self, selection_set: SelectionSetNode) -> _Size:
        """The size of a selection set whose fragments make no cycle."""
        total = _Size()
        for selection in selection_set.selections:
            if selection.directives:
                total.directives += len(selection.directives)
                self._directives(selection.directives)
            deeper = 0
            if isinstance(selection, FieldNode):
                deeper = 1
                total.selections += 1
                total.aliases += selection.alias is not None
                for argument in selection.arguments or ():
                    self._value(argument.value, 0)
                if selection.selection_set is None:
                    total.depth = max(total.depth, 1)
                    continue
                inner = self.size(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                total.selections += 1
                name = selection.name.value
                if name not in self._fragments:
                    continue
                if name not in self._sizes:
                    self._sizes[name] = self.size(self._fragments[name].selection_set)
                inner = self._sizes[name]
            else:
                assert isinstance(selection, InlineFragmentNode)
                total.selections += 1
                inner = self.size(selection.selection_set)
            total.depth = max(total.depth, inner.depth + deeper)
            total.selections += inner.selections
            total.aliases += inner.aliases
            total.directives += inner.directives
        return total

    def _directives(self, directives: Sequence[DirectiveNode]) -> None:
        for directive in directives:
            for argument in directive.arguments or ():
                self._value(argument.value, 0)

    def _value(self, node: ValueNode, depth: int) -> None:
        if isinstance(node, ListValueNode | ObjectValueNode):
            _require("value_depth", depth + 1, self._limits.value_depth)
            children = node.values if isinstance(node, ListValueNode) else [f.value for f in node.fields]
            for child in children:
                self._value(child, depth + 1)
        elif isinstance(node, IntValueNode | FloatValueNode):
            _require("digits", len(node.value), self._limits.digits)
        elif isinstance(node, StringValueNode) and "\0" in node.value:
            raise GraphQLError(
                "A text holds the character U+0000.", node, extensions={"code": "BAD_USER_INPUT"}
            )


def _refuse_cycles(fragments: Fragments) -> None:
    """Finds the first fragment that spreads itself, without recursion."""
    spreads = {name: list(_spreads(node)) for name, node in fragments.items()}
    done: set[str] = set()
    for root in fragments:
        path: dict[str, Iterator[str]] = {}
        if root not in done:
            path[root] = iter(spreads[root])
        while path:
            name = next(reversed(path))
            for target in path[name]:
                if target in path:
                    raise GraphQLError(
                        f"The fragment '{target}' spreads itself.",
                        fragments[target],
                        extensions={"code": "GRAPHQL_VALIDATION_FAILED"},
                    )
                if target in spreads and target not in done:
                    path[target] = iter(spreads[target])
                    break
            else:
                done.add(name)
                del path[name]


def _spreads(fragment: FragmentDefinitionNode) -> Iterator[str]:
    waiting = [fragment.selection_set]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FragmentSpreadNode):
                yield selection.name.value
            elif inner := getattr(selection, "selection_set", None):
                waiting.append(inner)


def _pairs(merged: list[SelectionSetNode], fragments: Fragments) -> int:
    """How many pairs of fields have one response name at one place, counted in all depths.

    `merged` are the selection sets of one place: those of fields that have one response name.
    """
    fields: dict[str, list[FieldNode]] = {}
    waiting = list(merged)
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FieldNode):
                fields.setdefault((selection.alias or selection.name).value, []).append(selection)
            elif isinstance(selection, InlineFragmentNode):
                waiting.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
                waiting.append(fragments[selection.name.value].selection_set)
    pairs = 0
    for nodes in fields.values():
        pairs += len(nodes) * (len(nodes) - 1) // 2
        inner = [node.selection_set for node in nodes if node.selection_set is not None]
        if inner:
            pairs += _pairs(inner, fragments)
    return pairs
