"""The filter grammar of SCIM: RFC 7644, 3.4.2.2. Text to a tree; `sql.py` compiles it, `matches` evaluates it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from okno.sandbox.records import fold
from okno.sandbox.scim.errors import invalid_filter, invalid_path
from okno.sandbox.scim.schema import Attribute, AttributePath

OPERATORS = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"})
_MAX_DEPTH, _MAX_LENGTH = 30, 8000


@dataclass(frozen=True, slots=True)
class Compare:
    path: AttributePath
    operator: str
    value: str | bool | int | float | None


@dataclass(frozen=True, slots=True)
class Present:
    path: AttributePath


@dataclass(frozen=True, slots=True)
class All:
    terms: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Some:
    terms: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: "Filter"


@dataclass(frozen=True, slots=True)
class ValuePath:
    """`emails[type eq "work"]`: some value of `path` meets `term`."""

    path: AttributePath
    term: "Filter"


Filter = Compare | Present | All | Some | Not | ValuePath


@dataclass(frozen=True, slots=True)
class PatchPath:
    """The path of a PATCH operation: RFC 7644, figure 1. `uri` alone stands for a whole extension."""

    path: AttributePath
    condition: Filter | None


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])
    | (?P<word>urn:[\w.:\-]+(?:\.\$ref)?|[A-Za-z$][\w$\-]*(?:\.[A-Za-z$][\w$\-]*)?)
    | (?P<sign>[()\[\]])
    | (?P<tail>\.[A-Za-z$][\w$\-]*)
    )""",
    re.VERBOSE,
)


def parse_filter(text: str) -> Filter:
    """Parses a whole filter.

    Raises:
        ScimError: invalidFilter, with the place.
    """
    parser = _Parser(text)
    tree = parser.either(0)
    parser.end()
    return tree


