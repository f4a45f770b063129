"""Bounds of one document, checked before it is executed. Each error names the limit and the value."""

from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults as others found them good (FACTS § GraphQL). Depth admits the introspection query of GraphiQL."""

    body_bytes: int = 256 * 1024
    tokens: int = 1_000
    depth: int = 15
    aliases: int = 15
    directives: int = 50
    batch: int = 20


DEFAULT_LIMITS = Limits()


@dataclass(slots=True)
class _Measure:
    """What a selection set amounts to with its fragments spread."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0


def check_limits(document: DocumentNode, limits: Limits) -> list[GraphQLError]:
    """The first limit that an operation of the document exceeds, or nothing.

    The document has to be valid: fragments that spread themselves would never end.
    Fragments are measured once each, so that a document of nested fragments costs no more than its length.
    """
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    known: dict[str, _Measure] = {}
    for node in document.definitions:
        if not isinstance(node, OperationDefinitionNode):
            continue
        measure = _measure(node.selection_set, fragments, known)
        directives = measure.directives + len(node.directives or ())
        for name, limit, value in (
            ("depth", limits.depth, measure.depth),
            ("aliases", limits.aliases, measure.aliases),
            ("directives", limits.directives, directives),
        ):
            if value > limit:
                return [
                    GraphQLError(
                        f"The operation exceeds the limit of {name}: {value}, at most {limit} are allowed.",
                        extensions={"code": "LIMIT_EXCEEDED"},
                    )
                ]
    return []


def _measure(
    selection_set: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], known: dict[str, _Measure]
) -> _Measure:
    total = _Measure()
    for selection in selection_set.selections:
        total.directives += len(selection.directives or ())
        if isinstance(selection, FieldNode):
            total.aliases += selection.alias is not None
            inner = (
                _measure(selection.selection_set, fragments, known) if selection.selection_set else _Measure()
            )
            depth = inner.depth + 1
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name not in known:
                known[name] = _measure(fragments[name].selection_set, fragments, known)
            inner = known[name]
            depth = inner.depth
        else:
            assert isinstance(selection, InlineFragmentNode)
            inner = _measure(selection.selection_set, fragments, known)
            depth = inner.depth
        total.depth = max(total.depth, depth)
        total.aliases += inner.aliases
        total.directives += inner.directives
    return total
