"""Builds the template of an operation: walks its selections from the root and asks the gate about each."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    get_named_type,
    is_abstract_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList, GroupedFieldSet

from okno.graph.gate import Gate
from okno.graph.plan import Guard, Masking, Selection, Template
from okno.graph.sections import SectionSpec
from okno.policy.model import decide
from okno.policy.service import Decision, Outcome

MAX_SELECTIONS = 2_000

Collect = Callable[[GraphQLObjectType, FieldDetailsList], CollectedFields]


class Planner:
    """Plans one operation.

    Args:
        collect: gives the collected fields of a selection for a type, and keeps them in the template.
    """

    def __init__(
        self,
        template: Template,
        schema: GraphQLSchema,
        gate: Gate,
        sections: Mapping[str, SectionSpec],
        collect: Collect,
    ) -> None:
        self._template = template
        self._schema = schema
        self._gate = gate
        self._sections = sections
        self._collect = collect

    def plan(self, root_type: GraphQLObjectType, root: CollectedFields) -> None:
        """Plans the whole operation from its root fields down.

        Raises:
            GraphQLError: the operation selects more than MAX_SELECTIONS fields once its fragments are spread.
            RecursionError: it is nested too deeply.
        """
        self._template.root = root
        self._template.is_shareable = not root.new_defer_usages
        self._walk(root_type, root.grouped_field_set, "", in_abstract=False)
        self._template.finish()

    def _walk(
        self, parent_type: GraphQLObjectType, grouped: GroupedFieldSet, prefix: str, *, in_abstract: bool
    ) -> list[Selection]:
        found: list[Selection] = []
        for response_name, details in grouped.items():
            field_name = details[0].node.name.value
            field = parent_type.fields.get(field_name)
            if field is None:  # __typename, __schema, __type
                continue
            if len(self._template.selections) >= MAX_SELECTIONS:
                raise GraphQLError(
                    f"The operation selects more than {MAX_SELECTIONS} fields with its fragments spread; ask for less at once.",
                    extensions={"code": "LIMIT_EXCEEDED"},
                )
            path = f"{prefix}.{response_name}" if prefix else response_name
            selection = self._select(parent_type, field_name, path)
            selection.response_name = response_name
            selection.details = details
            selection.in_abstract = in_abstract
            selection.nullable = not is_non_null_type(field.type)
            self._template.add(selection)
            found.append(selection)
            self._descend(selection, field.type, in_abstract=in_abstract)
        return found

    def _select(self, parent_type: GraphQLObjectType, field_name: str, path: str) -> Selection:
        type_name, field = parent_type.name, parent_type.fields[field_name]
        decision = _of_field(self._gate.decide(type_name, field_name), field)
        guards: tuple[Guard, ...] = ()
        if decision.outcome is Outcome.CONDITIONAL and decision.alternatives:
            guards = (self._guard(type_name, decision),)
        selection = Selection(path, type_name, field_name, decision, guards)
        selection.field = field
        selection.recorded = self._gate.is_recorded(type_name, field_name)
        if decision.masks:
            selection.masking = self._mask(type_name, field_name, decision)
        if decision.outcome is Outcome.DENY and type_name != "Mutation":
            selection.lacks = self._gate.lacks(type_name, field_name)
        return selection

    def _mask(self, type_name: str, field_name: str, decision: Decision) -> Masking:
        guards: tuple[Guard, ...] = ()
        if all(rule.condition is not None for rule in decision.masks):
            guards = (self._guard(type_name, Decision(Outcome.CONDITIONAL, decision.masks)),)
        return Masking(self._gate.mask_of(type_name, field_name), guards, decision.masks[0])

    def _guard(self, type_name: str, decision: Decision) -> Guard:
        return self._template.guard(self._gate.resource_of(type_name), type_name, decision)

    def _descend(self, selection: Selection, field_type: GraphQLOutputType, *, in_abstract: bool) -> None:
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
        possible: Iterable[GraphQLObjectType] = (
            self._schema.get_possible_types(named)
            if is_abstract_type(named)
            else [cast(GraphQLObjectType, named)]
        )
        abstract = in_abstract or is_abstract_type(named)
        for concrete in possible:
            grouped = self._grouped(concrete, selection)
            selection.children += self._walk(concrete, grouped, path, in_abstract=abstract)

    def _grouped(self, concrete: GraphQLObjectType, selection: Selection) -> GroupedFieldSet:
        collected = self._collect(concrete, selection.details)
        if collected.new_defer_usages:
            self._template.is_shareable = False
        return collected.grouped_field_set

    def _plan_section(
        self, selection: Selection, section: SectionSpec, named: Any, path: str, *, in_abstract: bool
    ) -> None:
        """A section is never null: what decides over the field `Employee.x` decides over its data, `meta` stays.

        When no data field is selected, all of the section's tell whether it is denied.
        """
        selection.section = section
        children = self._walk(named, self._grouped(named, selection), path, in_abstract=in_abstract)
        data = [child for child in children if child.field_name != "meta"]
        for child in data:
            _put_behind(child, selection)
        selection.children = data or self._all_data(named, path)

    def _all_data(self, section_type: GraphQLObjectType, path: str) -> list[Selection]:
        found = []
        for name, field in section_type.fields.items():
            if name == "meta":
                continue
            selection = self._select(section_type, name, f"{path}.{name}")
            item = get_named_type(field.type)
            if is_object_type(item):
                selection.children = [self._select(item, part, "") for part in item.fields]
            found.append(selection)
        return found


def _put_behind(child: Selection, section: Selection) -> None:
    """Adds the section's own decision to that of a field in it, and so on downwards."""
    if section.is_denied:
        child.decision, child.rule, child.masking = section.decision, section.rule, None
    child.guards = (*section.guards, *child.guards)
    child.is_open = child.is_open and not section.guards and not section.is_denied
    if child.masking is not None:
        child.masking = child.masking.below(section)
    for nested in child.children:
        _put_behind(nested, section)


def _of_field(decision: Decision, field: GraphQLField) -> Decision:
    """Only texts and lists of them can be shown masked; a mask of anything else denies."""
    if not decision.masks or get_named_type(field.type) is GraphQLString:
        return decision
    return decide(decision.alternatives)


def _is_list(field_type: GraphQLOutputType) -> bool:
    return is_list_type(field_type.of_type if is_non_null_type(field_type) else field_type)
