"""Deadline, bulkhead, retry, breaker, coalescing, cache and health, on a connector that does as it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.clock import ManualClock, SystemClock
from okno.sources.breaker import Breaker, BreakerState
from okno.sources.cache import Answer, AnswerCache
from okno.sources.errors import Code, SourceError
from okno.sources.kind import RawPage, ReadOnly
from okno.sources.many import Many
from okno.sources.model import State
from okno.sources.reader import Reader
from tests.contract.peers.manifests import manifest_of, with_changes

RECORD = {"personnelNumber": "1"}


class Obedient(ReadOnly):
    """Answers with what `work` gives; counts."""

    def __init__(self, work: Callable[[str], Awaitable[Any]]) -> None:
        self.work = work
        self.asked: list[str] = []
        self._news = asyncio.Condition()

    async def was_asked(self, times: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: len(self.asked) >= times)

    async def fetch(self, key: str) -> Any:
        async with self._news:
            self.asked.append(key)
            self._news.notify_all()
        return await self.work(key)

    async def fetch_many(self, keys: Sequence[str]) -> Many:
        raise AssertionError("nobody asks for many here")

    def scan(self, cursor: str | None) -> Any:
        return Pages(self)

    async def ping(self) -> None:
        await self.work("ping")

    async def close(self) -> None: ...


class Pages:
    def __init__(self, connector: Obedient) -> None:
        self.connector = connector
        self.closed = False

    async def next(self) -> RawPage:
        page: RawPage = await self.connector.fetch("page")
        return page

    async def close(self) -> None:
        self.closed = True


async def good(key: str) -> Any:
    return {**RECORD, "personnelNumber": key}


def fails(code: Code, times: int = 10**9) -> Callable[[str], Awaitable[Any]]:
    left = [times]

    async def work(key: str) -> Any:
        if left[0]:
            left[0] -= 1
            raise SourceError(code, "told so")
        return await good(key)

    return work


async def hangs(_: str) -> Any:
    await asyncio.Event().wait()


def reader(
    work: Callable[[str], Awaitable[Any]], clock: Any = None, **changes: Any
) -> tuple[Reader, Obedient]:
    connector = Obedient(work)
    manifest = with_changes(manifest_of("hr"), **{"deadline_seconds": 1, "cache_seconds": 0, **changes})
    return Reader(manifest, connector, clock or SystemClock(), textual=False), connector


async def test_a_read_that_hangs_ends_with_the_deadline() -> None:
    source, connector = reader(hangs, deadline_seconds=0.1)
    async with asyncio.timeout(0.5):
        result = await source.read("1", fresh=False)
    assert result.error is not None
    assert (result.state, result.error.code) == (State.FAILED, "TIMEOUT")
    assert connector.asked == ["1"]


async def test_a_lost_connection_is_tried_once_more_and_only_once() -> None:
    source, connector = reader(fails("UNREACHABLE", times=1))
    assert (await source.read("1", fresh=False)).state is State.OK
    assert len(connector.asked) == 2
    source, connector = reader(fails("UNREACHABLE"))
    result = await source.read("1", fresh=False)
    assert result.error is not None
    assert result.error.code == "UNREACHABLE"
    assert len(connector.asked) == 2


@pytest.mark.parametrize("code", ["REFUSED", "BAD_ANSWER", "NOT_FOUND", "TIMEOUT"])
async def test_what_was_answered_is_not_asked_again(code: Code) -> None:
    source, connector = reader(fails(code))
    result = await source.read("1", fresh=False)
    assert result.error is not None
    assert result.error.code == code
    assert len(connector.asked) == 1


async def test_a_change_is_never_tried_twice() -> None:
    source, _ = reader(good)
    tried = []

    async def change() -> None:
        tried.append(1)
        raise SourceError("UNREACHABLE", "told so")

    with pytest.raises(SourceError):
        await source.runtime.call(change, seconds=1, idempotent=False)
    assert tried == [1]


async def test_the_second_try_does_not_outlive_the_deadline_and_the_cause_is_told() -> None:
    tries = iter((fails("UNREACHABLE"), hangs))
    source, _ = reader(lambda key: next(tries)(key), deadline_seconds=0.3)
    async with asyncio.timeout(1):
        result = await source.read("1", fresh=False)
    assert result.error is not None
    assert result.error.code == "UNREACHABLE"


async def test_no_more_calls_than_places_run_at_once_and_the_rest_wait_or_are_told() -> None:
    gate, running, most = asyncio.Event(), 0, 0

    async def work(key: str) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return await good(key)

    source, connector = reader(work, concurrency=2, queue=3)
    reads = [asyncio.create_task(source.read(str(number), fresh=False)) for number in range(7)]
    done, _ = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
    assert {task.result().error.code for task in done} == {"OVERLOADED"}  # type: ignore[union-attr]
    gate.set()
    results = await asyncio.gather(*reads)
    assert [result.state for result in results].count(State.OK) == 5
    assert most == 2
    assert len(connector.asked) == 5
    assert source.runtime.health().breaker is BreakerState.CLOSED


async def test_one_who_waits_for_a_place_past_the_deadline_is_told_so_and_the_system_is_not_blamed() -> None:
    source, connector = reader(
        hangs, concurrency=1, deadline_seconds=0.15, breaker={"failures": 2, "open_seconds": 9}
    )
    first = asyncio.create_task(source.read("1", fresh=False))
    second = asyncio.create_task(source.read("2", fresh=False))
    results = await asyncio.gather(first, second)
    assert {result.error.code for result in results} == {"TIMEOUT", "OVERLOADED"}  # type: ignore[union-attr]
    assert connector.asked == ["1"]
    assert source.runtime.health().breaker is BreakerState.CLOSED


async def test_equal_reads_at_once_are_one_question_and_one_reader_leaving_hurts_nobody() -> None:
    gate = asyncio.Event()

    async def work(key: str) -> Any:
        await gate.wait()
        return await good(key)

    source, connector = reader(work)
    reads = [asyncio.create_task(source.read("1", fresh=False)) for _ in range(10)]
    other = asyncio.create_task(source.read("2", fresh=False))
    await connector.was_asked(2)
    reads[0].cancel()
    gate.set()
    results = await asyncio.gather(*reads[1:], other)
    assert all(result.state is State.OK for result in results)
    assert sorted(connector.asked) == ["1", "2"]


async def test_a_read_after_a_write_does_not_join_one_from_before_it() -> None:
    gate = asyncio.Event()
    names = ["before", "after"]

    async def work(key: str) -> Any:
        name = names.pop(0)
        if name == "before":
            await gate.wait()
        return {**await good(key), "fullName": name}

    source, connector = reader(work, cache_seconds=60)
    early = asyncio.create_task(source.read("1", fresh=False))
    await connector.was_asked(1)
    source.forget("1")
    late = await source.read("1", fresh=False)
    assert late.data is not None
    assert late.data["fullName"] == "after"
    gate.set()
    assert (await early).state is State.OK
    again = await source.read("1", fresh=False)
    assert again.data is not None
    assert again.data["fullName"] == "after"


async def test_a_fresh_read_asks_although_an_equal_one_is_under_way(clock: ManualClock) -> None:
    source, connector = reader(good, clock, cache_seconds=60)
    await source.read("1", fresh=False)
    await source.read("1", fresh=False)
    assert len(connector.asked) == 1
    await source.read("1", fresh=True)
    assert len(connector.asked) == 2


async def test_an_answer_is_kept_for_its_seconds_and_missing_people_too(clock: ManualClock) -> None:
    source, connector = reader(good, clock, cache_seconds=60)
    first = await source.read("1", fresh=False)
    clock.advance(timedelta(seconds=59))
    assert await source.read("1", fresh=False) == first
    clock.advance(timedelta(seconds=2))
    later = await source.read("1", fresh=False)
    assert later.as_of == clock.now()
    assert len(connector.asked) == 2
    source, connector = reader(fails("NOT_FOUND"), clock, cache_seconds=60)
    for _ in range(3):
        result = await source.read("1", fresh=False)
        assert result.error is not None
        assert result.error.code == "NOT_FOUND"
    assert len(connector.asked) == 1


async def test_while_the_source_is_down_the_last_answer_is_stale_and_then_not_shown(
    clock: ManualClock,
) -> None:
    source, connector = reader(good, clock)
    good_answer = await source.read("1", fresh=False)
    connector.work = fails("UNREACHABLE")
    clock.advance(timedelta(seconds=100))
    stale = await source.read("1", fresh=False)
    assert (stale.state, stale.data, stale.as_of) == (State.STALE, good_answer.data, good_answer.as_of)
    assert stale.error is not None
    assert stale.error.code == "UNREACHABLE"
    clock.advance(timedelta(seconds=source.manifest.freshness.error_after))
    gone = await source.read("1", fresh=False)
    assert (gone.state, gone.data) == (State.FAILED, None)


async def test_somebody_whom_the_source_no_longer_knows_is_not_shown_as_stale(clock: ManualClock) -> None:
    source, connector = reader(good, clock)
    await source.read("1", fresh=False)
    connector.work = fails("NOT_FOUND")
    clock.advance(timedelta(seconds=1))
    result = await source.read("1", fresh=False)
    assert result.state is State.FAILED
    connector.work = fails("UNREACHABLE")
    clock.advance(timedelta(seconds=1))
    assert (await source.read("1", fresh=False)).state is State.FAILED


async def test_a_type_that_changed_is_named_and_the_last_good_answer_stays_visible(
    clock: ManualClock,
) -> None:
    async def changed(_: str) -> Any:
        return {"personnelNumber": 5}

    source, connector = reader(changed, clock)
    result = await source.read("1", fresh=False)
    assert result.error is not None
    assert result.error.code == "BAD_ANSWER"
    assert result.error.message == "hr: field personnelNumber: expected string, got int"
    assert source.runtime.health().breaker is BreakerState.CLOSED
    connector.work = good
    await source.read("1", fresh=False)
    connector.work = changed
    clock.advance(timedelta(seconds=1))
    assert (await source.read("1", fresh=False)).state is State.STALE


async def test_a_defect_in_a_kind_costs_its_section_only() -> None:
    async def broken(_: str) -> Any:
        raise KeyError("SECRET")

    source, _ = reader(broken)
    result = await source.read("1", fresh=False)
    assert result.error is not None
    assert (result.state, result.error.code) == (State.FAILED, "BAD_ANSWER")
    assert "SECRET" not in result.error.message


async def test_the_breaker_opens_tries_one_call_and_closes(clock: ManualClock) -> None:
    source, connector = reader(fails("BAD_ANSWER"), clock, breaker={"failures": 3, "open_seconds": 10})
    for _ in range(5):
        result = await source.read("1", fresh=False)
    assert result.error is not None
    assert result.error.code == "BREAKER_OPEN"
    assert len(connector.asked) == 3
    health = source.runtime.health()
    assert (health.state, health.breaker) == ("down", BreakerState.OPEN)
    assert health.last_error is not None
    assert health.last_error.code == "BAD_ANSWER"

    clock.advance(timedelta(seconds=10))
    assert source.runtime.health().breaker is BreakerState.HALF_OPEN
    gate = asyncio.Event()

    async def slowly(key: str) -> Any:
        await gate.wait()
        return await good(key)

    connector.work = slowly
    trying = asyncio.create_task(source.read("1", fresh=False))
    await connector.was_asked(4)
    other = await source.read("2", fresh=False)
    assert other.error is not None
    assert other.error.code == "BREAKER_OPEN"
    gate.set()
    assert (await trying).state is State.OK
    assert source.runtime.health().breaker is BreakerState.CLOSED
    assert source.runtime.health().state == "up"


async def test_a_caller_who_leaves_while_trying_lets_another_try(clock: ManualClock) -> None:
    source, connector = reader(fails("BAD_ANSWER"), clock, breaker={"failures": 1, "open_seconds": 10})
    await source.read("1", fresh=False)
    clock.advance(timedelta(seconds=10))
    connector.work = hangs
    trying = asyncio.create_task(source.read("1", fresh=True))
    await connector.was_asked(2)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    connector.work = good
    assert (await source.read("1", fresh=False)).state is State.OK


async def test_health_tells_latency_last_success_and_degrades_before_it_is_down(clock: ManualClock) -> None:
    async def timed(key: str) -> Any:
        clock.advance(timedelta(milliseconds=20))
        return await good(key)

    source, connector = reader(timed, clock, breaker={"failures": 100, "open_seconds": 1})
    fresh = source.runtime.health()
    assert (fresh.state, fresh.latency_ms_median, fresh.last_success_at) == ("up", None, None)
    for _ in range(3):
        await source.read("1", fresh=False)
    health = source.runtime.health()
    assert health.latency_ms_median == pytest.approx(20)
    assert health.last_success_at == clock.now()
    connector.work = fails("REFUSED")
    clock.advance(timedelta(seconds=1))
    await source.read("1", fresh=False)
    assert source.runtime.health().state == "degraded"
    connector.work = fails("TIMEOUT")
    await source.read("1", fresh=False)
    assert source.runtime.health().state == "degraded"
    clock.advance(timedelta(seconds=source.manifest.freshness.warn_after + 1))
    await source.read("1", fresh=False)
    assert source.runtime.health().state == "down"


async def test_a_page_that_cannot_be_read_is_tried_again_and_wrong_records_are_left_out() -> None:
    pages = iter(
        (
            RawPage([{"personnelNumber": "1"}, {"personnelNumber": 2}], "a"),
            RawPage([{"personnelNumber": "3"}], None),
        )
    )
    broken = [True]

    async def work(_: str) -> Any:
        if broken.pop() if broken else False:
            raise SourceError("UNREACHABLE", "told so")
        return next(pages)

    source, _ = reader(work)
    found = [page async for page in source.scan(None)]
    assert [[row["personnel_number"] for row in page.records] for page in found] == [["1"], ["3"]]
    assert [page.rejected for page in found] == [1, 0]
    assert [page.cursor for page in found] == ["a", None]


async def test_closing_ends_reads_under_way() -> None:
    source, connector = reader(hangs, deadline_seconds=60)
    reading = asyncio.create_task(source.read("1", fresh=False))
    await connector.was_asked(1)
    source.forget("1")  # nobody may join it any more, and it is under way still
    await source.close()
    with pytest.raises(asyncio.CancelledError):
        await reading


def test_the_cache_is_bounded_and_drops_what_was_not_used_longest(clock: ManualClock) -> None:
    cache = AnswerCache(2)
    for key in ("a", "b"):
        cache.put(key, Answer({}, clock.now(), 1.0))
    cache.find("a")
    cache.put("c", Answer({}, clock.now(), 2.0))
    assert cache.find("b") is None
    assert cache.find("a") is not None
    assert len(cache) == 2


def test_an_answer_from_before_a_write_or_a_newer_answer_is_not_kept(clock: ManualClock) -> None:
    cache = AnswerCache(10)
    old, new = Answer({"v": 1}, clock.now(), 1.0), Answer({"v": 2}, clock.now(), 2.0)
    cache.put("a", new)
    cache.put("a", old)
    assert cache.find("a") is new
    cache.forget("a", 3.0)
    cache.put("a", new)
    assert cache.find("a") is None
    after = Answer({"v": 3}, clock.now(), 3.0)
    cache.put("a", after)
    assert cache.find("a") is after


@given(st.lists(st.sampled_from(["enter", "good", "bad", "gone", "wait"]), max_size=60))
def test_a_breaker_lets_one_call_try_and_never_locks_for_ever(steps: list[str]) -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    breaker, tickets = Breaker(clock, failures=3, open_seconds=10), []
    for step in steps:
        if step == "wait":
            clock.advance(timedelta(seconds=10))
        elif step == "enter":
            before = breaker.state
            ticket = breaker.enter()
            assert (ticket is None) or before is not BreakerState.OPEN
            if ticket is not None:
                if before is BreakerState.HALF_OPEN:
                    assert breaker.enter() is None
                tickets.append(ticket)
        elif tickets:
            give_back = {"good": breaker.succeeded, "bad": breaker.failed, "gone": breaker.abandoned}[step]
            give_back(tickets.pop(0))
    for ticket in tickets:
        breaker.abandoned(ticket)
    clock.advance(timedelta(seconds=10))
    last = breaker.enter()
    assert last is not None
    breaker.succeeded(last)
    assert breaker.state is BreakerState.CLOSED
