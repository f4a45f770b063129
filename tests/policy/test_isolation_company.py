"""Fifteen teams on the generated company in a real PostgreSQL: what each is shown, offered and finds is what its table says.

One person of each team asks for everything over GraphQL; the expectation is computed from the committed tables, by `committed`.
"""

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
import pytest_asyncio

from okno.clock import ManualClock
from okno.graph.ids import employee_id
from okno.graph.server import GraphServer
from okno.identity.model import Actor, employee_uuid
from okno.people.service import People
from okno.sandbox.company import generate
from okno.storage.embedded import APP, SUPERUSER, EmbeddedPostgres
from okno.storage.engine import Database
from tests.api.fakes import NOW
from tests.api.world import Parts, World
from tests.integration.people_sources import HR_COLUMNS, MemorySources
from tests.policy import committed
from tests.policy.committed import Employee, JournalRecord, Okno, Person
from tests.policy.test_isolation import AT_WORK, CONFIRMED, SESSION, TEAMS

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 60
PAGE = 20
_HR = {
    "personnel_number": "personnelNumber",
    "full_name": "fullName",
    "latin_name": "latinName",
    "time_zone": "timeZone",
    "protected": "protectedPerson",
    "manager_personnel_number": "managerPersonnelNumber",
    "work_phone": "workPhone",
}
# What each field holds, of those whose values are told apart; "meta" and objects are not asked here
PLAIN = ("login", "email", "workPhone", "personnelNumber", "state", "protected", "displayName", "country")
SECTIONS = {
    "hr": ("personalPhone", "homeAddress", "birthDate", "position", "office", "lastDay", "workPhone"),
    "directory": ("userName", "groups"),
    "domain": ("login", "locked", "groups", "lastLogonAt"),
}
EVERYBODY = f"""query ($after: String) {{ employees(first: {PAGE}, after: $after) {{
  edges {{ node {{ id {" ".join(PLAIN)} {" ".join(f"{name} {{ {' '.join(fields)} }}" for name, fields in SECTIONS.items())}
    hrSalary: hr {{ salary {{ minorUnits }} }} equipment {{ items {{ inventoryNumber model }} }} }} }}
  pageInfo {{ hasNextPage endCursor }} }} }}"""
FIND = "query ($text: String!) { employees(search: $text, first: 20) { edges { node { id } } } }"
OFFERS = "query ($id: ID!) { operations(employee: $id) { id secondFactor } }"
PREVIEW = (
    """mutation ($input: OperationPreviewInput!) { operationPreview(input: $input) { errors { code } } }"""
)
OURS = "{ auditRecords(first: 100) { edges { node { actorLogin } } } }"
FORMS = {"last-4": lambda text: f"•••• {text[-4:]}", "domain": lambda text: f"•••@{text.partition('@')[2]}"}


class Company(World):
    """The world of the API's tests, with the generated company in it and its index in PostgreSQL."""

    def fill(self, path: Path) -> None:
        database = sqlite3.connect(path)
        self.hr = {
            each["personnelNumber"]: each
            for (text,) in database.execute("SELECT document FROM hr_employee")
            for each in [json.loads(text)]
        }
        users = [json.loads(text) for (text,) in database.execute("SELECT resource FROM directory_user")]
        database.close()
        self.logins = {each["externalId"]: each["userName"] for each in users}
        self.emails = {each["externalId"]: each["emails"][0]["value"] for each in users}
        for data in self.sources.data.values():
            data.clear()
        for number, each in self.hr.items():
            self.sources.data["hr"][number] = {
                **{name: each.get(name) for name in SECTIONS["hr"]},
                "birthDate": date.fromisoformat(each["birthDate"]),
                "lastDay": None,
                "salary": each["salary"],
            }
            self.sources.data["directory"][number] = {"userName": self.logins[number], "groups": ["g"]}
            self.sources.data["domain"][number] = {
                "login": self.logins[number],
                "locked": True,
                "enabled": True,
                "groups": ["g"],
                "lastLogonAt": NOW,
            }
            item = {"inventoryNumber": f"N-{number}", "model": "X1", "issuedOn": date(2025, 1, 2)}
            self.sources.data["equipment"][number] = {"items": [item]}

    def records(self) -> MemorySources:
        people = [{name: each.get(_HR.get(name, name)) for name in HR_COLUMNS} for each in self.hr.values()]
        keys = [
            {"personnel_number": number, "login": login, "email": self.emails[number]}
            for number, login in self.logins.items()
        ]
        return MemorySources(people, directory=keys)

    def use(self, people: People) -> None:
        self.people = cast(Any, people)
        self.services = replace(self.services, people=people)
        self.server = GraphServer(self.parts.graph, self.services)

    def row(self, number: str, actor: Actor) -> Employee:
        """What policy files may ask of the employee, from HR's own record."""
        each = self.hr[number]
        own = actor.employee_id == employee_uuid(number)
        return Employee(
            id="my employee" if own else number,
            country=each["country"],
            state=each["state"],
            protected=each["protectedPerson"],
        )

    def member(self, team: str, *facts: str) -> Actor:
        """The demo person of the team, who acts with these facts."""
        found = self.parts.teams.find(team)
        assert found is not None
        return self.actor(found.members[0].login, *facts)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def company(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Company]:
    path = tmp_path_factory.mktemp("company") / "company.sqlite"
    generate(5, SIZE, path, date(2026, 11, 2), lambda done, total: None)
    company = Company(Parts.load())
    company.fill(path)
    name = "okno_isolation"
    await postgres.ensure_database(name, template="okno_template")
    database = Database.connect(postgres.url(name, APP), role=None)
    try:
        people = People(database, cast(Any, company.records()), ManualClock(NOW))
        await people.refresh_index()
        company.use(people)
        yield company
    finally:
        await database.dispose()
        connection = await asyncpg.connect(postgres.url("postgres", SUPERUSER))
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await connection.close()


