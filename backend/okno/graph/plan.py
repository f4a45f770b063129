"""The plan of one operation: every selection with its decision, made before execution and reported after it.

What does not depend on the request is a `Template`, shared by requests; a `Plan` is one request's few counters on it.
Both are keyed by the lists of field nodes that the executor works with, so that plan and execution cannot disagree on
fragments, aliases, @skip and @include.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from graphql import GraphQLField
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList

from okno.graph.compiled.site import Sites
from okno.graph.gate import Gate, RowDecision, View
from okno.graph.sections import SectionSpec
from okno.policy.masking import Mask
from okno.policy.service import Alternative, Decision, Outcome

if TYPE_CHECKING:
    from okno.graph.decided import Ledger

Facts = Mapping[str, object]


class Guard:
    """A condition on rows, the same for all selections of a template that share it. Whose rows they are is asked later."""

    __slots__ = ("decision", "index", "type_name")

    def __init__(self, index: int, type_name: str, decision: Decision) -> None:
        self.index = index
        self.type_name = type_name
        self.decision = decision


class Masking:
    """How a field is seen where it is not read in full.

    Attributes:
        guards: conditions that all have to admit the row; without any every row is seen masked.
        form: turns the completed text into what is shown.
        rule: the first rule that has it seen so.
    """

    __slots__ = ("form", "guards", "rule")

    def __init__(self, form: Mask, guards: tuple[Guard, ...], rule: Alternative) -> None:
        self.form = form
        self.guards = guards
        self.rule = rule

    def below(self, section: "Selection") -> "Masking":
        """The same within a section that has to be read in full for it."""
        return Masking(self.form, (*section.guards, *self.guards), self.rule)

    def hide(self, completed: Any) -> Any:
        """What is shown of a completed value: a text, or lists of them. A null stays one."""
        if completed is None:
            return None
        if isinstance(completed, list):
            return [self.hide(each) for each in completed]
        return self.form(str(completed))


class Selection:
    """One selected field of one type, with its decision. Never changed once its template is built.

    Attributes:
        index: its place in the template's list; -1 for a field that was not selected but decides over a section.
        guards: conditions that all have to admit the row for it to be read in full. Without any, and allowed, it is open.
        masking: how it is seen where it is not read in full, unless that is not at all.
        lacks: the fact that the actor could prove and did not, without which it is denied.
        recorded: reading it leaves a record in the journal.
        ways: of a section: the sets of guards (by index) each of which opens something that is selected in it.
        in_abstract: it is of a type that a value may or may not have; it is reported only if met.
        line: its line in `extensions.gate`, as far as no row was asked.
    """

    __slots__ = (
        "children",
        "decision",
        "details",
        "field",
        "field_name",
        "guards",
        "in_abstract",
        "index",
        "is_open",
        "lacks",
        "line",
        "masking",
        "nullable",
        "path",
        "recorded",
        "response_name",
        "rule",
        "section",
        "type_name",
        "ways",
    )

    def __init__(
        self, path: str, type_name: str, field_name: str, decision: Decision, guards: tuple[Guard, ...]
    ) -> None:
        self.index = -1
        self.path = path
        self.type_name = type_name
        self.field_name = field_name
        self.response_name = field_name
        self.field: GraphQLField | None = None
        self.decision = decision
        self.guards = guards
        self.masking: Masking | None = None
        self.lacks: str | None = None
        self.is_open = decision.outcome is Outcome.ALLOW and not guards
        self.details: FieldDetailsList = []
        self.section: SectionSpec | None = None
        self.children: list[Selection] = []
        self.recorded = False
        self.nullable = True
        self.in_abstract = False
        self.ways: tuple[tuple[int, ...], ...] = ()
        self.rule: Alternative | None = next(iter((*decision.alternatives, *decision.masks)), None)
        self.line: dict[str, Any] = {}

    @property
    def is_denied(self) -> bool:
        """Whether no row at all may be seen."""
        return self.decision.outcome is Outcome.DENY

    @property
    def is_readable(self) -> bool:
        """Whether there may be rows that are read in full."""
        return bool(self.decision.alternatives)

    @property
    def is_conditional(self) -> bool:
        """Whether each row is asked."""
        return not self.is_denied and bool(self.guards or (self.masking and self.masking.guards))

    @property
    def tells_no_value(self) -> bool:
        """Whether no error may show a value of it: it is masked for some, or its reading is recorded."""
        return self.recorded or self.masking is not None

    def describe(self, rule: Alternative | None) -> dict[str, Any]:
        """A new line of `extensions.gate` that names this rule."""
        line: dict[str, Any] = {
            "path": self.path,
            "decision": "conditional" if self.is_conditional else self.decision.outcome.value,
            **_told(rule),
        }
        if self.lacks is not None:
            line["lacks"] = self.lacks
        return line


class Template:
    """All selections of one operation for one set of rights, with the executor's collected fields and compiled loops.

    Attributes:
        root: the collected root fields.
        collected: the collected fields of each selection and type; the lists in it stay alive, and so do their ids.
        by_details: the selections by the identity of their list of field nodes.
        ledger: where decisions are counted, once the first request was prepared.
        document_size: bytes of the document that the collected fields keep alive.
    """

    def __init__(self) -> None:
        self.root = CollectedFields({}, [], [])
        self.collected: dict[tuple[Any, int], tuple[FieldDetailsList, CollectedFields]] = {}
        self.selections: list[Selection] = []
        self.by_details: dict[int, Selection] = {}
        self.guards: list[Guard] = []
        self.is_shareable = True
        self.document_size = 0
        self.sites = Sites()
        self.ledger: Ledger | None = None
        self._guard_of: dict[tuple[Any, str], Guard] = {}
        self._lines: list[dict[str, Any]] = []
        self._counted: list[tuple[int, Selection]] = []
        self._has_abstract = False

    def guard(self, resource: str, type_name: str, decision: Decision) -> Guard:
        """The guard of a conditional decision, shared by all selections with the same condition on the same rows."""
        key = (decision.alternatives, resource)
        found = self._guard_of.get(key)
        if found is None:
            found = self._guard_of[key] = Guard(len(self.guards), type_name, decision)
            self.guards.append(found)
        return found

    def add(self, selection: Selection) -> None:
        """Takes the selection into the plan."""
        selection.index = len(self.selections)
        self.selections.append(selection)
        self.by_details[id(selection.details)] = selection

    def finish(self) -> None:
        """Prepares what every report needs; to be called once, when all selections are there and their guards known."""
        self._guard_of.clear()
        lines: dict[tuple[str, str], int] = {}
        for selection in self.selections:
            selection.line = selection.describe(selection.rule)
            if selection.section is not None:
                selection.ways = tuple(tuple(sorted(way)) for way in _ways(selection))
            self._has_abstract = self._has_abstract or selection.in_abstract
            key = (selection.path, selection.type_name)
            if key not in lines:
                lines[key] = len(self._lines)
                self._lines.append(selection.line)
                if selection.is_conditional:
                    self._counted.append((lines[key], selection))

    def denied_fields(self, type_name: str) -> list[str]:
        """The fields of a root type that were selected and are denied, each once."""
        return sorted({s.field_name for s in self.selections if s.type_name == type_name and s.is_denied})

    def report(self, plan: "Plan") -> list[dict[str, Any]]:
        """`extensions.gate`: one line for each selection; of abstract types only for the types that were met.

        Lines without a condition are shared by all requests, and not to be changed.
        """
        if not self._has_abstract:
            lines = self._lines.copy()
            for place, selection in self._counted:
                lines[place] = plan.line(selection)
            return lines
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for selection in self.selections:
            key = (selection.path, selection.type_name)
            if key not in found and (not selection.in_abstract or plan.met[selection.index]):
                found[key] = plan.line(selection) if selection.is_conditional else selection.line
        return list(found.values())


class Plan:
    """One request's state on a template: what was met, admitted and refused, and the answers of its guards."""

    __slots__ = (
        "_gate",
        "_guards",
        "_mask_rules",
        "_rules",
        "allowed",
        "denied",
        "masked",
        "met",
        "template",
    )

    def __init__(self, template: Template, gate: Gate) -> None:
        self.template = template
        self._gate = gate
        number = len(template.selections)
        self.met = bytearray(number)
        self.allowed = [0] * number
        self.masked = [0] * number
        self.denied = [0] * number
        self._rules: dict[int, Alternative] = {}
        self._mask_rules: dict[int, Alternative] = {}
        self._guards: list[RowDecision | None] = [None] * len(template.guards)

    def denied_fields(self, type_name: str) -> list[str]:
        """The fields of a root type that were selected and are denied, each once."""
        return self.template.denied_fields(type_name)

    def report(self) -> list[dict[str, Any]]:
        """`extensions.gate`, see `Template.report`."""
        return self.template.report(self)

    def guard(self, index: int) -> RowDecision:
        """The answers of one guard for this request's actor."""
        found = self._guards[index]
        if found is None:
            guard = self.template.guards[index]
            found = self._guards[index] = self._gate.rows(guard.type_name, guard.decision)
        return found

    def admits(self, selection: Selection, facts: Facts | None) -> bool:
        """Whether the field may be read in full of the row with these facts. Remembers the rule that said so."""
        return selection.is_readable and self._all_admit(selection, selection.guards, facts, self._rules)

    def view(self, selection: Selection, facts: Facts | None) -> View:
        """How much of the field may be seen of the row with these facts. Remembers the rule that said so."""
        if self.admits(selection, facts):
            return View.FULL
        masking = selection.masking
        if masking is not None and self._all_admit(selection, masking.guards, facts, self._mask_rules):
            return View.MASKED
        return View.NOTHING

    def _all_admit(
        self,
        selection: Selection,
        guards: tuple[Guard, ...],
        facts: Facts | None,
        rules: dict[int, Alternative],
    ) -> bool:
        rule = None
        for guard in guards:
            rule = self.guard(guard.index).decide(facts)
            if rule is None:
                return False
        if rule is not None and selection.index >= 0:
            rules[selection.index] = rule
        return True

    def yields(self, selection: Selection, facts: Facts | None) -> bool:
        """Whether the section, with what is selected in it, gives the row's reader anything."""
        return self.admits(selection, facts) and bool(self.yielding(selection)(facts))

    def yielding(self, selection: Selection) -> Callable[[Facts | None], object]:
        """`yields` for many rows, without remembering rules; true or false, or the rule itself."""
        if len(selection.ways) == 1 and len(selection.ways[0]) <= 1:
            if not selection.ways[0]:
                return lambda facts: True
            return self.guard(selection.ways[0][0]).ask  # each row is asked once here
        ways = [[self.guard(index).decide for index in way] for way in selection.ways]
        return lambda facts: any(all(decide(facts) is not None for decide in way) for way in ways)

    def count(
        self,
        selection: Selection,
        allowed: int,
        denied: int,
        rule: Alternative | None,
        masked: int = 0,
        mask_rule: Alternative | None = None,
    ) -> None:
        """Adds what a compiled loop has counted."""
        if not (allowed or denied or masked):
            return
        index = selection.index
        self.met[index] = 1
        self.allowed[index] += allowed
        self.masked[index] += masked
        self.denied[index] += denied
        if rule is not None:
            self._rules[index] = rule
        if mask_rule is not None:
            self._mask_rules[index] = mask_rule

    def line(self, selection: Selection) -> dict[str, Any]:
        """The line of a conditional selection in `extensions.gate`."""
        index, masking = selection.index, selection.masking
        line = selection.describe(self._rules.get(index, selection.rule))
        line["allowed"] = self.allowed[index]
        if masking is not None:
            line["masked"] = self.masked[index]
            line["mask"] = _told(self._mask_rules.get(index, masking.rule))
        line["denied"] = self.denied[index]
        return line


def _told(rule: Alternative | None) -> dict[str, str | None]:
    return {"rule": rule.rule_id if rule else None, "reason": rule.sentence if rule else None}


def _ways(selection: Selection) -> list[frozenset[int]]:
    """The sets of guards of which one has to admit the row as a whole, the smallest ones only; none for what is denied."""
    if selection.is_denied:
        return []
    own = [frozenset(guard.index for guard in guards) for guards in _sets_of_guards(selection)]
    if selection.children:
        (guards,) = own  # what has fields is no text, and is not masked
        own = [guards | way for child in selection.children for way in _ways(child)]
    found = dict.fromkeys(own)
    return [way for way in found if not any(other < way for other in found)]


def _sets_of_guards(selection: Selection) -> list[tuple[Guard, ...]]:
    """Those under which it is read in full, and those under which it is seen masked."""
    found = [selection.guards] if selection.is_readable else []
    return [*found, selection.masking.guards] if selection.masking is not None else found
