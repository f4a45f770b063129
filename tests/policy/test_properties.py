"""Random policies on random people and rows: what is compiled is what Oso says, in full and masked, row by row and as a list."""

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from okno.policy.condition import Condition, compile_condition
from okno.policy.model import Decision, Outcome
from okno.policy.service import Policy, Rights
from tests.policy.random_policies import COUNTRIES, FIELDS, OPERATIONS, RIGHTS, policies

ME = UUID("00000000-0000-4000-8000-00000000000a")
_IDS = [ME, UUID(int=1)]
ROWS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(_IDS),
        "country": st.sampled_from(COUNTRIES),
        "department": st.just("IT"),
        "office": st.sampled_from(["HQ", "Almaty"]),
        "state": st.sampled_from(["WORKS", "ON_LEAVE", "DISMISSED"]),
        "protected": st.booleans(),
        "manager_id": st.sampled_from(_IDS),
    }
)
PARTLY_KNOWN = ROWS.flatmap(
    lambda row: st.sets(st.sampled_from(sorted(row))).map(
        lambda hidden: {name: None if name in hidden else fact for name, fact in row.items()}
    )
)


def _lists(condition: Condition | None, row: dict[str, object]) -> bool:
    """Whether a filter made of the condition has the row."""
    return condition is None or compile_condition(condition)(row, ME)


def _masked(decision: Decision, row: dict[str, object]) -> bool:
    return decision.allows(row, ME) is None and decision.mask(row, ME) is not None


@settings(max_examples=60, deadline=None)
@given(text=policies(), rights=RIGHTS, rows=st.lists(ROWS, min_size=2, max_size=2))
def test_a_random_policy_decides_as_oso_does_in_full_and_masked(
    text: str, rights: Rights, rows: list[dict[str, object]]
) -> None:
    policy = Policy.from_sources([("policies/random.polar", text)], "random")

    def said(action: str, name: str, row: dict[str, object]) -> bool:
        return policy.permits(rights, action, "Employee", name, row, own_id=ME)

    for row in rows:
        for name, (_, form) in FIELDS.items():
            decision = policy.table(rights, "read", "Employee").decide(name)
            assert (decision.allows(row, ME) is not None) is said("read", name, row)
            assert (decision.for_person(ME)(row) is not None) is said("read", name, row)
            full, masked = said("read", name, row), form is not None and said("mask", name, row)
            assert _masked(decision, row) is (masked and not full)
            match = policy.table(rights, "match", "Employee").decide(name)
            assert (match.allows(row, ME) is not None) is said("match", name, row)
        for name in OPERATIONS:
            run = policy.table(rights, "run", "Employee").decide(name)
            assert (run.allows(row, ME) is not None) is said("run", name, row)


@settings(max_examples=70, deadline=None)
@given(text=policies(), rights=RIGHTS, rows=st.lists(PARTLY_KNOWN, min_size=6, max_size=6))
def test_a_list_has_the_rows_that_a_check_admits_and_an_outcome_holds_for_all_of_them(
    text: str, rights: Rights, rows: list[dict[str, object]]
) -> None:
    policy = Policy.from_sources([("policies/random.polar", text)], "random")
    for name in FIELDS:
        decision = policy.table(rights, "read", "Employee").decide(name)
        full = [decision.allows(row, ME) is not None for row in rows]
        masked = [_masked(decision, row) for row in rows]

        assert full == [_lists(decision.condition, row) for row in rows]
        assert masked == [
            _lists(decision.mask_condition, row) and not _lists(decision.condition, row) for row in rows
        ]
        assert not any(masked) or name in policy.masked
        if decision.outcome is Outcome.ALLOW:
            assert all(full)
        if decision.outcome is Outcome.MASK:
            assert all(masked)
        if decision.outcome is Outcome.DENY:
            assert not any(full + masked)


@settings(max_examples=60, deadline=None)
@given(text=policies(), rights=RIGHTS, row=PARTLY_KNOWN, me=st.sampled_from([ME, None]))
def test_what_is_not_known_of_a_row_or_of_oneself_never_allows_what_oso_denies(
    text: str, rights: Rights, row: dict[str, object], me: UUID | None
) -> None:
    policy = Policy.from_sources([("policies/random.polar", text)], "random")
    for name in FIELDS:
        decision = policy.table(rights, "read", "Employee").decide(name)
        if decision.allows(row, me) is not None:
            assert policy.permits(rights, "read", "Employee", name, row, own_id=me)
        if decision.mask(row, me) is not None:
            assert policy.permits(rights, "mask", "Employee", name, row, own_id=me)


@settings(max_examples=30, deadline=None)
@given(text=policies(), rights=RIGHTS, row=ROWS)
def test_an_explanation_says_what_the_decision_does_and_names_rules_that_hold(
    text: str, rights: Rights, row: dict[str, object]
) -> None:
    policy = Policy.from_sources([("policies/random.polar", text)], "random")
    for name in FIELDS:
        decision = policy.table(rights, "read", "Employee").decide(name)
        found = policy.explain(rights, "read", "Employee", name, row, ME)

        assert found.allowed is (decision.allows(row, ME) is not None)
        assert found.masked is _masked(decision, row)
        assert bool(found.grants) is found.allowed
        assert bool(found.masks) is found.masked
        assert all(near.failed for near in (*found.nearest, *found.nearest_masks))
        if found.missing is not None:
            more = Rights(rights.roles, rights.teams, rights.countries, rights.facts | {found.missing})
            assert policy.table(more, "read", "Employee").decide(name).allows(row, ME) is not None
