"""One suite of assertions on every kind of source, run against the simulators and against independent real systems."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from okno.clock import ManualClock, SystemClock
from okno.sources.service import PersonKeys, Sources, State
from tests.contract.peers import IVAN, NOBODY, NUMBERS, Peer
from tests.contract.peers.fixtures import PEERS
from tests.contract.peers.manifests import manifest_of, with_changes
from tests.contract.peers.proxy import Proxy

pytestmark = pytest.mark.parametrize("peer", PEERS, indirect=True)

PATIENT = {"failures": 1000, "open_seconds": 1}
HOSTILE = (
    "*",
    "100010)(employeeNumber=*",
    "*)(objectClass=*))(&(uid=*",
    '100010" or externalId pr or "a" eq "a',
    "100010' OR '1'='1",
    "'; DROP TABLE equipment; --",
    "../100010",
    "..",
    "100010?x=1#",
    "\\2a",
    "100010\x00",
)


@asynccontextmanager
async def connected(peer: Peer, clock: Any = None, **changes: Any) -> AsyncIterator[Sources]:
    """The peer's manifest, unchanged but for `changes`, connected."""
    manifest = with_changes(manifest_of(peer.source), **changes)
    sources = Sources({peer.source: manifest}, clock or SystemClock(), peer.environment)
    try:
        yield sources
    finally:
        await sources.close()


@asynccontextmanager
async def behind_proxy(peer: Peer, clock: Any = None, **changes: Any) -> AsyncIterator[tuple[Sources, Proxy]]:
    """The same with a proxy between."""
    name = f"OKNO_{peer.source.upper()}_URL"
    async with Proxy(peer.environment[name]) as proxy:
        through = replace(peer, environment={**peer.environment, name: proxy.url})
        async with connected(through, clock, **changes) as sources:
            yield sources, proxy


async def eventually_ok(sources: Sources, peer: Peer) -> None:
    """Asks until the system answers within the short deadline; a busy machine may need a second try."""
    async with asyncio.timeout(10):
        while (await sources.read(peer.source, IVAN, fresh=True)).state is not State.OK:
            continue


def missing(result: Any) -> bool:
    """Whether the source says that it knows nothing of the person: no record, or an empty list of things."""
    if result.state is State.OK:
        return bool(result.data == {"items": []})
    return result.state is State.FAILED and result.error.code in ("NOT_FOUND", "NO_KEY")


async def test_a_person_is_read_with_typed_fields(peer: Peer) -> None:
    async with connected(peer) as sources:
        result = await sources.read(peer.source, IVAN)
    assert result.state is State.OK, result.error
    assert result.data is not None
    assert {name: result.data[name] for name in peer.expected} == dict(peer.expected)
    assert set(result.data) == {field.name for field in manifest_of(peer.source).section.fields}
    assert result.as_of is not None
    assert result.as_of.tzinfo is not None
    assert result.error is None


async def test_a_person_the_system_does_not_know_is_missing_and_no_fault(peer: Peer) -> None:
    async with connected(peer) as sources:
        assert missing(await sources.read(peer.source, NOBODY))
        health = sources.health()[0]
    assert health.state == "up"
    assert health.breaker == "closed"


@pytest.mark.parametrize("value", HOSTILE)
async def test_a_hostile_key_finds_nobody(peer: Peer, value: str) -> None:
    keys = PersonKeys(IVAN.person_id, value, value, value, value)
    async with connected(peer) as sources:
        result = await sources.read(peer.source, keys)
        assert missing(result) or (value.endswith("\x00") and result.state is State.FAILED)
        assert (await sources.read(peer.source, IVAN)).state is State.OK


async def test_wrong_credentials_are_refused_and_nothing_secret_is_told(peer: Peer) -> None:
    wrong = "not-the-secret"
    environment = {name: value.replace(peer.secret, wrong) for name, value in peer.environment.items()}
    async with connected(replace(peer, environment=environment)) as sources:
        result = await sources.read(peer.source, IVAN)
        told = repr((result, sources.health(), sources.manifests, sources.__dict__))
    assert result.state is State.FAILED
    assert result.error is not None
    assert result.error.code == "REFUSED"
    assert wrong not in told
    assert peer.secret not in told


async def test_the_system_answers_a_ping(peer: Peer) -> None:
    async with connected(peer) as sources:
        await sources.ping(peer.source)


async def test_everybody_is_listed_and_the_listing_can_be_resumed_after_any_page(peer: Peer) -> None:
    if not manifest_of(peer.source).can_scan:
        async with connected(peer) as sources:
            with pytest.raises(Exception, match="declares no listing"):
                sources.scan(peer.source)
        return
    async with connected(peer, page_size=3) as sources:
        pages = [page async for page in sources.scan(peer.source)]
        listed = [row["personnel_number"] for page in pages for row in page.records]
        assert len(listed) == len(set(listed))
        assert set(listed) >= NUMBERS
        assert len(pages) > 1
        assert pages[-1].cursor is None
        assert not any(page.rejected for page in pages)
        rest = [page async for page in sources.scan(peer.source, cursor=pages[0].cursor)]
    resumed = [row["personnel_number"] for page in rest for row in page.records]
    assert sorted(resumed) == sorted(listed[len(pages[0].records) :])


