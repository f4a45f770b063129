"""The places of a plan where compiled code can begin, and when it is worth compiling it."""

from typing import TYPE_CHECKING, Any

from graphql import GraphQLSchema

from okno.graph.compiled.program import Program
from okno.graph.compiled.shapes import TooLarge

if TYPE_CHECKING:
    from okno.graph.plan import Selection, Template

# To compile costs as much as some 50 rows by the stock executor (ADR 0010)
ENOUGH_ROWS = 40
# An object that is no row of a list counts for more: it may have lists in it, and it will be asked for again
ROWS_OF_AN_OBJECT = 5


class Site:
    """One selection whose values are of one type. Compiled when enough rows have come by."""

    __slots__ = ("_rows", "program", "refused")

    def __init__(self) -> None:
        self._rows = 0
        self.program: Program | None = None
        self.refused = False

    def is_due(self, rows: int, enough: int) -> bool:
        """Notes so many rows; whether they are enough now."""
        self._rows += rows
        return self._rows >= enough


class Sites:
    """All sites of a template."""

    __slots__ = ("_sites", "enough", "size")

    def __init__(self) -> None:
        self._sites: dict[tuple[int, Any, bool], Site] = {}
        self.enough = ENOUGH_ROWS
        self.size = 0  # characters of all texts

    def find(
        self,
        template: "Template",
        selection: "Selection",
        named: Any,
        schema: GraphQLSchema,
        *,
        rows: int,
        of_list: bool,
    ) -> Program | None:
        """The program for a list or an object; None while it is not worth it, or cannot be.

        Args:
            rows: how much this counts towards being worth it.
        """
        key = (selection.index, named, of_list)
        site = self._sites.get(key)
        if site is None:
            site = self._sites[key] = Site()
        if site.program is not None or site.refused:
            return site.program
        if not site.is_due(rows, self.enough):
            return None
        try:
            site.program = Program(template, selection, named, schema, of_list=of_list)
            self.size += len(site.program.source)
        except TooLarge:
            site.refused = True
        return site.program

    @property
    def programs(self) -> list[Program]:
        """What has been compiled."""
        return [site.program for site in self._sites.values() if site.program is not None]
