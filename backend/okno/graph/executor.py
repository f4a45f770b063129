"""The executor behind the gate: a denied field's resolver is never called, whatever the field is."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from graphql import (
    GraphQLError,
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    OperationType,
    is_introspection_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList, collect_fields
from graphql.execution.executor import SELECTIONS_NESTED_TOO_DEEPLY, to_nodes
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from okno.errors import OknoError
from okno.graph.compiled.loading import load_sections
from okno.graph.compiled.program import Program
from okno.graph.compiled.run import ListRun, Loaded, Note, Run
from okno.graph.compiled.site import ROWS_OF_AN_OBJECT
from okno.graph.cost import Bill
from okno.graph.decided import Ledger, ledger_of
from okno.graph.gate import View
from okno.graph.plan import Masking, Plan, Selection, Template
from okno.graph.planning import Planner
from okno.graph.plans import PlanCache, PlanKey
from okno.sources.api import SectionMeta

_SCHEMA_FIELDS = frozenset({"__schema", "__type"})
_SEQUENCES = (list, tuple)


class GatedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes one operation as its plan says. `prepare()` has to be called before `execute_operation()`.

    Attributes:
        compiles: whether lists and objects are completed by generated code, see `okno.graph.compiled`.
    """

    plan: Plan
    bill: Bill
    compiles = True
    ledger: Ledger | None = None
    _template: Template
    _plans: PlanCache | None = None
    _key: PlanKey = ()
    _compiled_before = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # employee → (label, fields of a recorded level that were resolved)
        self.sensitive_reads: dict[UUID, tuple[str | None, set[str]]] = {}
        # objects and lists that are rows or have rows in them: selection, value, its program, whether it is a list
        self.seen: list[tuple[Selection, Any, Program | None, bool]] = []
        self._listed: dict[int, Path] = {}  # kept, so that no other path gets the same id

    def prepare(
        self,
        *,
        may_introspect: bool = True,
        plans: PlanCache | None = None,
        document: bytes = b"",
        size: int = 0,
    ) -> Plan:
        """Plans the operation; nothing is resolved yet.

        Args:
            plans: where templates of plans are kept; without it the plan is made anew.
            document: the key of the document, unless empty.
            size: bytes of the document, which lives as long as a template of it.

        Raises:
            GraphQLError: the operation is too large or too deep, or asks for the schema when it may not.
        """
        self._plans = plans if document else None
        self._key = plans.key(self, document, may_introspect) if plans is not None and document else ()
        template = self._plans.find(self._key) if self._plans is not None else None
        if template is None:
            template = self._make_template()
            template.document_size = size
            if not may_introspect and _SCHEMA_FIELDS & {
                details[0].node.name.value for details in template.root.grouped_field_set.values()
            }:
                raise GraphQLError(
                    "The policy does not let you read the schema.",
                    self.operation,
                    extensions={"code": "DENIED"},
                )
            if not template.is_shareable or self.context_value.gate.is_broken:
                self._plans = None
            if self._plans is not None:
                self._plans.keep(self._key, template)
        self._compiled_before = template.sites.size
        self.plan = Plan(template, self.context_value.gate)
        self._template = template
        self._selections = template.by_details
        self._collected = template.collected
        context = self.context_value
        if context.services is not None:  # there are none where the executor alone is looked at
            self.ledger = ledger_of(template, self.schema, context.gate, context.services.decisions)
        return self.plan

    def _make_template(self) -> Template:
        root_type = self.schema.get_root_type(self.operation.operation)
        if root_type is None:
            raise GraphQLError(
                f"The schema serves no {self.operation.operation.value} operations.", self.operation
            )
        template = Template()
        self._collected = template.collected
        context = self.context_value
        planner = Planner(template, self.schema, context.gate, context.sections, self.collect_subfields)
        try:
            root = collect_fields(
                self.schema,
                self.fragments,
                self.variable_values,
                root_type,
                self.operation,
                self.hide_suggestions,
            )
            planner.plan(root_type, root)
        except RecursionError:
            too_deep = True
        else:
            too_deep = False
        if too_deep:
            raise GraphQLError(SELECTIONS_NESTED_TOO_DEEPLY, self.operation)
        return template

    @property
    def is_mutation(self) -> bool:
        """Whether the operation is to change something."""
        return self.operation.operation is OperationType.MUTATION

    def execute_operation(self, serially: bool | None = None) -> Any:
        """Executes the planned root fields; gives the ExecutionResult, or an awaitable of it.

        As graphql-core's own, without what Okno does not offer (abort signals, @defer): the root fields are those of the
        plan, which is keyed by their identity, and are not collected anew.
        """
        root_type = self.schema.get_root_type(self.operation.operation)
        assert root_type is not None
        data: dict[str, Any] | None = None
        try:
            result = self.execute_root_grouped_field_set(
                root_type,
                self.root_value,
                self._template.root.grouped_field_set,
                self.is_mutation if serially is None else serially,
                None,
            )
            if self.is_awaitable(result):
                return self._execute_later(result)
            data = result  # type: ignore[assignment]
        except GraphQLError as error:
            self.collected_errors.add(error, None)
        return self.build_response(data)

    async def _execute_later(self, result: Any) -> Any:
        data: dict[str, Any] | None = None
        try:
            data = await result
        except GraphQLError as error:
            self.collected_errors.add(error, None)
        return self.build_response(data)

    def build_response(self, data: dict[str, Any] | None) -> Any:
        """The result. What was compiled meanwhile is weighed by the cache of plans."""
        if self._plans is not None and self._template.sites.size != self._compiled_before:
            self._plans.keep(self._key, self._template)
        return super().build_response(data)

    def collect_subfields(
        self, return_type: GraphQLObjectType, field_details_list: FieldDetailsList
    ) -> CollectedFields:
        """Gives the template's collected fields. What is collected here belongs to every request of the template."""
        key = (return_type, id(field_details_list))
        found = self._collected.get(key)
        if found is None:
            collected = super().collect_subfields(return_type, field_details_list)
            found = self._collected[key] = (field_details_list, collected)
        return found[1]

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
        plan, index = self.plan, selection.index
        plan.met[index] = 1
        if selection.section is not None:
            if not plan.yields(selection, source.facts):
                return self._complete_denied_section(selection, parent_type, source, path, position_context)
            plan.allowed[index] += 1
        elif not selection.is_open:
            view = plan.view(selection, getattr(source, "facts", None))
            if view is View.NOTHING:
                plan.denied[index] += 1
                return None if selection.nullable else self._refuse(selection, parent_type, path)
            if view is View.MASKED:
                plan.masked[index] += 1
                found = super().execute_field(parent_type, source, field_details_list, path, position_context)
                assert selection.masking is not None
                return self._hide(selection.masking, found)
            plan.allowed[index] += 1
        if selection.recorded:
            self.note([(source, (f"{selection.type_name}.{selection.field_name}",))])
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Iterable[Any],
        position_context: Any,
    ) -> AwaitableOrValue[list[Any]]:
        """Completes a list of objects by generated code where its selection has been compiled."""
        program = None
        if self.compiles and type(items) in _SEQUENCES:
            named: Any = item_type.of_type if is_non_null_type(item_type) else item_type
            if not isinstance(named, GraphQLList):
                program = self._program(field_details_list, named, rows=len(items), of_list=True)  # type: ignore[arg-type]
            self._see(field_details_list, items, program, path)
        if program is None:
            return super().complete_iterable_value(
                item_type, field_details_list, info, path, items, position_context
            )

        def run(sections: Sequence[Any]) -> Any:
            return ListRun(self, program, path, list(sections), item_type, field_details_list, info).complete(
                items
            )

        return self._with_sections(program, items, run)  # type: ignore[no-any-return]

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Completes an object by generated code where its selection has been compiled."""
        program = None
        if self.compiles:
            rows = 1 if type(path.key) is int else ROWS_OF_AN_OBJECT
            program = self._program(field_details_list, return_type, rows=rows, of_list=False)
        if type(path.key) is not int or id(path.prev) not in self._listed:
            self._see(field_details_list, result, program, None)
        stock = super().complete_object_value
        if program is None:
            return stock(return_type, field_details_list, info, path, result, position_context)

        def run(sections: Sequence[Any]) -> Any:
            found = Run(self, program, path, list(sections))
            try:
                completed = program.one(result, found)  # type: ignore[misc]
            except Exception:
                program.fallen_back += 1
                return stock(return_type, field_details_list, info, path, result, position_context)
            program.completed += 1
            self.note(found.notes)
            return found.finish_object(result, completed) if program.others else completed

        return self._with_sections(program, (result,), run)  # type: ignore[no-any-return]

    def _with_sections(self, program: Program, items: Any, run: Any) -> Any:
        """Nothing is awaited where there are no sections, or all of them are known."""
        if not program.sections:
            return run(())
        loaded = load_sections(self, program, items)
        return run(loaded) if isinstance(loaded, list) else self._with_loaded(loaded, run)

    async def _with_loaded(self, loaded: Awaitable[list[Loaded]], run: Any) -> Any:
        completed = run(await loaded)
        return await completed if self.is_awaitable(completed) else completed

    def _program(self, details: FieldDetailsList, named: Any, *, rows: int, of_list: bool) -> Program | None:
        selection = self._selections.get(id(details))
        if selection is None or selection.field is None:
            return None
        return self._template.sites.find(
            self._template, selection, named, self.schema, rows=rows, of_list=of_list
        )

    def _see(self, details: FieldDetailsList, value: Any, program: Program | None, path: Path | None) -> None:
        """Remembers an object, or the list at a path, for the count of decisions."""
        selection, ledger = self._selections.get(id(details)), self.ledger
        if selection is None or ledger is None or selection.index not in ledger.reaching:
            return
        if path is not None:
            if program is None and not (value and getattr(value[0], "facts", None) is not None):
                return  # its objects will come one by one
            self._listed[id(path)] = path
        self.seen.append((selection, value, program, path is not None))

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
        self.plan.denied[selection.index] += 1
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

    def _hide(self, masking: Masking, found: Any) -> Any:
        """What is shown of the completed value instead of it, or an awaitable of that."""
        if not self.is_awaitable(found):
            return masking.hide(found)

        async def hide_later() -> Any:
            return masking.hide(await found)

        return hide_later()

    def handle_field_error(
        self,
        raw_error: Exception,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        path: Path,
    ) -> None:
        """As graphql-core's own, which tells in its errors the value that it could not complete."""
        selection = self._selections.get(id(field_details_list))
        if selection is not None and selection.tells_no_value:
            raw_error = _without_value(raw_error, f"{selection.type_name}.{selection.field_name}")
        super().handle_field_error(raw_error, return_type, field_details_list, path)

    def _refuse(self, selection: Selection, parent_type: GraphQLObjectType, path: Path) -> None:
        """A field that is never null cannot be hidden by a null: the nearest nullable parent goes."""
        name = f"{selection.type_name}.{selection.field_name}"
        error = GraphQLError(f"The policy denies {name}.", extensions={"code": "DENIED"})
        self.handle_field_error(error, parent_type.fields[selection.field_name].type, selection.details, path)

    def note(self, notes: Iterable[Note]) -> None:
        """Remembers whose fields of a recorded level were resolved: pairs of a row and the names of its fields."""
        for source, names in notes:
            facts: Mapping[str, object] | None = getattr(source, "facts", None)
            subject = facts.get("id") if facts else None
            if not isinstance(subject, UUID):
                continue
            known = self.sensitive_reads.get(subject)
            if known is None:
                may_name = self.context_value.gate.reads(facts, "Employee", "login")
                known = self.sensitive_reads[subject] = (source.subject_label if may_name else None, set())
            known[1].update(names)


class WithheldError(Exception):
    """A value that must not be told could not be completed."""


def _without_value(error: Exception, name: str) -> Exception:
    """The error without what may show a value of the field. What Okno itself tells people stays, and what lies below."""
    if isinstance(error, OknoError) or (
        isinstance(error, GraphQLError) and (error.path is not None or "code" in (error.extensions or {}))
    ):
        return error
    return WithheldError(f"{type(error).__name__} in {name}, whose value is not to be told")