async def test_nobody_listening_is_unreachable_at_once(peer: Peer) -> None:
    async with behind_proxy(peer, deadline_seconds=5) as (sources, proxy):
        await proxy.down()
        async with asyncio.timeout(2):
            result = await sources.read(peer.source, IVAN)
    assert result.state is State.FAILED
    assert result.error is not None
    assert result.error.code == "UNREACHABLE"


@pytest.mark.parametrize("mode", ["hang", "drip"])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
async def test_a_system_that_does_not_finish_costs_its_deadline_and_no_more(
    peer: Peer, mode: Any, warm: bool
) -> None:
    async with behind_proxy(peer, deadline_seconds=0.5, cache_seconds=0, breaker=PATIENT) as (sources, proxy):
        if warm:
            await sources.read(peer.source, NOBODY)
        proxy.mode = mode
        clock = SystemClock()
        began = clock.monotonic()
        result = await sources.read(peer.source, IVAN)
        took = clock.monotonic() - began
        assert result.state is State.FAILED
        assert result.error is not None
        assert result.error.code == "TIMEOUT"
        assert took < 0.5 + 0.5
        proxy.mode = "pass"
        await eventually_ok(sources, peer)


@pytest.mark.parametrize("mode", ["half", "garbage"])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
async def test_a_broken_answer_is_a_failed_section_and_the_next_one_is_right(
    peer: Peer, mode: Any, warm: bool
) -> None:
    # Where a message begins with its length, noise may promise a long message: that ends with the deadline.
    binary = peer.source in ("domain", "equipment")
    codes = {"UNREACHABLE", "BAD_ANSWER"} | ({"TIMEOUT"} if mode == "garbage" and binary else set())
    async with behind_proxy(peer, deadline_seconds=0.7, cache_seconds=0, breaker=PATIENT) as (sources, proxy):
        if warm:
            await sources.read(peer.source, NOBODY)
        proxy.mode = mode
        result = await sources.read(peer.source, IVAN)
        assert result.state is State.FAILED
        assert result.error is not None
        assert result.error.code in codes
        proxy.mode = "pass"
        await eventually_ok(sources, peer)


async def test_a_connection_that_was_cut_while_idle_costs_nobody_an_error(peer: Peer) -> None:
    async with behind_proxy(peer, cache_seconds=0) as (sources, proxy):
        assert (await sources.read(peer.source, IVAN)).state is State.OK
        await proxy.down()
        await proxy.up()
        assert (await sources.read(peer.source, IVAN)).state is State.OK


async def test_an_outage_opens_the_breaker_and_shows_the_last_answer_until_the_system_is_back(
    peer: Peer, clock: ManualClock, advance: Callable[[float], None]
) -> None:
    changes = {"cache_seconds": 0, "breaker": {"failures": 2, "open_seconds": 10}}
    async with behind_proxy(peer, clock, **changes) as (sources, proxy):
        good = await sources.read(peer.source, IVAN)
        assert good.state is State.OK
        await proxy.down()
        advance(1)
        for _ in range(2):
            stale = await sources.read(peer.source, IVAN)
        assert stale.state is State.STALE
        assert stale.data == good.data
        assert stale.as_of == good.as_of
        assert stale.error is not None
        assert sources.health()[0].breaker == "open"
        asked = proxy.connections
        assert (await sources.read(peer.source, NOBODY)).error.code == "BREAKER_OPEN"  # type: ignore[union-attr]
        await proxy.up()
        assert (await sources.read(peer.source, IVAN)).state is State.STALE
        assert proxy.connections == asked
        advance(11)
        assert (await sources.read(peer.source, IVAN)).state is State.OK
        health = sources.health()[0]
        assert (health.breaker, health.state) == ("closed", "up")


async def test_equal_reads_at_once_are_one_question(peer: Peer) -> None:
    async with behind_proxy(peer) as (sources, proxy):
        await sources.read(peer.source, NOBODY)
        before = proxy.requests
        results = await asyncio.gather(*(sources.read(peer.source, IVAN) for _ in range(20)))
        alone = proxy.requests - before
        assert all(result.state is State.OK for result in results)
        assert alone <= 2  # PostgreSQL prepares and then executes


@pytest.fixture
def advance(clock: ManualClock) -> Callable[[float], None]:
    """Moves the clock by seconds."""
    return lambda seconds: clock.advance(timedelta(seconds=seconds))
