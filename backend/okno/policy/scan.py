"""Reads policy files as text: where each rule and fact stands, and what rules may not be written with.

Oso keeps no positions that its interface would tell, so the lines come from here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

# Of white space only what Oso skips too: it takes others for a part of a name
_TOKEN = re.compile(
    r"""(?:[ \t\r\n]+|\#[^\n\r]*)*
      (?: (?P<text>"(?:[^"\\]|\\(?s:.))*")
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z0-9_]+)*)
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<sign>\?=|:=|==|!=|<=|>=|[^ \t\r\n\#]) )?""",
    re.VERBOSE,
)
_NEWLINE = re.compile("\n")


class Token(NamedTuple):
    """A word of Polar. A tuple: 500 rules have 35,000 of them."""

    kind: str
    text: str
    line: int
    start: int

    @property
    def value(self) -> str:
        """A string's content; of other tokens the token."""
        if self.kind != "text":
            return self.text
        return self.text[1:-1].replace('\\"', '"').replace("\\\\", "\\")


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of Polar, up to its semicolon. `name` is "" for what is neither a rule nor a fact."""

    file: str
    line: int
    name: str
    arguments: tuple[tuple[Token, ...], ...]
    body: tuple[Token, ...]
    span: tuple[int, int]

    def strings(self) -> Iterator[str]:
        """All strings that occur in it."""
        for part in (*self.arguments, self.body):
            yield from (token.value for token in part if token.kind == "text")

    def literal(self, position: int) -> str | None:
        """The argument, if it is one string."""
        if position >= len(self.arguments):
            return None
        tokens = self.arguments[position]
        return tokens[0].value if len(tokens) == 1 and tokens[0].kind == "text" else None

    def typed(self, position: int) -> tuple[str, str] | None:
        """The argument's variable and class, if it is written `variable: Class`."""
        if position >= len(self.arguments):
            return None
        tokens = self.arguments[position]
        if len(tokens) == 3 and tokens[1].text == ":" and tokens[0].kind == tokens[2].kind == "name":
            return tokens[0].text, tokens[2].text
        return None


def scan(file: str, text: str) -> list[Statement]:
    """The statements of one file. Never raises: what is not Polar is left to Oso to refuse."""
    statements: list[Statement] = []
    current: list[Token] = []
    for token in _tokens(text):
        if token.text == ";":
            if current:
                statements.append(_statement(file, current, token.start + 1))
            current = []
        else:
            current.append(token)
    if current:
        statements.append(_statement(file, current, len(text)))
    return statements


def _tokens(text: str) -> Iterator[Token]:
    newlines = [match.start() for match in _NEWLINE.finditer(text)]
    newlines.append(len(text) + 1)
    new, line, line_end = tuple.__new__, 0, newlines[0]
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind is not None:
            start = match.start(kind)
            while start > line_end:
                line += 1
                line_end = newlines[line]
            yield new(Token, (kind, match[kind], line + 1, start))


def _statement(file: str, tokens: list[Token], end_offset: int) -> Statement:
    first = tokens[0]
    span = (first.start, end_offset)
    if first.kind != "name" or len(tokens) < 2 or tokens[1].text != "(":
        return Statement(file, first.line, "", (), tuple(tokens), span)
    arguments: list[tuple[Token, ...]] = []
    argument: list[Token] = []
    depth = 0
    end = len(tokens)
    for index, token in enumerate(tokens[1:], start=1):
        if token.text in ("(", "[", "{"):
            depth += 1
            if depth == 1:
                continue
        if token.text in (")", "]", "}"):
            depth -= 1
            if depth == 0:
                end = index + 1
                break
        if token.text == "," and depth == 1:
            arguments.append(tuple(argument))
            argument = []
        else:
            argument.append(token)
    if depth:  # Oso does not see facts of levels, so that this has to be seen here
        return Statement(file, first.line, "", (), tuple(tokens), span)
    if argument:
        arguments.append(tuple(argument))
    return Statement(file, first.line, first.text, tuple(arguments), tuple(tokens[end:]), span)


def without(text: str, statements: list[Statement]) -> str:
    """The text with these statements blanked out; what remains stays on its line."""
    for statement in statements:
        start, end = statement.span
        text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
    return text
