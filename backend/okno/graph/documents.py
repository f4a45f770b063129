"""Parsed and validated documents, remembered by the hash of their text; and what widgets ask about theirs."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    NamedTypeNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    parse,
    validate,
)

from okno.dashboards.model import DocumentFacts
from okno.graph.limits import DEFAULT_LIMITS, Limits, check_limits

MAX_ERRORS = 5

# A widget that could show nothing but these would be an empty frame
_TELLING_NOTHING = frozenset({"SectionMeta", "SectionError"})


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document ready to be executed, or why it cannot be."""

    node: DocumentNode | None
    errors: Sequence[GraphQLError] = ()
    code: str = "GRAPHQL_VALIDATION_FAILED"


class DocumentCache:
    """Reads documents against one schema. Bounded in number and in text: the least recently used go first.

    A parsed document takes 90 to 320 times its text (measured), so that 1,000 long ones would be gigabytes.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        limits: Limits = DEFAULT_LIMITS,
        size: int = 1_000,
        characters: int = 300_000,
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._size = size
        self._characters = characters
        self._kept = 0
        self._documents: OrderedDict[tuple[bytes, bool], tuple[int, ReadDocument]] = OrderedDict()

    def read(self, text: str, *, hide_suggestions: bool = False) -> ReadDocument:
        """The document, or its errors. Never raises, whatever the text.

        Args:
            hide_suggestions: leaves "Did you mean …" out of the errors, for those who may not know the schema.
        """
        key = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), hide_suggestions)
        known = self._documents.get(key)
        if known is not None:
            self._documents.move_to_end(key)
            return known[1]
        found = self._read(text, hide_suggestions)
        self._documents[key] = len(text), found
        self._kept += len(text)
        while len(self._documents) > self._size or self._kept > self._characters:
            _, (length, _) = self._documents.popitem(last=False)
            self._kept -= length
        return found

    def _read(self, text: str, hide_suggestions: bool) -> ReadDocument:
        try:
            document = parse(text, no_location=False, max_tokens=self._limits.tokens)
        except GraphQLSyntaxError as error:
            if "tokens. Parsing aborted" in error.message:
                too_long = GraphQLError(
                    f"The document exceeds the limit of tokens: at most {self._limits.tokens} are allowed."
                )
                return ReadDocument(None, [too_long], "LIMIT_EXCEEDED")
            if "nested too deeply" in error.message:
                return ReadDocument(None, [_too_deep()], "LIMIT_EXCEEDED")
            return ReadDocument(None, [error], "GRAPHQL_PARSE_FAILED")
        try:
            errors = validate(
                self._schema, document, max_errors=MAX_ERRORS, hide_suggestions=hide_suggestions
            )
            if errors:
                return ReadDocument(None, errors[:MAX_ERRORS])
            errors = check_limits(document, self._limits)
        except RecursionError:
            return ReadDocument(None, [_too_deep()], "LIMIT_EXCEEDED")
        return ReadDocument(None, errors, "LIMIT_EXCEEDED") if errors else ReadDocument(document)


def _too_deep() -> GraphQLError:
    return GraphQLError("The document is nested too deeply.")


class WidgetDocuments:
    """Tells the widget registry what a document selects, or what is wrong with it."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema

    def __call__(self, text: str) -> DocumentFacts:
        found = DocumentCache(self._schema, size=1).read(text)
        if found.node is None:
            return DocumentFacts(problems=tuple(error.message for error in found.errors))
        operations = [node for node in found.node.definitions if isinstance(node, OperationDefinitionNode)]
        problems = []
        if len(operations) != 1 or operations[0].operation.value != "query":
            problems.append("a widget has exactly one operation, a query")
        for operation in operations:
            variables = [variable.variable.name.value for variable in operation.variable_definitions or ()]
            if variables not in ([], ["employee"]):
                problems.append(f"the only variable of a widget is $employee, not {', '.join(variables)}")
        if problems:
            return DocumentFacts(problems=tuple(problems))
        selections = _Selections(self._schema, found.node)
        selections.read(operations[0].selection_set, self._schema.query_type, "")
        return DocumentFacts(selected=frozenset(selections.paths), leaves=tuple(selections.leaves))


class _Selections:
    """The response paths and the fields of a valid document, fragments spread."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)
        }
        self.paths: set[str] = set()
        self.leaves: dict[tuple[str, str], None] = {}

    def read(self, selection_set: SelectionSetNode, parent: Any, prefix: str) -> None:
        for selection in selection_set.selections:
            if isinstance(selection, FragmentSpreadNode):
                fragment = self._fragments[selection.name.value]
                self.read(fragment.selection_set, self._on(fragment.type_condition, parent), prefix)
            elif isinstance(selection, InlineFragmentNode):
                self.read(selection.selection_set, self._on(selection.type_condition, parent), prefix)
            elif isinstance(selection, FieldNode):
                self._field(selection, parent, prefix)

    def _field(self, node: FieldNode, parent: Any, prefix: str) -> None:
        name = node.name.value
        path = prefix + (node.alias.value if node.alias else name)
        self.paths.add(path)
        field = getattr(parent, "fields", {}).get(name)
        if field is None:  # __typename
            return
        if node.selection_set is not None:
            self.read(node.selection_set, get_named_type(field.type), f"{path}.")
        elif name != "id" and parent.name not in _TELLING_NOTHING:
            self.leaves[parent.name, name] = None

    def _on(self, condition: NamedTypeNode | None, parent: Any) -> Any:
        return self._schema.type_map[condition.name.value] if condition else parent
