"""What the kinds over HTTP make of answers that no well-behaved system gives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from okno.clock import SystemClock
from okno.sources.model import PersonKeys
from okno.sources.rest import RestManifest
from okno.sources.service import SectionResult, SourceError, Sources, State
from tests.contract.peers import IVAN
from tests.contract.peers.manifests import manifest_of, with_changes

Handler = Callable[[Any], Awaitable[web.StreamResponse]]
TOKENS = {"OKNO_HR_TOKEN": "t0ken", "OKNO_DIRECTORY_TOKEN": "t0ken"}


@asynccontextmanager
async def serving(handler: Handler, source: str = "hr", **changes: Any) -> AsyncIterator[Sources]:
    """A server that answers everything with the handler, and the shipped manifest connected to it."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    url = f"http://127.0.0.1:{port}"
    manifest = with_changes(manifest_of(source), **{"cache_seconds": 0, "deadline_seconds": 1, **changes})
    sources = Sources(
        {source: manifest}, SystemClock(), {**TOKENS, "OKNO_HR_URL": url, "OKNO_DIRECTORY_URL": url}
    )
    try:
        yield sources
    finally:
        await sources.close()
        await runner.cleanup()


def answers(status: int = 200, body: bytes = b"{}", **headers: str) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers, content_type="application/json")

    return handle


async def read(handler: Handler, source: str = "hr", **changes: Any) -> SectionResult:
    async with serving(handler, source, **changes) as sources:
        return await sources.read(source, IVAN)


@pytest.mark.parametrize("source", ["hr", "directory"])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "BAD_ANSWER"),
        (400, "REFUSED"),
        (401, "REFUSED"),
        (403, "REFUSED"),
        (404, "NOT_FOUND"),
        (429, "REFUSED"),
        (500, "UNREACHABLE"),
        (503, "UNREACHABLE"),
    ],
)
async def test_each_status_has_its_code(source: str, status: int, code: str) -> None:
    result = await read(answers(status, b'{"error": "SECRET"}', Location="http://127.0.0.1:1/"), source)
    assert result.state is State.FAILED
    assert result.error is not None
    assert result.error.code == code
    assert "SECRET" not in result.error.message
    assert "t0ken" not in result.error.message


@pytest.mark.parametrize("source", ["hr", "directory"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b"\xff\xfe", b"[]", b'"text"', b"5", b'{"Resources": 5}', b"[" * 100_000]
)
async def test_what_is_no_answer_of_the_protocol_is_a_bad_answer(source: str, body: bytes) -> None:
    result = await read(answers(200, body), source)
    if source == "hr" and body == b'{"Resources": 5}':
        return  # a record without any known field
    assert result.error is not None
    assert result.error.code == "BAD_ANSWER"


async def test_an_endless_answer_is_cut_off() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with pytest.raises((aiohttp.ClientConnectionError, ConnectionError, asyncio.CancelledError)):
            while True:
                await response.write(b" " * 1_000_000)
        return response

    result = await read(endless, deadline_seconds=20)
    assert result.error is not None
    assert result.error.code == "BAD_ANSWER"


async def test_a_lost_read_is_asked_once_more_on_a_new_connection() -> None:
    asked = []

    async def first_fails(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if len(asked) == 1:
            return web.Response(status=503)
        return web.json_response({"personnelNumber": "100010"})

    result = await read(first_fails)
    assert result.state is State.OK
    assert asked == ["/v1/employees/100010"] * 2


async def test_many_reads_share_few_warm_connections() -> None:
    peers = set()

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response({"personnelNumber": "1"})

    async with serving(handle) as sources:
        for _ in range(20):
            await sources.read("hr", IVAN)
    assert len(peers) == 1


async def test_the_bearer_token_and_no_cookie_is_sent() -> None:
    seen: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers.get("Authorization"), request.headers.get("Cookie")))
        return web.json_response({"personnelNumber": "1"}, headers={"Set-Cookie": "a=b"})

    async with serving(handle) as sources:
        await sources.read("hr", IVAN)
        await sources.read("hr", IVAN)
    assert seen == [("Bearer t0ken", None)] * 2