def _person(team: str, actor: Actor) -> Person:
    rights = actor.rights
    return Person(
        roles=sorted(rights.roles),
        teams=[team],
        countries=sorted(rights.countries),
        facts=sorted(rights.facts),
    )


@cache
def _lines(team: str, action: str) -> Mapping[str, list[committed.Line]]:
    found: dict[str, list[committed.Line]] = {}
    for line in committed.table(team):
        if line.action == action:
            found.setdefault(line.thing, []).append(line)
    return found


def _may(team: str, actor: Actor, action: str, thing: str, row: committed.Row, *more: str) -> bool:
    """By the team's table; `more` are facts that the actor has not."""
    person = _person(team, actor)
    person = replace(person, facts=[*person.facts, *more])
    return any(line.holds(person, row) for line in _lines(team, action).get(thing, ()))


async def _everybody(company: Company, actor: Actor) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    after = None
    while True:
        body = await company.ask(actor, EVERYBODY, after=after)
        assert "errors" not in body, body["errors"]
        page = body["data"]["employees"]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def _expected(company: Company, team: str, actor: Actor, number: str, thing: str, value: object) -> object:
    """The value in full, as its mask shows it, or null."""
    row = company.row(number, actor)
    if _may(team, actor, "read", thing, row):
        return value
    if isinstance(value, str) and _may(team, actor, "mask", thing, row):
        return FORMS[company.parts.policy.masked[thing]](value)
    return None


@pytest.mark.parametrize("team", TEAMS)
@pytest.mark.parametrize("facts", [SESSION, CONFIRMED], ids=" ".join)
async def test_a_list_of_everybody_shows_each_field_as_the_table_says_and_nothing_else(
    company: Company, team: str, facts: list[str]
) -> None:
    actor = company.member(team, *facts)

    nodes = await _everybody(company, actor)

    numbers = {employee_id(employee_uuid(number)): number for number in company.hr}
    assert sorted(node["id"] for node in nodes) == sorted(numbers)
    for node in nodes:
        number = numbers[node["id"]]
        hr = company.hr[number]
        plain = {
            "login": company.logins[number],
            "email": company.emails[number],
            "personnelNumber": number,
            "protected": hr["protectedPerson"],
            "displayName": hr["fullName"],
            **{name: hr[name] for name in ("workPhone", "state", "country")},
        }
        shown = {name: node[name] for name in PLAIN}
        assert shown == {
            name: _expected(company, team, actor, number, f"Employee.{name}", value)
            for name, value in plain.items()
        }
        for section, fields in SECTIONS.items():
            kind = f"{section.capitalize()}Section"
            values = {**company.sources.data[section][number], "birthDate": hr["birthDate"]}
            if section == "domain":
                values["lastLogonAt"] = (node["domain"] or {}).get("lastLogonAt") or "told"
            assert node[section] == {
                name: _expected(company, team, actor, number, f"{kind}.{name}", values[name])
                for name in fields
            }, (team, number, section)
        salary = {"minorUnits": hr["salary"]["minorUnits"]}
        assert node["hrSalary"]["salary"] == _expected(
            company, team, actor, number, "HrSection.salary", salary
        )
        items = [{"inventoryNumber": f"N-{number}", "model": "X1"}]
        if _may(team, actor, "read", "EquipmentSection.items", company.row(number, actor)):
            assert node["equipment"]["items"] == items
        else:
            assert node["equipment"]["items"] is None


@pytest.mark.parametrize("team", TEAMS)
@pytest.mark.parametrize("facts", [SESSION, AT_WORK, CONFIRMED], ids=" ".join)
async def test_the_operations_offered_are_those_of_the_table_marked_where_a_second_factor_is_missing(
    company: Company, team: str, facts: list[str]
) -> None:
    actor = company.member(team, *facts)
    people = await company.people.get_many([employee_uuid(number) for number in company.hr])
    for number in company.hr:
        row = company.row(number, actor)
        expected = {}
        for operation in company.services.operations.ids:
            if _may(team, actor, "run", operation, row):
                expected[operation] = False
            elif _may(team, actor, "run", operation, row, "second_factor"):
                expected[operation] = True

        offered = company.services.operations.offered(actor, people[employee_uuid(number)])

        assert {each.operation.id: each.second_factor for each in offered} == expected, number


