"""The journal's list with its filters, and what a person learns of who looked at them, through the API."""

from typing import Any
from uuid import UUID

import pytest

from okno.audit.records import ActorRef, Event, Outcome, SubjectRef
from tests.api.world import ANNA, ANNA_ID, IVAN, IVAN_ID, Parts, World

ELENA = ActorRef(UUID(int=71), "person", "elena.kim", "Elena Kim", "hr-service-desk")
REVIEWER = ActorRef(UUID(int=72), "person", "vera.lis", "Vera Lis", "security")
TOOL = ActorRef(UUID(int=73), "service", "tool", "Tool")

LIST = """query ($text: String, $actor: ID, $subject: ID, $employee: ID, $types: [String!], $outcome: AuditOutcome,
  $phase: AuditPhase, $since: DateTime, $until: DateTime, $team: ID, $chain: ID, $after: String) {
  auditRecords(first: 50, after: $after, text: $text, actor: $actor, subject: $subject, employee: $employee,
    eventTypes: $types, outcome: $outcome, phase: $phase, since: $since, until: $until, team: $team, chain: $chain) {
    edges { cursor node { eventType actorLogin actorId actorKind team subjectId erased refersTo chain at } } } }"""
MINE = """{ whoLookedAtMe(first: 20) { edges { node { id eventType actorName team teamTitle fields operation outcome erased }
  } pageInfo { hasNextPage } } }"""


@pytest.fixture
async def world(parts: Parts) -> World:
    world = World(parts)
    ivan = SubjectRef("Employee", IVAN.id, "ivan.petrov")
    anna = SubjectRef("Employee", ANNA.id, "anna.sorokina")
    for event in (
        Event("session.started", ELENA),
        Event("sensitive.read", ELENA, ivan, {"fields": ["HrSection.birthDate"]}),
        Event("sensitive.read", ELENA, anna, {"fields": ["HrSection.salary"]}),
        Event("sensitive.read", REVIEWER, anna, {"fields": ["HrSection.homeAddress"]}),
        Event(
            "sensitive.read",
            TOOL,
            None,
            {
                "employees": [
                    {"id": str(ANNA.id), "label": None, "fields": ["HrSection.birthDate"]},
                    {"id": str(IVAN.id), "label": None, "fields": ["HrSection.salary"]},
                ]
            },
        ),
        Event("access.denied", ELENA, anna, {"action": "run", "operation": "domain.unlock"}, Outcome.FAILED),
    ):
        await world.journal.record(event)
    return world


async def _listed(world: World, login: str = "vera.lis", **given: Any) -> list[tuple[str, str]]:
    body = await world.ask(login, LIST, **given)
    assert "errors" not in body, body["errors"]
    return [
        (each["node"]["eventType"], each["node"]["actorLogin"])
        for each in body["data"]["auditRecords"]["edges"]
    ]


async def test_each_argument_narrows_the_list(world: World) -> None:
    denied = ("access.denied", "elena.kim")
    assert len(await _listed(world)) == 6
    assert await _listed(world, outcome="FAILED") == [denied]
    assert await _listed(world, text="DENIED elena") == [denied]
    assert await _listed(world, text="domain.unlock") == [denied]
    assert len(await _listed(world, text="anna.sorokina")) == 3
    assert len(await _listed(world, actor=str(ELENA.id))) == 4
    assert len(await _listed(world, subject=IVAN_ID)) == 1
    assert await _listed(world, employee=IVAN_ID) == await _listed(world, subject=IVAN_ID)
    assert len(await _listed(world, types=["access.denied", "session.started"])) == 2
    assert await _listed(world, team="security") == [("sensitive.read", "vera.lis")]
    assert await _listed(world, phase="INTENT") == []
    now = world.clock.now().isoformat()
    assert await _listed(world, until=now) == []
    assert len(await _listed(world, since=now)) == 6
    body = await world.ask("vera.lis", LIST)
    chain = body["data"]["auditRecords"]["edges"][0]["node"]["chain"]
    assert len(await _listed(world, chain=chain)) == 6
    assert await _listed(world, chain=str(UUID(int=1))) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"text": "ab"}, "text"),
        ({"actor": "me"}, "actor"),
        ({"chain": "first"}, "chain"),
        ({"employee": "nobody"}, "employee"),
        ({"types": ["x"] * 51}, "eventTypes"),
        ({"employee": IVAN_ID, "subject": ANNA_ID}, "subject"),
    ],
)
async def test_an_argument_that_cannot_be_understood_is_named(
    world: World, given: dict[str, Any], field: str
) -> None:
    (error,) = (await world.ask("vera.lis", LIST, **given))["errors"]
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("INVALID_INPUT", field)


async def test_a_cursor_belongs_to_the_list_that_it_was_made_for(world: World) -> None:
    body = await world.ask("vera.lis", LIST, text="anna.sorokina")
    cursor = body["data"]["auditRecords"]["edges"][0]["cursor"]
    assert len(await _listed(world, text="anna.sorokina", after=cursor)) == 2
    other = await world.ask("vera.lis", LIST, text="ivan.petrov", after=cursor)
    assert other["errors"][0]["extensions"]["field"] == "after"


async def test_whoever_reads_own_and_team_records_searches_in_those_alone(world: World) -> None:
    seen = await _listed(world, "elena.kim", text="anna.sorokina")
    assert seen == [("access.denied", "elena.kim"), ("sensitive.read", "elena.kim")]
    assert await _listed(world, "elena.kim", team="security") == []


async def test_one_learns_who_looked_at_one_and_at_what_but_not_of_investigations(world: World) -> None:
    body = await world.ask("anna.sorokina", MINE)
    nodes = [each["node"] for each in body["data"]["whoLookedAtMe"]["edges"]]
    assert [(each["eventType"], each["actorName"], each["fields"]) for each in nodes] == [
        ("access.denied", "Elena Kim", []),
        ("sensitive.read", "Tool", ["HrSection.birthDate"]),
        ("sensitive.read", "Elena Kim", ["HrSection.salary"]),
    ]
    assert (nodes[0]["operation"], nodes[0]["outcome"]) == ("domain.unlock", "failed")
    assert nodes[2]["teamTitle"]["en"] == "HR service desk"
    assert "journal.history" in str(body["extensions"]["gate"])


async def test_a_service_has_no_history_of_its_own(world: World) -> None:
    body = await world.ask(world.service_actor("audit.read"), MINE)
    assert body["data"]["whoLookedAtMe"] is None


async def test_the_kinds_of_events_are_told_with_their_titles(world: World) -> None:
    body = await world.ask("anna.sorokina", "{ auditEventTypes { id title kind } }")
    kinds = {each["id"]: each for each in body["data"]["auditEventTypes"]}
    assert kinds["operation.run"]["kind"] == "command"
    assert kinds["access.denied"]["title"]["ru"] == "Отказ в доступе"
