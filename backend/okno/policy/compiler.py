"""Tables of decisions, made from what was read of the rules: the person filled in, the row left open."""

from collections.abc import Mapping, Sequence

from okno.policy.condition import FALSE, TRUE, Condition, any_of
from okno.policy.model import (
    ACTIONS,
    FIELD_ACTIONS,
    RESOURCES,
    Alternative,
    Decision,
    PolicyError,
    Problem,
    Rights,
    Table,
    decide,
)
from okno.policy.reading import Reading
from okno.policy.requirement import Specialiser
from okno.policy.rulebook import RuleBook


class Compiler:
    """Makes the tables of one policy."""

    def __init__(self, book: RuleBook, readings: Mapping[tuple[str, str], Sequence[Reading]]) -> None:
        self._book = book
        self._readings = readings
        self._structural = frozenset(book.structural)
        self.groups = book.groups()

    def table(self, rights: Rights, action: str, resource: str) -> Table:
        """All decisions of these rights for one action and resource.

        Raises:
            PolicyError: there is no such action or resource.
        """
        if action not in ACTIONS or resource not in RESOURCES:
            raise PolicyError((Problem("policies", 1, "unknown", f"no action {action} on {resource}"),))
        specialiser = Specialiser(rights)
        found = self._alternatives(specialiser, action, resource)
        masks = self._alternatives(specialiser, "mask", resource) if action == "read" else {}
        decisions: dict[str, Decision] = {}
        # Fields that the same rules give share a decision, and so its compiled conditions
        known: dict[tuple[tuple[int, ...], tuple[int, ...]], Decision] = {}
        for group in {**found, **masks}:
            given, masked = found.get(group, []), masks.get(group, [])
            key = (tuple(map(id, given)), tuple(map(id, masked)))
            decision = known.get(key)
            if decision is None:
                decision = known[key] = decide(tuple(given), tuple(masked))
            decisions.update(dict.fromkeys(self.groups.get(group, (group,)), decision))
        decisions = dict(sorted(decisions.items()))
        return Table(decisions, self._structural if action == "read" else frozenset())

    def _alternatives(
        self, specialiser: Specialiser, action: str, resource: str
    ) -> Mapping[str, list[Alternative]]:
        """What the rules for one action give a person, by group of fields, in the order of the files."""
        found: dict[str, dict[str, list[Condition]]] = {}
        for reading in self._readings.get((action, resource), ()):
            condition = specialiser.condition(reading.requirement)
            if condition != FALSE:
                for group in reading.fields:
                    if self.is_about(group, action, resource):
                        by_rule = found.setdefault(group, {})
                        by_rule.setdefault(reading.rule.id, []).append(condition)
        known: dict[tuple[str, tuple[int, ...]], Alternative] = {}
        alternatives: dict[str, list[Alternative]] = {}
        for group, by_rule in found.items():
            of_group = alternatives[group] = []
            for rule_id, conditions in by_rule.items():
                key = (rule_id, tuple(map(id, conditions)))
                if key not in known:
                    condition = any_of(conditions)
                    rest = None if condition == TRUE else condition
                    known[key] = Alternative(rule_id, self._book.rules[rule_id].sentence, rest)
                of_group.append(known[key])
        return alternatives

    def is_about(self, group: str, action: str, resource: str) -> bool:
        """Whether a group's fields are of the resource; none is masked that has no form to be shown in."""
        if action not in FIELD_ACTIONS:
            return True
        name = self.groups.get(group, (group,))[0]
        if action != "read" and name.endswith(".*"):
            return False
        if action == "mask" and name not in self._book.masked:
            return False
        return self._book.resource_of(name.partition(".")[0]) == resource
