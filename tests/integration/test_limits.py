"""Limits as several processes share them: with a real database, without one, and at the speed of a request."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from okno.clock import ManualClock
from okno.errors import RateLimited, Unavailable
from okno.limits.attempts import Attempts, TooManyAttempts
from okno.limits.limiter import LEASE_SECONDS, Limit, Limiter
from okno.limits.service import RequestLimits
from okno.settings import LimitSettings, Settings
from okno.storage.engine import Database

LIMIT = Limit("tests", 100)
ME = UUID(int=7)


async def passes(limiter: Limiter, limit: Limit, who: str, times: int) -> int:
    """How many of so many requests at once are let through."""
    waiting: list[Awaitable[None]] = []
    passed = 0
    for _ in range(times):
        try:
            taken = limiter.take(limit, who)
        except RateLimited:
            continue
        if taken is None:
            passed += 1
        else:
            waiting.append(taken)
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(each is None or isinstance(each, RateLimited) for each in ended), ended
    return passed + sum(each is None for each in ended)


@asynccontextmanager
async def limiters(db: Database, clock: ManualClock, count: int) -> AsyncIterator[list[Limiter]]:
    """Those of so many processes."""
    made = [Limiter(db, clock) for _ in range(count)]
    try:
        yield made
    finally:
        for limiter in made:
            await limiter.close()


class Gone:
    """A database that does not answer."""

    asked = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self.asked += 1
        if self.asked:
            raise Unavailable("The database does not answer.")
        yield


async def test_processes_share_one_limit(committed_db: Database, clock: ManualClock) -> None:
    async with limiters(committed_db, clock, 4) as processes:
        passed = await asyncio.gather(*(passes(each, LIMIT, "one", 80) for each in processes))
        # each may let a tenth pass before it asks, and tells of it when it does
        again = [await passes(each, LIMIT, "one", 80) for each in processes]
        assert 100 <= sum(passed) + sum(again) <= 100 + 4 * LIMIT.credit
        assert sum([await passes(each, LIMIT, "one", 80) for each in processes]) == 0
        assert await passes(processes[0], LIMIT, "another", 50) == 50


async def test_what_was_used_up_comes_back_with_time_and_no_faster(
    committed_db: Database, clock: ManualClock
) -> None:
    async with limiters(committed_db, clock, 2) as (first, second):
        await passes(first, LIMIT, "one", 150)
        with pytest.raises(RateLimited) as refused:
            first.take(LIMIT, "one")
        assert refused.value.retry_after_seconds >= 1
        clock.advance(timedelta(seconds=30))
        assert 40 <= await passes(first, LIMIT, "one", 100) + await passes(second, LIMIT, "one", 100) <= 70
        clock.advance(timedelta(minutes=10))
        assert await passes(second, LIMIT, "one", 500) <= 110


async def test_a_request_of_a_quiet_client_asks_the_database_nothing(clock: ManualClock) -> None:
    gone = Gone()
    async with limiters(gone, clock, 1) as (limiter,):  # type: ignore[arg-type]
        for _ in range(20):
            assert [limiter.take(LIMIT, "one") for _ in range(4)] == [None] * 4
            clock.advance(timedelta(minutes=1))
    assert gone.asked == 0


async def test_without_the_database_the_gate_is_neither_open_nor_shut(clock: ManualClock) -> None:
    gone = Gone()
    async with limiters(gone, clock, 1) as (limiter,):  # type: ignore[arg-type]
        assert 20 <= await passes(limiter, LIMIT, "one", 1_000) <= 25 + LIMIT.credit
        assert await passes(limiter, LIMIT, "another", 10) == 10
        clock.advance(timedelta(minutes=1))
        assert 20 <= await passes(limiter, LIMIT, "one", 1_000) <= 25 + LIMIT.credit
    assert gone.asked <= 4, "a database that is away is not asked for each request"


async def test_what_lapses_unused_is_given_back(committed_db: Database, clock: ManualClock) -> None:
    slow = Limit("slow", 100, seconds=10_000)
    async with limiters(committed_db, clock, 1) as (limiter,):
        for _ in range(30):
            if (waiting := limiter.take(slow, "one", 1)) is not None:
                await waiting
            clock.advance(timedelta(seconds=LEASE_SECONDS + 1))
        left = await passes(limiter, slow, "one", 200)
        assert left >= 70 - 1, "of a hundred only thirty were used"


async def test_a_clock_far_ahead_neither_empties_nor_fills_the_allowance(
    committed_db: Database, clock: ManualClock
) -> None:
    ahead = ManualClock(clock.now() + timedelta(days=1))
    async with limiters(committed_db, ahead, 1) as (strange,), limiters(committed_db, clock, 1) as (right,):
        await passes(strange, LIMIT, "one", 200)
        assert await passes(right, LIMIT, "one", 200) <= LIMIT.credit
        clock.advance(timedelta(minutes=2))
        assert await passes(right, LIMIT, "one", 50) == 50


async def test_a_request_costs_a_few_microseconds(committed_db: Database, clock: ManualClock) -> None:
    limits = RequestLimits(committed_db, clock, Settings())
    try:
        (await_me,) = (limits.act("person", ME),)
        assert await_me is None
        scope = {"type": "http", "client": ("203.0.113.7", 4711), "headers": [], "state": {}}
        took = []
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(100):
                address = limits.addresses.of(scope)
                first, second = limits.request(address), limits.act("person", ME)
                if first is not None or second is not None:
                    break
            took.append((time.perf_counter() - started) / 100)
            await asyncio.sleep(0)
        assert min(took) < 30e-6, f"{min(took) * 1e6:.1f} µs"
    finally:
        await limits.close()


async def test_bad_tokens_of_a_neighbour_do_not_keep_a_good_one_out(
    committed_db: Database, clock: ManualClock
) -> None:
    settings = Settings(limits=LimitSettings(bad_tokens_per_minute=10))
    limits = RequestLimits(committed_db, clock, settings)
    try:
        limits.token_was_good("10.0.0.1", b"good")
        with pytest.raises(RateLimited):
            for number in range(100):
                digest = b"bad %d" % number
                limits.show_token("10.0.0.1", digest)
                if (waiting := limits.token_was_bad("10.0.0.1", digest)) is not None:
                    await waiting
        assert number <= 12
        limits.show_token("10.0.0.1", b"good")
        limits.show_token("10.0.0.2", b"unknown")
        with pytest.raises(RateLimited):
            limits.show_token("10.0.0.1", b"unknown")
        clock.advance(timedelta(minutes=1))
        limits.show_token("10.0.0.1", b"unknown")
    finally:
        await limits.close()


async def test_failed_sign_ins_make_one_wait_longer_each_time_and_then_lock(
    committed_db: Database, clock: ManualClock
) -> None:
    attempts = Attempts(committed_db, clock, LimitSettings())
    waits = []
    for number in range(1, 11):
        await attempts.check("Anna", "10.0.0.1")
        held = await attempts.failed("anna ", "10.0.0.1")
        assert (held is not None) == (number >= 10)
        try:
            await attempts.check("ANNA", "10.0.0.1")
            waits.append(0)
        except TooManyAttempts as error:
            waits.append(error.retry_after_seconds)
        clock.advance(timedelta(seconds=waits[-1]) if number < 10 else timedelta(0))
    assert waits == [0, 0, 0, 2, 4, 8, 16, 32, 64, 900]
    await attempts.check("anna", "10.0.0.2")
    await attempts.check("boris", "10.0.0.1")
    assert [(each.login, each.address) for each in await attempts.list_held()] == [("anna", "10.0.0.1")]
    assert await attempts.release(login="Anna") == 1
    await attempts.check("anna", "10.0.0.1")


async def test_a_lock_ends_by_itself_and_is_deleted_when_it_counts_no_more(
    committed_db: Database, clock: ManualClock
) -> None:
    attempts = Attempts(committed_db, clock, LimitSettings())
    for _ in range(12):
        await attempts.failed("anna", "10.0.0.1")
    with pytest.raises(TooManyAttempts):
        await attempts.check("anna", "10.0.0.1")
    clock.advance(timedelta(seconds=901))
    await attempts.check("anna", "10.0.0.1")
    await attempts.succeeded("anna", "10.0.0.1")
    assert await attempts.failed("anna", "10.0.0.1") is None, "a sign-in that succeeds begins anew"
    assert await attempts.delete_past() == 0
    clock.advance(timedelta(hours=2))
    assert await attempts.delete_past() == 1


async def test_the_worker_deletes_allowances_that_are_whole_again(
    committed_db: Database, clock: ManualClock
) -> None:
    limits = RequestLimits(committed_db, clock, Settings(limits=LimitSettings(writes_per_minute=20)))
    try:
        for _ in range(15):
            if (waiting := limits.write(ME)) is not None:
                await waiting
        assert await limits.delete_past() == 0
        clock.advance(timedelta(minutes=6))
        assert await limits.delete_past() == 1
        async with committed_db.transaction() as db:
            assert await db.scalar(text("SELECT count(*) FROM limits_allowance")) == 0
    finally:
        await limits.close()