def demo(**changes: Any) -> RestManifest:
    texts = {"en": "x", "ru": "x"}
    return RestManifest.model_validate(
        {
            "id": "demo",
            "kind": "rest",
            "title": texts,
            "endpoint": {"url": {"env": "DEMO_URL"}},
            "key": "login",
            "read": {"one": {"path": "/people", "query": {"login": "{login}"}, "record": "people[0]"}},
            "section": {
                "field": "demo",
                "type": "DemoSection",
                "fields": [{"name": "name", "type": "string", "path": "name", "title": texts}],
            },
            **changes,
        }
    )


@asynccontextmanager
async def serving_demo(
    handler: Handler, manifest: RestManifest, **environment: str
) -> AsyncIterator[Sources]:
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/base/"
    sources = Sources({"demo": manifest}, SystemClock(), {"DEMO_URL": url, **environment})
    try:
        yield sources
    finally:
        await sources.close()
        await runner.cleanup()


async def test_a_query_finds_one_person_and_user_and_password_are_sent_encoded() -> None:
    seen: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request.path, dict(request.query), request.headers.get("Authorization")))
        return web.json_response(
            {"people": [{"name": "Иван"}] if request.query.get("login") == "ivan.petrov" else []}
        )

    basic = {"basic": {"user": "okno", "password": {"env": "DEMO_PASSWORD"}}}
    async with serving_demo(handle, demo(auth=basic), DEMO_PASSWORD="пароль:1") as sources:
        result = await sources.read("demo", IVAN)
        assert result.data == {"name": "Иван"}
        await sources.ping("demo")
    assert seen[0] == (
        "/base/people",
        {"login": "ivan.petrov"},
        aiohttp.encode_basic_auth("okno", "пароль:1"),
    )


async def test_nobody_found_by_a_query_is_not_found() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response({"people": []})

    async with serving_demo(handle, demo()) as sources:
        result = await sources.read("demo", IVAN)
    assert result.error is not None
    assert result.error.code == "NOT_FOUND"


@pytest.mark.parametrize(
    "answer",
    [{"items": 5, "next": None}, {"items": [], "next": {}}, {"items": [{}], "next": "same"}, {"next": "x"}],
)
async def test_a_listing_that_is_none_or_runs_in_a_circle_ends_with_an_error(answer: Any) -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response(answer)

    async with serving(handle) as sources:
        with pytest.raises(SourceError) as caught:
            _ = [page async for page in sources.scan("hr", cursor="start")]
    assert caught.value.code == "BAD_ANSWER"


async def test_a_directory_that_returns_fewer_than_asked_is_listed_to_its_end() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        start = int(request.query["startIndex"])
        users = [{"externalId": str(number)} for number in range(start, min(start + 3, 8))]
        return web.json_response({"totalResults": 7, "Resources": users})

    async with serving(handle, "directory") as sources:
        pages = [page async for page in sources.scan("directory")]
    assert [row["personnel_number"] for page in pages for row in page.records] == [
        str(n) for n in range(1, 8)
    ]
    assert [page.cursor for page in pages] == ["4", "7", None]


async def test_whom_a_directory_passed_over_while_its_pages_shifted_is_asked_for_alone() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        asked = request.query["filter"]
        if " or " in asked:
            # somebody came in before the second page was asked for: 2 stands on both, and 3 on none
            numbers, total = (["1", "2"] if request.query["startIndex"] == "1" else ["2"]), 3
        else:
            numbers, total = [number for number in ("1", "2", "3") if f'"{number}"' in asked], 1
        users = [{"id": number, "externalId": number} for number in numbers]
        return web.json_response({"totalResults": total, "Resources": users})

    people = [PersonKeys(UUID(int=number), str(number)) for number in (1, 2, 3)]
    async with serving(handle, "directory") as sources:
        results = await sources.read_many("directory", people)
    assert [result.state for result in results] == [State.OK] * 3


async def test_a_key_that_fits_two_people_shows_neither() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response({"totalResults": 2, "Resources": [{"userName": "a"}, {"userName": "b"}]})

    result = await read(handle, "directory")
    assert result.error is not None
    assert (result.error.code, result.data) == ("BAD_ANSWER", None)
