"""Why a decision is what it is: the rule and its line, or the nearest rules and what they miss."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from okno.policy.condition import Facts, describe
from okno.policy.model import FIELD_ACTIONS, Alternative, Decision, Outcome, Rights, Rule
from okno.policy.requirement import Requirement, holds, phrase, ways
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
    """Why a decision is what it is.

    Attributes:
        allowed: None when it depends on the row and none was given: then `grants` are all rules that may allow.
        masked: of reading, whether what is not read in full is seen masked, None as for `allowed`; by the rules `masks`,
            in the form `form`.
        nearest: when it is not allowed, the rules that come nearest; `nearest_masks` likewise, when it is not masked either.
        missing: the fact of the request that alone would allow it, such as a second factor.
    """

    allowed: bool | None
    outcome: Outcome
    action: str
    resource: str
    field: str
    level: str | None
    grants: tuple[Grant, ...]
    nearest: tuple[NearRule, ...]
    masked: bool | None = False
    masks: tuple[Grant, ...] = ()
    form: str | None = None
    nearest_masks: tuple[NearRule, ...] = ()
    missing: str | None = None

    @property
    def rule(self) -> Rule | None:
        """The rule that allows, the first if it depends; None when denied."""
        return self.grants[0].rule if self.grants else None

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "allowed": self.allowed,
            "masked": self.masked,
            "outcome": self.outcome.value,
            "action": self.action,
            "resource": self.resource,
            "field": self.field,
            "level": self.level,
            "form": self.form,
            "missing": self.missing,
            "grants": [{**_place(grant.rule), "condition": grant.condition} for grant in self.grants],
            "masks": [{**_place(grant.rule), "condition": grant.condition} for grant in self.masks],
            "nearest": [{**_place(near.rule), "failed": list(near.failed)} for near in self.nearest],
            "nearestMasks": [
                {**_place(near.rule), "failed": list(near.failed)} for near in self.nearest_masks
            ],
        }


def _place(rule: Rule) -> dict[str, object]:
    return {"id": rule.id, "sentence": rule.sentence, "file": rule.file, "line": rule.line}


@dataclass(frozen=True, slots=True)
class Question:
    """Whether somebody with these rights may do something; with `facts`, to one row. `me` as in `Decision.allows`."""

    rights: Rights
    action: str
    resource: str
    field: str
    facts: Facts | None
    me: UUID | None


def explain(
    book: RuleBook,
    question: Question,
    decision: Decision,
    requirements: Callable[[str], Iterable[tuple[Rule, Requirement]]],
    *,
    missing: str | None,
) -> Explanation:
    """Builds the explanation of one decision.

    Args:
        requirements: gives, for an action, the rules that are about the question's field, with what they ask.
        missing: the fact of the request that alone would allow it.
    """
    allowed, alternatives = _holds(
        decision.alternatives, decision.outcome is Outcome.ALLOW, decision.allows, question
    )
    masked: bool | None = False
    masks: tuple[Alternative, ...] = ()
    if allowed is not True:
        masked, masks = _holds(
            decision.masks, any(one.condition is None for one in decision.masks), decision.mask, question
        )
    maskable = question.action == "read" and question.field in book.masked
    fact = book.levels.get(question.field)
    owner = question.field.partition(".")[0]
    level = fact.value if fact else ("public" if owner in book.structural else None)
    return Explanation(
        allowed,
        decision.outcome,
        question.action,
        question.resource,
        question.field,
        level if question.action in FIELD_ACTIONS else None,
        _grants(book, alternatives),
        () if allowed is not False else _nearest(requirements(question.action), question),
        masked=masked,
        masks=_grants(book, masks),
        form=book.masked[question.field].value if maskable else None,
        nearest_masks=(
            _nearest(requirements("mask"), question)
            if maskable and allowed is False and masked is False
            else ()
        ),
        missing=missing if allowed is False else None,
    )


def _holds(
    alternatives: tuple[Alternative, ...],
    certain: bool,
    choose: Callable[[Facts, UUID | None], Alternative | None],
    question: Question,
) -> tuple[bool | None, tuple[Alternative, ...]]:
    """Whether one of the alternatives holds, and which; None when that depends on a row that is not given."""
    if not alternatives:
        return False, ()
    if certain:
        return True, alternatives[:1]
    if question.facts is None:
        return None, alternatives
    found = choose(question.facts, question.me)
    return found is not None, (found,) if found is not None else ()


def _grants(book: RuleBook, alternatives: Iterable[Alternative]) -> tuple[Grant, ...]:
    return tuple(
        Grant(book.rules[one.rule_id], None if one.condition is None else describe(one.condition))
        for one in alternatives
    )


def _nearest(requirements: Iterable[tuple[Rule, Requirement]], question: Question) -> tuple[NearRule, ...]:
    best: dict[str, tuple[Rule, list[tuple[str, ...]]]] = {}
    for rule, requirement in requirements:
        rule_ways = best.setdefault(rule.id, (rule, []))[1]
        for way in ways(requirement):
            failed = tuple(
                phrase(leaf)
                for leaf in way
                if holds(leaf, question.rights, question.facts, question.me) is False
            )
            if failed not in rule_ways:
                rule_ways.append(failed)
    near = []
    for rule, rule_ways in best.values():
        fewest = min(len(way) for way in rule_ways)
        shortest = [way for way in rule_ways if len(way) == fewest]
        # Ways that miss one term each are alternatives to one another: any of them would do.
        failed = (" or ".join(way[0] for way in shortest),) if fewest == 1 else shortest[0]
        near.append(NearRule(rule, failed))
    return tuple(sorted(near, key=lambda one: len(one.failed))[:_NEAREST])
