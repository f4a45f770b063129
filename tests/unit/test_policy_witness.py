"""The rules of a policy asked of Oso with people and rows made for them: a rule that was read wrongly is found."""

from dataclasses import replace
from pathlib import Path

import pytest

from okno.policy.reading import Reading
from okno.policy.requirement import Every, PersonHas, Requirement
from okno.policy.service import Policy
from okno.policy.witness import disagreements

POLICIES = Path(__file__).parents[2] / "policies"
TEXT = """
reaches(p: Person, _e: Employee) if "all" in p.countries;
reaches(p: Person, e: Employee) if e.country in p.countries;
permit(p: Person, "run", e: Employee, "x.run", "x.rule: an operator of the country unlocks, never the own account") if
    "operator" in p.roles and not "token" in p.facts and reaches(p, e) and e.id != p.employee_id and
    e.protected = false and e.state in ["WORKS", "ON_LEAVE"];
"""


def test_the_rules_of_okno_are_read_as_oso_reads_them() -> None:
    assert list(disagreements(Policy.load(POLICIES))) == []


def _terms(requirement: Requirement) -> tuple[Requirement, ...]:
    assert isinstance(requirement, Every)
    return requirement.terms


@pytest.mark.parametrize("wrong", range(6))
def test_a_term_that_was_left_out_or_turned_round_is_found(wrong: int) -> None:
    policy = Policy.from_sources([("policies/a.polar", TEXT)], "test")
    (reading,) = policy.readings["run", "Employee"]
    terms = _terms(reading.requirement)
    assert len(terms) == 6
    assert list(disagreements(policy)) == []

    def misread(*kept: Requirement) -> list[Reading]:
        return [replace(reading, requirement=Every(kept))]

    left_out = [term for number, term in enumerate(terms) if number != wrong]
    readings = dict(policy.readings) | {("run", "Employee"): misread(*left_out)}
    found = list(disagreements(Policy("test", policy.book, readings, policy._sources)))

    assert [(problem.line, problem.code) for problem in found] == [(4, "misread")]
    assert "rule x.rule was read as" in found[0].message


def test_a_negation_that_was_lost_is_found() -> None:
    policy = Policy.from_sources([("policies/a.polar", TEXT)], "test")
    (reading,) = policy.readings["run", "Employee"]
    turned = tuple(
        replace(term, negated=False) if isinstance(term, PersonHas) and term.negated else term
        for term in _terms(reading.requirement)
    )
    readings = {("run", "Employee"): [replace(reading, requirement=Every(turned))]}

    assert list(disagreements(Policy("test", policy.book, readings, policy._sources)))
