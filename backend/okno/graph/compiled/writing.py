"""Writes the text of a program from its tree. `okno.graph.compiled` shows a whole one.

Names of variables in the text: s object, v value, o completed object, yes/hid/no what a tally counts, rule/told the rules it
names for reading in full and masked, answer the rule by which a guard admits the row, c a constant of a condition. Texts of
documents come in as `repr` only, texts of the policy not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLObjectType

from okno.graph.compiled.leaves import NAMES
from okno.graph.compiled.seeing import Seen, branches, fields_by_view, guards_below
from okno.graph.compiled.shapes import (
    Constant,
    Field,
    Leaf,
    ListOf,
    Node,
    ObjectOf,
    Other,
    Section,
    Shape,
    Value,
    class_of,
)
from okno.graph.compiled.vouching import Vouch, relay_id
from okno.graph.compiled.ways import WayText, entry, read
from okno.graph.gate import View
from okno.policy.condition import KNOWN, write_choice

if TYPE_CHECKING:
    from okno.graph.plan import Guard, Selection

# Conditions beyond that are called: the text takes memory in every program (characters)
MOST_WRITTEN_OUT = 8
LONGEST_WRITTEN_OUT = 500
# Stands for the entries of a plain section that is not read
DENIED: Mapping[str, Any] = {}
CAST = "getattr({v}, '__as_strawberry_type__', None) is not None"
# What tallies are made of
_COUNTS, _RULES = ("yes", "no", "hid"), ("rule", "told")


@dataclass(slots=True)
class Scope:
    """The facts that rows are decided by, and the answers of the guards that were asked about them, by guard."""

    facts: str
    answers: dict[int, str] = field(default_factory=dict)


class SectionOf(NamedTuple):
    """A section in a text.

    Attributes:
        reached: the number of the node whose objects have it.
        is_plain: its data are all that is needed.
    """

    selection: "Selection"
    type: GraphQLObjectType
    reached: int
    is_plain: bool


@dataclass(slots=True)
class Written:
    """A text with what it names, and what has to be known to run it.

    Attributes:
        tallies: the selections of each tally, in the order of their numbers.
        sections: in the order of their numbers.
        reached: how many nodes have sections.
        others: of the outermost node.
    """

    text: str
    names: dict[str, Any]
    tallies: list[list["Selection"]]
    sections: list[SectionOf]
    reached: int
    others: list[Other]


class Writer(WayText):
    """Writes one program."""

    def __init__(self) -> None:
        super().__init__({**KNOWN, **NAMES, "relay_id": relay_id, "DENIED": DENIED})
        self._guards: dict[int, None] = {}  # those that are called
        self._persons: dict[int, None] = {}  # those that are written out, with whom they compare
        self._tallies: list[list[Selection]] = []
        self._counts: list[str] = []  # the variables of all tallies
        self._sections: list[SectionOf] = []
        self._owners: dict[
            str, str
        ] = {}  # of plain sections, which are no objects of their own, the employees
        self._notes = False
        self._root: Node | None = None
        self._row: Scope | None = None
        self._row_tallies: dict[Seen, int] = {}  # by the answers that decide

    def write(self, root: ObjectOf, *, of_list: bool) -> Written:
        """The text of `many(items, run)`, or of `one(s0, run)`, and of `reach(items, found)` where there are sections."""
        self._depth = 4 if of_list else 1
        self._root = root.nodes[0] if root.abstract is None else None
        completed = self._object(root, "s0", None)
        body, self._lines = self._lines, []
        others = [each for node in root.nodes for each in node.others]
        self._depth = 0
        with self._block(f"def {'many(items' if of_list else 'one(s0'}, run):"):
            self._prelude()
            if of_list:
                self._many(body, completed, others=bool(others))
            else:
                self._lines += body
                self._count_row()
                self._tally()
                self._line(f"return {completed}")
        if self._sections:
            self._write_reach(root)
        text = "\n".join(self._lines) + "\n"
        return Written(text, self._names, self._tallies, self._sections, len(self._reached), others)

    def _prelude(self) -> None:
        if self._notes:
            self._line("notes = run.notes")
            self._line("note = notes.append")
        for guard in self._guards:
            self._line(f"decide{guard} = run.decide({guard})")
        for guard in self._persons:
            self._line(f"me{guard} = run.me({guard})")
        for number in range(len(self._sections)):
            self._line(f"section{number} = run.sections[{number}]")
        self._reset()

    def _reset(self) -> None:
        for starts, value in ((_COUNTS, "0"), (_RULES, "None")):
            if names := [name for name in self._counts if name.startswith(starts)]:
                self._line(f"{' = '.join(names)} = {value}")

    def _many(self, body: list[str], completed: str, *, others: bool) -> None:
        of_rows = {f"{name}{number}" for number in self._row_tallies.values() for name in (*_COUNTS, *_RULES)}
        marked = [name for name in self._counts if name not in of_rows]
        kept = [*marked, *(["len(notes)"] if self._notes else [])]
        restored = [*marked, *(["noted"] if self._notes else [])]
        self._line("put = run.rows.append")
        with self._block("try:"), self._block("for s0 in items:"):
            if kept:
                self._line(f"mark = ({', '.join(kept)},)")
            with self._block("try:"):
                self._lines += body
            with self._block("except Exception:"):
                if kept:
                    self._line(f"{', '.join(restored)}, = mark")
                if self._notes:
                    self._line("del notes[noted:]")
                # The executor counts for itself, and the rule that is told is that of the last row
                self._tally()
                self._reset()
                self._line("put(run.fall_back(s0))")
            with self._block("else:"):
                self._count_row()
                self._line(f"put(run.finish(s0, {completed}))" if others else f"put({completed})")
        with self._block("finally:"):
            self._tally()
            if not self._tallies:
                self._line("pass")

    def _count_row(self) -> None:
        """Counts what each row is asked once: when it has gone well, so that nothing has to be taken back."""
        for answers, number in self._row_tallies.items():
            for view, header in branches(answers):
                with self._block(header):
                    self._note_view(view, number, answers)

    def _note_view(self, view: View, number: int, answers: Seen) -> None:
        count, rule, by = {
            View.FULL: ("yes", "rule", answers.full),
            View.MASKED: ("hid", "told", answers.masked),
            View.NOTHING: ("no", "", None),
        }[view]
        self._line(f"{count}{number} += 1")
        if by:
            self._line(f"{rule}{number} = {by[-1]}")

    def _tally(self) -> None:
        for number in range(len(self._tallies)):
            given = [f"yes{number}", f"no{number}", f"rule{number}", f"hid{number}", f"told{number}"]
            told = [
                name if name in self._counts else "0" if name.startswith(_COUNTS) else "None"
                for name in given
            ]
            while told[-1] in ("0", "None") and len(told) > 3:
                told.pop()
            self._line(f"run.tally({number}, {', '.join(told)})")

    # Objects

    def _object(self, shape: ObjectOf, s: str, scope: Scope | None) -> str:
        """Writes the completion of the object `s`; gives the name of the result."""
        if shape.abstract is None:
            (node,) = shape.nodes
            self._vouch(node, s)
            return self._node(node, s, scope and replace(scope))
        result, kinds = self._new("o"), self._classifier(shape)
        self._line(f"if {CAST.format(v=s)}: raise Mismatch")
        kind = self._new("kind")
        self._line(f"{kind} = {kinds}.get(type({s})) or {kinds}.classify({s})")
        for number, node in enumerate(shape.nodes, 1):
            with self._block(f"{'if' if number == 1 else 'elif'} {kind} == {number}:"):
                self._line(f"{result} = {self._node(node, s, None)}")
        return result

    def _vouch(self, node: Node, s: str) -> None:
        vouch = self._constant("vouch", Vouch(node))
        known = self._constant("known", self._names[vouch].known)
        self._line(f"if type({s}) not in {known}: {vouch}({s})")
        if node.type.is_type_of is not None:
            self._line(f"if {CAST.format(v=s)}: raise Mismatch")

    def _node(self, node: Node, s: str, scope: Scope | None) -> str:
        scope = self._decide(node, s, scope)
        values: dict[str, str] = {}
        if s not in self._owners and any(isinstance(each, Value) and each.is_entry for each in node.fields):
            self._line(f"data_{s} = {s}.data")
        for seen, fields in fields_by_view(node).items():
            self._group(seen, fields, s, scope, values)
        for each in node.fields:
            if isinstance(each, Section):
                values[each.response_name] = self._section(each, node, s, scope)
        completed = ", ".join(
            f"{each.response_name!r}: {values.get(each.response_name, 'None')}" for each in node.fields
        )
        result = self._new("o")
        self._line(f"{result} = {{{completed}}}")
        return result

    def _decide(self, node: Node, s: str, scope: Scope | None) -> Scope | None:
        """Asks every guard of the node, and of the sections in it, about the row, unless the scope has its answer."""
        wanted = dict.fromkeys(guards_below(node))
        if scope is None or not node.of_section:
            if not wanted:
                return None
            scope = Scope(self._new("facts"))
            has_facts = "facts" in getattr(class_of(node.type), "__dataclass_fields__", ())
            self._line(
                f"{scope.facts} = {s}.facts" if has_facts else f"{scope.facts} = getattr({s}, 'facts', None)"
            )
        if node is self._root:
            self._row = scope
        for guard in wanted:
            if guard.index not in scope.answers:
                scope.answers[guard.index] = answer = self._new("answer")
                self._line(f"{answer} = {self._ask(guard, scope.facts)}")
        return scope

    def _ask(self, guard: "Guard", facts: str) -> str:
        """The answer of a guard: its conditions written out, since a call costs as much as they do; long ones are called.

        Of facts that cannot be decided so the error has the row fall back, and it is decided as ever.
        """
        choices = [
            (each.condition, each) for each in guard.decision.alternatives if each.condition is not None
        ]
        me = f"me{guard.index}"
        if len(choices) <= MOST_WRITTEN_OUT:
            written = write_choice(choices, facts=facts, me=me, name=partial(self._constant, "c"))
            if len(written) <= LONGEST_WRITTEN_OUT:
                if me in written:
                    self._persons[guard.index] = None
                return f"None if {facts} is None else {written}"
        self._guards[guard.index] = None
        return f"decide{guard.index}({facts})"

    def _group(
        self, seen: Seen, fields: list[Field], s: str, scope: Scope | None, values: dict[str, str]
    ) -> None:
        """Writes the fields that are seen alike."""
        selections = [each.selection for each in fields if each.selection is not None]
        if seen.is_open or seen.is_hidden:
            if counted := [each for each in selections if each.in_abstract]:
                self._line(f"yes{self._count(counted)} += 1")
            self._fields(fields, s, scope, values, masked=seen.is_hidden)
            return
        assert scope is not None
        known = scope.answers
        answers = Seen(
            *(guards if guards is None else tuple(known[each] for each in guards) for guards in seen)
        )
        tally = None
        if scope is not self._row:
            tally = self._count(selections, answers)
        elif answers in self._row_tallies:
            self._tallies[self._row_tallies[answers]] += selections
        else:
            self._row_tallies[answers] = self._count(selections, answers)
        for view, header in branches(answers):
            with self._block(header):
                if tally is not None:
                    self._note_view(view, tally, answers)
                if view is View.NOTHING:
                    self._nulls(fields, selections, values)
                else:
                    self._fields(fields, s, scope, values, masked=view is View.MASKED)

    def _nulls(self, fields: list[Field], selections: "list[Selection]", values: dict[str, str]) -> None:
        if not all(each.nullable for each in selections):
            self._line("raise Mismatch")
        names = [values[each.response_name] for each in fields]
        self._line(f"{' = '.join(names)} = None")

    def _fields(
        self, fields: list[Field], s: str, scope: Scope | None, values: dict[str, str], *, masked: bool
    ) -> None:
        """Writes the fields; those that are masked record nothing."""
        noted = [each.selection for each in fields if isinstance(each, Value) and each.selection.recorded]
        for each in fields:
            if isinstance(each, Constant):
                if each.value is None and each.selection is not None and not each.selection.nullable:
                    self._line("raise Mismatch")
                values[each.response_name] = repr(each.value)
            elif isinstance(each, Value):
                name = values.get(each.response_name) or self._new("v")
                values[each.response_name] = name
                self._value(each, name, s, scope)
                if masked:
                    self._mask(each, name)
        if not masked:
            self._note(noted, s)

    def _mask(self, each: Value, v: str) -> None:
        masking = each.selection.masking
        assert masking is not None
        hide = self._constant("hide", masking.form if isinstance(each.shape, Leaf) else masking.hide)
        self._line(f"{f'if {v} is not None: ' if each.shape.nullable else ''}{v} = {hide}({v})")

    def _note(self, noted: "list[Selection]", s: str) -> None:
        if noted:
            self._notes = True
            names = self._constant("names", tuple(f"{each.type_name}.{each.field_name}" for each in noted))
            self._line(f"note(({self._owners.get(s, s)}, {names}))")

    def _section(self, each: Section, node: Node, s: str, scope: Scope | None) -> str:
        """Writes a section, which was decided and loaded before. `admitted` says if its source was asked."""
        number = len(self._sections)
        reached = self._reached.setdefault(id(node), len(self._reached))
        self._sections.append(SectionOf(each.selection, each.node.type, reached, each.is_plain))
        value = self._new("s")
        if each.is_plain:
            self._owners[value] = s
            self._line(f"data_{value} = section{number}[id({s})]")
            admitted = f"data_{value} is not DENIED"
        else:
            admitted = self._new("admitted")
            self._line(f"{admitted}, {value} = section{number}[id({s})]")
        if each.selection.is_conditional or each.selection.in_abstract:
            tally = self._count([each.selection])
            with self._block(f"if {admitted}:"):
                self._line(f"yes{tally} += 1")
            with self._block("else:"):
                self._line(f"no{tally} += 1")
        if each.selection.recorded:
            with self._block(f"if {admitted}:"):
                self._note([each.selection], s)
        return self._node(each.node, value, scope)

    # Values

    def _value(self, each: Value, v: str, s: str, scope: Scope | None) -> None:
        if each.read.way == "relay":
            self._relay_id(v, each.selection.type_name, f"{s}.{each.read.name}")
        elif each.is_entry and s in self._owners:
            self._line(f"{v} = data_{s}[{entry(each)!r}]")
        else:
            self._line(f"{v} = {read(each, s)}")
            self._complete(each.shape, v, scope)

    def _complete(self, shape: Shape, v: str, scope: Scope | None) -> None:
        """Writes what puts the completed value in the place of `v`."""
        if isinstance(shape, Leaf):
            self._leaf(shape, v)
        elif isinstance(shape, ListOf):
            with self._block(f"if type({v}) is list or type({v}) is tuple:"):
                self._list(shape.item, v, scope)
            with self._block(f"elif {v} is not None:" if shape.nullable else "else:"):
                self._line("raise Mismatch")
        elif shape.nullable:
            with self._block(f"if {v} is not None:"):
                self._line(f"{v} = {self._object(shape, v, scope)}")
        else:
            self._line(f"{v} = {self._object(shape, v, scope)}")

    def _list(self, item: Shape, v: str, scope: Scope | None) -> None:
        if isinstance(item, Leaf):
            self._line(f"{v} = [{self._leaf_expression(item, 'each')} for each in {v}]")
            return
        found, each = self._new("list"), self._new("v")
        self._line(f"{found} = []")
        with self._block(f"for {each} in {v}:"):
            self._complete(item, each, scope)
            self._line(f"{found}.append({each})")
        self._line(f"{v} = {found}")

    def _count(self, selections: "list[Selection]", answers: Seen | None = None) -> int:
        number = len(self._tallies)
        self._tallies.append(selections)
        parts = ["yes", "no"]
        if answers is not None:
            parts += [*(["rule"] if answers.full else []), *(["hid"] if answers.masked is not None else [])]
            parts += ["told"] if answers.masked else []
        self._counts += [f"{part}{number}" for part in parts]
        return number
