"""A text of Python that is being written: its lines, and what it names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Text:
    """Lines at their depth, names that are new, and the values of those that stand for constants."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._number = 0
        self._names = dict(names)

    def _line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def _block(self, header: str) -> Iterator[None]:
        self._line(header)
        self._depth += 1
        yield
        self._depth -= 1

    def _new(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number}"

    def _constant(self, kind: str, value: Any) -> str:
        name = self._new(kind)
        self._names[name] = value
        return name
