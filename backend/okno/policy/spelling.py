"""Conditions as policy files spell them, and back: what a reviewer reads in a table can be decided by."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from uuid import UUID

from okno.errors import ConfigurationError
from okno.policy.condition import (
    FALSE,
    ME,
    TRUE,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Facts,
    Scalar,
    all_of,
    any_of,
    evaluate,
)
from okno.policy.model import OWN_ID, PERSON_LISTS, Rights

# What a condition may ask of a person who is not known, as if it were an attribute of the row; no row has such names
_HAS = "p."  # p.facts:second_factor
_AMONG = "@"  # country@countries

_VARIABLE = {"Employee": "e", "JournalRecord": "r", "OwnHistory": "h", "Okno": "o"}
_TOKEN = re.compile(r'\s*(?:(?P<text>"[^"]*")|(?P<sign>!=|[=\[\](),])|(?P<word>[A-Za-z_][\w.]*|-?\d+))')


def person_has(attribute: str, value: str, *, negated: bool = False) -> Compare:
    """A term about the person or the request: `"second_factor" in p.facts`."""
    return Compare(f"{_HAS}{attribute}:{value}", "=", not negated)


def in_persons(attribute: str, of: str) -> Compare:
    """A term about the row and the person: `e.country in p.countries`."""
    return Compare(f"{attribute}{_AMONG}{of}", "=", True)


def is_of_row(compare: Compare) -> bool:
    """Whether a term asks the row, and not the person or the request."""
    return not compare.attribute.startswith(_HAS) and _AMONG not in compare.attribute


def spell(condition: Condition | None, resource: str) -> str:
    """The condition in the words of a policy file: `e.country in ["KZ", "RU"] and e.protected = false`.

    None, which asks nothing, is "always".
    """
    if condition is None or condition == TRUE:
        return "always"
    if condition == FALSE:
        return "never"
    return _spell(condition, resource)


def _spell(condition: Condition, resource: str) -> str:
    if isinstance(condition, Compare):
        return _compare(condition, resource)
    if isinstance(condition, AnyOf):
        condition = _factored(condition)
    word = " and " if isinstance(condition, AllOf) else " or "
    parts = [
        f"({_spell(term, resource)})" if isinstance(term, AllOf | AnyOf) else _spell(term, resource)
        for term in condition.terms
    ]
    return word.join(parts)


def _factored(condition: AnyOf) -> AllOf | AnyOf:
    """What all alternatives ask is written once: `a and b or a and c` → `a and (b or c)`."""
    alternatives = [term.terms if isinstance(term, AllOf) else (term,) for term in condition.terms]
    shared = [part for part in alternatives[0] if all(part in terms for terms in alternatives)]
    if not shared:
        return condition
    rests = [tuple(part for part in terms if part not in shared) for terms in alternatives]
    return AllOf((*shared, AnyOf(tuple(rest[0] if len(rest) == 1 else AllOf(rest) for rest in rests))))


def _compare(compare: Compare, resource: str) -> str:
    value = compare.value
    holds = (value is True) == (compare.op == "=")
    if compare.attribute.startswith(_HAS):
        attribute, _, name = compare.attribute.removeprefix(_HAS).partition(":")
        return f'{"" if holds else "not "}"{name}" in p.{attribute}'
    if _AMONG in compare.attribute:
        attribute, _, of = compare.attribute.partition(_AMONG)
        return f"{'' if holds else 'not '}{_VARIABLE[resource]}.{attribute} in p.{of}"
    left = f"{_VARIABLE[resource]}.{compare.attribute}"
    if value is ME:
        return f"{left} {compare.op} p.{OWN_ID[resource]}"
    if isinstance(value, tuple):
        return f"{left} in [{', '.join(_literal(each) for each in value)}]"
    assert not isinstance(value, type(ME))
    return f"{left} {compare.op} {_literal(value)}"


def _literal(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def read(text: str) -> Condition:
    """The condition that `spell` wrote so.

    Raises:
        ConfigurationError: it is not written so.
    """
    if text == "always":
        return TRUE
    if text == "never":
        return FALSE
    reader = _Reader(text)
    condition = reader.any()
    reader.end()
    return condition


def holds(condition: Condition, rights: Rights, facts: Facts, me: UUID | None) -> bool:
    """Whether a condition that was read holds of a row for a person.

    Args:
        facts, me: as in `Decision.allows`.
    """
    known: dict[str, object] = dict(facts)
    for name in set(_attributes(condition)):
        if name.startswith(_HAS):
            attribute, _, value = name.removeprefix(_HAS).partition(":")
            known[name] = value in getattr(rights, attribute)
        elif _AMONG in name:
            attribute, _, of = name.partition(_AMONG)
            known[name] = facts.get(attribute) in getattr(rights, of)
    return evaluate(condition, known, me)


def resource_of(text: str) -> str:
    """Whose rows a spelled condition asks about."""
    asked = set(re.findall(r"\b([a-z])\.", re.sub(r'"[^"]*"', "", text)))
    return next((resource for resource, letter in _VARIABLE.items() if letter in asked), "Okno")


def of_member(condition: Condition, countries: Collection[str], team: str) -> Condition:
    """The condition for a member of a team, whose countries are known."""
    lists = {"countries": sorted(countries), "teams": [team]}
    if not isinstance(condition, Compare):
        terms = [of_member(term, countries, team) for term in condition.terms]
        return all_of(terms) if isinstance(condition, AllOf) else any_of(terms)
    if condition.attribute.startswith(_HAS):
        of, _, value = condition.attribute.removeprefix(_HAS).partition(":")
        if of in lists:
            return TRUE if (value in lists[of]) == (condition.value is True) else FALSE
    elif _AMONG in condition.attribute:
        attribute, _, of = condition.attribute.partition(_AMONG)
        return any_of(Compare(attribute, "=", value) for value in lists.get(of, ()))
    return condition


def _attributes(condition: Condition) -> Iterator[str]:
    if isinstance(condition, Compare):
        yield condition.attribute
        return
    for term in condition.terms:
        yield from _attributes(term)


@dataclass(slots=True)
class _Token:
    kind: str
    text: str


class _Reader:
    """Reads the few forms that `spell` writes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[_Token] = []
        place = 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if match is None:
                raise self._error()
            kind = match.lastgroup or ""
            self._tokens.append(_Token(kind, match[kind]))
            place = match.end()
        self._place = 0

    def any(self) -> Condition:
        terms = [self.all()]
        while self._taken("or"):
            terms.append(self.all())
        return any_of(terms)

    def all(self) -> Condition:
        terms = [self.one()]
        while self._taken("and"):
            terms.append(self.one())
        return all_of(terms)

    def one(self) -> Condition:
        if self._taken("("):
            inner = self.any()
            self._need(")")
            return inner
        negated = self._taken("not")
        token = self._next()
        if token.kind == "text":
            self._need("in")
            return person_has(self._list(), token.text[1:-1], negated=negated)
        _, dot, attribute = token.text.partition(".")
        if token.kind != "word" or not dot or negated:
            raise self._error()
        return self._comparison(attribute)

    def _list(self) -> str:
        name = self._next().text
        if name.removeprefix("p.") not in PERSON_LISTS or not name.startswith("p."):
            raise self._error()
        return name.removeprefix("p.")

    def _comparison(self, attribute: str) -> Condition:
        op = self._next().text
        if op == "in":
            if not self._taken("["):
                return in_persons(attribute, self._list())
            values = [self._scalar(self._next())]
            while self._taken(","):
                values.append(self._scalar(self._next()))
            self._need("]")
            return any_of(Compare(attribute, "=", each) for each in values)
        value = self._next()
        own = value.text in {f"p.{name}" for name in OWN_ID.values()}
        other = ME if own else self._scalar(value)
        if op == "=":
            return Compare(attribute, "=", other)
        if op == "!=":
            return Compare(attribute, "!=", other)
        raise self._error()

    def end(self) -> None:
        if self._place < len(self._tokens):
            raise self._error()

    def _scalar(self, token: _Token) -> Scalar:
        if token.kind == "text":
            return token.text[1:-1]
        if token.text in ("true", "false"):
            return token.text == "true"
        if token.text.lstrip("-").isdigit():
            return int(token.text)
        raise self._error()

    def _next(self) -> _Token:
        if self._place == len(self._tokens):
            raise self._error()
        self._place += 1
        return self._tokens[self._place - 1]

    def _taken(self, text: str) -> bool:
        if self._place < len(self._tokens) and self._tokens[self._place].text == text:
            self._place += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._taken(text):
            raise self._error()

    def _error(self) -> ConfigurationError:
        return ConfigurationError(
            f"the condition {self._text!r} cannot be read; write the table anew with `okno policy matrix --update`"
        )