def parse_path(text: str) -> PatchPath:
    """Parses the path of a PATCH operation.

    Raises:
        ScimError: invalidPath.
    """
    try:
        parser = _Parser(text)
        path = parser.path()
        condition = None
        if parser.take("sign", "["):
            condition = parser.either(1)
            parser.expect("]")
            if tail := parser.take("tail"):
                if path.sub is not None:
                    raise parser.wrong("a sub-attribute twice")
                path = AttributePath(path.uri, path.name, tail[1:])
        parser.end()
    except Exception as error:
        raise invalid_path(f"path {text!r}: {error}") from error
    return PatchPath(path, condition)


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > _MAX_LENGTH:
            raise invalid_filter(f"A filter has at most {_MAX_LENGTH} characters.")
        self._tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise invalid_filter(f"cannot read the filter at character {position + 1}")
            assert match.lastgroup is not None
            self._tokens.append((match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
            position = match.end()
        self._at = 0

    def either(self, depth: int) -> Filter:
        terms = [self._both(depth)]
        while self._keyword("or"):
            terms.append(self._both(depth))
        return terms[0] if len(terms) == 1 else Some(tuple(terms))

    def _both(self, depth: int) -> Filter:
        terms = [self._term(depth)]
        while self._keyword("and"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else All(tuple(terms))

    def _term(self, depth: int) -> Filter:
        if depth > _MAX_DEPTH:
            raise invalid_filter(f"A filter nests at most {_MAX_DEPTH} deep.")
        if self._keyword("not"):
            self.expect("(")
            inner = self.either(depth + 1)
            self.expect(")")
            return Not(inner)
        if self.take("sign", "("):
            inner = self.either(depth + 1)
            self.expect(")")
            return inner
        path = self.path()
        if self.take("sign", "["):
            inner = self.either(depth + 1)
            self.expect("]")
            return ValuePath(path, inner)
        operator = (self.take("word") or "").lower()
        if operator == "pr":
            return Present(path)
        if operator not in OPERATORS:
            raise self.wrong("an operator (eq ne co sw ew gt ge lt le pr)", back=1 if operator else 0)
        return Compare(path, operator, self._value())

    def _value(self) -> str | bool | int | float | None:
        if (text := self.take("string")) is not None:
            try:
                decoded: str = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise self.wrong("a JSON string", back=1) from error
            return decoded
        if (text := self.take("number")) is not None:
            return float(text) if any(letter in text for letter in ".eE") else int(text)
        word = (self.take("word") or "").lower()
        if word in ("true", "false"):
            return word == "true"
        if word == "null":
            return None
        raise self.wrong('a value ("text", a number, true, false, null)', back=1 if word else 0)

    def path(self) -> AttributePath:
        word = self.take("word")
        if word is None:
            raise self.wrong("an attribute")
        return split_path(word)

    def take(self, kind: str, text: str | None = None) -> str | None:
        if self._at < len(self._tokens):
            found, token, _ = self._tokens[self._at]
            if found == kind and (text is None or token == text):
                self._at += 1
                return token
        return None

    def expect(self, sign: str) -> None:
        if self.take("sign", sign) is None:
            raise self.wrong(sign)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self.wrong("the end")

    def wrong(self, expected: str, back: int = 0) -> Exception:
        at = self._at - back
        place = f"at character {self._tokens[at][2] + 1}" if at < len(self._tokens) else "at the end"
        return invalid_filter(f"expected {expected} {place}")

    def _keyword(self, word: str) -> bool:
        if self._at < len(self._tokens):
            kind, text, _ = self._tokens[self._at]
            if kind == "word" and text.lower() == word:
                self._at += 1
                return True
        return False


def split_path(word: str) -> AttributePath:
    """`urn:…:User:name.familyName` or `name.familyName`. The last colon ends the URI; versions like 2.0 stand before it."""
    uri = None
    if word[:4].lower() == "urn:":
        uri, _, word = word.rpartition(":")
    name, _, sub = word.partition(".")
    return AttributePath(uri, name, sub or None)


def matches(tree: Filter, value: Any, attribute: Attribute) -> bool:
    """Whether one value of the complex, multi-valued `attribute` meets the tree (the brackets of a value path).

    Raises:
        ScimError: invalidFilter, for an unknown sub-attribute.
    """
    match tree:
        case All(terms):
            return all(matches(term, value, attribute) for term in terms)
        case Some(terms):
            return any(matches(term, value, attribute) for term in terms)
        case Not(term):
            return not matches(term, value, attribute)
        case Present(path):
            return _read(path, value, attribute)[0] not in (None, "", [], {})
        case Compare(path, operator, wanted):
            actual, exact = _read(path, value, attribute)
            return compare(actual, operator, wanted, exact=exact)
        case ValuePath():
            raise invalid_filter("brackets cannot stand in brackets")


def _read(path: AttributePath, value: Any, attribute: Attribute) -> tuple[Any, bool]:
    sub = attribute.sub.get(path.name.lower())
    if sub is None or path.sub is not None:
        raise invalid_filter(f"{attribute.name} has no sub-attribute {path}")
    return (value.get(sub.name) if isinstance(value, Mapping) else None), sub.case_exact


def compare(actual: Any, operator: str, wanted: Any, *, exact: bool) -> bool:
    """One comparison of RFC 7644, table 3; strings without case unless `exact`."""
    if operator == "ne":
        return not compare(actual, "eq", wanted, exact=exact)
    if wanted is None or actual is None:
        return actual is wanted and operator == "eq"
    if isinstance(actual, str) and isinstance(wanted, str):
        left, right = (actual, wanted) if exact else (fold(actual), fold(wanted))
        results = {
            "eq": left == right, "co": right in left, "sw": left.startswith(right), "ew": left.endswith(right),
            "gt": left > right, "ge": left >= right, "lt": left < right, "le": left <= right,
        }  # fmt: skip
        return results[operator]
    return operator == "eq" and type(actual) is type(wanted) and bool(actual == wanted)
