"""What a rule asks of the person and of the row, before either is known: for checking and for explaining.

A decision needs only the row's part, see `condition`; this tree also keeps the person's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from uuid import UUID

from okno.policy.condition import (
    FALSE,
    TRUE,
    Compare,
    Condition,
    Facts,
    all_of,
    any_of,
    describe,
    evaluate,
)
from okno.policy.model import Rights


@dataclass(frozen=True, slots=True)
class PersonHas:
    """`"support" in p.roles`, or its negation."""

    attribute: str
    value: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InPersons:
    """`e.country in p.countries`: the row's attribute is one of the person's list."""

    attribute: str
    of: str


@dataclass(frozen=True, slots=True)
class Every:
    """True when every term is; with no terms, true."""

    terms: tuple["Requirement", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """True when one term is; with no terms, false."""

    terms: tuple["Requirement", ...]


Leaf = PersonHas | InPersons | Compare
Requirement = Every | Either | PersonHas | InPersons | Compare


@dataclass(frozen=True, slots=True)
class Symbolic:
    """A rule's `text`, "id: sentence", with what it asks before anybody is known, for one field, operation or page."""

    field: str
    text: str
    requirement: Requirement


ALWAYS = Every(())
NEVER = Either(())


def every(terms: Iterable[Requirement]) -> Requirement:
    """The conjunction, flat and without repetition."""
    flat: dict[Requirement, None] = {}
    for term in terms:
        for part in term.terms if isinstance(term, Every) else (term,):
            if part == NEVER:
                return NEVER
            flat[part] = None
    return next(iter(flat)) if len(flat) == 1 else Every(tuple(flat))


def either(terms: Iterable[Requirement]) -> Requirement:
    """The disjunction, flat and without repetition."""
    flat: dict[Requirement, None] = {}
    for term in terms:
        for part in term.terms if isinstance(term, Either) else (term,):
            if part == ALWAYS:
                return ALWAYS
            flat[part] = None
    return next(iter(flat)) if len(flat) == 1 else Either(tuple(flat))


def specialise(requirement: Requirement, rights: Rights) -> Condition:
    """What remains of the row's part once the person is known. Oso answers the same; tests compare the two."""
    return Specialiser(rights).condition(requirement)


class Specialiser:
    """`specialise` for one person and many requirements, whose common parts are worked out once.

    A requirement is known by its identity, so it has to live at least as long.
    """

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self._known: dict[int, Condition] = {}

    def condition(self, requirement: Requirement) -> Condition:
        """The condition on the row: TRUE, FALSE, or what has to be asked of it."""
        match requirement:
            case Compare():
                return requirement
            case PersonHas(attribute, value, negated):
                return TRUE if (value in getattr(self._rights, attribute)) != negated else FALSE
        found = self._known.get(id(requirement))
        if found is None:
            found = self._known[id(requirement)] = self._condition(requirement)
        return found

    def _condition(self, requirement: Every | Either | InPersons) -> Condition:
        if isinstance(requirement, InPersons):
            values = sorted(getattr(self._rights, requirement.of))
            return any_of(Compare(requirement.attribute, "=", value) for value in values)
        decisive = FALSE if isinstance(requirement, Every) else TRUE
        terms: list[Condition] = []
        # What the person lacks is seen at once, mostly; the rest of such a rule is not looked at
        for term in requirement.terms:
            condition = self.condition(term)
            if condition == decisive:
                return decisive
            terms.append(condition)
        return all_of(terms) if isinstance(requirement, Every) else any_of(terms)


def ways(requirement: Requirement) -> Iterator[tuple[Leaf, ...]]:
    """The ways to satisfy it: each a set of terms that must all hold (disjunctive form)."""
    match requirement:
        case Every(terms):
            for combination in product(*(tuple(ways(term)) for term in terms)):
                yield tuple(dict.fromkeys(leaf for way in combination for leaf in way))
        case Either(terms):
            for term in terms:
                yield from ways(term)
        case _:
            yield (requirement,)


def leaves(requirement: Requirement) -> Iterable[Leaf]:
    """Every comparison that occurs in it."""
    if isinstance(requirement, Every | Either):
        return [leaf for term in requirement.terms for leaf in leaves(term)]
    return [requirement]


def holds(leaf: Leaf, rights: Rights, facts: Facts | None, me: UUID | None) -> bool | None:
    """Whether one term holds; None when it depends on a row and no row is given."""
    if isinstance(leaf, PersonHas):
        return (leaf.value in getattr(rights, leaf.attribute)) != leaf.negated
    if facts is None:
        return None
    if isinstance(leaf, InPersons):
        return facts.get(leaf.attribute) in getattr(rights, leaf.of)
    return evaluate(leaf, facts, me)


# What a person can do about it, or wait for, is said in words as well
_OF_REQUEST = {
    "second_factor": "a second factor proven lately",
    "working_hours": "a time within the team's working hours",
}


def phrase(leaf: Leaf) -> str:
    """The term as a sentence's part: `"support" in the person's roles`, `country = "RU"`."""
    if isinstance(leaf, PersonHas):
        term = f'"{leaf.value}" {"not in" if leaf.negated else "in"} the person\'s {leaf.attribute}'
        words = _OF_REQUEST.get(leaf.value) if leaf.attribute == "facts" and not leaf.negated else None
        return f"{words} ({term})" if words else term
    if isinstance(leaf, InPersons):
        return f"{leaf.attribute} in the person's {leaf.of}"
    return describe(leaf)
