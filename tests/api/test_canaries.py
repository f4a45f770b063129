"""Canaries: each confidential, secret or masked field of each employee holds a value that stands nowhere else.

Then everybody asks for everything in every way, and every byte that leaves is searched for what its reader may not see.
Who may see is asked of Oso itself, past the gate, and they have to find it: a test that finds nothing proves nothing.
"""

import base64
import io
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from urllib.parse import quote

import httpx
import pytest
import structlog
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType, get_named_type, is_leaf_type

from okno.asgi import Application
from okno.audit.records import ActorRef, SubjectRef
from okno.errors import Unauthenticated
from okno.graph.http import graphql_routes
from okno.graph.ids import employee_id
from okno.graph.limits import Limits
from okno.graph.subscriptions.live import LiveLimits
from okno.identity.browser import Browser
from okno.identity.model import Actor
from okno.identity.sessions import Authentication
from okno.logging import configure_logging
from okno.people.model import Person
from okno.policy.service import Policy
from okno.settings import Settings
from okno.sources.manifest import FieldManifest, SourceManifest
from okno.sources.model import SourceFailure
from tests.api.sockets import connected
from tests.api.world import PEOPLE, Parts, World

CHECKED_LEVELS = ("confidential", "secret")
FREE = Limits(cost=10**9, tokens=10**6, characters=10**6, selections=10**6, depth=50, repeats=10**6)
# of a section: what stands for how it is, and not for what it holds
META = "meta"


@dataclass(frozen=True)
class Canary:
    """A value that was planted: in which field of whom, and as what bytes it would leave."""

    person: Person
    path: tuple[str, ...]
    """Fields from the employee to the value, such as Employee.hr, HrSection.salary."""
    needles: tuple[bytes, ...]
    told: str

    @property
    def raw(self) -> bytes:
        return self.needles[0]

    def is_in(self, text: bytes) -> bool:
        return any(needle in text for needle in self.needles)

    def __str__(self) -> str:
        return f"{self.path[-1]} of {self.person.login}"


def needles_of(text: str) -> tuple[bytes, ...]:
    """The text as it may leave: as it is (and so in JSON, HTML and logs), in a URL, in hexadecimal, in base64 wherever it
    begins."""
    raw = text.encode()
    found = [raw, quote(text, safe="").encode(), raw.hex().encode(), json.dumps(text)[1:-1].encode()]
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw + b"\0" * 3)
        # the edges depend on what stands beside
        found.append(encoded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6])
    return tuple(dict.fromkeys(found))


