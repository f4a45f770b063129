"""What a rule asks of the person and of the row, before either is known: for checking and for explaining.

A decision needs only the row's part, see `condition`; this tree also keeps the person's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from uuid import UUID

from okno.policy.condition import AllOf, AnyOf, Compare, Condition, Facts, all_of, any_of, describe, evaluate
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


def to_condition(requirement: Requirement) -> Condition | None:
    """The same as a condition on the row alone; None where it asks something of the person."""
    if isinstance(requirement, Compare):
        return requirement
    if isinstance(requirement, PersonHas | InPersons):
        return None
    terms = [to_condition(term) for term in requirement.terms]
    known = [term for term in terms if term is not None]
    if len(known) < len(terms):
        return None
    return all_of(known) if isinstance(requirement, Every) else any_of(known)


def specialise(requirement: Requirement, rights: Rights) -> Condition:
    """What remains of the row's part once the person is known. Oso answers the same; tests compare the two."""
    match requirement:
        case Compare():
            return requirement
        case PersonHas(attribute, value, negated):
            return AllOf(()) if (value in getattr(rights, attribute)) != negated else AnyOf(())
        case InPersons(attribute, of):
            return any_of(Compare(attribute, "=", value) for value in sorted(getattr(rights, of)))
        case Every(terms):
            return all_of(specialise(term, rights) for term in terms)
        case Either(terms):
            return any_of(specialise(term, rights) for term in terms)


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


def phrase(leaf: Leaf) -> str:
    """The term as a sentence's part: `"support" in the person's roles`, `country = "RU"`."""
    if isinstance(leaf, PersonHas):
        return f'"{leaf.value}" {"not in" if leaf.negated else "in"} the person\'s {leaf.attribute}'
    if isinstance(leaf, InPersons):
        return f"{leaf.attribute} in the person's {leaf.of}"
    return describe(leaf)
