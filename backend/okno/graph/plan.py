"""The plan of one operation: every selection with its decision, made before execution and reported after it.

It is keyed by the executor's own memoized lists of field nodes, so that plan and execution cannot disagree on
fragments, aliases, @skip and @include.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    get_named_type,
    is_abstract_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet

from okno.graph.gate import Gate, RowDecision
from okno.graph.sections import SectionSpec
from okno.policy.service import Alternative, Decision, Outcome

if TYPE_CHECKING:
    from okno.graph.executor import GatedExecutor

MAX_SELECTIONS = 2_000


class Selection:
    """One selected field of one type, with its decision and how often that let a value through."""

    __slots__ = (
        "allowed",
        "children",
        "decision",
        "denied",
        "details",
        "field_name",
        "guards",
        "in_abstract",
        "is_open",
        "met",
        "nullable",
        "path",
        "recorded",
        "rule",
        "section",
        "type_name",
    )

    def __init__(
        self, path: str, type_name: str, field_name: str, decision: Decision, guards: tuple[RowDecision, ...]
    ) -> None:
        self.path = path
        self.type_name = type_name
        self.field_name = field_name
        self.decision = decision
        self.guards = guards
        self.is_open = decision.outcome is Outcome.ALLOW and not guards
        self.details: FieldDetailsList = []
        self.section: SectionSpec | None = None
        self.children: list[Selection] = []
        self.recorded = False
        self.nullable = True
        self.in_abstract = False
        self.met = False
        self.allowed = 0
        self.denied = 0
        self.rule: Alternative | None = decision.alternatives[0] if decision.alternatives else None

    @property
    def is_denied(self) -> bool:
        """Whether no row at all may be read."""
        return self.decision.outcome is Outcome.DENY

    def admits(self, facts: Mapping[str, object] | None) -> bool:
        """Whether the field may be read of the row with these facts. Remembers the rule that said so."""
        if self.is_denied:
            return False
        rule = None
        for guard in self.guards:
            rule = guard.decide(facts)
            if rule is None:
                return False
        if rule is not None:
            self.rule = rule
        return True

    def yields(self, facts: Mapping[str, object] | None) -> bool:
        """Whether the field, with what is selected in it, gives the row's reader anything."""
        return self.admits(facts) and (
            not self.children or any(child.yields(facts) for child in self.children)
        )

    def report(self) -> dict[str, Any]:
        """The selection's line in `extensions.gate`."""
        conditional = not self.is_denied and bool(self.guards)
        line: dict[str, Any] = {
            "path": self.path,
            "decision": "conditional" if conditional else self.decision.outcome.value,
            "rule": self.rule.rule_id if self.rule else None,
            "reason": self.rule.sentence if self.rule else None,
        }
        if conditional:
            line["allowed"] = self.allowed
            line["denied"] = self.denied
        return line


