"""Many people read at once are what they are read one by one, for every kind of source and on real systems."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from okno.clock import SystemClock
from okno.sources.model import SectionResult
from okno.sources.registry import KINDS
from okno.sources.service import PersonKeys, Sources, State
from tests.contract.peers import IVAN, NOBODY, PEOPLE, Peer
from tests.contract.peers.fixtures import PEERS
from tests.contract.peers.manifests import manifest_of, with_changes
from tests.contract.peers.proxy import Proxy

pytestmark = pytest.mark.parametrize("peer", PEERS, indirect=True)

PATIENT = {"failures": 1000, "open_seconds": 1}
# What could change the question around it, part a list in two, or be compared in another way than by its letters
STRANGE = (
    "*",
    "",
    ".",
    "..",
    "100010,100012",
    " 100010",
    "100010 ",
    "0100010",
    "100010)(employeeNumber=*",
    '100010" or externalId pr or "a" eq "a',
    "') OR ('1'='1",
    "{100010}",
    "100010\x00",
    "1" * 400,
    "ИВАН",
)


def keys(number: str) -> PersonKeys:
    return PersonKeys(UUID(int=hash(number) % 2**64), number, number or None, number or None, number or None)


KNOWN = [keys(person[0]) for person in PEOPLE]
UNKNOWN = [keys(str(number)) for number in range(900_000_001, 900_000_008)]


@asynccontextmanager
async def connected(peer: Peer, url: str | None = None, **changes: Any) -> AsyncIterator[Sources]:
    """The peer's manifest as it is shipped but for `changes`, at another address if given."""
    read: Any = getattr(manifest_of(peer.source), "read")  # noqa: B009 - of the kind
    if size := changes.pop("size", None):
        many = read.many.model_copy(update={"size": size})
        changes["read"] = read.model_copy(update={"many": many})
    environment = dict(peer.environment)
    if url is not None:
        environment[f"OKNO_{peer.source.upper()}_URL"] = url
    manifest = with_changes(manifest_of(peer.source), **changes)
    sources = Sources({peer.source: manifest}, SystemClock(), environment)
    try:
        yield sources
    finally:
        await sources.close()


def gist(results: Sequence[SectionResult]) -> list[Any]:
    """What the results say, without the moment and the words."""
    return [(each.state, each.data, each.error and each.error.code) for each in results]


async def one_by_one(sources: Sources, peer: Peer, people: Sequence[PersonKeys]) -> list[SectionResult]:
    return [await sources.read(peer.source, person, fresh=True) for person in people]


@pytest.mark.parametrize("size", [2, 5, 100])
async def test_any_mix_of_people_is_read_at_once_as_one_by_one(peer: Peer, size: int) -> None:
    chance = random.Random(size)
    async with connected(peer, size=size) as sources, connected(peer) as alone:
        everybody = [*KNOWN, *UNKNOWN, *(keys(strange) for strange in STRANGE)]
        truth = dict(zip(everybody, gist(await one_by_one(alone, peer, everybody)), strict=True))
        for _ in range(8):
            # duplicates too; some of them cached by then, and some not
            people = chance.choices(everybody, k=chance.randint(1, 30))
            assert gist(await sources.read_many(peer.source, people)) == [truth[each] for each in people]


async def test_a_whole_list_is_one_question_for_each_chunk_and_none_when_cached(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_calls(monkeypatch, peer)
    people = [*KNOWN, *UNKNOWN]
    async with connected(peer, cache_seconds=60) as sources:
        await sources.read(peer.source, KNOWN[0])
        await sources.read_many(peer.source, people)
        assert asked == [1, len(people) - 1]  # who was read alone is not asked for again
        again = await sources.read_many(peer.source, people)
        assert len(asked) == 2
        assert [each.state for each in again[: len(KNOWN)]] == [State.OK] * len(KNOWN)
    del asked[:]
    async with connected(peer, size=5) as sources:
        await sources.read_many(peer.source, people)
    assert asked == [5, 5, 4]


def count_calls(monkeypatch: pytest.MonkeyPatch, peer: Peer) -> list[int]:
    """How many people each call to the system asks for, in the order of the calls."""
    asked: list[int] = []
    connector: Any = KINDS[manifest_of(peer.source).kind].connect
    fetch, fetch_many = connector.fetch, connector.fetch_many

    async def one(self: Any, key: str) -> Any:
        asked.append(1)
        return await fetch(self, key)

    async def many(self: Any, keys: Sequence[str]) -> Any:
        asked.append(len(keys))
        return await fetch_many(self, keys)

    monkeypatch.setattr(connector, "fetch", one)
    monkeypatch.setattr(connector, "fetch_many", many)
    return asked


@pytest.mark.parametrize("mode", ["hang", "half", "garbage", "down"])
async def test_a_fault_of_the_system_is_told_of_each_as_if_read_alone_and_what_is_known_is_shown(
    peer: Peer, mode: Any
) -> None:
    people = [IVAN, NOBODY, *KNOWN]
    changes: dict[str, Any] = {"deadline_seconds": 0.6, "cache_seconds": 0, "breaker": PATIENT}
    upstream = peer.environment[f"OKNO_{peer.source.upper()}_URL"]
    async with Proxy(upstream) as proxy, connected(peer, proxy.url, **changes) as sources:
        good = await sources.read(peer.source, IVAN)
        assert good.state is State.OK
        if mode == "down":
            await proxy.down()
        else:
            proxy.mode = mode
        clock = SystemClock()
        began = clock.monotonic()
        results = await sources.read_many(peer.source, people)
        assert clock.monotonic() - began < 0.6 + 0.5
        alone = await sources.read(peer.source, KNOWN[0])
    assert (results[0].state, results[0].data, results[0].as_of) == (State.STALE, good.data, good.as_of)
    codes = {each.error.code for each in results if each.error is not None}
    assert {each.state for each in results[1:]} <= {State.FAILED, State.STALE}
    assert alone.error is not None
    # Noise is read as this or that, by chance of what comes first
    loose = {"UNREACHABLE", "BAD_ANSWER", "TIMEOUT"} if mode in ("garbage", "half") else {alone.error.code}
    assert codes <= loose
