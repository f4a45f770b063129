"""Why a decision is what it is: the rule and its line, or the nearest rules and what they miss."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from okno.policy.condition import Facts, describe
from okno.policy.engine import Symbolic
from okno.policy.model import Decision, Outcome, Rights, Rule
from okno.policy.requirement import holds, phrase, ways
from okno.policy.rulebook import RuleBook

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class NearRule:
    """A rule that does not allow, and the terms that do not hold: the fewest that would have to change."""

    rule: Rule
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """A rule that allows; on the rows of `condition`, or on all when that is None."""

    rule: Rule
    condition: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`allowed` is None when it depends on the row and none was given: then `grants` are all rules that may allow."""

    allowed: bool | None
    outcome: Outcome
    action: str
    resource: str
    field: str
    level: str | None
    grants: tuple[Grant, ...]
    nearest: tuple[NearRule, ...]

    @property
    def rule(self) -> Rule | None:
        """The rule that allows, the first if it depends; None when denied."""
        return self.grants[0].rule if self.grants else None

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""

        def place(rule: Rule) -> dict[str, object]:
            return {"id": rule.id, "sentence": rule.sentence, "file": rule.file, "line": rule.line}

        return {
            "allowed": self.allowed,
            "outcome": self.outcome.value,
            "action": self.action,
            "resource": self.resource,
            "field": self.field,
            "level": self.level,
            "grants": [{**place(grant.rule), "condition": grant.condition} for grant in self.grants],
            "nearest": [{**place(near.rule), "failed": list(near.failed)} for near in self.nearest],
        }


def explain(
    book: RuleBook,
    answers: Sequence[Symbolic],
    decision: Decision,
    rights: Rights,
    action: str,
    resource: str,
    field: str,
    facts: Facts | None,
    me: UUID | None,
) -> Explanation:
    """Builds the explanation of one decision; `answers` are all rules for the action and resource."""
    allowed: bool | None = decision.outcome is Outcome.ALLOW
    alternatives = decision.alternatives
    if decision.outcome is Outcome.CONDITIONAL:
        allowed = None
        if facts is not None:
            found = decision.allows(facts, me)
            allowed, alternatives = found is not None, (found,) if found is not None else ()
    grants = tuple(
        Grant(book.rules[one.rule_id], None if one.condition is None else describe(one.condition))
        for one in alternatives
    )
    fact = book.levels.get(field)
    level = fact.value if fact else ("public" if field.partition(".")[0] in book.structural else None)
    nearest = () if allowed is not False else _nearest(book, answers, rights, field, facts, me)
    return Explanation(
        allowed,
        decision.outcome,
        action,
        resource,
        field,
        level if action == "read" else None,
        grants,
        nearest,
    )


def _nearest(
    book: RuleBook,
    answers: Sequence[Symbolic],
    rights: Rights,
    field: str,
    facts: Facts | None,
    me: UUID | None,
) -> tuple[NearRule, ...]:
    names = {field, f"{field.partition('.')[0]}.*"}
    best: dict[str, list[tuple[str, ...]]] = {}
    for answer in answers:
        if answer.field not in names:
            continue
        rule_ways = best.setdefault(answer.text.partition(":")[0], [])
        for way in ways(answer.requirement):
            failed = tuple(phrase(leaf) for leaf in way if holds(leaf, rights, facts, me) is False)
            if failed not in rule_ways:
                rule_ways.append(failed)
    near = []
    for rule_id, rule_ways in best.items():
        fewest = min(len(way) for way in rule_ways)
        shortest = [way for way in rule_ways if len(way) == fewest]
        # Ways that miss one term each are alternatives to one another: any of them would do.
        failed = (" or ".join(way[0] for way in shortest),) if fewest == 1 else shortest[0]
        near.append(NearRule(book.rules[rule_id], failed))
    return tuple(sorted(near, key=lambda one: len(one.failed))[:_NEAREST])
