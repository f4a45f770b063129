"""The parts of a text that lead to values: how a field is read, and the way to the objects that have sections."""

import keyword
from collections.abc import Mapping
from typing import Any

from okno.graph.compiled.leaf_text import LeafText
from okno.graph.compiled.shapes import ListOf, Node, ObjectOf, Shape, Value, nodes_in
from okno.graph.compiled.vouching import Classifier
from okno.graph.sections import VALUE_PREFIX


class WayText(LeafText):
    """A text with a number for each node whose objects have sections."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__(names)
        self._reached: dict[int, int] = {}

    def _classifier(self, shape: ObjectOf) -> str:
        return self._constant("kinds", Classifier(shape))

    def _write_reach(self, root: ObjectOf) -> None:
        with self._block("def reach(items, found):"), self._block("for s0 in items:"):
            with self._block("try:"):
                self._reach_object(root, "s0")
            with self._block("except Exception:"):
                self._line("continue  # the loop will find out and fall back")

    def _reach_object(self, shape: ObjectOf, s: str) -> None:
        if shape.abstract is None:
            self._reach_node(shape.nodes[0], s)
            return
        kinds = self._classifier(shape)
        for number, node in enumerate(shape.nodes, 1):
            if node.has_sections:
                with self._block(f"if ({kinds}.get(type({s})) or {kinds}.classify({s})) == {number}:"):
                    self._reach_node(node, s)

    def _reach_node(self, node: Node, s: str) -> None:
        if id(node) in self._reached:
            self._line(f"found[{self._reached[id(node)]}].append({s})")
        for each in node.fields:
            if isinstance(each, Value) and any(inner.has_sections for inner in nodes_in(each)):
                v = self._new("v")
                self._line(f"{v} = {read(each, s)}")
                self._reach_shape(each.shape, v)

    def _reach_shape(self, shape: Shape, v: str) -> None:
        if isinstance(shape, ListOf):
            item = self._new("v")
            with self._block(f"for {item} in {v} or ():"):
                self._reach_shape(shape.item, item)
        elif isinstance(shape, ObjectOf):
            with self._block(f"if {v} is not None:"):
                self._reach_object(shape, v)


def read(each: Value, s: str) -> str:
    """The expression of a field's value as the object `s` has it."""
    name = each.read.name
    if each.is_entry:
        return f"data_{s}.get({entry(each)!r})"
    if name.isidentifier() and not keyword.iskeyword(name):
        return f"{s}.{name}"
    return f"getattr({s}, {name!r})"


def entry(each: Value) -> str:
    """The name of a field in the data of its section."""
    return each.read.name[len(VALUE_PREFIX) :]
