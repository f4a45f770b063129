"""Where in the values of a program rows are: objects that the gate decides by their own facts."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from okno.graph.compiled.shapes import ListOf, Node, ObjectOf, Value, class_of

if TYPE_CHECKING:
    from okno.graph.decided import Steps
    from okno.graph.plan import Selection


def rows_of(root: ObjectOf) -> list[tuple["Steps", "Selection | None"]]:
    """The ways from an object of the program to rows, with the selection whose value they are; None: the program's own."""
    found: list[tuple[Steps, Selection | None]] = [((), None)]
    for node in root.nodes:
        found += _below(node, ())
    return found


def _below(node: Node, steps: "Steps") -> Iterator[tuple["Steps", "Selection | None"]]:
    for each in node.fields:
        if not isinstance(each, Value) or each.read.way != "attribute":
            continue
        shape, lists = each.shape, 0
        while isinstance(shape, ListOf):
            shape, lists = shape.item, lists + 1
        if not isinstance(shape, ObjectOf):
            continue
        further = (*steps, (each.read.name, lists))
        if any("facts" in getattr(class_of(kind.type), "__dataclass_fields__", ()) for kind in shape.nodes):
            yield further, each.selection
        for kind in shape.nodes:
            yield from _below(kind, further)
