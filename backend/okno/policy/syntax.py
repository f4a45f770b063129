"""Rules as trees: the small part of Polar in which policies are written, read from the tokens of `scan`.

Oso has accepted the files before; what it accepts and this does not know is refused, never guessed at.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from okno.policy.scan import Statement, Token

Value = str | int | bool | None

_RELATIONS = frozenset({"=", "==", ":=", "!=", "in"})
_WORDS = frozenset({"and", "or", "not", "in", "if"})
# Constants to Oso, so that they match hardly anything; read as variables they would match everything
_NO_VARIABLES = frozenset({"true", "false", "nil", "inf", "nan"})
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {'"': '"', "\\": "\\", "n": "\n", "t": "\t", "r": "\r"}


class Unreadable(Exception):
    """A construct that has no compiled form. `code` as in `Problem`."""

    def __init__(self, message: str, *, code: str = "cannot-compile") -> None:
        super().__init__(message)
        self.message, self.code = message, code


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that stands for something; "_" for anything, each time anew."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    value: Value


@dataclass(frozen=True, slots=True)
class Dot:
    """`variable.attribute`"""

    variable: str
    attribute: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    terms: tuple["Term", ...]


Term = Variable | Constant | Dot | Items


@dataclass(frozen=True, slots=True)
class Call:
    """Another rule is to hold."""

    name: str
    arguments: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """`left op right`; the operator is =, ==, :=, != or in."""

    op: str
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Both:
    goals: tuple["Goal", ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    goals: tuple["Goal", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    goal: "Goal"


Goal = Call | Relation | Both | OneOf | Negation


@dataclass(frozen=True, slots=True)
class Parameter:
    """A term of a rule's head; `kind` is the class behind its colon."""

    term: Term
    kind: str | None


