"""Connections to the server that mean no good: slow, endless, ambiguous. Each gets one clear answer and ends."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from okno.app import application, server_config
from okno.asgi import SECURITY_HEADERS
from okno.settings import HttpSettings, Settings

_LIMITS = HttpSettings(headers_seconds=0.5, body_seconds=0.5, body_bytes=10_000)


async def _echo(request: Request) -> Response:
    return JSONResponse({"path": request.url.path, "length": len(await request.body())})


async def _unread(request: Request) -> Response:
    """An endpoint that never looks at the body."""
    return JSONResponse({"path": request.url.path})


ROUTES = [
    Route("/echo", _echo, methods=["GET", "POST"]),
    Route("/unread", _unread, methods=["GET", "POST"]),
    Route("/named/{name}", _echo, methods=["GET", "POST"]),
]


@dataclass
class Running:
    port: int

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def said(self, *pieces: bytes, pause_seconds: float = 0.0) -> bytes:
        """All that the server says to these bytes until it closes the connection."""
        reader, writer = await self.open()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if pause_seconds:
                    await asyncio.sleep(pause_seconds)
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def serving(http: HttpSettings = _LIMITS) -> AsyncIterator[Running]:
    settings = Settings(mode="development", http=http)
    server = uvicorn.Server(server_config(application(ROUTES, settings), settings, port=0))
    server.config.load()
    running = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
        yield Running(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with serving() as running:
        yield running


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def assert_signed(answer: bytes) -> None:
    head = answer.partition(b"\r\n\r\n")[0].lower()
    for name, value in SECURITY_HEADERS:
        assert b"\r\n" + name + b": " + value.lower() in head, name
    assert b"x-request-id: " in head
    assert b"cache-control: no-store" in head


async def test_half_a_request_is_waited_for_only_so_long(server: Running) -> None:
    silent, slow = await asyncio.gather(
        server.said(), server.said(b"GET /echo HTTP/1.1\r\n", b"Host: x\r\n", b"A: b\r\n", pause_seconds=0.2)
    )
    for answer in (silent, slow):
        assert status_of(answer) == 408
        assert_signed(answer)


async def test_line_breaks_behind_an_answer_keep_no_connection_open(server: Running) -> None:
    """They begin no request, and uvicorn stops its time for an idle connection at the first byte."""
    reader, writer = await server.open()
    writer.write(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b'"length":0}')
    writer.write(b"\r\n")
    async with asyncio.timeout(4):
        assert status_of(await reader.read()) == 408
    writer.close()


async def test_one_address_has_only_so_many_connections_and_gets_them_back() -> None:
    request = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
    socket = (
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    few = _LIMITS.model_copy(update={"connections_per_address": 2, "headers_seconds": 10.0})
    async with serving(few) as server:
        held = [await server.open() for _ in range(2)]
        refused = await server.said(request)
        assert status_of(refused) == 429
        assert b"2 connections" in refused
        assert_signed(refused)
        for _ in range(3):  # one that became a WebSocket's counts, and counts no more when that has ended
            held.pop()[1].close()
            async with asyncio.timeout(5):
                while status_of(answer := await server.said(socket)) == 429:
                    pass
            assert status_of(answer) in (403, 404)
            held.append(await server.open())
        for _, writer in held:
            writer.close()
    trusting = few.model_copy(update={"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)})
    async with serving(trusting) as server:
        lines = [await server.open() for _ in range(5)]
        for reader, writer in lines:
            writer.write(request)
            assert status_of(await reader.readuntil(b'"length":0}')) == 200
            writer.close()


async def test_a_body_that_drips_ends_the_connection(server: Running) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    assert status_of(await server.said(head, b"1", b"2", b"3", b"4", pause_seconds=0.2)) in (0, 408)
    unread = await server.said(head.replace(b"/echo", b"/unread"), b"1")
    assert status_of(unread) == 200
    assert unread.count(b"HTTP/1.1") == 1, "one answer, and then the end"


async def test_a_connection_that_is_used_stays(server: Running) -> None:
    reader, writer = await server.open()
    for _ in range(4):
        writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        await asyncio.sleep(0.2)
        writer.write(b"}")
        answer = await reader.readuntil(b'"length":2}')
        assert status_of(answer) == 200
    writer.close()


async def test_a_body_above_the_limit_is_refused_on_every_route_before_it_comes(server: Running) -> None:
    for path in ("/echo", "/unread", "/named/x", "/nowhere"):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10001\r\n\r\n".encode()
        answer = await server.said(head)
        assert status_of(answer) == 413, path
        assert b"LIMIT_EXCEEDED" in answer
        assert_signed(answer)


async def test_a_body_of_unknown_length_ends_at_the_limit(server: Running) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await server.said(head, *[b"1000\r\n" + b"x" * 4096 + b"\r\n"] * 4)
    assert status_of(answer) == 413
    assert b"LIMIT_EXCEEDED" in answer


async def test_headers_of_any_length_are_not_read_to_their_end(server: Running) -> None:
    answer = await server.said(b"GET /echo HTTP/1.1\r\nHost: x\r\nA: ", *[b"a" * 32_768] * 8)
    assert status_of(answer) in (0, 431)
    many = b"".join(b"H%d: v\r\n" % number for number in range(40_000))
    assert status_of(await server.said(b"GET /echo HTTP/1.1\r\nHost: x\r\n" + many)) in (0, 431)


HIDDEN = b"GET /unread HTTP/1.1\r\nHost: x\r\n\r\n"
AMBIGUOUS = {
    "both lengths": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "the length twice": b"Content-Length: 0\r\nContent-Length: 36\r\n\r\n" + HIDDEN,
    "a list of lengths": b"Content-Length: 0, 36\r\n\r\n" + HIDDEN,
    "a negative length": b"Content-Length: -1\r\n\r\n" + HIDDEN,
    "a length with a sign": b"Content-Length: +0\r\n\r\n" + HIDDEN,
    "a length in hexadecimal": b"Content-Length: 0x0\r\n\r\n" + HIDDEN,
    "a space before the colon": b"Content-Length : 0\r\n\r\n" + HIDDEN,
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunked and then another coding": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a folded header": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a chunk of no length": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + HIDDEN,
    "a chunk of endless length": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n\r\n" + HIDDEN,
    "a bare line feed in a header": b"A: b\nContent-Length: 36\r\n\r\n" + HIDDEN,
    "a carriage return in a value": b"A: b\rTransfer-Encoding: chunked\r\n\r\n" + HIDDEN,
    "a null character": b"A: b\x00c\r\n\r\n" + HIDDEN,
}


async def test_what_two_readers_could_read_differently_is_refused_and_hides_no_second_request(
    server: Running,
) -> None:
    for case, rest in AMBIGUOUS.items():
        answer = await server.said(b"POST /echo HTTP/1.1\r\nHost: x\r\n" + rest)
        assert b'"/unread"' not in answer, f"{case}: the second request was answered"
        assert status_of(answer) == 400, (case, answer[:200])
        assert_signed(answer)


async def test_what_is_no_http_is_answered_like_everything_else(server: Running) -> None:
    for noise in (b"\x16\x03\x01\x02\x00\x01", b"HELO mail\r\n\r\n", b"GET  /  HTTP/7\r\n\r\n"):
        answer = await server.said(noise)
        assert status_of(answer) == 400, noise
        assert_signed(answer)
