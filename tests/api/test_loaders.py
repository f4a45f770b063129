"""No field of the schema asks once for each row: statements and calls are counted, and do not grow with the page."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast
from uuid import UUID

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedOutputType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
    is_introspection_type,
    is_required_argument,
)
from sqlalchemy import event
from sqlalchemy.engine import Engine

from okno.audit.records import Event, SubjectRef
from okno.audit.search import Search
from okno.graph.ids import employee_id
from okno.graph.loaders import Loaders
from okno.graph.server import GraphServer, Operation
from okno.identity.model import employee_uuid
from okno.people.model import Person
from okno.people.service import People
from okno.policy.model import Alternative, Decision, Outcome, Table
from okno.sources.kind import ReadOnly
from okno.sources.many import Many
from okno.sources.model import State
from okno.sources.registry import KINDS
from okno.sources.service import Sources
from okno.storage.engine import Database
from okno.storage.keyset import Window
from tests.api.world import Parts, World
from tests.integration.audit_stage import ANNA, open_journal
from tests.integration.people_sources import MemorySources, account, person

SIZES = (2, 20)
COUNT = 25
NUMBERS = [str(100_001 + number) for number in range(COUNT)]

# What no page leads to: a request has one of it, or it is small and comes from memory. A new type belongs to a page, or here.
WITHOUT_PAGES = frozenset(
    {
        "AuditEventType", "Change", "Me", "Mutation", "Operation", "OperationPreviewPayload", "OperationRunPayload", "Query", "Source",
        "SourceErrorInfo", "Subscription", "Team", "UserError", "Widget", "_Service",
    }
)  # fmt: skip

# Records as the systems give them, with something in every list, so that what lies in lists is resolved.
RECORDS: Mapping[str, Mapping[str, Any]] = {
    "hr": {"salary": {"minorUnits": 1, "currency": "RUB"}, "departmentPath": ["A", "B"]},
    "directory": {"groups": [{"display": "vpn"}], "emails": [{"value": "a@b", "primary": True}]},
    "domain": {
        "dn": "uid=a",
        "uid": ["a"],
        "memberOf": [],
        "pwdAccountLockedTime": [],
        "pwdFailureTime": [],
        "pwdChangedTime": [],
        "pwdEndTime": [],
        "pwdLastSuccess": [],
    },
    "equipment": {"rows": [{"inventory_number": "1", "kind": "laptop"}] * 2},
}


class Connected(ReadOnly):
    """A system that knows everybody, and counts what it is asked."""

    calls: ClassVar[Counter[str]] = Counter()

    def __init__(self, manifest: Any, environment: object, network: object) -> None:
        self.id = manifest.id

    async def fetch(self, key: str) -> Any:
        self.calls[self.id] += 1
        await asyncio.sleep(0)
        return dict(RECORDS.get(self.id, {}))

    async def fetch_many(self, keys: Sequence[str]) -> Many:
        self.calls[self.id] += 1
        await asyncio.sleep(0)
        return {key: dict(RECORDS.get(self.id, {})) for key in keys}

    def scan(self, cursor: str | None) -> Any:
        raise AssertionError("requests list nobody")

    async def ping(self) -> None: ...

    async def close(self) -> None: ...


class AllowAll(Table):
    """A policy that hides nothing, so that no field is left out because nobody may read it."""

    def decide(self, field: str) -> Decision:
        return Decision(Outcome.ALLOW, (Alternative("all", "everybody reads everything", None),))


@contextmanager
def counted_reads() -> Iterator[list[str]]:
    """The statements that read, of all connections. What a process tells others is no read."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")) and "pg_notify" not in statement:
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


