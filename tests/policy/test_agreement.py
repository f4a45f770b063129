"""Compiled decisions against Oso's own point check, on random rights, rows and constructs of the language."""

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okno.policy.condition import AnyOf, any_of, compile_condition
from okno.policy.model import FACTS, RESOURCES
from okno.policy.requirement import specialise
from okno.policy.service import Outcome, Policy, Rights

POLICY = Policy.load(Path(__file__).parents[2] / "policies")
ME = UUID("00000000-0000-4000-8000-00000000000a")
OTHERS = [UUID(int=number) for number in (1, 2)]
COUNTRIES = ["RU", "KZ", "NG", "BR"]

CONSTRUCTS = Policy.from_sources(
    [
        (
            "constructs.polar",
            """
            near(p: Person, e: Employee) if e.country in p.countries;
            near(p: Person, e: Employee) if "all" in p.countries and e.office = "HQ";
            permit(p: Person, "run", e: Employee, "x.near", "x.near: near") if near(p, e);
            permit(_p: Person, "run", e: Employee, "x.in", "x.in: in a list")
                if e.state in ["WORKS", "ON_LEAVE"] and e.country != "NG";
            permit(_p: Person, "run", e: Employee, "x.not-in", "x.not-in: not in a list")
                if not e.state in ["WORKS", "ON_LEAVE"];
            permit(_p: Person, "run", e: Employee, "x.not-both", "x.not-both: not both")
                if not (e.state = "WORKS" and e.country = "RU");
            permit(p: Person, "run", e: Employee, "x.either", "x.either: either")
                if (e.state = "WORKS" or e.id = p.employee_id) and (e.country = "RU" or e.protected = true);
            permit(p: Person, "run", e: Employee, "x.other", "x.other: not oneself")
                if e.id != p.employee_id and e.manager_id != p.employee_id;
            permit(p: Person, "run", e: Employee, "x.self", "x.self: own reports, not supports")
                if e.manager_id = p.employee_id and not "support" in p.roles;
            permit(p: Person, "run", e: Employee, "x.twice", "x.twice: two lists")
                if e.country in p.countries and e.office in p.teams and e.country != "KZ";
            permit(_p: Person, "run", e: Employee, "x.never", "x.never: contradiction")
                if e.state = "WORKS" and e.state = "DISMISSED";
            permit(p: Person, "run", e: Employee, "x.role", "x.role: role by fact")
                if rank(role, 1) and role in p.roles and e.protected = false;
            rank("support", 1);
            rank("devices", 1);
            """,
        )
    ],
    "constructs",
)


