"""Conditions on a row: default deny, simplification, their text, and decisions made of them."""

from collections.abc import Mapping
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.policy.condition import (
    FALSE,
    ME,
    TRUE,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    all_of,
    any_of,
    compile_choice,
    compile_condition,
    describe,
    evaluate,
)
from okno.policy.model import DENY, Alternative, Decision, Outcome, Table, decide

SELF = UUID("00000000-0000-4000-8000-00000000000a")
OTHER = UUID("00000000-0000-4000-8000-00000000000b")
RU, KZ = Compare("country", "=", "RU"), Compare("country", "=", "KZ")
OPEN = Compare("protected", "=", False)


@pytest.mark.parametrize(
    ("condition", "facts"),
    [
        (RU, {}),
        (RU, {"country": None}),
        (Compare("country", "!=", "RU"), {}),
        (Compare("country", "!=", "RU"), {"country": None}),
        (Compare("country", "in", ("KZ", "RU")), {"country": None}),
        (Compare("protected", "!=", True), {"protected": None}),
        (AllOf((RU, Compare("state", "!=", "DISMISSED"))), {"country": "RU"}),
    ],
    ids=str,
)
def test_an_unknown_fact_denies_whatever_is_asked_of_it(
    condition: Condition, facts: Mapping[str, object]
) -> None:
    assert evaluate(condition, facts, SELF) is False


@pytest.mark.parametrize("fact", [0, 1, b"RU", ["RU"], OTHER])
def test_a_fact_of_another_type_is_unknown_and_denies_inequality_too(fact: object) -> None:
    assert not evaluate(RU, {"country": fact}, SELF)
    assert not evaluate(Compare("country", "!=", "RU"), {"country": fact}, SELF)
    assert not evaluate(Compare("country", "in", ("KZ", "RU")), {"country": fact}, SELF)


@pytest.mark.parametrize("op", ["=", "!="])
def test_an_actor_who_is_no_employee_is_neither_equal_nor_unequal_to_anyone(op: str) -> None:
    condition = Compare("id", "=" if op == "=" else "!=", ME)

    assert not evaluate(condition, {"id": OTHER}, None)
    assert not evaluate(condition, {"id": None}, None)


def test_oneself_is_told_from_others_by_id_and_an_id_of_another_type_denies() -> None:
    other = Compare("id", "!=", ME)

    assert evaluate(other, {"id": OTHER}, SELF)
    assert not evaluate(other, {"id": SELF}, SELF)
    assert not evaluate(other, {"id": str(SELF)}, SELF)
    assert evaluate(Compare("id", "=", ME), {"id": SELF}, SELF)


def test_any_of_holds_through_a_known_term_though_another_is_unknown() -> None:
    assert evaluate(AnyOf((RU, Compare("office", "=", "HQ"))), {"country": "RU"}, None)


def test_equalities_that_differ_in_one_constant_become_one_in() -> None:
    merged = any_of([all_of([RU, OPEN]), all_of([KZ, OPEN])])

    assert merged == AllOf((Compare("country", "in", ("KZ", "RU")), OPEN))
    assert describe(merged) == 'country in ("KZ", "RU") and protected = false'


def test_contradictions_are_false_and_what_a_weaker_term_allows_is_dropped() -> None:
    assert all_of([RU, KZ]) == FALSE
    assert all_of([RU, Compare("country", "!=", "RU")]) == FALSE
    assert all_of([Compare("id", "=", ME), Compare("id", "!=", ME)]) == FALSE
    assert all_of([RU, Compare("country", "!=", "KZ")]) == RU
    assert any_of([RU, all_of([RU, OPEN])]) == RU
    assert any_of([RU, TRUE]) == TRUE
    assert any_of([]) == FALSE
    assert all_of([]) == TRUE


def test_what_is_no_condition_is_refused_when_compiled() -> None:
    for wrong in (
        Compare("country", "<", "RU"),  # type: ignore[arg-type]
        Compare("country", "in", ME),
        Compare("country", "=", None),  # type: ignore[arg-type]
        Compare("country", "in", ("RU", None)),  # type: ignore[arg-type]
        Compare("country", "=", 1.5),  # type: ignore[arg-type]
        Decision(Outcome.DENY),
    ):
        with pytest.raises(TypeError):
            compile_condition(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            compile_choice([(wrong, "choice")])  # type: ignore[list-item]


def test_true_is_not_the_number_one_and_false_is_not_zero() -> None:
    assert not evaluate(Compare("protected", "=", 1), {"protected": True}, None)
    assert not evaluate(Compare("protected", "!=", 1), {"protected": False}, None)
    assert not evaluate(Compare("protected", "in", (0, 2)), {"protected": False}, None)
    assert not evaluate(Compare("protected", "in", (False, "x")), {"protected": 0}, None)
    assert evaluate(Compare("protected", "in", (False, "x")), {"protected": False}, None)


def test_a_comparison_that_means_nothing_is_refused_when_compiled() -> None:
    with pytest.raises(TypeError, match='a tuple goes with "in" only'):
        compile_condition(Compare("country", "=", ("RU",)))
    with pytest.raises(TypeError, match='"in" takes a tuple'):
        compile_condition(Compare("country", "in", "RU"))


COMPARES: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Compare, st.sampled_from("ab"), st.sampled_from(["=", "!="]), st.sampled_from("xyz")),
    st.builds(Compare, st.sampled_from("ab"), st.just("in"), st.sampled_from([("x", "y"), ("y", "z")])),
    st.builds(Compare, st.just("id"), st.sampled_from(["=", "!="]), st.just(ME)),
)
TREES: st.SearchStrategy[Condition] = st.recursive(
    COMPARES,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple).flatmap(lambda t: st.sampled_from([AllOf(t), AnyOf(t)]))
    ),
    max_leaves=8,
)
ROWS = [
    {name: value for name, value in {"a": a, "b": b, "id": i}.items() if value is not None}
    for a, b, i in product(["x", "y", "z", None], ["x", "z", None], [SELF, OTHER, None])
]


