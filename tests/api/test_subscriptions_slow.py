"""A client that does not read costs nothing but its own connection: over a real socket, with real buffers."""

import asyncio
import base64
import contextlib
import json
import os
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import uvicorn

from okno.app import server_config
from okno.audit.records import ActorRef, Event
from okno.settings import Settings
from tests.api.test_subscriptions import CALM, Stage
from tests.api.world import World
from tests.chaos.deployment import wait_until

# Some 400 kB for each event: a few dozen fill whatever lies between the two ends
LARGE = "subscription { auditRecordAdded { " + " ".join(f"d{n}: detail" for n in range(14)) + " } }"
EVENT = Event("sensitive.read", ActorRef(UUID(int=5), "person", "x", "X"), None, {"x": "y" * 30_000})
HANDSHAKE = (
    "GET /graphql HTTP/1.1\r\nHost: localhost:8000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n"
)


@contextlib.asynccontextmanager
async def serving(stage: Stage) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """The stage's application behind uvicorn, as the API process has it."""
    server = uvicorn.Server(server_config(stage.app, Settings(), port=0))
    server.config.lifespan = "off"
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve())
    await asyncio.to_thread(wait_until, "uvicorn has started", lambda: server.started, seconds=20)
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


def frame(message: object) -> bytes:
    """A text frame of a client (RFC 6455, section 5.2), at most 64 kB."""
    text, mask = json.dumps(message).encode(), os.urandom(4)
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack("!H", len(text))
    return b"\x81" + length + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(text))


async def test_a_client_that_never_reads_is_cut_off_and_its_connection_with_it(world: World) -> None:
    stage = Stage(world, replace(CALM, send_seconds=0.2))
    async with serving(stage) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(HANDSHAKE.encode())
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        token = {"authorization": "Bearer vera.lis"}
        writer.write(frame({"type": "connection_init", "payload": token}))
        writer.write(frame({"id": "1", "type": "subscribe", "payload": {"query": LARGE}}))
        await asyncio.to_thread(wait_until, "it listens", lambda: world.fanout.is_heard, seconds=20)
        async with asyncio.timeout(30):
            while world.fanout.is_heard:
                await world.journal.record(EVENT)
                await asyncio.sleep(0)  # the socket's turn
        connections = server.server_state.connections
        await asyncio.to_thread(wait_until, "its connection is gone", lambda: not connections, seconds=20)
        writer.transport.abort()
