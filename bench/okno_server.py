"""Okno's own GraphQL endpoint over people and sources in memory: one process, as `okno serve` runs one.

Everything on the way of a request is the real thing: uvicorn as the API process configures it, the answer's headers, the
routes, the bearer token with its two seconds of memory, the policy, the gate, the executor, the loaders.
"""

import json
import math
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import uuid4

import strawberry
import uvloop
from starlette.types import ASGIApp
from tests.api.world import Parts, World

from bench.company import ROOT
from okno.app import Server, application, server_config
from okno.clock import Clock, SystemClock
from okno.graph.http import graphql_routes
from okno.graph.query import Query
from okno.graph.schema import build_schema
from okno.identity.http import identity_routes
from okno.identity.model import Actor, employee_uuid
from okno.identity.service import Identity
from okno.identity.teams import Teams
from okno.identity.tokens import KnownToken, Tokens
from okno.people.api import Employee
from okno.people.model import Person, PersonState
from okno.policy.service import Policy
from okno.settings import Settings
from okno.sources.cache import Answer
from okno.sources.service import Sources, load_sources_manifests

_EMPLOYEES: list[Employee] = []
# Where the sources are, were anybody to ask them
_NOWHERE = {
    "OKNO_HR_URL": "http://127.0.0.1:9",
    "OKNO_HR_TOKEN": "none",
    "OKNO_DIRECTORY_URL": "http://127.0.0.1:9",
    "OKNO_DIRECTORY_TOKEN": "none",
    "OKNO_DOMAIN_URL": "ldap://127.0.0.1:9",
    "OKNO_DOMAIN_BIND_DN": "cn=none",
    "OKNO_DOMAIN_PASSWORD": "none",
    "OKNO_EQUIPMENT_URL": "postgresql://none@127.0.0.1:9/none",
}


@strawberry.type(name="Query")
class BenchQuery(Query):
    """The root of reading with a plain list, as GraphQL benches have it."""

    @strawberry.field(description="The first employees of the bench.")  # type: ignore[untyped-decorator]
    def bench_employees(
        self, first: Annotated[int, strawberry.argument(description="How many.")]
    ) -> list[Employee]:
        return _EMPLOYEES if first == len(_EMPLOYEES) else _EMPLOYEES[:first]


class _WarmSources(Sources):
    """The sources, never asked: their caches hold everybody, and nothing in them grows old."""

    def warm(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Takes the sections of the rows for what the sources said."""
        as_of = datetime.now(UTC)
        for row in rows:
            for source_id, section in row["sections"].items():
                answer = Answer({name: _value(name, each) for name, each in section.items()}, as_of, math.inf)
                self._readers[source_id]._cache.put(row["personnelNumber"], answer)


class _OneToken(Tokens):
    """Tokens whose table is one row in memory: the digest, the memory and its two seconds are the real ones."""

    def __init__(self, clock: Clock, actor: Actor) -> None:
        super().__init__(cast(Any, None), clock, cast(Any, None))
        self._actor = actor

    async def _read(self, secret_hash: bytes, now: datetime) -> KnownToken:
        return KnownToken(self._actor, now + timedelta(hours=1))


@dataclass(frozen=True)
class Served:
    """The application and what a client needs."""

    app: ASGIApp
    settings: Settings


def build(rows: Path, policy_dir: Path, teams_dir: Path, login: str) -> Served:
    """The application for one operator, whatever the token."""
    policy = Policy.load(policy_dir)
    manifests = load_sources_manifests(ROOT / "config" / "sources")
    graph = build_schema(manifests, policy.level_of, query=BenchQuery)
    teams = Teams.load(teams_dir)
    world = World(Parts(policy, manifests, graph, teams), cast(Any, SystemClock()))
    raw = json.loads(rows.read_text())
    _EMPLOYEES[:] = [Employee.of_person(_person(row)) for row in raw]
    sources = _WarmSources(manifests, world.clock, _NOWHERE)
    sources.warm(raw)
    services = replace(world.services, sources=cast(Any, sources))
    settings = Settings(mode="development", frontend_dir=ROOT / "no-front-end")
    identity = Identity(cast(Any, None), world.clock, settings, teams, cast(Any, None))
    actor = replace(world.actor(login, "token"), csrf_token=None, token_id=uuid4())
    identity._tokens = _OneToken(world.clock, actor)
    routes = [*identity_routes(identity), *graphql_routes(graph, services, identity)]
    return Served(application(routes, settings), settings)


def _person(row: Mapping[str, Any]) -> Person:
    number = row["personnelNumber"]
    return Person(
        id=employee_uuid(number),
        personnel_number=number,
        login=row["login"],
        email=row["email"],
        dn=None,
        full_name=row["displayName"],
        latin_name=None,
        position=row["position"],
        department=None,
        office=None,
        country=row["country"],
        city=None,
        time_zone=None,
        state=PersonState(row["state"]),
        protected=row["protected"],
        manager_id=None,
        work_phone=row["workPhone"],
        gone=False,
        indexed_at=datetime.fromisoformat(row["indexedAt"]),
        vanished_at=None,
    )


def _value(name: str, value: Any) -> Any:
    """A value of a section, typed as the source's mapping types it."""
    moments: Mapping[str, Callable[[str], Any]] = {
        "hireDate": date.fromisoformat,
        "modifiedAt": datetime.fromisoformat,
        "passwordChangedAt": datetime.fromisoformat,
    }
    return moments[name](value) if name in moments else value


class _TellingServer(Server):
    """Says its port once it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(json.dumps({"port": self.servers[0].sockets[0].getsockname()[1]}), flush=True)


def main() -> None:
    """Serves what the environment names until it is terminated."""
    environment = os.environ
    served = build(
        Path(environment["BENCH_ROWS"]),
        Path(environment["BENCH_POLICY"]),
        Path(environment["BENCH_TEAMS"]),
        environment["BENCH_LOGIN"],
    )
    server = _TellingServer(server_config(served.app, served.settings, port=0))
    uvloop.run(server.serve())


if __name__ == "__main__":
    main()
