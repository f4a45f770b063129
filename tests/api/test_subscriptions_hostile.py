"""What somebody with bad intent, or a bad connection, may do with streams and sockets."""

import asyncio
import socket as sockets

import pytest

from okno import protocols
from okno.graph.subscriptions.live import LiveLimits
from tests.api.sockets import ORIGIN, streaming
from tests.api.test_subscriptions import ANNA, CALM, RECORDS, Stage
from tests.api.test_subscriptions_slow import EVENT, HANDSHAKE, frame, serving
from tests.api.world import World
from tests.chaos.deployment import wait_until

ASKED = b"query=subscription%7BauditRecordAdded%7Bid%7D%7D"
COOKIE = {"cookie": f"okno_session={ANNA}"}
MANY_PINGS, EACH = 200, 500


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world, CALM)


@pytest.mark.parametrize(
    "headers",
    [{}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}, {"origin": "null"}],
    ids=["no token", "a sibling's page", "another origin", "no origin"],
)
async def test_no_page_opens_streams_in_the_name_of_who_looks_at_it(
    stage: Stage, headers: dict[str, str]
) -> None:
    async with streaming(stage.app, None, {**COOKIE, **headers}, method="GET", query=ASKED) as stream:
        assert stream.status == 403
        assert (await stream.body())["errors"][0]["extensions"]["code"] == "CSRF"
    assert not stage.world.fanout.is_heard


async def test_no_page_of_another_site_reads_in_the_name_of_who_looks_at_it(stage: Stage) -> None:
    query = b"query=%7Bme%7Blogin%7D%7D"
    given = {**COOKIE, "accept": "application/json"}
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        headers = {**given, "sec-fetch-site": site}
        async with streaming(stage.app, None, headers, method="GET", query=query) as stream:
            assert (site, stream.status) == (site, status)


async def test_a_get_stream_of_our_own_page_is_served(stage: Stage) -> None:
    given = {**COOKIE, "x-okno-csrf": "csrf", "origin": ORIGIN}
    async with streaming(stage.app, None, given, method="GET", query=ASKED) as stream:
        await stage.record()
        event = await stream.event()
        assert event is not None
        assert event[0] == "next"


async def test_nobody_is_told_to_be_subscribed_before_the_feed_knows_where_it_reads_from(
    stage: Stage,
) -> None:
    stage.world.fanout.begin()
    async with stage.socket(ANNA) as socket:
        subscribing = asyncio.create_task(socket.subscribe(RECORDS))
        await asyncio.to_thread(wait_until, "it listens", lambda: stage.world.fanout.is_heard, seconds=10)
        assert not subscribing.done()
        stage.world.fanout.be_ready()
        await subscribing


async def test_answers_to_pings_do_not_pile_up_before_who_reads_none(world: World) -> None:
    stage = Stage(world, LiveLimits())
    ping = b"\x89\xfd" + bytes(4) + bytes(125)
    async with serving(stage) as (server, port):
        client = sockets.socket()
        client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=client, limit=1024)
        writer.write(HANDSHAKE.encode())
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(frame({"type": "connection_init", "payload": {"authorization": "Bearer vera.lis"}}))
        await reader.readuntil(b"connection_ack")
        (connection,) = server.server_state.connections
        assert isinstance(connection, protocols.SocketProtocol)
        most = 0
        async with asyncio.timeout(60):
            for _ in range(MANY_PINGS):
                writer.write(ping * EACH)
                await writer.drain()
                most = max(most, connection.transport.get_write_buffer_size())
        assert most < 1_000_000
        writer.transport.abort()


async def test_a_message_that_never_ends_is_not_kept(world: World) -> None:
    stage = Stage(world, LiveLimits())
    begin, piece = b"\x01\x80" + bytes(4), b"\x00\x80" + bytes(4)
    async with serving(stage) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HANDSHAKE.encode())
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(frame({"type": "connection_init", "payload": {"authorization": "Bearer vera.lis"}}))
        await reader.readuntil(b"connection_ack")
        (connection,) = server.server_state.connections
        assert isinstance(connection, protocols.SocketProtocol)
        writer.write(begin + piece * 20_000)
        connections = server.server_state.connections
        await asyncio.to_thread(wait_until, "it was cut off", lambda: not connections, seconds=10)
        assert len(connection.frames) <= 1_000
        writer.transport.abort()


async def test_a_stream_that_nobody_reads_does_not_keep_its_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "_STALLED_SECONDS", 0.2)
    stage = Stage(world, LiveLimits(send_seconds=0.2))
    query = (
        b'{"query": "subscription { auditRecordAdded { '
        + b" ".join(b"d%d: detail" % n for n in range(14))
        + b' } }"}'
    )
    async with serving(stage) as (server, port):
        client = sockets.socket()
        client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=client, limit=1024)
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/json\r\n"
            b"Accept: text/event-stream\r\nAuthorization: Bearer vera.lis\r\n"
            + b"Content-Length: %d\r\n\r\n" % len(query)
            + query
        )
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(30):
            while world.fanout.is_heard:
                await world.journal.record(EVENT)
                await asyncio.sleep(0)
        connections = server.server_state.connections
        await asyncio.to_thread(wait_until, "its connection is gone", lambda: not connections, seconds=20)
        writer.transport.abort()
