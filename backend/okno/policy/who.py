"""Who may do one thing: teams, roles, services and people, and under which condition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from okno.policy.condition import FALSE, ME, TRUE, AllOf, Compare, Condition, Facts, all_of, any_of, evaluate
from okno.policy.matrix import Access, matrix
from okno.policy.names import Holder, HolderKind, Member, SchemaNames
from okno.policy.service import Policy
from okno.policy.spelling import is_of_row, read, spell

Manner = Literal["full", "masked"]


@dataclass(frozen=True, slots=True)
class Way:
    """How somebody may: in full or masked, by which rules, and on what it still depends; `when` None: on nothing."""

    manner: Manner
    rules: tuple[str, ...]
    when: str | None


@dataclass(frozen=True, slots=True)
class HolderMay:
    """A team, role or service that may, and how."""

    holder: Holder
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class MemberMay:
    """A person who may as a member of a team, and how."""

    member: Member
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about: one thing, and, with `facts`, one row."""

    action: str
    resource: str
    thing: str
    facts: Facts | None = None


def find_holders(
    policy: Policy, names: SchemaNames, asked: Asked, holders: Iterable[Holder]
) -> list[HolderMay]:
    """Of these the ones that may, in their order."""
    wanted = _only(names, asked)
    found = []
    for holder in holders:
        ways = _ways(matrix(policy, wanted, holder), asked, me=None)
        if ways:
            found.append(HolderMay(holder, ways))
    return found


def find_members(
    policy: Policy, names: SchemaNames, asked: Asked, teams: Iterable[Holder], members: Sequence[Member]
) -> list[MemberMay]:
    """Of these people the ones that may, by team and login. Whether it is oneself is known of each."""
    wanted = _only(names, asked)
    tables = {team.name: matrix(policy, wanted, team) for team in teams if team.kind is HolderKind.TEAM}
    found = []
    for member in sorted(members, key=lambda each: (each.team, each.login)):
        ways = _ways(tables.get(member.team, []), asked, me=member.employee_id)
        if ways:
            found.append(MemberMay(member, ways))
    return found


def _only(names: SchemaNames, asked: Asked) -> SchemaNames:
    """The names of the one thing, so that no table is made larger than the question."""
    thing = frozenset({asked.thing})
    field = asked.action in ("read", "mask", "match")
    return SchemaNames(
        fields=thing & names.fields if field else frozenset(),
        mutations=thing if asked.action == "write" else frozenset(),
        operations=thing if asked.action == "run" else frozenset(),
        pages=thing if asked.action == "use" else frozenset(),
    )


def _ways(table: Iterable[Access], asked: Asked, me: UUID | None) -> tuple[Way, ...]:
    ways = []
    for access in table:
        if access.action == asked.action:
            manner: Manner = "full"
        elif access.action == "mask" and asked.action == "read":
            manner = "masked"
        else:
            continue
        rules: dict[str, Condition] = {}
        for given in access.given:
            condition = read(given.when or "always")
            if asked.facts is not None:
                condition = settle(condition, asked.facts, me)
            if condition != FALSE:
                rules[given.rule] = condition
        certain = [rule for rule, condition in rules.items() if condition == TRUE]
        if certain:
            ways.append(Way(manner, tuple(certain), None))
        elif rules:
            ways.append(Way(manner, tuple(rules), spell(any_of(rules.values()), asked.resource)))
    full = next((way for way in ways if way.manner == "full" and way.when is None), None)
    return (full,) if full is not None else tuple(ways)


def settle(condition: Condition, facts: Facts, me: UUID | None) -> Condition:
    """What remains to be asked once the row is known; what depends on the request stays.

    Args:
        me: of whom is known who it is; None leaves comparisons with the own id.
    """
    if isinstance(condition, Compare):
        if not is_of_row(condition) or (condition.value is ME and me is None):
            return condition
        return TRUE if evaluate(condition, facts, me) else FALSE
    terms = [settle(term, facts, me) for term in condition.terms]
    return all_of(terms) if isinstance(condition, AllOf) else any_of(terms)