@pytest.mark.parametrize("team", TEAMS)
async def test_what_is_offered_can_be_begun_and_nothing_else_and_a_missing_second_factor_is_told(
    company: Company, team: str
) -> None:
    actor = company.member(team, *AT_WORK)
    for number in ("100010", "100012", "100002", "100013"):
        identifier = employee_id(employee_uuid(number))
        body = await company.ask(actor, OFFERS, id=identifier)
        offered = {each["id"]: each["secondFactor"] for each in body["data"]["operations"]}
        for operation in company.services.operations.ids:
            given = {"operation": operation, "employee": identifier, "idempotencyKey": f"{team} {operation}"}
            answer = await company.ask(actor, PREVIEW, input=given)
            codes = {error["code"] for error in answer["data"]["operationPreview"]["errors"]}
            refused = {True: {"SECOND_FACTOR"}, None: {"DENIED"}}.get(offered.get(operation))
            if refused is not None:
                assert codes == refused, (number, operation)
            else:
                assert not codes & {"DENIED", "SECOND_FACTOR"}, (number, operation)


@pytest.mark.parametrize("team", TEAMS)
async def test_pages_and_widgets_are_offered_as_the_table_says(company: Company, team: str) -> None:
    actor = company.member(team, *SESSION)
    body = await company.ask(actor, '{ me { permissions } widgets(slot: "employee-card") { id } }')

    used = {thing for thing in _lines(team, "use") if _may(team, actor, "use", thing, Okno())}
    assert set(body["data"]["me"]["permissions"]) == used
    card = company.parts.teams.find(team)
    assert card is not None
    shown = [each["id"] for each in body["data"]["widgets"]]
    assert shown == card.card, "a card holds no widget that shows its team nothing"
    for widget in company.services.dashboards.offered(actor, "employee-card"):
        readable = {f"{kind}.{name}" for kind, name in widget.leaves}
        assert readable & (_lines(team, "read").keys() | _lines(team, "mask").keys()), widget.manifest.id


@pytest.mark.parametrize("team", TEAMS)
async def test_the_search_finds_by_what_one_reads_or_may_match_and_by_nothing_else(
    company: Company, team: str
) -> None:
    actor = company.member(team, *AT_WORK)
    for number in ("100010", "100012", "100002", "100018"):
        identifier, row = employee_id(employee_uuid(number)), company.row(number, actor)
        values = {
            "login": company.logins[number],
            "email": company.emails[number],
            "workPhone": company.hr[number]["workPhone"],
            "personnelNumber": number,
        }
        for name, whole in values.items():
            reads = _may(team, actor, "read", f"Employee.{name}", row)
            matches = _may(team, actor, "match", f"Employee.{name}", row)
            # a login is its owner's name, which everybody may search by, until its last letter is gone
            by_name = name == "login" or (name == "email" and reads)
            assert await _found(company, actor, whole, identifier) is (reads or matches) or by_name, (
                number,
                name,
            )
            part = whole[:-1] if name != "email" else whole.partition("@")[0] + "@okno"
            if not reads and name != "login":
                assert not await _found(company, actor, part, identifier), (number, part)
        assert await _found(company, actor, company.hr[number]["fullName"], identifier)


async def _found(company: Company, actor: Actor, text: str, identifier: str) -> bool:
    body = await company.ask(actor, FIND, text=text)
    assert "errors" not in body, body["errors"]
    return any(edge["node"]["id"] == identifier for edge in body["data"]["employees"]["edges"])


async def test_each_team_finds_its_own_work_in_the_journal_and_that_of_no_other(company: Company) -> None:
    company.journal.records.clear()
    ivan = employee_id(employee_uuid("100010"))
    actors = {team: company.member(team, *AT_WORK) for team in TEAMS}
    for team, actor in actors.items():
        given = {"operation": "domain.unlock", "employee": ivan, "idempotencyKey": f"journal {team}"}
        await company.ask(actor, PREVIEW, input=given)
    logins = {actor.login: team for team, actor in actors.items()}
    assert {record.actor_login for record in company.journal.records} == set(logins)
    for team, actor in actors.items():
        edges = (await company.ask(actor, OURS))["data"]["auditRecords"]["edges"]
        seen = {logins[edge["node"]["actorLogin"]] for edge in edges}
        expected = {
            other for other in TEAMS if _may(team, actor, "read", "AuditRecord.id", JournalRecord(team=other))
        }
        assert seen == expected, team
        assert seen == (set(TEAMS) if team == "security" else {team})
