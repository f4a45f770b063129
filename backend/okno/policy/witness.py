"""Holds what was read of each rule against Oso, with people and rows made for it: some that satisfy it, some that just miss.

Decisions are read from the rules by code of our own (`reading`). Whoever writes policy files need not trust it: the rules
of these very files are asked of Oso too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from uuid import UUID

from okno.policy.condition import Compare, Me
from okno.policy.model import FACTS, FLAGS, RESOURCES, UUIDS, Problem, Rights, Rule
from okno.policy.reading import Reading
from okno.policy.requirement import InPersons, Leaf, PersonHas, Requirement, holds, phrase, ways
from okno.policy.service import Policy

_ME = UUID("00000000-0000-4000-8000-0000000000aa")
_SOMEONE = UUID("00000000-0000-4000-8000-0000000000bb")
_OTHER = "(none of those)"
_MOST_WAYS = 8

Witness = tuple[Rights, Mapping[str, object]]


def disagreements(policy: Policy) -> Iterator[Problem]:
    """Rules that Oso judges otherwise than they were read; none, unless there is a mistake in Okno.

    Takes some milliseconds a rule.
    """
    by_rule: dict[str, list[Reading]] = {}
    for readings in policy.readings.values():
        for reading in readings:
            by_rule.setdefault(reading.rule.id, []).append(reading)
    for rule_id, readings in by_rule.items():
        rule = policy.rules[rule_id]
        for reading in readings:
            field = policy.names_of(reading.fields[0])[0]
            asked = [one.requirement for one in readings if reading.fields[0] in one.fields]
            for rights, row in _witnesses(reading.requirement, rule.resource):
                read = any(_satisfied(one, rights, row) for one in asked)
                said = policy.permits_by(rule, rights, field, row, own_id=_ME)
                if read is not said:
                    yield _problem(rule, reading.requirement, rights, row, read=read)
                    break


def _satisfied(requirement: Requirement, rights: Rights, row: Mapping[str, object]) -> bool:
    return any(all(holds(leaf, rights, row, _ME) for leaf in way) for way in ways(requirement))


def _witnesses(requirement: Requirement, resource: str) -> Iterator[Witness]:
    """For each way to satisfy it one person and row that do, and one for each term that do so but for the term.

    Of the first way also some that differ in what no term is about: a term may have been overlooked.
    """
    for number, way in enumerate(islice(ways(requirement), _MOST_WAYS)):
        rights, row = _made(dict.fromkeys(way, True), resource)
        yield rights, row
        for leaf in way:
            yield _made({**dict.fromkeys(way, True), leaf: False}, resource)
        if number == 0:
            yield replace(rights, facts=rights.facts | FACTS), row
            for name in sorted(RESOURCES[resource]):
                other = _ME if name in UUIDS else True if name in FLAGS else "(another)"
                yield rights, {**row, name: other}


def _made(wanted: Mapping[Leaf, bool], resource: str) -> Witness:
    """A person and a row of whom these terms are true or false, as far as they do not contradict one another."""
    lists: dict[str, set[str]] = {name: set() for name in ("roles", "teams", "countries", "facts", "scopes")}
    row: dict[str, object] = {
        name: _SOMEONE if name in UUIDS else False if name in FLAGS else _OTHER
        for name in RESOURCES[resource]
    }
    for leaf, hold in wanted.items():
        if isinstance(leaf, PersonHas) and leaf.negated is not hold:
            lists[leaf.attribute].add(leaf.value)
        if isinstance(leaf, Compare):
            row[leaf.attribute] = _value(leaf, hold, row[leaf.attribute])
    for leaf, hold in wanted.items():
        if isinstance(leaf, InPersons) and hold:
            lists[leaf.of].add(str(row[leaf.attribute]))
    for leaf, hold in wanted.items():
        if isinstance(leaf, InPersons) and not hold:
            lists[leaf.of].discard(str(row[leaf.attribute]))
    rights = Rights(
        roles=frozenset(lists["roles"]),
        teams=frozenset(lists["teams"]),
        countries=frozenset(lists["countries"]),
        facts=frozenset(lists["facts"]),
        scopes=frozenset(lists["scopes"]),
    )
    return rights, row


def _value(leaf: Compare, hold: bool, now: object) -> object:
    """What the row has to say for the comparison to hold, or not to."""
    equal = (leaf.op != "!=") is hold
    if isinstance(leaf.value, Me):
        return _ME if equal else _SOMEONE
    values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    if leaf.attribute in FLAGS:
        flag = values[0] is True
        return flag if equal else not flag
    if equal:
        return now if now in values else values[0]
    return _OTHER if now in values else now


def _problem(
    rule: Rule, requirement: Requirement, rights: Rights, row: Mapping[str, object], *, read: bool
) -> Problem:
    asked = "; or ".join(" and ".join(map(phrase, way)) for way in islice(ways(requirement), 3))
    message = (
        f"rule {rule.id} was read as: {asked}; Oso says {'no' if read else 'yes'} where that says "
        f"{'yes' if read else 'no'} ({rights}, {dict(row)}); write the condition in another way, and report this"
    )
    return Problem(rule.file, rule.line, "misread", message)
