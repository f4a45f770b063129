"""Which of a node's fields are seen alike, and the branches that generated code has for them."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from okno.graph.compiled.shapes import Constant, Field, Node, Value, guards_of, nodes_in
from okno.graph.gate import View

if TYPE_CHECKING:
    from okno.graph.plan import Guard


class Seen(NamedTuple):
    """Under which guards, or by which of their answers, fields are read in full and seen masked; None for not at all."""

    full: tuple[Any, ...] | None
    masked: tuple[Any, ...] | None

    @property
    def is_open(self) -> bool:
        """Whether every row is read in full, or what is not does not depend on rows."""
        return self.full == ()

    @property
    def is_hidden(self) -> bool:
        """Whether every row is seen masked."""
        return self.full is None and self.masked == ()


_OPEN = Seen((), None)


def branches(answers: Seen) -> Iterator[tuple[View, str]]:
    """The branches of a row, each with what it begins with."""
    word = "if"
    if answers.full is not None:
        yield View.FULL, f"if {all_admit(answers.full)}:"
        word = "elif"
    if answers.masked:
        yield View.MASKED, f"{word} {all_admit(answers.masked)}:"
    yield View.MASKED if answers.masked == () else View.NOTHING, "else:"


def all_admit(answers: Iterable[str]) -> str:
    """Whether all guards have admitted the row."""
    return " and ".join(f"{answer} is not None" for answer in answers)


def fields_by_view(node: Node) -> dict[Seen, list[Field]]:
    """The node's own fields, those together that are seen alike, the open ones first."""
    found: dict[Seen, list[Field]] = {_OPEN: []}
    for each in node.fields:
        if isinstance(each, Value | Constant):
            found.setdefault(_seen(each), []).append(each)
    return found


def _seen(each: Field) -> Seen:
    selection = each.selection
    if selection is None or selection.is_denied:
        return _OPEN
    full = tuple(guard.index for guard in selection.guards) if selection.is_readable else None
    masking = selection.masking
    return Seen(full, None if masking is None else tuple(guard.index for guard in masking.guards))


def guards_below(node: Node) -> "Iterator[Guard]":
    """The guards of the node's own fields, and of what was made from the same row: sections and what is in them."""
    for each in node.fields:
        if isinstance(each, Value | Constant):
            yield from guards_of(each)
        for inner in nodes_in(each):
            if inner.of_section:
                yield from guards_below(inner)
