"""What widgets ask about their documents: whether they fit, what they select, and what they cost at the most."""

from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    NamedTypeNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)

from okno.dashboards.model import DocumentFacts
from okno.graph.documents import DocumentReader
from okno.graph.limits import DEFAULT_LIMITS, Limits
from okno.graph.trusted import document_id, weigh, with_typenames

# A widget that could show nothing but these would be an empty frame
_TELLING_NOTHING = frozenset({"SectionMeta", "SectionError"})


class WidgetDocuments:
    """Tells the widget registry what a document selects, or what is wrong with it."""

    def __init__(self, schema: GraphQLSchema, limits: Limits = DEFAULT_LIMITS) -> None:
        self._schema = schema
        self._reader = DocumentReader(schema, limits)

    def __call__(self, text: str) -> DocumentFacts:
        try:
            trusted = with_typenames(text)
        except GraphQLSyntaxError as error:
            return DocumentFacts(problems=(error.message,))
        found, wrong = weigh(self._reader, trusted)
        if found is None or found.node is None:
            return DocumentFacts(problems=tuple(wrong))
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
        return DocumentFacts(
            selected=frozenset(selections.paths),
            leaves=tuple(selections.leaves),
            trusted_text=trusted,
            document_id=document_id(trusted),
        )


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
