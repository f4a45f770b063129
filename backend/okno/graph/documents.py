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
    """Reads documents against one schema. Bounded: the least recently used go first."""

    def __init__(self, schema: GraphQLSchema, *, limits: Limits = DEFAULT_LIMITS, size: int = 1_000) -> None:
        self._schema = schema
        self._limits = limits
        self._size = size
        self._documents: OrderedDict[tuple[bytes, bool], ReadDocument] = OrderedDict()

    def read(self, text: str, *, hide_suggestions: bool = False) -> ReadDocument:
        """The document, or its errors. Never raises, whatever the text.

        Args:
            hide_suggestions: leaves "Did you mean …" out of the errors, for those who may not know the schema.
        """
        key = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), hide_suggestions)
        found = self._documents.get(key)
        if found is not None:
            self._documents.move_to_end(key)
            return found
        found = self._read(text, hide_suggestions)
        self._documents[key] = found
        while len(self._documents) > self._size:
            self._documents.popitem(last=False)
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
            return ReadDocument(None, [error], "GRAPHQL_PARSE_FAILED")
        except RecursionError:
            return ReadDocument(None, [GraphQLError("The document is nested too deeply.")], "LIMIT_EXCEEDED")
        try:
            errors = validate(
                self._schema, document, max_errors=MAX_ERRORS, hide_suggestions=hide_suggestions
            )
            if errors:
                return ReadDocument(None, errors[:MAX_ERRORS])
            errors = check_limits(document, self._limits)
        except RecursionError:
            return ReadDocument(None, [GraphQLError("The document is nested too deeply.")], "LIMIT_EXCEEDED")
        return ReadDocument(None, errors, "LIMIT_EXCEEDED") if errors else ReadDocument(document)


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
