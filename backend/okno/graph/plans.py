"""Templates of plans, kept for all requests that would plan the same. Bounded: the least recently used go first."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    GraphQLIncludeDirective,
    GraphQLSkipDirective,
    SelectionNode,
    SelectionSetNode,
    Undefined,
    VariableNode,
)

from okno.graph.plan import Template

if TYPE_CHECKING:
    from okno.graph.executor import GatedExecutor

PlanKey = tuple[Any, ...]
_SWITCHES = frozenset({GraphQLSkipDirective.name, GraphQLIncludeDirective.name})
# Bytes, measured (ADR 0010): a selection with its collected fields, and a character of generated text with its code
_SELECTION_BYTES = 1_500
_CHARACTER_BYTES = 12
# They have names that clients choose, as long as documents may be
_KEPT_SWITCHES = 1_000
# Where a key has the policy, and of how many policies templates are kept: they come and go while the process runs
_POLICY = 2
_KEPT_POLICIES = 2


class PlanCache:
    """Templates by all that they depend on: document, operation, policy, rights, what @skip and @include are told.

    Never by the actor: two people of equal rights share a template, and each has a plan of their own on it.

    Args:
        number: how many templates are kept at most.
        size: how much memory they may take together, in bytes as estimated.
    """

    def __init__(self, *, number: int = 4_000, size: int = 96 * 1024 * 1024) -> None:
        self._number = number
        self._size = size
        self._templates: OrderedDict[PlanKey, tuple[int, Template]] = OrderedDict()
        self._switches: OrderedDict[tuple[bytes, str | None], tuple[str, ...]] = OrderedDict()
        self._policies: list[Any] = []
        self.size = 0

    def __len__(self) -> int:
        return len(self._templates)

    def key(self, executor: "GatedExecutor", document: bytes, may_introspect: bool) -> PlanKey:
        """What the plan of the operation depends on."""
        name = executor.operation.name
        operation = (document, name.value if name else None)
        switches = self._switches.get(operation)
        if switches is None:
            switches = self._switches[operation] = _switches(executor)
            if len(self._switches) > min(self._number, _KEPT_SWITCHES):
                self._switches.popitem(last=False)
        given = executor.variable_values.coerced
        gate = executor.context_value.gate
        values = tuple([given.get(each, Undefined) for each in switches])
        return (*operation, gate.policy, gate.actor.rights, values, may_introspect)

    def find(self, key: PlanKey) -> Template | None:
        """The template that was kept under the key."""
        found = self._templates.get(key)
        if found is None:
            return None
        self._templates.move_to_end(key)
        return found[1]

    def keep(self, key: PlanKey, template: Template) -> None:
        """Keeps the template, or weighs it anew: what is compiled later counts as well."""
        size = estimated_size(template)
        self._forget_older_than(key[_POLICY])
        known = self._templates.get(key)
        if known is not None:
            self.size -= known[0]
        self._templates[key] = size, template
        self.size += size
        while self._templates and (len(self._templates) > self._number or self.size > self._size):
            _, (gone, _) = self._templates.popitem(last=False)
            self.size -= gone

    def _forget_older_than(self, policy: Any) -> None:
        """Lets go of templates of all policies but the last two: a request may still be decided by the one before."""
        if any(known is policy for known in self._policies):
            return
        self._policies.append(policy)
        if len(self._policies) > _KEPT_POLICIES:
            gone = self._policies.pop(0)
            for key in [key for key in self._templates if key[_POLICY] is gone]:
                self.size -= self._templates.pop(key)[0]


def estimated_size(template: Template) -> int:
    """Bytes that the template takes, about."""
    own = _SELECTION_BYTES * (len(template.selections) + 1) + _CHARACTER_BYTES * template.sites.size
    return own + template.document_size


def _switches(executor: "GatedExecutor") -> tuple[str, ...]:
    """The variables that @skip and @include ask in the operation and the document's fragments."""
    found: dict[str, None] = {}
    sets: list[SelectionSetNode] = [executor.operation.selection_set]
    sets += [fragment.selection_set for fragment in executor.fragment_definitions.values()]
    while sets:
        for selection in sets.pop().selections:
            found.update(dict.fromkeys(_asked(selection)))
            inner = getattr(selection, "selection_set", None)
            if inner is not None:
                sets.append(inner)
    return tuple(found)


def _asked(selection: SelectionNode | FieldNode) -> list[str]:
    return [
        argument.value.name.value
        for directive in selection.directives or ()
        if directive.name.value in _SWITCHES
        for argument in directive.arguments or ()
        if isinstance(argument.value, VariableNode)
    ]
