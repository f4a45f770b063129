"""A small company behind the real schema, policy, teams and widgets."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid5

import httpx
from starlette.applications import Starlette

from okno.audit.fanout import Fanout
from okno.clock import ManualClock
from okno.dashboards.registry import load_widgets
from okno.dashboards.service import Dashboards
from okno.graph.context import Services
from okno.graph.http import graphql_routes
from okno.graph.ids import employee_id
from okno.graph.members import schema_members
from okno.graph.schema import Graph, build_schema
from okno.graph.server import Answer, GraphServer, Operation
from okno.graph.widget_documents import WidgetDocuments
from okno.identity.model import EMPLOYEE_NAMESPACE, Actor, employee_uuid
from okno.identity.teams import Teams
from okno.operations.service import Operations
from okno.people.model import PersonState
from okno.policy.decisions import DecisionCounts
from okno.policy.service import Policy, Rights
from okno.sources.manifest import SourceManifest
from okno.sources.service import load_sources_manifests
from okno.storage.engine import Database
from okno.usage.counts import Counts
from okno.usage.service import Usage
from tests.api.fakes import NOW, FakeIdentity, FakeJournal, FakePeople, FakeSearch, FakeSources, person

ROOT = Path(__file__).parents[2]

BOSS = person("100100", "boss.bossov", "Босс Боссов")
IVAN = person("100101", "ivan.petrov", "Иван Петров", manager_id=BOSS.id)
MAXIM = person("100103", "maxim.egorov", "Максим Егоров", protected=True)
AMINA = person("100104", "amina.okafor", "Amina Okafor", "NG", time_zone="Africa/Lagos")
DASTAN = person("100105", "dastan.akhmetov", "Дастан Ахметов", "KZ", state=PersonState.DISMISSED)
ANNA = person("100001", "anna.sorokina", "Анна Сорокина")
PEOPLE = (BOSS, IVAN, MAXIM, AMINA, DASTAN, ANNA)

IVAN_ID, MAXIM_ID, AMINA_ID, ANNA_ID = (employee_id(each.id) for each in (IVAN, MAXIM, AMINA, ANNA))


@dataclass
class Parts:
    """What is read from the repository once for all tests."""

    policy: Policy
    manifests: dict[str, SourceManifest]
    graph: Graph
    teams: Teams

    @classmethod
    def load(cls) -> "Parts":
        policy = Policy.load(ROOT / "policies")
        manifests = load_sources_manifests(ROOT / "config" / "sources")
        teams = Teams.load(ROOT / "config" / "roles")
        return cls(policy, manifests, build_schema(manifests, policy.level_of), teams)


@dataclass
class World:
    """The parts with people and systems in them."""

    parts: Parts
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    database: Database = field(default_factory=lambda: cast(Database, None))  # usage alone reads from one

    def __post_init__(self) -> None:
        self.people = FakePeople(*PEOPLE)
        self.sources = FakeSources(self.parts.manifests)
        for each in PEOPLE:
            self.sources.data["hr"][each.personnel_number] = _hr(each.full_name)
            self.sources.data["directory"][each.personnel_number] = {
                "userName": each.login,
                "groups": ["vpn"],
            }
            self.sources.data["domain"][each.personnel_number] = {
                "login": each.login,
                "locked": True,
                "groups": ["vpn"],
                "failedLogons": 5,
                "lastLogonAt": NOW,
            }
            self.sources.data["equipment"][each.personnel_number] = {
                "items": [{"inventoryNumber": "N-1", "model": "X1", "issuedOn": date(2025, 1, 2)}]
            }
        self.fanout = Fanout()
        self.journal = FakeJournal(self.clock, self.fanout)
        self.counts = Counts()
        members = schema_members(self.parts.graph.core)
        self.usage = Usage(self.database, self.clock, members, counts=self.counts)
        self.decisions = DecisionCounts(self.clock)
        operations = Operations(
            policy=self.parts.policy,
            people=cast(Any, self.people),
            sources=cast(Any, self.sources),
            journal=cast(Any, self.journal),
            clock=self.clock,
            key=b"k" * 32,
            decisions=self.decisions,
        )
        widgets = load_widgets(
            ROOT / "widgets",
            read_document=WidgetDocuments(self.parts.graph.core),
            operation_ids=operations.ids,
        )
        self.services = Services(
            policy=self.parts.policy,
            people=cast(Any, self.people),
            sources=cast(Any, self.sources),
            journal=cast(Any, self.journal),
            search=cast(Any, FakeSearch(self.journal)),
            operations=operations,
            dashboards=Dashboards(widgets=widgets, teams=self.parts.teams, policy=self.parts.policy),
            teams=self.parts.teams,
            usage=self.usage,
            clock=self.clock,
            fanout=self.fanout,
            decisions=self.decisions,
        )
        self.server = GraphServer(self.parts.graph, self.services)

    def actor(self, login: str, *facts: str) -> Actor:
        """A demo person of config/roles, signed in with a browser in development."""
        found = self.parts.teams.find_demo_person(login)
        assert found is not None, login
        team = found.teams[0]
        return Actor(
            id=uuid5(EMPLOYEE_NAMESPACE, login),
            kind="person",
            login=login,
            display_name=found.display_name,
            employee_id=next(
                (each.id for each in PEOPLE if each.login == login), employee_uuid(found.personnel_number)
            ),
            rights=team.rights(facts or ("session", "development")),
            csrf_token="csrf",
            team=team.id,
            teams=tuple(each.id for each in found.teams),
        )

    def service_actor(self, *scopes: str) -> Actor:
        """An internal tool with a token."""
        rights = Rights(facts=frozenset({"service", "token"}), scopes=frozenset(scopes))
        return Actor(UUID(int=7), "service", "tool", "Tool", None, rights)

    async def ask(self, login: str | Actor, query: str, **variables: Any) -> dict[str, Any]:
        """The body of the answer to one operation."""
        return (await self.answer(login, query, variables)).body

    async def answer(self, login: str | Actor, query: str, variables: dict[str, Any] | None = None) -> Answer:
        """The answer to one operation."""
        actor = self.actor(login) if isinstance(login, str) else login
        context = self.server.context(actor, "request-1")
        (answer,) = await self.server.answer(context, [Operation(query, variables)])
        return answer

    def client(self, **headers: str) -> httpx.AsyncClient:
        """An HTTP client of the endpoint."""
        logins = [each.login for each in self.parts.teams.list_demo_people()]
        identity = FakeIdentity({login: self.actor(login) for login in logins})
        app = Starlette(routes=graphql_routes(self.parts.graph, self.services, cast(Any, identity)))
        transport = httpx.ASGITransport(app=app)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000", headers=headers)


def gate_of(body: dict[str, Any], path: str) -> dict[str, Any]:
    """The one line of `extensions.gate` for a path."""
    (line,) = [line for line in body["extensions"]["gate"] if line["path"] == path]
    return cast(dict[str, Any], line)


def _hr(name: str) -> dict[str, Any]:
    return {
        "fullName": name,
        "position": "Engineer",
        "hireDate": date(2020, 1, 2),
        "birthDate": date(1990, 5, 6),
        "homeAddress": "Street 1",
        "salary": {"minorUnits": 123_456_789_012, "currency": "RUB"},
    }