class Plan:
    """All selections of one operation.

    Raises (on building):
        GraphQLError: the operation selects more than MAX_SELECTIONS fields once its fragments are spread.
    """

    def __init__(self, executor: "GatedExecutor", gate: Gate, sections: Mapping[str, SectionSpec]) -> None:
        self._executor = executor
        self._gate = gate
        self._sections = sections
        self.selections: dict[int, Selection] = {}

    def add_root(self, root_type: GraphQLObjectType, grouped: GroupedFieldSet) -> None:
        """Plans the whole operation from its root fields down."""
        self._walk(root_type, grouped, "", in_abstract=False)

    def denied_fields(self, type_name: str) -> list[str]:
        """The fields of a root type that were selected and are denied, each once."""
        return sorted(
            {s.field_name for s in self.selections.values() if s.type_name == type_name and s.is_denied}
        )

    def report(self) -> list[dict[str, Any]]:
        """`extensions.gate`: one line for each selection; of abstract types only for the types that were met."""
        lines: dict[tuple[str, str], dict[str, Any]] = {}
        for selection in self.selections.values():
            if not selection.in_abstract or selection.met:
                lines.setdefault((selection.path, selection.type_name), selection.report())
        return list(lines.values())

    def _walk(
        self,
        parent_type: GraphQLObjectType,
        grouped: GroupedFieldSet,
        prefix: str,
        *,
        in_abstract: bool,
    ) -> list[Selection]:
        found: list[Selection] = []
        for response_name, details in grouped.items():
            field_name = details[0].node.name.value
            field = parent_type.fields.get(field_name)
            if field is None:  # __typename, __schema, __type
                continue
            if len(self.selections) >= MAX_SELECTIONS:
                raise GraphQLError(
                    f"The operation selects more than {MAX_SELECTIONS} fields with its fragments spread; ask for less at once.",
                    extensions={"code": "LIMIT_EXCEEDED"},
                )
            path = f"{prefix}.{response_name}" if prefix else response_name
            selection = self._select(parent_type.name, field_name, path)
            selection.details = details
            selection.in_abstract = in_abstract
            selection.nullable = not is_non_null_type(field.type)
            self.selections[id(details)] = selection
            found.append(selection)
            self._descend(selection, field.type, in_abstract=in_abstract)
        return found

    def _select(self, type_name: str, field_name: str, path: str) -> Selection:
        decision = self._gate.decide(type_name, field_name)
        is_conditional = decision.outcome is Outcome.CONDITIONAL
        guards = (self._gate.rows(type_name, decision),) if is_conditional else ()
        selection = Selection(path, type_name, field_name, decision, guards)
        selection.recorded = self._gate.is_recorded(type_name, field_name)
        return selection

    def _descend(
        self,
        selection: Selection,
        field_type: GraphQLOutputType,
        *,
        in_abstract: bool,
    ) -> None:
        named = get_named_type(field_type)
        if not (is_object_type(named) or is_abstract_type(named)):
            return
        path = selection.path + ("[]" if _is_list(field_type) else "")
        section = self._sections.get(selection.field_name) if selection.type_name == "Employee" else None
        if section is not None:
            self._plan_section(selection, section, named, path, in_abstract=in_abstract)
            return
        if selection.is_denied:
            return
        schema = self._executor.schema
        possible: Iterable[GraphQLObjectType] = (
            schema.get_possible_types(named) if is_abstract_type(named) else [cast(GraphQLObjectType, named)]
        )
        abstract = in_abstract or is_abstract_type(named)
        for concrete in possible:
            collected = self._executor.collect_subfields(concrete, selection.details)
            selection.children += self._walk(
                concrete, collected.grouped_field_set, path, in_abstract=abstract
            )

    def _plan_section(
        self, selection: Selection, section: SectionSpec, named: Any, path: str, *, in_abstract: bool
    ) -> None:
        """A section is never null: what decides over the field `Employee.x` decides over its data, `meta` stays.

        When no data field is selected, all of the section's tell whether it is denied.
        """
        selection.section = section
        collected = self._executor.collect_subfields(named, selection.details)
        children = self._walk(named, collected.grouped_field_set, path, in_abstract=in_abstract)
        data = [child for child in children if child.field_name != "meta"]
        for child in data:
            _guard(child, selection)
        selection.children = data or self._all_data(named, path)

    def _all_data(self, section_type: GraphQLObjectType, path: str) -> list[Selection]:
        found = []
        for name, field in section_type.fields.items():
            if name == "meta":
                continue
            selection = self._select(section_type.name, name, f"{path}.{name}")
            item = get_named_type(field.type)
            if is_object_type(item):
                selection.children = [self._select(item.name, part, "") for part in item.fields]
            found.append(selection)
        return found


def _guard(child: Selection, section: Selection) -> None:
    """Adds the section's own decision to that of a field in it, and so on downwards."""
    if section.is_denied:
        child.decision, child.rule = section.decision, section.rule
    child.guards = (*section.guards, *child.guards)
    child.is_open = child.is_open and not section.guards and not section.is_denied
    for nested in child.children:
        _guard(nested, section)


def _is_list(field_type: GraphQLOutputType) -> bool:
    return is_list_type(field_type.of_type if is_non_null_type(field_type) else field_type)
