"""What a request's decisions were, for the record of them: counted when it ends, by the rows that came to each place.

A row's sections belong to the row: all of them are decided by its facts.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog
from graphql import GraphQLObjectType, GraphQLSchema, get_named_type, is_abstract_type

from okno.graph.gate import Gate
from okno.graph.plan import Selection, Template
from okno.policy.decisions import DecisionCounts, Place, sample
from okno.policy.model import OWN_ID

if TYPE_CHECKING:
    from okno.graph.executor import GatedExecutor

log = structlog.get_logger(__name__)

# What of a value are rows: the attributes that lead there, each with the number of lists to be opened
Steps = tuple[tuple[str, int], ...]
Found = dict[Place, list[Sequence[Any]]]


class Ledger:
    """The places of a template where something is decided.

    Attributes:
        reaching: indexes of the selections whose values are rows, or have rows in them.
    """

    def __init__(self, template: Template, schema: GraphQLSchema, gate: Gate, counts: DecisionCounts) -> None:
        self.counts = counts
        self._template = template
        self._gate = gate
        self._policy, self._rights = gate.policy, gate.actor.rights
        self._rows = frozenset(
            name
            for name in {each.type_name for each in template.selections}
            if gate.resource_of(name) != "Okno" and _is_node(schema, name)
        )
        self._places: dict[tuple[int, Any], Place | None] = {}
        self.plain = self._place("Okno", self._plain(template.selections))
        events = [each for each in template.selections if each.type_name == "Subscription"]
        self.event = self._place("Employee", (("read", _name(each)) for each in events))
        self.reaching = frozenset(
            each.index for each in template.selections if each.index >= 0 and self._reaches(each)
        )
        self.mixed = frozenset(
            each.index
            for each in template.selections
            if each.field is not None and is_abstract_type(get_named_type(each.field.type))
        )

    def place(self, selection: Selection, kind: Any) -> Place | None:
        """Where the rows of this class are decided that are the selection's value; None where nothing is."""
        key = (selection.index, kind)
        if key not in self._places:
            definition = getattr(kind, "__strawberry_definition__", None)
            name = getattr(definition, "name", None)
            self._places[key] = (
                self._place(self._gate.resource_of(name), self._below(selection.children, name))
                if name in self._rows
                else None
            )
        return self._places[key]

    def _place(self, resource: str, things: Iterable[tuple[str, str]]) -> Place | None:
        return self.counts.place(self._policy, self._rights, resource, things)

    def _plain(self, selections: Iterable[Selection]) -> Iterator[tuple[str, str]]:
        for each in selections:
            kind = each.type_name
            skipped = each.in_abstract or kind in self._policy.structural
            if not skipped and self._gate.resource_of(kind) == "Okno":
                yield "write" if kind == "Mutation" else "read", _name(each)

    def _below(self, children: Iterable[Selection], row: str | None) -> Iterator[tuple[str, str]]:
        """The fields of a row, and of its sections, down to where other rows begin."""
        for child in children:
            if child.index < 0 or (row is not None and child.type_name != row):
                continue
            kind = child.type_name
            if kind not in self._policy.structural and self._gate.resource_of(kind) != "Okno":
                yield "read", _name(child)
            if not any(each.type_name in self._rows for each in child.children):
                yield from self._below(child.children, None)

    def _reaches(self, selection: Selection) -> bool:
        return any(each.type_name in self._rows or self._reaches(each) for each in selection.children)


def _name(selection: Selection) -> str:
    return f"{selection.type_name}.{selection.field_name}"


def _is_node(schema: GraphQLSchema, name: str) -> bool:
    kind = schema.get_type(name)
    return isinstance(kind, GraphQLObjectType) and any(each.name == "Node" for each in kind.interfaces)


def ledger_of(template: Template, schema: GraphQLSchema, gate: Gate, counts: DecisionCounts) -> Ledger | None:
    """The ledger of a template, made for its first request; None where rules could not be compiled."""
    if template.ledger is None or template.ledger.counts is not counts:
        try:
            template.ledger = Ledger(template, schema, gate, counts)
        except Exception:
            log.exception("decisions not counted")
            return None
    return template.ledger


def note(executor: "GatedExecutor") -> None:
    """Counts the decisions of an operation that was executed. Never fails: a count is not worth an answer."""
    try:
        _note(executor)
    except Exception:
        log.exception("decisions not counted")


def _note(executor: "GatedExecutor") -> None:
    ledger = executor.ledger
    if ledger is None:
        return
    counts = ledger.counts
    if ledger.plain is not None:
        counts.count_once(ledger.plain)
    gate = executor.context_value.gate
    found: Found = {}
    if ledger.event is not None and executor.root_value is not None:
        found[ledger.event] = [(executor.root_value,)]
    for selection, value, program, of_list in executor.seen:
        values = value if of_list else (value,)
        if program is None:
            _gather(ledger, selection, values, found)
            continue
        for steps, below in program.rows:
            _gather(ledger, below or selection, _follow(values, steps) if steps else values, found)
    for place, parts in found.items():
        me = gate.actor.id if OWN_ID.get(place.resource) == "id" else gate.actor.employee_id
        rows, weight = sample(parts[0] if len(parts) == 1 else list(chain.from_iterable(parts)))
        try:
            facts = [row.facts for row in rows]
        except AttributeError:  # a null in a list, or what is not there yet
            facts = [known for row in rows if (known := getattr(row, "facts", None)) is not None]
        if facts:
            counts.count(place, facts, me, weight)


def _gather(ledger: Ledger, selection: Selection, values: Sequence[Any], found: Found) -> None:
    """Puts the rows to those that came to the same place before."""
    if not values:
        return
    if selection.index in ledger.mixed:
        for value in values:
            if (place := ledger.place(selection, type(value))) is not None:
                found.setdefault(place, []).append((value,))
        return
    first = next((value for value in values if value is not None), None)
    place = ledger.place(selection, type(first))
    if place is not None:
        found.setdefault(place, []).append(values)


def _follow(values: Iterable[Any], steps: Steps) -> list[Any]:
    for name, lists in steps:
        values = [getattr(value, name) for value in values if value is not None]
        for _ in range(lists):
            values = [each for value in values if value is not None for each in value]
    return list(values)
