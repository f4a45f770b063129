"""The parts of a text that complete scalars, enums and ids."""

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLLeafType

from okno.graph.compiled.leaves import enum_names, find_inline, leaf_completer
from okno.graph.compiled.shapes import Leaf
from okno.graph.compiled.text import Text
from okno.graph.compiled.vouching import ids_of


class LeafText(Text):
    """A text with a name for each type's completer."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__(names)
        self._leaves: dict[GraphQLLeafType, str] = {}
        self._ids: dict[str, str] = {}

    def _relay_id(self, v: str, type_name: str, key: str) -> None:
        """By the number of a UUID: its hash is computed in Python."""
        if type_name not in self._ids:
            self._ids[type_name] = self._constant("ids", ids_of(type_name))
        self._line(f"{v} = {key}")
        known = f"type({v}) is UUID and {self._ids[type_name]}.get({v}.int)"
        self._line(f"{v} = {known} or relay_id({type_name!r}, {v})")

    def _leaf(self, leaf: Leaf, v: str) -> None:
        inline = find_inline(leaf.type)
        if inline is not None and not inline.completed:
            null = f" and {v} is not None" if leaf.nullable else ""
            self._line(f"if not ({inline.test.format(v=v)}){null}: {v} = {self._completer(leaf.type)}({v})")
            return
        plain = Leaf(leaf.type, nullable=False)
        null = f"if {v} is not None: " if leaf.nullable else ""
        self._line(f"{null}{v} = {self._leaf_expression(plain, v)}")

    def _leaf_expression(self, leaf: Leaf, v: str) -> str:
        inline, completer = find_inline(leaf.type), self._completer(leaf.type)
        if inline is not None:
            written = f"{(inline.completed or '{v}').format(v=v)} if {inline.test.format(v=v)} else {completer}({v})"
        elif (members := enum_names(leaf.type)) is not None:
            written = f"{self._constant('enum', members)}.get(id({v})) or {completer}({v})"
        else:
            written = f"{completer}({v})"
        return f"None if {v} is None else ({written})" if leaf.nullable else written

    def _completer(self, leaf_type: GraphQLLeafType) -> str:
        if leaf_type not in self._leaves:
            self._leaves[leaf_type] = self._constant("leaf", leaf_completer(leaf_type))
        return self._leaves[leaf_type]
