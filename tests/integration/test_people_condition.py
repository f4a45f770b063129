"""A row condition in SQL says what it says in Python, for every combination of facts known and unknown."""

import itertools
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from okno.identity.model import employee_uuid
from okno.people.index.merge import blank, derive
from okno.people.index.store import IndexStore
from okno.people.models import PersonRow
from okno.people.store import FACT_COLUMNS, PeopleStore, compile_condition
from okno.policy.condition import ME, AllOf, AnyOf, Compare, Condition, evaluate
from okno.storage.engine import Database

ME_ID = employee_uuid("0")
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
VALUES: dict[str, list[Any]] = {
    "country": ["RU", "KZ", None],
    "department": ["IT", None],
    "state": ["WORKS", "DISMISSED", None],
    "protected": [True, False, None],
    "manager_id": [ME_ID, employee_uuid("1"), None],
}

scalars = st.sampled_from(
    ["RU", "KZ", "IT", "WORKS", "DISMISSED", "", "x\\%", str(ME_ID), True, False, 1, 0, 7]
)
attributes = st.sampled_from([*FACT_COLUMNS, "shoe_size"])
comparisons = st.one_of(
    st.builds(Compare, attributes, st.sampled_from(["=", "!="]), st.one_of(scalars, st.just(ME))),
    st.builds(Compare, attributes, st.just("in"), st.lists(scalars, max_size=3).map(tuple)),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def rows() -> list[dict[str, Any]]:
    result = []
    for number, facts in enumerate(itertools.product(*VALUES.values())):
        row = blank(str(number)) | {"full_name": "N", "indexed_at": NOW, "index_run": 1}
        row |= dict(zip(VALUES, facts, strict=True))
        derive(row)
        result.append(row)
    return result


@pytest.fixture
async def everybody(db: Database) -> Database:
    async with db.transaction() as session:
        await IndexStore().write(session, rows())
    return db


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=conditions, me=st.sampled_from([ME_ID, employee_uuid("nobody"), None]))
async def test_sql_and_python_choose_the_same_rows(
    everybody: Database, condition: Condition, me: UUID | None
) -> None:
    ids = [row["id"] for row in rows()]
    async with everybody.transaction() as session:
        chosen = set(
            (await session.scalars(select(PersonRow.id).where(compile_condition(condition, me)))).all()
        )
        people = await PeopleStore().get_many(session, ids)
    assert chosen == {person.id for person in people.values() if evaluate(condition, person.facts(), me)}


async def test_the_facts_of_a_person_are_the_columns_of_conditions(everybody: Database) -> None:
    async with everybody.transaction() as session:
        people = await PeopleStore().get_many(session, [row["id"] for row in rows()])
    assert {name for person in people.values() for name in person.facts()} | {"office"} == set(FACT_COLUMNS)
