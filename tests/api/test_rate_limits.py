"""Limits as clients of the API meet them: batches, mutations, and messages on a WebSocket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest

from okno.asgi import Application
from okno.clock import ManualClock
from okno.graph.http import graphql_routes
from okno.graph.subscriptions.live import LiveLimits
from okno.limits.service import RequestLimits
from okno.settings import Settings
from okno.storage.engine import Database
from tests.api.sockets import Refused, connected
from tests.api.test_canaries import Everybody
from tests.api.world import IVAN_ID, World

ME = "{ me { login } }"
PREVIEW = "mutation ($input: OperationPreviewInput!) { operationPreview(input: $input) { errors { code } } }"
GIVEN = {"input": {"operation": "domain.unlock", "employee": IVAN_ID, "input": {}, "idempotencyKey": "k"}}


@asynccontextmanager
async def served(
    world: World, db: Database, clock: ManualClock, *, messages: int = 1_000, **limits: int
) -> AsyncIterator[Application]:
    counted = RequestLimits(db, clock, Settings.model_validate({"limits": limits}))
    actors = {"anna": replace(world.actor("anna.sorokina", "token"), csrf_token=None)}
    services = replace(world.services, limits=counted)
    routes = graphql_routes(
        world.parts.graph,
        services,
        cast(Any, Everybody(actors)),
        live_limits=LiveLimits(messages_per_minute=messages, check_seconds=60),
    )
    try:
        yield Application(routes, https=False, limits=counted)
    finally:
        await counted.close()


async def ask(app: Application, *bodies: Any) -> list[httpx.Response]:
    transport = httpx.ASGITransport(app=app, client=("203.0.113.1", 1))
    headers = {"authorization": "Bearer anna"}
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
        return [await client.post("/graphql", json=body) for body in bodies]


async def test_each_operation_of_a_batch_counts(
    world: World, committed_db: Database, clock: ManualClock
) -> None:
    async with served(world, committed_db, clock, person_per_minute=30) as app:
        answers = await ask(app, *[[{"query": ME}] * 10] * 4)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    (error,) = answers[-1].json()["errors"]
    assert error["extensions"] | {"requestId": "", "retryAfterSeconds": 0} == {
        "code": "RATE_LIMITED",
        "limit": "requests of a person",
        "allowed": 30,
        "retryAfterSeconds": 0,
        "requestId": "",
    }
    assert int(answers[-1].headers["retry-after"]) == error["extensions"]["retryAfterSeconds"]


async def test_mutations_have_a_limit_of_their_own_and_reading_goes_on(
    world: World, committed_db: Database, clock: ManualClock
) -> None:
    async with served(world, committed_db, clock, writes_per_minute=5) as app:
        writes = [{"query": PREVIEW, "variables": GIVEN}] * 7
        *written, read = await ask(app, *writes, {"query": ME})
    assert [answer.status_code for answer in written[:5]] == [200] * 5
    assert written[-1].status_code == 429
    assert written[-1].headers["retry-after"]
    assert written[-1].json()["errors"][0]["extensions"]["limit"] == "writes"
    assert read.json()["data"] == {"me": {"login": "anna.sorokina"}}
    assert len(world.journal.records) <= 5 * 2, "what was refused began nothing"


async def test_a_socket_may_send_so_many_messages(
    world: World, committed_db: Database, clock: ManualClock
) -> None:
    async with (
        served(world, committed_db, clock, messages=20) as app,
        connected(app) as socket,
    ):
        await socket.init(authorization="Bearer anna")
        for _ in range(25):
            await socket.send({"type": "ping"})
        assert await socket.closed() == (1013, "More than 20 messages in a minute")


async def test_operations_on_a_socket_count_as_requests_do(
    world: World, committed_db: Database, clock: ManualClock
) -> None:
    async with (
        served(world, committed_db, clock, person_per_minute=10) as app,
        connected(app) as socket,
    ):
        await socket.init(authorization="Bearer anna")
        codes = []
        for number in range(14):
            payload = {"query": ME}
            await socket.send({"id": str(number), "type": "subscribe", "payload": payload})
            message = await socket.receive()
            if message["type"] == "next":
                assert (await socket.receive())["type"] == "complete"
                codes.append("OK")
            else:
                codes.append(message["payload"][0]["extensions"]["code"])
    assert codes[:8] == ["OK"] * 8
    assert codes[-1] == "RATE_LIMITED"


async def test_a_handshake_counts_as_a_request_of_the_address(
    world: World, committed_db: Database, clock: ManualClock
) -> None:
    async with served(world, committed_db, clock, address_per_minute=5) as app:
        with pytest.raises(Refused) as refused:
            for _ in range(10):
                async with connected(app) as socket:
                    await socket.init(authorization="Bearer anna")
        assert refused.value.status == 429
        assert refused.value.body["code"] == "RATE_LIMITED"
        assert "retry-after" in {name.lower() for name in refused.value.headers}