def _simplified(condition: Condition) -> Condition:
    if isinstance(condition, Compare):
        return condition
    join = all_of if isinstance(condition, AllOf) else any_of
    return join(_simplified(term) for term in condition.terms)


@given(condition=TREES)
def test_simplifying_never_changes_which_rows_are_admitted(condition: Condition) -> None:
    simple = _simplified(condition)

    for row in ROWS:
        assert evaluate(simple, row, SELF) is evaluate(condition, row, SELF)
        assert evaluate(simple, row, None) is evaluate(condition, row, None)


def _read(condition: Condition, row: Mapping[str, object], me: UUID | None) -> bool:
    """What a condition means, word for word."""
    if isinstance(condition, AllOf):
        return all(_read(term, row, me) for term in condition.terms)
    if isinstance(condition, AnyOf):
        return any(_read(term, row, me) for term in condition.terms)
    fact = row.get(condition.attribute)
    value = me if condition.value is ME else condition.value
    if value is None or fact is None:
        return False
    if isinstance(value, tuple):
        return any(type(fact) is type(each) and fact == each for each in value)
    return type(fact) is type(value) and (fact == value if condition.op == "=" else fact != value)


VALUES: list[str | int | bool] = ["x", "y", 0, 1, 2, True, False]
OF_ALL_TYPES: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Compare, st.sampled_from("ab"), st.sampled_from(["=", "!="]), st.sampled_from(VALUES)),
    st.builds(
        Compare,
        st.sampled_from("ab"),
        st.just("in"),
        st.lists(st.sampled_from(VALUES), max_size=3).map(tuple),
    ),
    st.builds(Compare, st.just("id"), st.sampled_from(["=", "!="]), st.just(ME)),
)
TREES_OF_ALL_TYPES: st.SearchStrategy[Condition] = st.recursive(
    OF_ALL_TYPES,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple).flatmap(lambda t: st.sampled_from([AllOf(t), AnyOf(t)]))
    ),
    max_leaves=8,
)
ROWS_OF_ALL_TYPES: list[Mapping[str, object]] = [
    *ROWS,
    *(
        {"a": a, "b": b, "id": SELF}
        for a, b in product([0, 1, True, False, "x"], [2, True, ["x"], {}, SELF, 1.0])
    ),
]


@given(condition=TREES_OF_ALL_TYPES)
def test_the_written_code_says_what_the_tree_says(condition: Condition) -> None:
    test = compile_condition(condition)
    for me in (SELF, None):
        choose = compile_choice([(condition, "first"), (TRUE, "second")])(me)
        for row in ROWS_OF_ALL_TYPES:
            admitted = _read(condition, row, me)
            assert test(row, me) is admitted
            assert choose(row) == ("first" if admitted else "second")


def test_a_person_gets_the_first_rule_of_many_that_admits_the_row() -> None:
    rules = [
        Alternative(f"people.{number}", "", Compare("office", "=", f"Office {number}"))
        for number in range(1_000)
    ]
    again = Alternative("people.again", "", Compare("office", "=", "Office 700"))
    choose = Decision(Outcome.CONDITIONAL, (*rules, again)).for_person(None)

    assert choose({"office": "Office 700"}) is rules[700]
    assert choose({"office": "Office 1000"}) is None
    assert choose(None) is None


def test_a_condition_nested_beyond_what_python_parses_is_compiled_all_the_same() -> None:
    nested: Condition = RU
    for _ in range(150):
        nested = AllOf((AnyOf((nested, KZ)), TRUE))

    assert evaluate(nested, {"country": "RU"}, None) is True
    assert evaluate(nested, {"country": "KZ"}, None) is True
    assert evaluate(nested, {"country": "NG"}, None) is False


def test_what_a_policy_says_never_becomes_code() -> None:
    text = '"); raise SystemExit("'
    assert evaluate(Compare(text, "=", text), {text: text}, None) is True


def test_a_decision_names_the_first_rule_that_admits_the_row() -> None:
    near = Alternative("people.near", "near", RU)
    far = Alternative("people.far", "far", KZ)
    decision = decide((near, far))

    assert decision.outcome is Outcome.CONDITIONAL
    assert decision.allows({"country": "KZ"}, None) is far
    assert decision.allows({"country": "NG"}, None) is None
    assert decision.condition == Compare("country", "in", ("KZ", "RU"))


def test_a_rule_without_condition_makes_the_others_superfluous() -> None:
    everyone = Alternative("people.all", "all", None)
    decision = decide((Alternative("people.near", "near", RU), everyone))

    assert decision.outcome is Outcome.ALLOW
    assert decision.allows({}, None) is everyone
    assert decision.condition is None


def test_what_a_table_does_not_name_is_denied_and_denial_admits_no_row() -> None:
    table = Table(
        {"PageInfo.*": Decision(Outcome.ALLOW, (Alternative("x.y", "z", None),))}, frozenset({"PageInfo"})
    )

    assert table.decide("Employee.email") is DENY
    assert table.decide("Employee.*") is DENY
    assert table.decide("PageInfo.hasNextPage").outcome is Outcome.ALLOW
    assert DENY.allows({"country": "RU"}, SELF) is None
    assert DENY.condition == FALSE
