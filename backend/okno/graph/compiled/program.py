"""A program: the compiled functions for one place in a plan, and their text."""

from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any

from graphql import GraphQLSchema

from okno.graph.compiled.rows import rows_of
from okno.graph.compiled.shapes import Reader, TooLarge
from okno.graph.compiled.writing import Writer

if TYPE_CHECKING:
    from okno.graph.plan import Selection, Template

# Texts of people with other rights are often equal. Clients choose the names in them, so that their length is bounded too:
# a character takes 12 bytes (ADR 0010)
_KEPT_CODE = 256
_LONGEST_KEPT = 16_000


class Program:
    """Completes the objects of one selection.

    Attributes:
        source: the text it was compiled from.
        sections: in the order of their numbers; the objects that have one are in the list of `reach` that it says.
        rows: where the objects are whose facts decide, see `rows_of`.
        completed, fallen_back: how many rows it has completed, and how many were left to the stock executor.
    """

    __slots__ = (
        "completed",
        "fallen_back",
        "many",
        "one",
        "others",
        "reach",
        "reached",
        "rows",
        "sections",
        "source",
        "tallies",
        "type",
    )

    def __init__(
        self,
        template: "Template",
        selection: "Selection",
        named: Any,
        schema: GraphQLSchema,
        *,
        of_list: bool,
    ) -> None:
        """Raises: TooLarge: nothing of it can be compiled, or it is too large."""
        root = Reader(template, schema).objects(selection, named)
        if root is None:
            raise TooLarge
        written = Writer().write(root, of_list=of_list)
        self.source = written.text
        names = dict(written.names)
        exec(_code(written.text), names)  # noqa: S102 -- the text is written by `writing` from the schema alone
        self.many: Callable[[Any, Any], None] | None = names.get("many")
        self.one: Callable[[Any, Any], dict[str, Any]] | None = names.get("one")
        self.reach: Callable[[Any, list[list[Any]]], None] | None = names.get("reach")
        self.type = root.nodes[0].type
        self.tallies = written.tallies
        self.sections = written.sections
        self.reached = written.reached
        self.rows = rows_of(root)
        self.others = [(each.response_name, each.selection.details) for each in written.others]
        self.completed = 0
        self.fallen_back = 0

    def __repr__(self) -> str:
        return f"<Program of {self.type.name}, {self.completed} rows completed, {self.fallen_back} fallen back>\n{self.source}"


def _code(text: str) -> CodeType:
    return _kept_code(text) if len(text) <= _LONGEST_KEPT else _compile(text)


def _compile(text: str) -> CodeType:
    return compile(text, "<okno.graph.compiled>", "exec")


_kept_code = lru_cache(maxsize=_KEPT_CODE)(_compile)
