"""The executor behind the gate: a denied field's resolver is never called, whatever the field is."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    OperationType,
    is_introspection_type,
)
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetailsList,
    GroupedFieldSet,
    collect_fields,
)
from graphql.execution.executor import SELECTIONS_NESTED_TOO_DEEPLY, to_nodes
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from okno.graph.plan import Plan, Selection
from okno.sources.api import SectionMeta

_SCHEMA_FIELDS = frozenset({"__schema", "__type"})


class GatedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes one operation as its plan says. `prepare()` has to be called before `execute_operation()`."""

    plan: Plan
    _root: CollectedFields

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # employee → (label, fields of a recorded level that were resolved)
        self.sensitive_reads: dict[UUID, tuple[str | None, set[str]]] = {}

    def prepare(self, *, may_introspect: bool = True) -> Plan:
        """Plans the operation; nothing is resolved yet.

        Raises:
            GraphQLError: the operation is too large or too deep, or asks for the schema when it may not.
        """
        root_type = self.schema.get_root_type(self.operation.operation)
        if root_type is None:
            raise GraphQLError(
                f"The schema serves no {self.operation.operation.value} operations.", self.operation
            )
        self.plan = Plan(self, self.context_value.gate, self.context_value.sections)
        try:
            self._root = collect_fields(
                self.schema,
                self.fragments,
                self.variable_values,
                root_type,
                self.operation,
                self.hide_suggestions,
            )
            self.plan.add_root(root_type, self._root.grouped_field_set)
        except RecursionError:
            too_deep = True
        else:
            too_deep = False
        if too_deep:
            raise GraphQLError(SELECTIONS_NESTED_TOO_DEEPLY, self.operation)
        if not may_introspect and _SCHEMA_FIELDS & {
            d[0].node.name.value for d in self._root.grouped_field_set.values()
        }:
            raise GraphQLError(
                "The policy does not let you read the schema.", self.operation, extensions={"code": "DENIED"}
            )
        self._selections = self.plan.selections
        return self.plan

    @property
    def is_mutation(self) -> bool:
        """Whether the operation is to change something."""
        return self.operation.operation is OperationType.MUTATION

    def execute_collected_root_fields(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: GroupedFieldSet,
        serially: bool,
        new_defer_usages: Sequence[Any],
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Runs the planned root fields instead of those collected anew: the plan is keyed by their identity."""
        planned = self._root.grouped_field_set
        return super().execute_collected_root_fields(
            root_type, root_value, planned, serially, new_defer_usages
        )

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """Resolves the field if its selection is open or its row admitted; else gives null and calls nothing."""
        selection = self._selections.get(id(field_details_list))
        if selection is None:
            if field_details_list[0].node.name.value.startswith("__") or is_introspection_type(parent_type):
                return super().execute_field(parent_type, source, field_details_list, path, position_context)
            return None  # not planned, so not allowed
        selection.met = True
        if selection.section is not None:
            if not selection.yields(source.facts):
                return self._complete_denied_section(selection, parent_type, source, path, position_context)
            selection.allowed += 1
        elif not selection.is_open:
            if not selection.admits(getattr(source, "facts", None)):
                selection.denied += 1
                return None if selection.nullable else self._refuse(selection, parent_type, path)
            selection.allowed += 1
        if selection.recorded:
            self._note(selection, source)
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def _complete_denied_section(
        self,
        selection: Selection,
        parent_type: GraphQLObjectType,
        source: Any,
        path: Path,
        position_context: Any,
    ) -> Any:
        """Completes a section of which the reader may have nothing, without asking its source."""
        assert selection.section is not None
        selection.denied += 1
        section = selection.section
        meta = SectionMeta.denied(section.source_id, section.title)
        value = section.value(meta, None, source.facts, source.subject_label)
        field = parent_type.fields[selection.field_name]
        info = self.build_resolve_info(field, to_nodes(selection.details), parent_type, path)
        try:
            return self.complete_value(field.type, selection.details, info, path, value, position_context)
        except Exception as error:
            self.handle_field_error(error, field.type, selection.details, path)
            return None

    def _refuse(self, selection: Selection, parent_type: GraphQLObjectType, path: Path) -> None:
        """A field that is never null cannot be hidden by a null: the nearest nullable parent goes."""
        name = f"{selection.type_name}.{selection.field_name}"
        error = GraphQLError(f"The policy denies {name}.", extensions={"code": "DENIED"})
        self.handle_field_error(error, parent_type.fields[selection.field_name].type, selection.details, path)

    def _note(self, selection: Selection, source: Any) -> None:
        facts: Mapping[str, object] | None = getattr(source, "facts", None)
        subject = facts.get("id") if facts else None
        if isinstance(subject, UUID):
            may_name = self.context_value.gate.reads(facts, "Employee", "login")
            label = source.subject_label if may_name else None
            _, fields = self.sensitive_reads.setdefault(subject, (label, set()))
            fields.add(f"{selection.type_name}.{selection.field_name}")
