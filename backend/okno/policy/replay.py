"""Which of the recorded decisions would be others under another policy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from okno.policy.condition import AllOf, Compare, Condition, evaluate
from okno.policy.decisions import Decided, FactItems, facts_of, outcome_of
from okno.policy.model import Decision, Outcome, Rights
from okno.policy.service import Policy

# How much one sees
_RANK = {"deny": 0, "mask": 1, "allow": 2}


class Verdict(StrEnum):
    """What becomes of a recorded decision."""

    SAME = "same"
    GAINS = "gains"
    LOSES = "loses"
    UNKNOWN = "cannot be told"


@dataclass(frozen=True, slots=True)
class Changed:
    """Decisions of one kind that would be others. `after` None: the policy asks for a fact that was not recorded, `missing`."""

    verdict: Verdict
    rights: Rights
    action: str
    things: tuple[str, ...]
    facts: FactItems
    before: str
    after: str | None
    decisions: int
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it. A decision on a row counts for each of its fields."""

    decisions: int
    versions: tuple[str, ...]
    changed: tuple[Changed, ...]

    def total(self, verdict: Verdict) -> int:
        """How many decisions this verdict is on."""
        if verdict is Verdict.SAME:
            return self.decisions - sum(each.decisions for each in self.changed)
        return sum(each.decisions for each in self.changed if each.verdict is verdict)


def replay(policy: Policy, recorded: Iterable[tuple[Decided, int]]) -> Replayed:
    """Decides again what was decided.

    Args:
        recorded: kinds of decisions, with how often each was made.

    Raises:
        PolicyError: a rule cannot be compiled for recorded rights.
    """
    total = 0
    versions: dict[str, None] = {}
    found: dict[tuple[Verdict, Rights, str, FactItems, str, str | None, tuple[str, ...]], dict[str, int]] = {}
    for decided, number in recorded:
        versions[decided.policy_version] = None
        table = policy.table(decided.rights, decided.action, decided.resource)
        known: dict[int, tuple[str | None, tuple[str, ...]]] = {}
        for thing in decided.things:
            total += number
            decision = table.decide(thing)
            after, missing = known.setdefault(id(decision), _decide(decision, decided.facts))
            if after == decided.outcome:
                continue
            key = (
                _verdict(decided.outcome, after),
                decided.rights,
                decided.action,
                decided.facts,
                decided.outcome,
                after,
                missing,
            )
            things = found.setdefault(key, {})
            things[thing] = things.get(thing, 0) + number
    return Replayed(total, tuple(sorted(versions)), tuple(_changed(found)))


def _changed(
    found: Mapping[
        tuple[Verdict, Rights, str, FactItems, str, str | None, tuple[str, ...]], Mapping[str, int]
    ],
) -> list[Changed]:
    """Things that were decided alike, equally often, together; losses first, the most frequent of them first."""
    changes = []
    for (verdict, rights, action, facts, before, after, missing), things in found.items():
        by_number: dict[int, list[str]] = {}
        for thing, number in sorted(things.items()):
            by_number.setdefault(number, []).append(thing)
        changes += [
            Changed(verdict, rights, action, tuple(names), facts, before, after, number * len(names), missing)
            for number, names in by_number.items()
        ]
    order = [Verdict.LOSES, Verdict.GAINS, Verdict.UNKNOWN]
    return sorted(
        changes,
        key=lambda each: (
            order.index(each.verdict),
            -each.decisions,
            each.things,
            sorted(each.rights.teams),
            str(each.facts),
        ),
    )


def _verdict(before: str, after: str | None) -> Verdict:
    if after is None:
        return Verdict.UNKNOWN
    return Verdict.GAINS if _RANK[after] > _RANK[before] else Verdict.LOSES


def _decide(decision: Decision, items: FactItems) -> tuple[str | None, tuple[str, ...]]:
    """The outcome on a recorded row, or None and the facts that would have to be known for it.

    An unknown fact denies, so a fact that was not recorded may only hide that more is allowed.
    """
    facts, me = facts_of(items)
    outcome = outcome_of(decision, facts, me)
    if outcome is Outcome.ALLOW:
        return outcome.value, ()
    recorded = {name for name, _ in items}
    better = [each.condition for each in decision.alternatives]
    if outcome is Outcome.DENY:
        better += [each.condition for each in decision.masks]
    missing = sorted(
        {
            name
            for each in better
            if each is not None and _possible(each, recorded, facts, me)
            for name in _asked(each) - recorded
        }
    )
    return (None, tuple(missing)) if missing else (outcome.value, ())


def _possible(condition: Condition, recorded: set[str], facts: Mapping[str, object], me: UUID | None) -> bool:
    """Whether the condition could hold, were all that was not recorded as it asks."""
    if isinstance(condition, Compare):
        return condition.attribute not in recorded or evaluate(condition, facts, me)
    possible = [_possible(term, recorded, facts, me) for term in condition.terms]
    return all(possible) if isinstance(condition, AllOf) else any(possible)


def _asked(condition: Condition) -> set[str]:
    if isinstance(condition, Compare):
        return {condition.attribute}
    return {name for term in condition.terms for name in _asked(term)}
