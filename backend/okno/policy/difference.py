"""What changes between two tables of rights, and whether a changed condition admits more rows or fewer."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from uuid import UUID

from okno.policy.condition import ME, AllOf, AnyOf, Compare, Condition, any_of, compile_condition
from okno.policy.matrix import Access, Given
from okno.policy.names import Holder
from okno.policy.spelling import read

# Beyond so many combinations of values nobody waits for the answer
_MOST_CASES = 40_000
_ME, _OTHER = UUID(int=1), UUID(int=2)


class ChangeKind(StrEnum):
    """What becomes of one right."""

    GAINS = "gains"
    LOSES = "loses"
    WIDER = "wider"
    NARROWER = "narrower"
    OTHER_ROWS = "other rows"
    OTHER_RULE = "other rule"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that one holder may do under another condition, or by another rule, than before."""

    holder: Holder
    kind: ChangeKind
    action: str
    thing: str
    before: tuple[Given, ...]
    after: tuple[Given, ...]


def compare(holder: Holder, before: Iterable[Access], after: Iterable[Access]) -> Iterator[Change]:
    """The differences of two tables of one holder, in the order of the tables; what is denied may be left out of them."""
    old = {(each.action, each.thing): each.given for each in before if each.given}
    new = {(each.action, each.thing): each.given for each in after if each.given}
    for key in {**new, **old}:
        one, other = old.get(key, ()), new.get(key, ())
        if frozenset(one) != frozenset(other):
            yield Change(holder, _kind(one, other), *key, one, other)


def _kind(before: tuple[Given, ...], after: tuple[Given, ...]) -> ChangeKind:
    if not before:
        return ChangeKind.GAINS
    if not after:
        return ChangeKind.LOSES
    old, new = _condition(before), _condition(after)
    if old == new:
        return ChangeKind.OTHER_RULE
    more, less = _differences(old, new)
    if more and not less:
        return ChangeKind.WIDER
    if less and not more:
        return ChangeKind.NARROWER
    return ChangeKind.OTHER_ROWS if more else ChangeKind.OTHER_RULE


def _condition(given: Iterable[Given]) -> Condition:
    return any_of(read(each.when or "always") for each in given)


def _differences(old: Condition, new: Condition) -> tuple[bool, bool]:
    """Whether there are rows that only the new condition admits, and rows that only the old one does.

    Decided by trying every combination of the values that either of them names, one that neither names, and the unknown.
    With too many of them the answer is both.
    """
    choices: dict[str, dict[object, None]] = {}
    for compare in (*_compares(old), *_compares(new)):
        values = choices.setdefault(compare.attribute, {})
        if compare.value is ME:
            values.update(dict.fromkeys((_ME, _OTHER)))
        elif isinstance(compare.value, bool):
            values.update(dict.fromkeys((True, False)))
        elif isinstance(compare.value, tuple):
            values.update(dict.fromkeys((*compare.value, "(another)")))
        else:
            values.update(dict.fromkeys((compare.value, "(another)")))
    for values in choices.values():
        values[None] = None
    cases = 1
    for values in choices.values():
        cases *= len(values)
    if cases > _MOST_CASES:
        return True, True
    was, is_ = compile_condition(old), compile_condition(new)
    more = less = False
    for row in product(*choices.values()):
        facts: Mapping[str, object] = dict(zip(choices, row, strict=True))
        one, other = was(facts, _ME), is_(facts, _ME)
        more, less = more or (other and not one), less or (one and not other)
        if more and less:
            break
    return more, less


def _compares(condition: Condition) -> Iterator[Compare]:
    if isinstance(condition, Compare):
        yield condition
    elif isinstance(condition, AllOf | AnyOf):
        for term in condition.terms:
            yield from _compares(term)


@dataclass(frozen=True, slots=True)
class Group:
    """Changes that are the same but for who and what: one entry of a review."""

    kind: ChangeKind
    action: str
    before: tuple[Given, ...]
    after: tuple[Given, ...]
    things: tuple[str, ...]
    holders: tuple[Holder, ...]


def grouped(changes: Iterable[Change]) -> list[Group]:
    """First the things of one holder that change alike, then the holders for whom that is so; gains first."""
    by_holder: dict[
        tuple[Holder, ChangeKind, str, tuple[Given, ...], tuple[Given, ...]], dict[str, None]
    ] = {}
    for each in changes:
        key = (each.holder, each.kind, each.action, each.before, each.after)
        by_holder.setdefault(key, {})[each.thing] = None
    groups: dict[
        tuple[ChangeKind, str, tuple[Given, ...], tuple[Given, ...], tuple[str, ...]], list[Holder]
    ] = {}
    for (holder, kind, action, before, after), things in by_holder.items():
        groups.setdefault((kind, action, before, after, tuple(things)), []).append(holder)
    order = list(ChangeKind)
    found = [Group(*key, tuple(held)) for key, held in groups.items()]
    return sorted(found, key=lambda each: order.index(each.kind))