def _subsets(values: list[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.sets(st.sampled_from(values)).map(frozenset)


RIGHTS = st.builds(
    Rights,
    roles=_subsets(sorted(POLICY.roles)),
    teams=_subsets(["HQ", "Almaty"]),
    countries=_subsets([*COUNTRIES, "all"]),
    facts=_subsets(sorted(FACTS)),
    scopes=_subsets(sorted(POLICY.scopes)),
)
KNOWN = {
    "id": st.sampled_from([ME, *OTHERS]),
    "country": st.sampled_from(COUNTRIES),
    "department": st.sampled_from(["Sales", "IT"]),
    "office": st.sampled_from(["HQ", "Almaty"]),
    "state": st.sampled_from(["WORKS", "ON_LEAVE", "LEAVING", "DISMISSED"]),
    "protected": st.booleans(),
    "manager_id": st.sampled_from([ME, *OTHERS]),
    "actor_id": st.sampled_from([ME, *OTHERS]),
    "subject_id": st.sampled_from(OTHERS),
    "event_type": st.sampled_from(["operation.run", "session.started"]),
    "team": st.sampled_from(["HQ", "Almaty"]),
}
EMPLOYEES = st.fixed_dictionaries({name: KNOWN[name] for name in sorted(RESOURCES["Employee"])})
PARTLY_KNOWN = st.fixed_dictionaries(
    {}, optional={name: st.none() | KNOWN[name] for name in sorted(RESOURCES["Employee"])}
)
RECORDS = st.fixed_dictionaries({name: KNOWN[name] for name in sorted(RESOURCES["JournalRecord"])})

CELLS = sorted(
    {("read", POLICY.resource_of(name.partition(".")[0]), name) for name in POLICY.levels}
    | {
        (action, resource, answer.field or "")
        for action, resource in (("run", "Employee"), ("write", "Okno"), ("use", "Okno"))
        for answer in POLICY.symbolic(action, resource)
    }
)
RUNS = sorted({answer.field or "" for answer in CONSTRUCTS.symbolic("run", "Employee")})


@settings(max_examples=80, deadline=None)
@given(
    rights=RIGHTS,
    cells=st.lists(st.sampled_from(CELLS), min_size=4, max_size=4),
    employee=EMPLOYEES,
    record=RECORDS,
)
def test_a_compiled_decision_is_what_oso_says_of_the_row(
    rights: Rights, cells: list[tuple[str, str, str]], employee: dict[str, object], record: dict[str, object]
) -> None:
    for action, resource, name in cells:
        facts = {"Employee": employee, "JournalRecord": record, "OwnHistory": record, "Okno": {}}[resource]
        decision = POLICY.table(rights, action, resource).decide(name)

        compiled = decision.allows(facts, ME)

        assert decision.for_person(ME)(facts) is compiled
        assert (compiled is not None) is POLICY.permits(rights, action, resource, name, facts, own_id=ME)
        assert compiled is not None or decision.outcome is not Outcome.ALLOW


@pytest.mark.parametrize("name", RUNS)
@settings(max_examples=40, deadline=None)
@given(rights=RIGHTS, employee=EMPLOYEES)
def test_each_construct_of_the_language_is_compiled_to_what_oso_says(
    name: str, rights: Rights, employee: dict[str, object]
) -> None:
    decision = CONSTRUCTS.table(rights, "run", "Employee").decide(name)

    asked = CONSTRUCTS.permits(rights, "run", "Employee", name, employee, own_id=ME)

    assert (decision.for_person(ME)(employee) is not None) is asked
    assert (decision.allows(employee, ME) is not None) is asked


@settings(max_examples=80, deadline=None)
@given(rights=RIGHTS, name=st.sampled_from(RUNS), employee=PARTLY_KNOWN, me=st.sampled_from([ME, None]))
def test_an_unknown_fact_or_self_never_allows_what_oso_denies_and_the_list_filter_is_the_check(
    rights: Rights, name: str, employee: dict[str, object], me: UUID | None
) -> None:
    decision = CONSTRUCTS.table(rights, "run", "Employee").decide(name)

    allowed = decision.allows(employee, me) is not None

    assert (decision.for_person(me)(employee) is not None) is allowed
    if allowed:
        assert CONSTRUCTS.permits(rights, "run", "Employee", name, employee, own_id=me)
    if decision.condition is not None:
        assert compile_condition(decision.condition)(employee, me) is allowed


@pytest.mark.parametrize("name", RUNS)
@settings(max_examples=60, deadline=None)
@given(rights=RIGHTS, employee=EMPLOYEES)
def test_what_explanations_are_made_of_allows_the_same_rows_as_the_table(
    name: str, rights: Rights, employee: dict[str, object]
) -> None:
    remaining = any_of(
        specialise(answer.requirement, rights)
        for answer in CONSTRUCTS.symbolic("run", "Employee")
        if answer.field == name
    )

    allowed = CONSTRUCTS.table(rights, "run", "Employee").decide(name).allows(employee, ME)

    assert compile_condition(remaining)(employee, ME) is (allowed is not None)


def test_a_contradiction_is_a_denial_and_not_an_empty_condition() -> None:
    rights = Rights(facts=frozenset({"session"}))

    assert CONSTRUCTS.table(rights, "run", "Employee").decide("x.never").outcome is Outcome.DENY
    assert CONSTRUCTS.table(rights, "run", "Employee").decide("x.never").condition == AnyOf(())
