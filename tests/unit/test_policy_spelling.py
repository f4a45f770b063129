"""Conditions as people read them in tables: what is written can be read again, and means the same."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okno.errors import ConfigurationError
from okno.policy.condition import ME, AnyOf, Compare, Condition, all_of, any_of, evaluate
from okno.policy.model import Rights
from okno.policy.spelling import holds, in_persons, of_member, person_has, read, resource_of, spell

OWN, OTHER = UUID(int=1), UUID(int=2)
COMPARES = st.one_of(
    st.builds(Compare, st.just("country"), st.sampled_from(["=", "!="]), st.sampled_from(["RU", "KZ", "NG"])),
    st.builds(Compare, st.just("protected"), st.just("="), st.booleans()),
    st.builds(Compare, st.just("id"), st.sampled_from(["=", "!="]), st.just(ME)),
    st.builds(person_has, st.just("facts"), st.sampled_from(["second_factor", "working_hours"])),
    st.just(in_persons("country", "countries")),
)
CONDITIONS = st.recursive(
    COMPARES,
    lambda inner: (
        st.builds(all_of, st.lists(inner, max_size=3)) | st.builds(any_of, st.lists(inner, max_size=3))
    ),
    max_leaves=8,
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "country": st.sampled_from(["RU", "KZ", "NG", "BR"]),
        "protected": st.booleans(),
        "id": st.sampled_from([OWN, OTHER]),
    },
)
RIGHTS = st.builds(
    Rights,
    countries=st.sets(st.sampled_from(["RU", "KZ"])).map(frozenset),
    facts=st.sets(st.sampled_from(["second_factor", "working_hours"])).map(frozenset),
)


@settings(max_examples=150, deadline=None)
@given(condition=CONDITIONS, row=ROWS, rights=RIGHTS)
def test_what_is_spelled_is_read_again_and_means_the_same(
    condition: Condition, row: dict[str, object], rights: Rights
) -> None:
    again = read(spell(condition, "Employee"))
    assert holds(again, rights, row, OWN) is holds(condition, rights, row, OWN)
    assert spell(read(spell(again, "Employee")), "Employee") == spell(again, "Employee")


@settings(max_examples=100, deadline=None)
@given(condition=CONDITIONS, row=ROWS, rights=RIGHTS)
def test_for_a_member_of_a_team_the_teams_countries_are_put_in(
    condition: Condition, row: dict[str, object], rights: Rights
) -> None:
    concrete = of_member(condition, rights.countries, "first-line")
    assert "p.countries" not in spell(concrete, "Employee")
    assert holds(concrete, rights, row, OWN) is holds(condition, rights, row, OWN)


def test_what_all_alternatives_ask_is_written_once() -> None:
    protected = Compare("protected", "=", False)
    either = any_of(
        [
            all_of([protected, person_has("countries", "all")]),
            all_of([protected, in_persons("country", "countries")]),
        ]
    )
    assert isinstance(either, AnyOf)
    assert spell(either, "Employee") == (
        'e.protected = false and ("all" in p.countries or e.country in p.countries)'
    )


def test_a_spelled_condition_is_what_a_policy_file_says() -> None:
    condition = all_of(
        [
            any_of(Compare("country", "=", each) for each in ("RU", "KZ")),
            Compare("id", "!=", ME),
            person_has("facts", "second_factor"),
        ]
    )
    assert spell(condition, "Employee") == (
        'e.country in ["KZ", "RU"] and "second_factor" in p.facts and e.id != p.employee_id'
    )
    assert spell(Compare("actor_id", "=", ME), "JournalRecord") == "r.actor_id = p.id"
    assert spell(None, "Okno") == "always"


def test_whose_rows_are_asked_about_is_seen_from_the_variable_and_not_from_a_text() -> None:
    assert resource_of('e.office = "r.12"') == "Employee"
    assert resource_of('r.event_type = "operation.run"') == "JournalRecord"
    assert resource_of('"second_factor" in p.facts') == "Okno"


@pytest.mark.parametrize(
    "text", ["e.country", "e.country < 3", 'e.country in ["RU"', "not e.id = p.id", "x in p.shoes"]
)
def test_what_nobody_wrote_so_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="policy matrix --update"):
        read(text)


def test_a_row_whose_facts_are_unknown_is_not_admitted() -> None:
    assert evaluate(read('e.country != "RU"'), {}, None) is False