class Planter:
    """Makes the values and remembers them."""

    def __init__(self, parts: Parts) -> None:
        self.policy: Policy = parts.policy
        self._schema = parts.graph.core
        self.canaries: list[Canary] = []
        self.bare: set[str] = set()
        """Fields of a level to be checked whose values are too few to be told from others: yes or no."""

    def is_checked(self, coordinate: str) -> bool:
        return self.policy.level_of(coordinate) in CHECKED_LEVELS or coordinate in self.policy.masked

    def person(self, person: Person) -> Person:
        """The employee of the index with canaries in the fields that have to be checked."""
        kind = self._schema.type_map["Employee"]
        assert isinstance(kind, GraphQLObjectType)
        column_of = {"displayName": "full_name"}
        changes: dict[str, Any] = {}
        for name in kind.fields:
            if self.is_checked(f"Employee.{name}"):
                column = column_of.get(name, "".join(f"_{c.lower()}" if c.isupper() else c for c in name))
                assert isinstance(getattr(person, column), str), (
                    f"Employee.{name}: how to plant a canary there?"
                )
                changes[column] = self._text(person, (f"Employee.{name}",))
        return replace(person, **changes)

    def section(self, person: Person, manifest: SourceManifest, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record of a source with canaries in the fields that have to be checked, and something in all others."""
        section = manifest.section
        way = (f"Employee.{section.field}",)
        return {
            **record,
            **{
                field.name: planted
                for field in section.fields
                if (planted := self._field(person, way, section.type, field)) is not None
            },
        }

    def _field(self, person: Person, way: tuple[str, ...], type_name: str, field: FieldManifest) -> Any:
        coordinate = f"{type_name}.{field.name}"
        path = (*way, coordinate)
        if field.type == "objects":
            kind = cast(GraphQLObjectType, self._schema.type_map[type_name])
            item_type = get_named_type(kind.fields[field.name].type).name
            checked = self.is_checked(coordinate)
            item = {}
            for inner in field.items:
                inner_checked = checked or self.is_checked(f"{item_type}.{inner.name}")
                inner_path = (*path, f"{item_type}.{inner.name}")
                item[inner.name] = self._value(person, inner_path, inner) if inner_checked else None
            return [item]
        return self._value(person, path, field) if self.is_checked(coordinate) else None

    def _value(self, person: Person, path: tuple[str, ...], field: FieldManifest) -> Any:
        number = len(self.canaries)
        day = date(1500, 1, 1) + timedelta(days=40 * number)
        if field.type == "string":
            return self._text(person, path)
        if field.type == "strings":
            return [self._text(person, path), self._text(person, path)]
        if field.type == "int":
            return self._remember(person, path, 731_000_000_000 + number * 1_000_003)
        if field.type == "money":
            return {
                "minorUnits": self._remember(person, path, 731_000_000_000 + number * 1_000_003),
                "currency": "RUB",
            }
        if field.type == "date":
            self._remember(person, path, day.isoformat())
            return day
        if field.type == "datetime":
            self._remember(person, path, day.isoformat())
            return datetime(day.year, day.month, day.day, 3, 4, 5, tzinfo=UTC)
        assert field.type == "bool", f"{path[-1]}: how to plant a canary of type {field.type}?"
        self.bare.add(path[-1])
        return True

    def _text(self, person: Person, path: tuple[str, ...]) -> str:
        """Letters that JSON, URLs and HTML escape stand around the part that is searched for, and what masks show."""
        core = f"c4n4ry{len(self.canaries):04d}zq"
        self._remember(person, path, core)
        return f'Ы"<&>{core}+%/\\@okno.example 4567'

    def _remember(self, person: Person, path: tuple[str, ...], value: object) -> Any:
        self.canaries.append(Canary(person, path, needles_of(str(value)), str(value)))
        return value


class Everybody:
    """Identity of whoever the test knows: bearer tokens are names."""

    def __init__(self, actors: Mapping[str, Actor]) -> None:
        self.actors = actors
        self.browser = Browser(Settings())

    async def authenticate_session(
        self, cookies: Mapping[str, str], authorization: str | None
    ) -> Authentication | None:
        actor = await self.authenticate(cookies, authorization)
        return None if actor is None else Authentication(actor)

    async def authenticate(self, cookies: Mapping[str, str], authorization: str | None) -> Actor | None:
        if authorization is None:
            return None
        name = authorization.removeprefix("Bearer ")
        if name not in self.actors:
            raise Unauthenticated("The bearer token is not known.")
        return self.actors[name]

    async def renew(self, actor: Actor, authorization: str | None) -> Actor:
        return actor


class Cage:
    """The world full of canaries, with everybody in it, and all that leaves."""

    def __init__(self, parts: Parts) -> None:
        self.world = World(parts)
        self.planter = Planter(parts)
        world = self.world
        people = [self.planter.person(each) for each in PEOPLE]
        world.people.people = {each.id: each for each in people}
        for manifest in parts.manifests.values():
            records = world.sources.data[manifest.id]
            for each in people:
                records[each.personnel_number] = self.planter.section(
                    each, manifest, records.get(each.personnel_number, {})
                )
        self.actors = {name: replace(actor, csrf_token=None) for name, actor in self._everybody()}
        routes = graphql_routes(
            parts.graph,
            world.services,
            cast(Any, Everybody(self.actors)),
            limits=FREE,
            live_limits=LiveLimits(check_seconds=60, init_seconds=60),
        )
        self.app = Application(routes, https=False)
        self.documents = Documents(parts)
        self._known: dict[Any, bool] = {}

    def _everybody(self) -> Iterator[tuple[str, Actor]]:
        """Everybody in each of their teams, with the most facts that a request may have and some also with the least; a tool
        with the scope for people and one with all."""
        for number, person in enumerate(self.world.parts.teams.list_demo_people()):
            actor = self.world.actor(person.login)
            for team in person.teams:
                most = ("session", "development", "second_factor", "working_hours")
                for facts in (("token",), most) if number % 4 == 0 else (most,):
                    name = f"{person.login}/{team.id}/{'+'.join(facts)}"
                    yield name, replace(actor, rights=team.rights(facts), team=team.id)
        scopes = sorted(self.world.parts.policy.scopes)
        for each in (("employees.read",), tuple(scopes)):
            yield f"tool/{'+'.join(each)}", self.world.service_actor(*each)

    def may_see(self, actor: Actor, canary: Canary) -> bool:
        """What Oso itself says of every step on the way to the value."""
        return all(self._permits(actor, step, canary.person) for step in ("Employee.id", *canary.path))

    def _permits(self, actor: Actor, step: str, person: Person) -> bool:
        key = (actor.rights, actor.employee_id, step, person.id)
        if key not in self._known:
            policy, kind = self.world.parts.policy, step.partition(".")[0]
            self._known[key] = kind in policy.structural or policy.permits(
                actor.rights,
                "read",
                policy.resource_of(kind),
                step,
                person.facts(),
                own_id=actor.employee_id,
            )
        return self._known[key]

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app), base_url="http://localhost:8000"
        )

    async def all_that_leaves_to(self, name: str) -> bytes:
        """Every answer with its headers, for everything that can be asked."""
        parts: list[bytes] = []
        headers = {"authorization": f"Bearer {name}"}
        async with self.client() as client:
            for query, variables in self.documents.for_all(self.world.people.people.values()):
                body = {"query": query, "variables": variables}
                answer = await client.post("/graphql", json=body, headers=headers)
                assert answer.status_code in (200, 400, 403, 405, 413), answer.text[:300]
                parts += [repr(answer.headers.raw).encode(), answer.content]
        return b"\n".join(parts)

    async def told_to_subscriber(self, name: str) -> bytes:
        """What comes over a WebSocket when something was done to an employee."""
        parts = []
        async with connected(self.app) as socket:
            await socket.init(authorization=f"Bearer {name}")
            person = next(iter(self.world.people.people.values()))
            variables = {"id": employee_id(person.id)}
            query = f"subscription ($id: ID!) {{ employeeChanged(id: $id) {self.documents.employee} }}"
            payload = {"query": query, "variables": variables}
            await socket.send({"type": "subscribe", "id": "1", "payload": payload})
            await socket.send({"type": "ping"})
            first = await socket.receive()
            if first["type"] != "pong":
                return json.dumps(first).encode()  # refused
            who = ActorRef(self.actors[name].id, "person", "other", "Other")
            async with self.world.journal.command(
                actor=who,
                event_type="operation.run",
                subject=SubjectRef("Employee", person.id, "label"),
                detail={"operation": "domain.unlock"},
                idempotency_key=None,
                policy_version="v",
                rule="r",
            ) as command:
                command.succeeded()
            parts.append(json.dumps(await socket.receive(), ensure_ascii=False).encode())
        return b"\n".join(parts)


class Documents:
    """Documents that ask for everything there is, made from the schema, so that a new field is asked for too."""

    def __init__(self, parts: Parts) -> None:
        self._schema = parts.graph.core
        self.employee = self._all("Employee", 4)
        query = self._schema.query_type
        assert query is not None
        self._roots = [
            name
            for name, field in query.fields.items()
            if name not in ("_entities", "node", "nodes", "employee", "employees", "schemaUsage", "_service")
        ]

    def for_all(self, people: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        ids = [employee_id(each.id) for each in people]
        for each in ids:
            yield f"query ($id: ID!) {{ employee(id: $id) {self.employee} }}", {"id": each}
        yield (
            f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ __typename ... on Employee {self.employee} }} }}",
            {"ids": ids},
        )
        yield (
            f"{{ employees(first: 100) {{ edges {{ cursor node {self.employee} }} pageInfo {{ endCursor }} }} }}",
            {},
        )
        yield (
            f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ ... on Employee {self.employee} }} }}",
            {"r": [{"__typename": "Employee", "id": each} for each in ids]},
        )
        for name in self._roots:
            yield self._root(name, ids[0])
        for mutation in ("operationPreview", "operationRun"):
            given = {"operation": "domain.unlock", "employee": ids[0], "input": {}, "idempotencyKey": "k"}
            if mutation == "operationRun":
                given["previewToken"] = "x"
            kind = f"{mutation[0].upper()}{mutation[1:]}Input!"
            assert self._schema.mutation_type is not None
            payload = get_named_type(self._schema.mutation_type.fields[mutation].type).name
            yield (
                f"mutation ($i: {kind}) {{ {mutation}(input: $i) {self._all(payload, 3)} }}",
                {"i": given},
            )

    def _root(self, name: str, employee: str) -> tuple[str, dict[str, Any]]:
        assert self._schema.query_type is not None
        field = self._schema.query_type.fields[name]
        given = {"first": "first: 100", "employee": "employee: $e", "slot": 'slot: "card"'}
        arguments = [
            text
            for argument, text in given.items()
            if argument in field.args and (argument != "employee" or str(field.args[argument].type) == "ID!")
        ]
        head = "query ($e: ID!)" if "employee: $e" in arguments else "query"
        listed = f"({', '.join(arguments)})" if arguments else ""
        kind = get_named_type(field.type)
        selection = "" if is_leaf_type(kind) else self._all(kind.name, 5)
        return f"{head} {{ {name}{listed} {selection} }}", ({"e": employee} if head != "query" else {})

    def _all(self, name: str, depth: int, above: tuple[str, ...] = ()) -> str:
        """All fields that need no argument; a type within itself once more, its objects left out there."""
        kind = self._schema.type_map[name]
        if isinstance(kind, GraphQLUnionType):
            return "{ __typename }"
        assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        chosen = ["__typename"]
        for field_name, field in kind.fields.items():
            if any(
                argument.default_value is None and str(argument.type).endswith("!")
                for argument in field.args.values()
            ):
                continue
            inner = get_named_type(field.type)
            if is_leaf_type(inner):
                chosen.append(field_name)
            elif depth > 0 and above.count(inner.name) + (inner.name == name) < 2:
                chosen.append(f"{field_name} {self._all(inner.name, depth - 1, (*above, name))}")
        return f"{{ {' '.join(chosen)} }}"


@pytest.fixture(scope="module")
def cage(parts: Parts) -> Cage:
    return Cage(parts)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the process writes into its log."""
    out = io.StringIO()
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers.clear()
    monkeypatch.setattr(sys, "stderr", out)
    structlog.reset_defaults()
    configure_logging("DEBUG")
    yield out
    root.handlers[:] = handlers
    structlog.reset_defaults()


def leaked(cage: Cage, actor: Actor, text: bytes) -> list[str]:
    """The canaries in the text that the actor may not see."""
    return [
        str(canary)
        for canary in cage.planter.canaries
        if canary.is_in(text) and not cage.may_see(actor, canary)
    ]


def test_a_canary_is_in_every_field_that_has_to_be_checked(cage: Cage) -> None:
    """Automatically: the policy's levels say which fields; a field of a type that nobody knows how to plant stops the test."""
    policy = cage.world.parts.policy
    wanted = {name for name, level in policy.levels.items() if level in CHECKED_LEVELS} | set(policy.masked)
    planted = {step for canary in cage.planter.canaries for step in canary.path} | cage.planter.bare
    of_employees = {name for name in wanted if policy.resource_of(name.partition(".")[0]) == "Employee"}
    assert {"HrSection.salary", "HrSection.homeAddress", "DomainSection.lastLogonAt"} <= of_employees
    assert of_employees <= planted
    for person in PEOPLE:
        assert any(canary.person.id == person.id for canary in cage.planter.canaries)


async def test_nobody_is_sent_what_they_may_not_see_and_who_may_is(cage: Cage, log: io.StringIO) -> None:
    found_by: dict[str, set[str]] = {}
    for name, actor in cage.actors.items():
        text = await cage.all_that_leaves_to(name)
        assert leaked(cage, actor, text) == [], name
        for canary in cage.planter.canaries:
            # answers give the employee's fields wherever an employee is answered at all
            if cage.may_see(actor, canary):
                assert canary.raw in text, f"{name} may see {canary} and was not sent it: the test is blind"
                found_by.setdefault(canary.path[-1], set()).add(name)
    checked = {canary.path[-1] for canary in cage.planter.canaries}
    unseen = checked - found_by.keys()
    assert not unseen, f"nobody may see {unseen}: whether the test would notice them is not shown"
    assert all(len(names) < len(cage.actors) for names in found_by.values())
    assert_nothing_in(cage, log.getvalue().encode())


def assert_nothing_in(cage: Cage, text: bytes) -> None:
    assert [str(canary) for canary in cage.planter.canaries if canary.is_in(text)] == []


async def test_the_search_for_leaks_notices_one_in_any_encoding(cage: Cage) -> None:
    """What somebody may see is a leak to somebody who may not."""
    nobody = cage.world.service_actor()
    for canary in cage.planter.canaries:
        assert not cage.may_see(nobody, canary)
        for needle in canary.needles:
            assert leaked(cage, nobody, b"before " + needle + b" after") == [str(canary)]
        for before in range(4):
            encoded = base64.b64encode(b"x" * before + canary.raw + b"yz")
            assert leaked(cage, nobody, encoded) == [str(canary)]


async def test_a_search_for_a_hidden_value_tells_nothing(cage: Cage) -> None:
    """Neither the person nor a count; and nothing that was typed comes back in another's answer."""
    query = "query ($s: String!) { employees(search: $s, first: 5) { edges { node { id } } } }"
    for name, actor in cage.actors.items():
        async with cage.client() as client:
            for canary in cage.planter.canaries:
                if canary.path[0] != canary.path[-1] or cage.may_see(actor, canary):
                    continue
                policy = cage.world.parts.policy
                if policy.permits(
                    actor.rights,
                    "match",
                    "Employee",
                    canary.path[-1],
                    canary.person.facts(),
                    own_id=actor.employee_id,
                ):
                    continue  # an exact match is a right of its own
                answer = await client.post(
                    "/graphql",
                    json={"query": query, "variables": {"s": canary.told}},
                    headers={"authorization": f"Bearer {name}"},
                )
                found = (answer.json().get("data") or {}).get("employees")
                assert not found or found["edges"] == [], f"{name} finds somebody by {canary}"


async def test_a_subscriber_is_told_no_more_than_a_request_would(cage: Cage) -> None:
    heard = 0
    for name in list(cage.actors)[:: max(1, len(cage.actors) // 12)]:
        text = await cage.told_to_subscriber(name)
        assert leaked(cage, cage.actors[name], text) == [], name
        heard += b'"next"' in text
    assert heard >= 3, "nobody heard anything"


async def test_errors_and_the_log_say_nothing_of_what_made_them(
    parts: Parts, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systems that fail with the values in hand, in every way that code fails."""
    cage = Cage(parts)
    values = " ".join(canary.told for canary in cage.planter.canaries)
    raisers: Sequence[Exception] = (ValueError(values), KeyError(values), AssertionError(values))
    name = next(each for each in cage.actors if each.startswith("anna.sorokina") and "session" in each)
    for error in raisers:

        async def fail(*_: Any, error: Exception = error, **__: Any) -> Any:
            raise error

        for method in ("read", "read_many", "preview"):
            monkeypatch.setattr(cage.world.sources, method, fail)
        text = await cage.all_that_leaves_to(name)
        assert b'"INTERNAL"' in text
        assert_nothing_in_sections(cage, text)
    monkeypatch.undo()
    written = log.getvalue()
    assert "Traceback" in written, "the failure itself is logged"
    assert_nothing_in(cage, written.encode())
    cage.world.sources.down = {
        manifest: SourceFailure("TIMEOUT", "no whole answer within 2 s") for manifest in parts.manifests
    }
    assert_nothing_in_sections(cage, await cage.all_that_leaves_to(name))


def assert_nothing_in_sections(cage: Cage, text: bytes) -> None:
    found = [str(canary) for canary in cage.planter.canaries if len(canary.path) > 1 and canary.is_in(text)]
    assert found == []


async def test_neither_the_journal_nor_the_counts_of_usage_hold_a_value(cage: Cage) -> None:
    for name in list(cage.actors)[:4]:
        await cage.all_that_leaves_to(name)
    assert cage.world.journal.records
    kept = [repr(cage.world.journal.records), repr(cage.world.journal.events), repr(vars(cage.world.counts))]
    in_sections = "\n".join(kept).encode()
    assert_nothing_in_sections(cage, in_sections)
