"""Subscriptions over both protocols: who hears of what, for how long, and what it is told when that ends."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

import pytest

from okno.asgi import Application
from okno.audit.records import ActorRef, Event, Outcome, Phase, RecordRef, SubjectRef
from okno.errors import Unauthenticated, Unavailable
from okno.graph.http import graphql_routes
from okno.graph.ids import employee_id
from okno.graph.subscriptions.live import LiveLimits
from okno.graph.subscriptions.topics import TOPICS, forgetting
from okno.identity.browser import Browser
from okno.identity.model import Actor
from okno.identity.sessions import Authentication
from okno.settings import Settings
from okno.sources.model import PersonKeys
from tests.api.sockets import ORIGIN, Refused, Socket, connected, streaming
from tests.api.world import AMINA, AMINA_ID, IVAN, IVAN_ID, MAXIM, MAXIM_ID, Parts, World, gate_of

RECORDS = "subscription { auditRecordAdded { eventType phase actorLogin subjectLabel } }"
CHANGED = "subscription ($id: ID!) { employeeChanged(id: $id) { displayName login domain { locked meta { state } } } }"
PREVIEW = "mutation ($input: OperationPreviewInput!) { operationPreview(input: $input) { previewToken errors { code } } }"
RUN = "mutation ($input: OperationRunInput!) { operationRun(input: $input) { outcome errors { code } } }"
SOON = LiveLimits(check_seconds=0.02, init_seconds=0.05, retry_seconds=0.01)
# No look at the rights comes between: what happens, happens because of an event
CALM = LiveLimits(check_seconds=60, init_seconds=60, retry_seconds=0.01)

ANNA, ELENA, KWAME, DMITRY = "anna.sorokina", "elena.kim", "kwame.mensah", "dmitry.orlov"


@dataclass
class Doors:
    """Identity: bearer tokens and cookies are logins, and whoever is taken away is signed out."""

    actors: dict[str, Actor]
    away: bool = False
    browser: Browser = field(default_factory=lambda: Browser(Settings()))

    async def authenticate_session(
        self, cookies: Mapping[str, str], authorization: str | None
    ) -> Authentication | None:
        actor = await self.authenticate(cookies, authorization)
        return None if actor is None else Authentication(actor)

    async def authenticate(self, cookies: Mapping[str, str], authorization: str | None) -> Actor | None:
        if authorization is not None:
            return replace(self._find(authorization.removeprefix("Bearer ")), csrf_token=None)
        return self._find(cookies["okno_session"]) if cookies.get("okno_session") else None

    async def renew(self, actor: Actor, authorization: str | None) -> Actor:
        return replace(self._find(actor.login), csrf_token=actor.csrf_token)

    def _find(self, login: str) -> Actor:
        if self.away:
            raise Unavailable("The database does not answer.")
        if login not in self.actors:
            raise Unauthenticated("The session has ended. Sign in again.")
        return self.actors[login]


class Stage:
    """The world with an application before it."""

    def __init__(self, world: World, limits: LiveLimits) -> None:
        self.world = world
        logins = [each.login for each in world.parts.teams.list_demo_people()]
        self.doors = Doors({login: world.actor(login) for login in logins})
        team = world.parts.teams.find("executives-support")
        assert team is not None
        self.doors.actors["vip"] = replace(
            world.actor(ANNA), id=UUID(int=99), login="vip", rights=team.rights(("session",)), team=team.id
        )
        routes = graphql_routes(world.parts.graph, world.services, cast(Any, self.doors), live_limits=limits)
        self.app = Application(routes, https=False)

    @asynccontextmanager
    async def socket(self, login: str) -> AsyncIterator[Socket]:
        """A connection of somebody with a token."""
        async with connected(self.app) as socket:
            await socket.init(authorization=f"Bearer {login}")
            yield socket

    async def record(self, event_type: str = "sensitive.read", actor: str = ANNA) -> None:
        """Somebody does something that is recorded."""
        found = self.world.actor(actor)
        who = ActorRef(found.id, "person", actor, found.display_name)
        await self.world.journal.record(
            Event(event_type, who, SubjectRef("Employee", IVAN.id, "ivan.petrov"))
        )

    async def change(self, person: UUID = IVAN.id, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        """Somebody of another team runs an operation on the person."""
        who = ActorRef(UUID(int=5), "person", "other", "Other")
        async with self.world.journal.command(
            actor=who,
            event_type="operation.run",
            subject=SubjectRef("Employee", person, "label"),
            detail={"operation": "domain.unlock"},
            idempotency_key=None,
            policy_version="v",
            rule="r",
        ) as command:
            if outcome is Outcome.SUCCEEDED:
                command.succeeded()
            elif outcome is Outcome.UNKNOWN:
                command.unknown("GONE", "gone")
            else:
                command.failed("NO", "no")

    def settle(self) -> None:
        """The sweep finds out that a run on Ivan has failed."""
        who = ActorRef(UUID(int=0), "system", "okno", "Okno")
        event = Event("operation.run", who, SubjectRef("Employee", IVAN.id), {"code": "SETTLED"})
        self.world.journal._write(event, Phase.OUTCOME, Outcome.FAILED)


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world, CALM)


@pytest.fixture(scope="module")
def unchanged(parts: Parts) -> Stage:
    """For tests that leave everything as it was."""
    return Stage(World(parts), CALM)


@pytest.fixture
def watchful(world: World) -> Stage:
    """Rights are looked at every few milliseconds."""
    return Stage(world, SOON)


def extensions(error: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = error["extensions"]
    assert len(found["requestId"]) >= 8
    return found


# Who hears of what


async def test_an_event_is_answered_like_a_query_with_its_gate(stage: Stage) -> None:
    async with stage.socket("vera.lis") as socket:
        await socket.subscribe(RECORDS)
        await stage.record()
        body = await socket.next()
    assert body["data"] == {
        "auditRecordAdded": {
            "eventType": "sensitive.read",
            "phase": "event",
            "actorLogin": ANNA,
            "subjectLabel": "ivan.petrov",
        }
    }
    assert gate_of(body, "auditRecordAdded.eventType")["rule"] == "journal.all"
    assert body["extensions"]["policyVersion"] == stage.world.parts.policy.version
    assert set(body["extensions"]["cost"]) == {"requested", "spent", "limit"}


async def test_operators_hear_of_their_own_records_only(stage: Stage) -> None:
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(RECORDS)
        await stage.record(actor=KWAME)
        await stage.record(actor=ANNA)
        assert (await socket.next())["data"]["auditRecordAdded"]["actorLogin"] == ANNA


async def test_records_of_one_employee_can_be_followed(stage: Stage) -> None:
    async with stage.socket("vera.lis") as socket:
        query = "subscription ($id: ID) { auditRecordAdded(employee: $id) { eventType } }"
        await socket.subscribe(query, "none", id=MAXIM_ID)
        await socket.subscribe(query, "some", id=IVAN_ID)
        await stage.record()
        assert (await socket.next("some"))["data"]["auditRecordAdded"]["eventType"] == "sensitive.read"


async def test_a_change_by_another_operator_shows_the_employee_as_they_are_then(stage: Stage) -> None:
    async with stage.socket(ANNA) as watcher, stage.socket(DMITRY) as actor:
        await watcher.subscribe(CHANGED, id=IVAN_ID)
        wanted = {"operation": "domain.unlock", "employee": IVAN_ID, "idempotencyKey": "p"}
        seen = (await actor.ask(PREVIEW, input=wanted))["data"]["operationPreview"]
        done = await actor.ask(RUN, input={**wanted, "previewToken": seen["previewToken"]})
        assert done["data"]["operationRun"] == {"outcome": "SUCCEEDED", "errors": []}
        body = await watcher.next()
    assert body["data"]["employeeChanged"] == {
        "displayName": "Иван Петров",
        "login": "ivan.petrov",
        "domain": {"locked": False, "meta": {"state": "OK"}},
    }
    assert gate_of(body, "employeeChanged")["rule"] == "people.support"


async def test_what_any_process_changed_is_read_anew_by_all(stage: Stage) -> None:
    forgotten: list[str] = []

    class Cache:
        def forget(self, keys: PersonKeys) -> None:
            forgotten.append(keys.personnel_number)

    forget = forgetting(cast(Any, stage.world.people), cast(Any, Cache()))
    await stage.change(IVAN.id)
    await stage.change(AMINA.id, Outcome.FAILED)
    await stage.change(MAXIM.id, Outcome.UNKNOWN)
    await stage.record()
    await forget([record for record in stage.world.journal.records if record.phase is Phase.OUTCOME])
    assert sorted(forgotten) == sorted([IVAN.personnel_number, MAXIM.personnel_number])


async def test_what_failed_changed_nothing_and_what_was_settled_is_told(stage: Stage) -> None:
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(CHANGED, id=IVAN_ID)
        await stage.change(outcome=Outcome.FAILED)
        await stage.change(MAXIM.id)
        stage.settle()
        assert (await socket.next())["data"]["employeeChanged"]["login"] == "ivan.petrov"
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}, "one event for three outcomes"


@pytest.mark.parametrize(("login", "employee"), [(ANNA, MAXIM_ID), (ANNA, AMINA_ID), ("vera.lis", MAXIM_ID)])
async def test_of_changes_hears_nobody_who_may_read_but_public_fields(
    unchanged: Stage, login: str, employee: str
) -> None:
    async with unchanged.socket(login) as socket:
        payload = {"query": CHANGED, "variables": {"id": employee}}
        await socket.send({"id": "1", "type": "subscribe", "payload": payload})
        assert extensions(await socket.error())["code"] == "DENIED"


async def test_executives_support_hears_of_changes_of_protected_people(stage: Stage) -> None:
    async with stage.socket("vip") as socket:
        await socket.subscribe(CHANGED, id=MAXIM_ID)
        await stage.change(MAXIM.id)
        assert (await socket.next())["data"]["employeeChanged"]["login"] == "maxim.egorov"


async def test_an_employee_who_becomes_protected_is_no_longer_told_of(stage: Stage) -> None:
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(CHANGED, id=IVAN_ID)
        stage.world.people.people[IVAN.id] = replace(IVAN, protected=True)
        await stage.change()
        assert extensions(await socket.error())["code"] == "DENIED"


async def test_sensitive_fields_of_an_event_are_recorded_before_they_leave(stage: Stage) -> None:
    query = "subscription ($id: ID!) { employeeChanged(id: $id) { hr { birthDate } } }"
    async with stage.socket(ELENA) as socket:
        await socket.subscribe(query, id=IVAN_ID)
        await stage.change()
        assert (await socket.next())["data"]["employeeChanged"]["hr"]["birthDate"] == "1990-05-06"
        (record,) = stage.world.journal.of_type("sensitive.read")
        assert record.detail == {"fields": ["HrSection.birthDate"]}


async def test_what_cannot_be_recorded_waits_for_the_journal(stage: Stage) -> None:
    query = "subscription ($id: ID!) { employeeChanged(id: $id) { hr { birthDate } } }"
    async with stage.socket(ELENA) as socket:
        await socket.subscribe(query, id=IVAN_ID)
        refused, journal = asyncio.Event(), stage.world.journal
        record = journal.record

        async def noticing(event: Event) -> RecordRef:
            try:
                return await record(event)
            except Unavailable:
                refused.set()
                raise

        journal.record = noticing  # type: ignore[method-assign]
        await stage.change()
        journal.away = True
        await refused.wait()
        journal.away = False
        assert (await socket.next())["data"]["employeeChanged"]["hr"]["birthDate"] == "1990-05-06"


async def test_a_service_without_the_scope_may_not_follow_the_journal(stage: Stage) -> None:
    stage.doors.actors["tool"] = stage.world.service_actor("employees.read")
    stage.doors.actors["siem"] = replace(stage.world.service_actor("audit.read"), login="siem")
    async with stage.socket("tool") as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": RECORDS}})
        assert extensions(await socket.error())["code"] == "DENIED"
    async with stage.socket("siem") as socket:
        await socket.subscribe(RECORDS)
        await stage.record()
        assert (await socket.next())["data"]["auditRecordAdded"]["eventType"] == "sensitive.read"


async def test_an_employee_who_is_not_there_cannot_be_followed(unchanged: Stage) -> None:
    wrong = {employee_id(UUID(int=3)): "NOT_FOUND", "x": "INVALID_INPUT"}
    async with unchanged.socket(ANNA) as socket:
        for number, (given, code) in enumerate(wrong.items()):
            payload = {"query": CHANGED, "variables": {"id": given}}
            await socket.send({"id": str(number), "type": "subscribe", "payload": payload})
            assert extensions(await socket.error(str(number)))["code"] == code


def test_every_field_has_a_topic(world: World) -> None:
    root = world.parts.graph.core.subscription_type
    assert root is not None
    assert set(root.fields) == set(TOPICS)


# How it ends


async def test_a_withdrawn_right_ends_the_subscription_with_the_next_event(stage: Stage) -> None:
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(CHANGED, id=IVAN_ID)
        stage.doors.actors[ANNA] = replace(
            stage.doors.actors[ANNA], rights=stage.doors.actors[KWAME].rights, team="first-line-africa"
        )
        await stage.change()
        error = await socket.error()
        assert extensions(error)["code"] == "DENIED"
        assert (await socket.ask("{ me { login } }"))["data"]["me"]["login"] == ANNA, "the connection stays"


async def test_a_withdrawn_right_ends_the_subscription_without_an_event_too(watchful: Stage) -> None:
    async with watchful.socket(ANNA) as socket:
        await socket.subscribe(CHANGED, id=IVAN_ID)
        watchful.doors.actors[ANNA] = replace(
            watchful.doors.actors[ANNA], rights=watchful.doors.actors[KWAME].rights
        )
        assert extensions(await socket.error())["code"] == "DENIED"


async def test_a_session_that_ends_ends_all_subscriptions_and_the_connection(watchful: Stage) -> None:
    async with watchful.socket(ANNA) as socket:
        await socket.subscribe(CHANGED, "1", id=IVAN_ID)
        await socket.subscribe(RECORDS, "2")
        del watchful.doors.actors[ANNA]
        ended = [await socket.receive(), await socket.receive()]
        assert sorted((each["id"], each["type"]) for each in ended) == [("1", "error"), ("2", "error")]
        assert {each["payload"][0]["extensions"]["code"] for each in ended} == {"UNAUTHENTICATED"}
        assert (await socket.closed())[0] == 4401


async def test_a_session_that_ends_ends_a_connection_on_which_nothing_happens(watchful: Stage) -> None:
    async with watchful.socket(ANNA) as socket:
        del watchful.doors.actors[ANNA]
        assert await socket.closed() == (4401, "The session has ended. Sign in again.")


async def test_a_session_that_ended_before_an_event_hears_nothing_of_it(stage: Stage) -> None:
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(RECORDS)
        del stage.doors.actors[ANNA]
        await stage.record()
        assert extensions(await socket.error())["code"] == "UNAUTHENTICATED"
        assert (await socket.closed())[0] == 4401


async def test_while_nobody_can_tell_who_it_is_nothing_is_told_and_nothing_lost(watchful: Stage) -> None:
    async with watchful.socket(ANNA) as socket:
        await socket.subscribe(RECORDS)
        watchful.doors.away = True
        await watchful.record()
        watchful.doors.away = False
        assert (await socket.next())["data"]["auditRecordAdded"]["actorLogin"] == ANNA


async def test_the_client_completes_and_may_use_the_id_again(stage: Stage) -> None:
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(RECORDS)
        await socket.send({"id": "1", "type": "complete"})
        await socket.send({"id": "1", "type": "complete"})
        await socket.subscribe(RECORDS)
        await stage.record()
        await socket.next()
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}, "one event, once"


async def test_the_end_of_the_process_is_told_as_going_away(stage: Stage) -> None:
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(RECORDS)
        stage.world.fanout.close()
        assert await socket.closed() == (1001, "Okno is stopping here. Subscribe again in a moment.")
    assert not stage.world.fanout.is_heard


async def test_who_leaves_is_forgotten(stage: Stage) -> None:
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(RECORDS)
        assert stage.world.fanout.is_heard
    assert not stage.world.fanout.is_heard


# The protocol over WebSocket

INVALID: Mapping[str, object] = {
    "no JSON": "{",
    "bytes": b"{}",
    "a list": [],
    "null": None,
    "no type": {},
    "an unknown type": {"type": "start"},
    "a type that is no text": {"type": 1},
    "a key twice": '{"type": "ping", "type": "pong"}',
    "a payload of a wrong type": {"type": "ping", "payload": "x"},
    "no id": {"type": "subscribe", "payload": {"query": RECORDS}},
    "an empty id": {"id": "", "type": "subscribe", "payload": {"query": RECORDS}},
    "an id that is a number": {"id": 1, "type": "complete"},
    "a long id": {"id": "x" * 201, "type": "complete"},
    "no payload": {"id": "1", "type": "subscribe"},
    "no query": {"id": "1", "type": "subscribe", "payload": {}},
    "a query that is no text": {"id": "1", "type": "subscribe", "payload": {"query": 1}},
    "variables that are no object": {
        "id": "1",
        "type": "subscribe",
        "payload": {"query": RECORDS, "variables": []},
    },
    "deep": "[" * 100 + "]" * 100,
}


@pytest.mark.parametrize("what", INVALID)
async def test_an_invalid_message_closes_with_4400(unchanged: Stage, what: str) -> None:
    async with unchanged.socket(ANNA) as socket:
        await socket.send(INVALID[what] if INVALID[what] is not None else "null")
        code, reason = await socket.closed()
        assert code == 4400
        assert reason
        assert len(reason.encode()) <= 123


async def test_nothing_is_done_before_the_connection_is_initialised(unchanged: Stage) -> None:
    async with connected(unchanged.app) as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": RECORDS}})
        assert await socket.closed() == (4401, "Unauthorized")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, 4401),
        ({"authorization": "Bearer nobody"}, 4401),
        ({"authorization": 7}, 4400),
        ({"client": "?!"}, 4400),
    ],
    ids=["no credential", "a wrong one", "none that is a text", "a client that is no name"],
)
async def test_who_does_not_say_who_it_is_gets_no_connection(
    unchanged: Stage, payload: dict[str, Any], code: int
) -> None:
    credential = {} if code == 4401 else {"authorization": f"Bearer {ANNA}"}
    async with connected(unchanged.app) as socket:
        await socket.send({"type": "connection_init", "payload": {**credential, **payload}})
        assert (await socket.closed())[0] == code


async def test_initialising_twice_closes_with_4429(unchanged: Stage) -> None:
    async with unchanged.socket(ANNA) as socket:
        await socket.send({"type": "connection_init"})
        assert await socket.closed() == (4429, "Too many initialisation requests")


async def test_never_initialising_closes_with_4408(watchful: Stage) -> None:
    async with connected(watchful.app) as socket:
        assert await socket.closed() == (4408, "Connection initialisation timeout")


async def test_another_subprotocol_closes_with_4406(unchanged: Stage) -> None:
    async with connected(unchanged.app, protocols=("graphql-ws",)) as socket:
        assert socket.protocol is None
        assert (await socket.closed())[0] == 4406


async def test_an_id_that_is_in_use_closes_with_4409(unchanged: Stage) -> None:
    async with unchanged.socket(ANNA) as socket:
        await socket.subscribe(RECORDS)
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": RECORDS}})
        assert await socket.closed() == (4409, "Subscriber for 1 already exists")


async def test_pings_are_answered_before_anything_else_too(unchanged: Stage) -> None:
    async with connected(unchanged.app) as socket:
        await socket.send({"type": "ping", "payload": {"n": 1}})
        assert await socket.receive() == {"type": "pong", "payload": {"n": 1}}
        await socket.send({"type": "pong"})
        await socket.init(authorization=f"Bearer {ANNA}")


async def test_a_browser_of_ours_needs_its_cookie_and_nothing_else(stage: Stage) -> None:
    async with connected(stage.app, {"cookie": f"okno_session={ANNA}", "origin": ORIGIN}) as socket:
        assert socket.protocol == "graphql-transport-ws"
        assert len(socket.headers["x-request-id"]) >= 8
        await socket.init()
        await socket.subscribe(RECORDS)
        await stage.record()
        await socket.next()


async def test_a_page_of_another_origin_does_not_get_as_far_as_a_socket(unchanged: Stage) -> None:
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        with pytest.raises(Refused) as refused:
            async with connected(unchanged.app, {"cookie": f"okno_session={ANNA}", **headers}):
                pytest.fail("it was accepted")
        assert refused.value.status == 403
        (error,) = refused.value.body["errors"]
        assert extensions(error)["code"] == "CSRF"
        assert refused.value.headers["x-request-id"] == error["extensions"]["requestId"]
        assert refused.value.headers["x-content-type-options"] == "nosniff"


async def test_a_cookie_without_an_origin_is_no_browser(unchanged: Stage) -> None:
    async with connected(unchanged.app, {"cookie": f"okno_session={ANNA}"}) as socket:
        await socket.send({"type": "connection_init"})
        assert (await socket.closed())[0] == 4403


async def test_queries_and_mutations_go_the_same_way(stage: Stage) -> None:
    async with stage.socket(ANNA) as socket:
        body = await socket.ask(
            "query ($id: ID!) { employee(id: $id) { login hr { salary { currency } } } }", id=IVAN_ID
        )
        assert body["data"]["employee"] == {"login": "ivan.petrov", "hr": {"salary": None}}
        assert gate_of(body, "employee.hr.salary")["decision"] == "deny"
        wanted = {"operation": "domain.unlock", "employee": MAXIM_ID, "idempotencyKey": "p"}
        refused = (await socket.ask(PREVIEW, input=wanted))["data"]["operationPreview"]
        assert refused["errors"] == [{"code": "DENIED"}]
    (denied,) = stage.world.journal.of_type("access.denied")
    assert denied.detail["operation"] == "domain.unlock"


async def test_a_document_that_is_wrong_is_an_error_of_its_operation(unchanged: Stage) -> None:
    wrong = {
        "{": "GRAPHQL_PARSE_FAILED",
        "{ nothing }": "GRAPHQL_VALIDATION_FAILED",
        "subscription { auditRecordAdded { id } employeeChanged(id: 1) { id } }": "GRAPHQL_VALIDATION_FAILED",
        "subscription ($a: Boolean!) { auditRecordAdded @include(if: $a) { id } }": "GRAPHQL_VALIDATION_FAILED",
        "subscription { __typename }": "GRAPHQL_VALIDATION_FAILED",
        "subscription ($id: ID = 1) { employeeChanged(id: $id) { id } }": "INVALID_INPUT",
        "query q { __typename } query r { __typename }": "BAD_USER_INPUT",
    }
    async with unchanged.socket(ANNA) as socket:
        for number, (query, code) in enumerate(wrong.items()):
            payload = {"query": query, "variables": {"id": None}}
            await socket.send({"id": str(number), "type": "subscribe", "payload": payload})
            message = await socket.receive()
            assert (message["id"], message["type"]) == (str(number), "error"), message
            assert message["payload"][0]["extensions"]["code"] == code, query


async def test_a_trusted_document_is_subscribed_to_by_its_id(unchanged: Stage) -> None:
    async with unchanged.socket(ANNA) as socket:
        payload = {"documentId": "sha256:" + "0" * 64}
        await socket.send({"id": "1", "type": "subscribe", "payload": payload})
        assert extensions(await socket.error())["code"] == "PERSISTED_DOCUMENT_NOT_FOUND"


async def test_a_mutation_goes_on_when_its_client_leaves(stage: Stage) -> None:
    sources = stage.world.sources
    async with stage.socket(ANNA) as socket:
        wanted = {"operation": "domain.unlock", "employee": IVAN_ID, "idempotencyKey": "p"}
        seen = (await socket.ask(PREVIEW, input=wanted))["data"]["operationPreview"]
        payload = {"query": RUN, "variables": {"input": {**wanted, "previewToken": seen["previewToken"]}}}
        began, go_on = asyncio.Event(), asyncio.Event()
        original = sources.preview

        async def slow(*given: Any) -> Any:
            began.set()
            await go_on.wait()
            return await original(*given)

        sources.preview = slow  # type: ignore[method-assign, assignment]
        await socket.send({"id": "run", "type": "subscribe", "payload": payload})
        await began.wait()
        leaving = asyncio.create_task(socket.leave())
        await asyncio.sleep(0)
        go_on.set()
        await leaving
    assert sources.effects == [IVAN.personnel_number]
    assert stage.world.journal.of_type("operation.run")[-1].outcome is Outcome.SUCCEEDED


# Limits


async def test_a_connection_runs_so_many_operations_and_no_more(world: World) -> None:
    stage = Stage(world, replace(CALM, operations_of_socket=2))
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(RECORDS, "1")
        await socket.subscribe(RECORDS, "2")
        await socket.send({"id": "3", "type": "subscribe", "payload": {"query": RECORDS}})
        found = extensions(await socket.error("3"))
        assert (found["code"], found["limit"], found["allowed"]) == (
            "LIMIT_EXCEEDED",
            "operations_of_socket",
            2,
        )
        await socket.send({"id": "1", "type": "complete"})
        await socket.subscribe(RECORDS, "3")


async def test_one_person_has_so_many_subscriptions_over_all_connections(world: World) -> None:
    stage = Stage(world, replace(CALM, subscriptions_of_actor=2))
    async with stage.socket(ANNA) as one, stage.socket(ANNA) as other, stage.socket(KWAME) as colleague:
        await one.subscribe(RECORDS)
        await other.subscribe(RECORDS)
        async with streaming(stage.app, {"query": RECORDS}, {"authorization": f"Bearer {ANNA}"}) as stream:
            event = await stream.event()
            assert event is not None
            assert event[1]["errors"][0]["extensions"]["limit"] == "subscriptions_of_actor"
        await colleague.subscribe(RECORDS)


async def test_one_person_has_so_many_connections(world: World) -> None:
    stage = Stage(world, replace(CALM, sockets_of_actor=1))
    async with stage.socket(ANNA), connected(stage.app) as second:
        await second.send({"type": "connection_init", "payload": {"authorization": f"Bearer {ANNA}"}})
        code, reason = await second.closed()
        assert code == 4403
        assert "sockets_of_actor" in reason
    async with stage.socket(ANNA):
        pass


async def test_who_does_not_read_is_told_which_limit_was_exceeded(world: World) -> None:
    stage = Stage(world, replace(CALM, pending_events=5))
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(RECORDS)
        socket.reading.clear()
        for _ in range(20):
            await stage.record()
            await asyncio.sleep(0)
        socket.reading.set()
        await socket.next()
        found = extensions(await socket.error())
        assert (found["code"], found["limit"], found["allowed"]) == ("LIMIT_EXCEEDED", "pending_events", 5)


async def test_who_never_reads_again_is_let_go(world: World) -> None:
    stage = Stage(world, replace(CALM, send_seconds=0.05))
    async with stage.socket(ANNA) as socket:
        await socket.subscribe(RECORDS)
        socket.reading.clear()
        await stage.record()
        await socket.let_go()
        assert not stage.world.fanout.is_heard


# Server-sent events


async def test_events_are_streamed(stage: Stage) -> None:
    async with streaming(stage.app, {"query": RECORDS}, {"authorization": f"Bearer {ANNA}"}) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store"
        assert "content-length" not in stream.headers
        await stage.record()
        event = await stream.event()
        assert event is not None
        kind, body = event
        assert kind == "next"
        assert body["data"]["auditRecordAdded"]["actorLogin"] == ANNA
        assert body["extensions"]["requestId"] == stream.headers["x-request-id"]
    assert not stage.world.fanout.is_heard


async def test_an_answer_and_its_errors_are_streamed_to_who_takes_only_events(unchanged: Stage) -> None:
    for query, expected in (
        ("{ me { login } }", {"me": {"login": ANNA}}),
        ("{ nothing }", None),
        (RECORDS.replace("auditRecordAdded", "auditRecordAdded @skip(if: true)"), None),
    ):
        async with streaming(unchanged.app, {"query": query}, {"authorization": f"Bearer {ANNA}"}) as stream:
            assert stream.status == 200
            event = await stream.event()
            assert event is not None
            assert event[1].get("data") == expected
            assert ("errors" in event[1]) == (expected is None)
            assert await stream.event() == ("complete", None)
            assert await stream.event() is None


async def test_who_takes_json_too_gets_events_for_subscriptions_alone(unchanged: Stage) -> None:
    both = "application/graphql-response+json, application/json, text/event-stream"
    given = {"authorization": f"Bearer {ANNA}", "accept": both}
    async with streaming(unchanged.app, {"query": "{ me { login } }"}, given) as stream:
        assert stream.headers["content-type"].startswith("application/")
        assert (await stream.body())["data"] == {"me": {"login": ANNA}}
    async with streaming(unchanged.app, {"query": RECORDS}, given) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
    async with streaming(unchanged.app, {"query": "{ nothing }"}, given) as stream:
        assert stream.status == 400
        assert "errors" in await stream.body()


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "UNAUTHENTICATED"),
        ({"authorization": "Bearer nobody"}, 401, "UNAUTHENTICATED"),
        ({"cookie": f"okno_session={ANNA}"}, 403, "CSRF"),
        (
            {"cookie": f"okno_session={ANNA}", "x-okno-csrf": "csrf", "origin": "https://evil.example"},
            403,
            "CSRF",
        ),
        ({"authorization": f"Bearer {ANNA}", "accept": "text/plain"}, 406, "NOT_ACCEPTABLE"),
        ({"authorization": f"Bearer {ANNA}", "content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"authorization": f"Bearer {ANNA}", "accept": "application/json"}, 400, "BAD_REQUEST"),
    ],
    ids=[
        "nobody",
        "a wrong token",
        "no CSRF token",
        "another origin",
        "another type",
        "no JSON",
        "no stream",
    ],
)
async def test_a_stream_is_refused_like_any_request(
    unchanged: Stage, headers: dict[str, str], status: int, code: str
) -> None:
    async with streaming(unchanged.app, {"query": RECORDS}, headers) as stream:
        answered = 200 if code == "BAD_REQUEST" else status  # a client of application/json, see _status
        assert stream.status == answered
        assert (await stream.body())["errors"][0]["extensions"]["code"] == code
    assert not unchanged.world.fanout.is_heard


async def test_a_batch_is_no_stream(unchanged: Stage) -> None:
    async with streaming(unchanged.app, [{"query": RECORDS}], {"authorization": f"Bearer {ANNA}"}) as stream:
        assert stream.status == 400
        assert (await stream.body())["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_browser_streams_with_its_cookie_and_csrf_token(stage: Stage) -> None:
    given = {"cookie": f"okno_session={ANNA}", "x-okno-csrf": "csrf", "origin": ORIGIN}
    async with streaming(stage.app, {"query": RECORDS}, given) as stream:
        await stage.record()
        event = await stream.event()
        assert event is not None
        assert event[0] == "next"


async def test_a_stream_ends_with_its_session(watchful: Stage) -> None:
    async with streaming(watchful.app, {"query": RECORDS}, {"authorization": f"Bearer {ANNA}"}) as stream:
        del watchful.doors.actors[ANNA]
        event = await stream.event()
        assert event is not None
        assert event[1]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert await stream.event() == ("complete", None)
        assert await stream.event() is None


async def test_a_stream_breaks_off_without_completing_when_the_process_stops(stage: Stage) -> None:
    async with streaming(stage.app, {"query": RECORDS}, {"authorization": f"Bearer {ANNA}"}) as stream:
        stage.world.fanout.close()
        assert await stream.event() is None


async def test_a_stream_that_nobody_reads_is_let_go(world: World) -> None:
    stage = Stage(world, replace(CALM, send_seconds=0.05))
    async with streaming(stage.app, {"query": RECORDS}, {"authorization": f"Bearer {ANNA}"}) as stream:
        stream.reading.clear()
        await stage.record()
        await stream.served.wait()
        assert not stage.world.fanout.is_heard


async def test_a_get_request_streams_and_changes_nothing(stage: Stage) -> None:
    given = {"authorization": f"Bearer {ANNA}"}
    async with streaming(
        stage.app,
        None,
        method="GET",
        query=b"query=subscription%7BauditRecordAdded%7Bid%7D%7D",
        headers=given,
    ) as stream:
        await stage.record()
        event = await stream.event()
        assert event is not None
        assert event[1]["data"]["auditRecordAdded"]["id"]
    mutation = b"query=mutation%7BoperationPreview(input:%7Boperation:%22a%22,employee:%22b%22,idempotencyKey:%22c%22%7D)%7BpreviewToken%7D%7D"
    async with streaming(stage.app, None, given, method="GET", query=mutation) as stream:
        event = await stream.event()
        assert event is not None
        assert event[1]["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
