"""Random policies in the database: the rows that a filter in SQL chooses are those that a check admits, in full and masked."""

from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import select

from okno.people.index.store import IndexStore
from okno.people.models import PersonRow
from okno.people.store import PeopleStore, compile_condition
from okno.policy.condition import TRUE, Condition
from okno.policy.service import Policy, Rights
from okno.storage.engine import Database
from tests.integration.test_people_condition import ME_ID, rows
from tests.policy.random_policies import FIELDS, RIGHTS, policies


@pytest.fixture
async def everybody(db: Database) -> Database:
    async with db.transaction() as session:
        await IndexStore().write(session, rows())
    return db


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=policies(), rights=RIGHTS)
async def test_a_filter_in_sql_has_the_rows_that_a_check_admits(
    everybody: Database, text: str, rights: Rights
) -> None:
    table = Policy.from_sources([("policies/random.polar", text)], "random").table(rights, "read", "Employee")
    decisions = {table.decide(name) for name in FIELDS}
    async with everybody.transaction() as session:
        people = (await PeopleStore().get_many(session, [row["id"] for row in rows()])).values()

        async def chosen(condition: Condition | None) -> set[UUID]:
            where = compile_condition(TRUE if condition is None else condition, ME_ID)
            return set((await session.scalars(select(PersonRow.id).where(where))).all())

        for decision in decisions:
            full = {person.id for person in people if decision.allows(person.facts(), ME_ID)}
            masked = {person.id for person in people if decision.mask(person.facts(), ME_ID)}
            assert await chosen(decision.condition) == full
            assert await chosen(decision.mask_condition) == masked