@dataclass(frozen=True, slots=True)
class Clause:
    """A rule: it holds for these parameters if its body does; without a body, always."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Goal


def read_clause(statement: Statement) -> Clause:
    """The rule that a statement is.

    Raises:
        Unreadable: it is written with what has no compiled form.
    """
    parameters = tuple(_parameter(argument) for argument in statement.arguments)
    if not statement.body:
        return Clause(statement.name, parameters, Both(()))
    if statement.body[0].text != "if":
        raise Unreadable(f"expected `if` behind the head, not {statement.body[0].text}", code="syntax")
    return Clause(statement.name, parameters, _Parser(statement.body[1:]).all())


def constants(statement: Statement) -> tuple[Value, ...] | None:
    """The arguments of a fact, a statement of constants without a body; None for any other."""
    if statement.body:
        return None
    values = []
    for argument in statement.arguments:
        if len(argument) != 1 or argument[0].kind not in ("text", "number"):
            return None
        try:
            term = _Parser(argument).term()
        except Unreadable:
            return None  # whoever asks for it is refused
        if not isinstance(term, Constant):
            return None
        values.append(term.value)
    return tuple(values)


def _parameter(tokens: Sequence[Token]) -> Parameter:
    if len(tokens) == 3 and tokens[1].text == ":" and tokens[0].kind == tokens[2].kind == "name":
        return Parameter(_variable(tokens[0].text), tokens[2].text)
    return Parameter(_Parser(tokens).only_term(), None)


class _Parser:
    """Recursive descent: `or` below `and` below `not` below one relation."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def all(self) -> Goal:
        goal = self._or()
        self._end()
        return goal

    def only_term(self) -> Term:
        term = self.term()
        self._end()
        return term

    def _end(self) -> None:
        if self._next < len(self._tokens):
            raise Unreadable(f"{self._tokens[self._next].text} is not understood here; use and, or, not")

    def _peek(self) -> str:
        return self._tokens[self._next].text if self._next < len(self._tokens) else ""

    def _take(self) -> Token:
        if self._next >= len(self._tokens):
            raise Unreadable("the condition breaks off", code="syntax")
        self._next += 1
        return self._tokens[self._next - 1]

    def _expect(self, text: str) -> None:
        token = self._take()
        if token.text != text:
            raise Unreadable(f"expected {text}, not {token.text}")

    def _or(self) -> Goal:
        goals = [self._and()]
        while self._peek() == "or":
            self._next += 1
            goals.append(self._and())
        return goals[0] if len(goals) == 1 else OneOf(tuple(goals))

    def _and(self) -> Goal:
        goals = [self._not()]
        while self._peek() == "and":
            self._next += 1
            goals.append(self._not())
        return goals[0] if len(goals) == 1 else Both(tuple(goals))

    def _not(self) -> Goal:
        if self._peek() == "not":
            self._next += 1
            return Negation(self._not())
        if self._peek() == "(":
            self._next += 1
            goal = self._or()
            self._expect(")")
            return goal
        return self._relation()

    def _relation(self) -> Goal:
        token = self._tokens[self._next] if self._next < len(self._tokens) else self._take()
        after = self._tokens[self._next + 1].text if self._next + 1 < len(self._tokens) else ""
        if token.kind == "name" and after == "(" and token.text not in _WORDS:
            self._next += 1
            return Call(token.text, self._list("(", ")"))
        if token.text in ("true", "false") and after not in _RELATIONS:
            self._next += 1
            return Both(()) if token.text == "true" else OneOf(())
        left = self.term()
        op = self._peek()
        if op not in _RELATIONS:
            raise Unreadable(f"{token.text}: a condition compares with =, != or in, or names a rule")
        self._next += 1
        right = self.term()
        if self._peek() in _RELATIONS:
            raise Unreadable(f"{op} … {self._peek()}: one comparison at a time; put parentheses, or `and`")
        return Relation(op, left, right)

    def term(self) -> Term:
        token = self._take()
        if token.kind == "text":
            return Constant(text_of(token.text))
        if token.kind == "number":
            if not token.text.isdigit():
                raise Unreadable(
                    f"comparison with {token.text}: constants are strings, whole numbers, true and false"
                )
            return Constant(int(token.text))
        if token.text == "[":
            self._next -= 1
            return Items(self._list("[", "]"))
        if token.kind != "name" or token.text in _WORDS:
            raise Unreadable(f"{token.text}: expected a name, a constant or a list")
        if token.text in ("true", "false"):
            return Constant(token.text == "true")
        if token.text == "nil":
            return Constant(None)
        if self._peek() == "(":
            raise Unreadable(f"{token.text}(…) is a condition, not a value")
        if self._peek() != ".":
            return _variable(token.text)
        self._next += 1
        attribute = self._take()
        if self._peek() in (".", "("):
            raise Unreadable(
                f"{token.text}.{attribute.text}{self._peek()}: only attributes are asked, no methods"
            )
        return Dot(token.text, attribute.text)

    def _list(self, opening: str, closing: str) -> tuple[Term, ...]:
        self._expect(opening)
        terms: list[Term] = []
        while self._peek() != closing:
            if terms:
                self._expect(",")
            terms.append(self.term())
        self._next += 1
        return tuple(terms)


def _variable(name: str) -> Variable:
    """A variable of this name. Classes stand for themselves; a capital letter is more often a string without quotes.

    Raises:
        Unreadable: the name is not a variable's.
    """
    if name in _NO_VARIABLES or name[0].isupper() or "::" in name:
        raise Unreadable(
            f"{name} is not a variable: these begin with a small letter, and a name of the schema is in quotes"
        )
    return Variable(name)


def text_of(literal: str) -> str:
    """What a string in quotes says.

    Raises:
        Unreadable: it has an escape that Polar does not have.
    """
    if "\\" not in literal:
        return literal[1:-1]

    def said(match: re.Match[str]) -> str:
        try:
            return _ESCAPED[match[1]]
        except KeyError:
            raise Unreadable(
                f'{literal}: the escape {match[0]} is not known; there are \\" and \\\\'
            ) from None

    return _ESCAPE.sub(said, literal[1:-1])
