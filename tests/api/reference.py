"""What the gate has to give, said as plainly as it can be: each field of each row asks for the policy's decision itself.

No plan, no guards that are shared, no generated code: only the stock executor, and a question before each resolver.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    GraphQLString,
    get_named_type,
    is_introspection_type,
    is_non_null_type,
)
from graphql.execution.executor import to_nodes
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from okno.graph.gate import Gate
from okno.graph.sections import SectionSpec
from okno.policy.masking import Mask
from okno.policy.service import Outcome
from okno.sources.api import SectionMeta
from tests.api.differential import ACTOR

FULL, MASKED, NOTHING = "full", "masked", "nothing"


class Reference(StrawberryGraphQLCoreExecutionContext):
    """Executes as the policy says, field by field.

    Attributes:
        masked: how many rows each field was masked in, by "Type.field".
        recorded: the fields of a recorded level that were read, by employee.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gate: Gate = self.context_value.gate
        self._sections: Mapping[str, SectionSpec] = self.context_value.sections
        self._section_of = {spec.type_name: name for name, spec in self._sections.items()}
        self.masked: Counter[str] = Counter()
        self.recorded: dict[UUID, set[str]] = {}

    def execute_field(self, parent_type: Any, source: Any, details: Any, path: Any, context: Any) -> Any:
        name = details[0].node.name.value
        stock = super().execute_field
        if name.startswith("__") or is_introspection_type(parent_type):
            return stock(parent_type, source, details, path, context)
        facts = getattr(source, "facts", None)
        if parent_type.name == "Employee" and name in self._sections:
            if not self._shows(parent_type, name, details, facts):
                return self._denied_section(parent_type, name, source, details, path)
            self._record(parent_type, name, facts)
            return stock(parent_type, source, details, path, context)
        view = self._view(parent_type, name, facts)
        if view == NOTHING:
            if is_non_null_type(parent_type.fields[name].type):
                self.handle_field_error(GraphQLError("denied"), parent_type.fields[name].type, details, path)
            return None
        if view == FULL:
            self._record(parent_type, name, facts)
            return stock(parent_type, source, details, path, context)
        self.masked[f"{parent_type.name}.{name}"] += 1
        hide = self._gate.mask_of(parent_type.name, name)
        found = stock(parent_type, source, details, path, context)
        return _hidden_later(found, hide) if self.is_awaitable(found) else _hidden(found, hide)

    def _record(self, parent_type: Any, name: str, facts: Any) -> None:
        if facts and self._gate.is_recorded(parent_type.name, name):
            self.recorded.setdefault(facts["id"], set()).add(f"{parent_type.name}.{name}")

    def _view(self, parent_type: Any, name: str, facts: Any) -> str:
        """How much of the field is seen. What lies in a section needs the section as well."""
        section = self._section_of.get(parent_type.name)
        if section is not None and name != "meta":
            employee = self.schema.type_map["Employee"]
            if self._own_view(employee, section, facts) != FULL:
                return NOTHING
        return self._own_view(parent_type, name, facts)

    def _own_view(self, parent_type: Any, name: str, facts: Any) -> str:
        decision = self._gate.decide(parent_type.name, name)
        if decision.outcome is Outcome.ALLOW:
            return FULL
        if facts is not None and decision.allows(facts, ACTOR) is not None:
            return FULL
        if get_named_type(parent_type.fields[name].type) is not GraphQLString:
            return NOTHING
        if any(rule.condition is None for rule in decision.masks):
            return MASKED
        if facts is not None and decision.mask(facts, ACTOR) is not None:
            return MASKED
        return NOTHING

    def _shows(self, parent_type: Any, name: str, details: Any, facts: Any) -> bool:
        """Whether anything of what is selected in it is seen; where nothing is, of all that it has."""
        if self._view(parent_type, name, facts) == NOTHING:
            return False
        inner = get_named_type(parent_type.fields[name].type)
        if not isinstance(inner, GraphQLObjectType):
            return True
        selected = self._selected(inner, details)
        if not selected and (name in self._sections or details is None):
            selected = [(each, None) for each in inner.fields if each != "meta"]
        return not selected or any(self._shows(inner, each, below, facts) for each, below in selected)

    def _selected(self, inner: Any, details: Any) -> list[tuple[str, Any]]:
        if details is None:
            return []
        grouped = self.collect_subfields(inner, details).grouped_field_set
        names = [(below[0].node.name.value, below) for below in grouped.values()]
        return [(name, below) for name, below in names if name in inner.fields and name != "meta"]

    def _denied_section(self, parent_type: Any, name: str, source: Any, details: Any, path: Any) -> Any:
        section, field = self._sections[name], parent_type.fields[name]
        meta = SectionMeta.denied(section.source_id, section.title)
        value = section.value(meta, None, source.facts, source.subject_label)
        info = self.build_resolve_info(field, to_nodes(details), parent_type, path)
        try:
            return self.complete_value(field.type, details, info, path, value, None)
        except Exception as error:
            self.handle_field_error(error, field.type, details, path)
            return None


def _hidden(found: Any, hide: Mask) -> Any:
    if isinstance(found, list):
        return [_hidden(each, hide) for each in found]
    return None if found is None else hide(found)


async def _hidden_later(found: Any, hide: Mask) -> Any:
    return _hidden(await found, hide)