class Company(World):
    """People in PostgreSQL, each with a manager, systems that count, and a journal with records about them."""

    async def ask_counting(self, document: str, **variables: Any) -> tuple[Any, int, Counter[str]]:
        """The data, the statements that read, and the calls to each system."""
        Connected.calls.clear()
        context = self.server.context(self.actor("anna.sorokina"), "request")
        with counted_reads() as statements:
            (answer,) = await self.server.answer(context, [Operation(document, variables)])
        assert "errors" not in answer.body, (document, answer.body["errors"])
        return answer.body["data"], len(statements), Counter(Connected.calls)

    async def persons(self) -> list[Person]:
        """Everybody; what was asked of the systems before is forgotten."""
        Connected.calls.clear()
        return list((await self.services.people.get_many([employee_uuid(each) for each in NUMBERS])).values())

    def loaders(self) -> Loaders:
        return self.server.context(self.actor("anna.sorokina"), "request").loaders


@asynccontextmanager
async def running(
    parts: Parts, db: Database, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> AsyncIterator[Company]:
    world = Company(parts, database=db)
    kinds = {name: replace(kind, connect=Connected) for name, kind in KINDS.items()}
    monkeypatch.setattr("okno.sources.service.KINDS", kinds)
    monkeypatch.setattr(parts.policy, "table", lambda *_: AllowAll({}))
    index = MemorySources(
        [
            person(int(number), f"Person {number}", manager_personnel_number=NUMBERS[(place + 1) % COUNT])
            for place, number in enumerate(NUMBERS)
        ],
        [account(int(number), f"login.{number}") for number in NUMBERS],
    )
    index.hr.page_size = index.directory.page_size = 100
    people = People(db, index, world.clock)
    await people.refresh_index()
    manifests = {
        name: manifest.model_copy(update={"cache_seconds": 0, **changes})
        for name, manifest in parts.manifests.items()
    }
    sources = Sources(manifests, world.clock)
    async with open_journal(db, world.clock, folder) as journal:
        for number in NUMBERS:
            subject = SubjectRef("Employee", employee_uuid(number), number)
            await journal.record(Event("sensitive.read", ANNA, subject, {"fields": ["hr.salary"]}))
        world.services = replace(
            world.services,
            people=people,
            sources=cast(Any, sources),
            journal=cast(Any, journal),
            search=Search(db),
        )
        world.server = GraphServer(parts.graph, world.services)
        try:
            yield world
        finally:
            await sources.close()


@pytest.fixture
async def company(
    parts: Parts, committed_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Company]:
    async with running(parts, committed_db, tmp_path, monkeypatch) as world:
        yield world


# A way to a type: the texts before and after what is selected of it. The size of the page is `$n`, its ids are `$ids`.
Way = tuple[str, str]


class Documents:
    """For every field that a page leads to a document that reads it of every row."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.ways: dict[str, Way] = {}
        self._roots: list[tuple[GraphQLNamedOutputType, Way]] = []
        assert schema.query_type is not None
        for name, field in schema.query_type.fields.items():
            kind = get_named_type(field.type)
            if "first" in field.args:
                self._roots.append((kind, (f"query ($n: Int!) {{ {name}(first: $n) {{ ", " } }")))
            elif name == "nodes":
                self._roots.append((kind, ("query ($ids: [ID!]!) { nodes(ids: $ids) { ", " } }")))
            elif name == "_entities":
                head = "query ($entities: [_Any!]!) { _entities(representations: $entities) { "
                self._roots.append((kind, (head, " } }")))
        waiting = [way for root in self._roots for way in self._objects(*root)]
        while waiting:
            kind, way = waiting.pop(0)
            if kind.name in self.ways:
                continue
            self.ways[kind.name] = way
            for name, field in kind.fields.items():
                if is_composite_type(get_named_type(field.type)):
                    inner = (f"{way[0]}{name} {{ ", f" }}{way[1]}")
                    waiting += self._objects(get_named_type(field.type), inner)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """What is read, and the document: the values of each type together, each object of it alone and each object in that
        one; the types that stand in several pages from every page."""
        found = {
            document: what
            for way in (*self.ways.items(), *self._in_roots())
            for what, document in self._of(self._object(way[0]), way[1])
        }
        return ((what, document) for document, what in found.items())

    def _in_roots(self) -> Iterator[tuple[str, Way]]:
        for kind, way in self._roots:
            for object_type, inner in self._objects(kind, way):
                yield object_type.name, inner

    def _of(self, kind: GraphQLObjectType, way: Way) -> Iterator[tuple[str, str]]:
        if values := self._values(kind):
            yield f"the values of {kind.name}", f"{way[0]}{values}{way[1]}"
        for name, field in kind.fields.items():
            coordinate = f"{kind.name}.{name}"
            assert not any(map(is_required_argument, field.args.values())), f"{coordinate}: give it arguments"
            if not is_composite_type(get_named_type(field.type)):
                continue
            yield coordinate, f"{way[0]}{name}{self._leaves(field)}{way[1]}"
            for inner, (head, tail) in self._objects(get_named_type(field.type), ("", "")):
                for nested_name, nested in inner.fields.items():
                    if is_composite_type(get_named_type(nested.type)):
                        selected = f"{name} {{ {head}{nested_name}{self._leaves(nested)}{tail} }}"
                        yield f"{coordinate} → {inner.name}.{nested_name}", f"{way[0]}{selected}{way[1]}"

    def _leaves(self, field: GraphQLField) -> str:
        """A selection of all values of the object that the field gives."""
        kind = get_named_type(field.type)
        values = self._values(kind) if isinstance(kind, GraphQLObjectType) else ""
        return f" {{ __typename {values} }}"

    def _values(self, kind: GraphQLObjectType) -> str:
        return " ".join(
            name for name, field in kind.fields.items() if not is_composite_type(get_named_type(field.type))
        )

    def _objects(self, kind: Any, way: Way) -> list[tuple[GraphQLObjectType, Way]]:
        """The object types of what is given there: of an interface or union each of its own."""
        if isinstance(kind, GraphQLObjectType):
            return [(kind, way)]
        if not isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            return []
        return [
            (each, (f"{way[0]}... on {each.name} {{ ", f" }}{way[1]}"))
            for each in self._schema.get_possible_types(kind)
        ]

    def _object(self, name: str) -> GraphQLObjectType:
        kind = self._schema.type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        return kind


async def variables_of(document: str, size: int, company: Company) -> dict[str, Any]:
    people = [employee_id(employee_uuid(number)) for number in NUMBERS[:size]]
    if "$n" in document:
        return {"n": size}
    if "$entities" in document:
        return {"entities": [{"__typename": "Employee", "id": each} for each in people]}
    if "on AuditRecord" in document:
        page = await company.ask_counting("{ auditRecords(first: 25) { edges { node { id } } } }")
        return {"ids": [edge["node"]["id"] for edge in page[0]["auditRecords"]["edges"][:size]]}
    return {"ids": people}


def test_every_type_of_the_schema_lies_in_a_page_or_is_named_as_one_of_a_request(parts: Parts) -> None:
    kinds = {
        name
        for name, kind in parts.graph.core.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
    }
    assert kinds - Documents(parts.graph.core).ways.keys() == WITHOUT_PAGES


async def test_no_field_of_any_object_costs_more_reads_for_a_longer_page(company: Company) -> None:
    grown: list[str] = []
    read: set[str] = set()
    for coordinate, document in Documents(company.parts.graph.core):
        costs = []
        for size in SIZES:
            variables = await variables_of(document, size, company)
            _, statements, calls = await company.ask_counting(document, **variables)
            costs.append((statements, calls.total()))
            read.update(calls)
        (few_reads, few_calls), (many_reads, many_calls) = costs
        if many_reads > few_reads or many_calls > few_calls:
            grown.append(f"{coordinate}: {costs[0]} → {costs[1]} (statements, calls)  {document}")
    assert not grown, "\n".join(grown)
    assert read == set(company.parts.manifests)


async def test_a_resolver_that_asks_for_each_row_is_found_out(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def alone(loaders: Loaders, person_id: UUID | None) -> Any:
        found = await company.services.people.get_many([person_id] if person_id else [])
        return loaders.see(found[person_id]) if person_id in found else None

    monkeypatch.setattr(Loaders, "employee", alone)
    document = "query ($n: Int!) { employees(first: $n) { edges { node { manager { login } } } } }"
    few, many = [(await company.ask_counting(document, n=size))[1] for size in SIZES]
    assert many - few == SIZES[1] - SIZES[0]


SECTIONS = """query ($n: Int!) { employees(first: $n) { edges { node { id
  hr { meta { state } position } directory { meta { state } groups } domain { meta { state } locked }
  equipment { meta { state } items { model } } again: hr { meta { state } } } } } }"""


async def test_a_list_with_its_sections_is_one_call_to_each_system(company: Company) -> None:
    data, _, calls = await company.ask_counting(SECTIONS, n=COUNT)
    assert calls == dict.fromkeys(company.parts.manifests, 1)
    nodes = [edge["node"] for edge in data["employees"]["edges"]]
    assert len(nodes) == COUNT
    assert {node[name]["meta"]["state"] for node in nodes for name in ("hr", "domain", "again")} == {"OK"}


async def test_a_list_longer_than_a_chunk_is_one_call_for_each_chunk(
    parts: Parts, committed_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(parts, committed_db, tmp_path, monkeypatch) as company:
        monkeypatch.setattr("okno.sources.manifest.SourceManifest.many_size", 10)
        _, _, calls = await company.ask_counting(SECTIONS, n=COUNT)
    assert calls == dict.fromkeys(parts.manifests, 3)


async def test_sections_are_asked_for_once_in_a_request_and_anew_in_the_next(company: Company) -> None:
    persons = await company.persons()
    loaders = company.loaders()
    both = await asyncio.gather(
        loaders.sections("hr", persons[:10]), loaders.sections("hr", [*persons[5:], persons[7]])
    )
    assert [len(each) for each in both] == [10, COUNT - 5 + 1]
    assert {result.state for each in both for result in each} == {State.OK}
    assert Connected.calls == {"hr": 1}
    assert await loaders.section("hr", persons[3]) is both[0][3]
    warm = loaders.sections("hr", persons)
    with pytest.raises(StopIteration):
        warm.send(None)  # nothing is awaited for what the request has already
    await company.loaders().sections("hr", persons)
    assert Connected.calls == {"hr": 2}


async def test_one_resolver_that_goes_away_does_not_take_the_sections_from_the_others(
    company: Company,
) -> None:
    persons = await company.persons()
    loaders = company.loaders()
    leaves = asyncio.create_task(loaders.sections("hr", persons))
    stays = asyncio.create_task(loaders.sections("hr", persons))
    await asyncio.sleep(0)
    leaves.cancel()
    assert [result.state for result in await stays] == [State.OK] * COUNT
    assert leaves.cancelled()
    assert Connected.calls == {"hr": 1}


async def test_one_actors_sections_serve_nobody_else(company: Company) -> None:
    persons = await company.persons()
    await asyncio.gather(*(company.loaders().sections("hr", persons) for _ in range(2)))
    contexts = [company.server.context(company.actor(login), "r") for login in ("anna.sorokina", "elena.kim")]
    assert contexts[0].loaders is not contexts[1].loaders
    for context in contexts:
        await context.loaders.sections("hr", persons)
        assert {actor_id for actor_id, _ in context.loaders._sections} == {context.actor.id}


async def test_many_records_of_the_journal_are_one_statement(company: Company) -> None:
    page = await company.services.journal.list_records(Window(20))
    ids = [str(record.ref) for record in page.records]
    document = "query ($n: Int!) { auditRecords(first: $n) { edges { node { id } } } }"
    data, _, _ = await company.ask_counting(document, n=20)
    relay_ids = [edge["node"]["id"] for edge in data["auditRecords"]["edges"]]
    assert len(relay_ids) == len(ids)
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on AuditRecord { seq } } }"
    data, statements, _ = await company.ask_counting(query, ids=[*relay_ids, relay_ids[0]])
    assert [node["id"] for node in data["nodes"]] == [*relay_ids, relay_ids[0]]
    assert statements == 1
