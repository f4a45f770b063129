"""What every kind gets alike: total deadline, bulkhead, one retry of idempotent calls, circuit breaker, health."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from random import SystemRandom
from statistics import median
from typing import Literal, TypeVar

import structlog

from okno.clock import Clock
from okno.sources.breaker import Breaker, BreakerState
from okno.sources.errors import COUNTS_AGAINST_SYSTEM, NOT_ASKED, RETRYABLE, SourceError
from okno.sources.manifest import SourceManifest
from okno.sources.model import LastError, SourceHealth

T = TypeVar("T")
log = structlog.get_logger(__name__)

# Enough for a restarted balancer to drop the dead connection, little beside a deadline of two seconds.
_RETRY_SECONDS = (0.02, 0.08)
_random = SystemRandom()


class _Call:
    """Where a call stands when its deadline strikes."""

    __slots__ = ("failure", "limit", "working")

    def __init__(self, limit: asyncio.Timeout) -> None:
        self.limit = limit
        self.working = False
        self.failure: SourceError | None = None


class Runtime:
    """Guards the calls to one source."""

    def __init__(self, manifest: SourceManifest, clock: Clock) -> None:
        self._manifest = manifest
        self._clock = clock
        self._breaker = Breaker(
            clock, failures=manifest.breaker.failures, open_seconds=manifest.breaker.open_seconds
        )
        self._places = asyncio.Semaphore(manifest.concurrency)
        self._waiting = 0
        self._latencies: deque[float] = deque(maxlen=100)
        self._last_success: tuple[float, datetime] | None = None
        self._last_error: tuple[float, LastError] | None = None

    async def call(self, work: Callable[[], Awaitable[T]], *, seconds: float, idempotent: bool) -> T:
        """Does the work within `seconds` in all: waiting for a place, connecting and a second try included.

        Raises:
            SourceError: whatever went wrong, with the code that says what.
        """
        try:
            async with asyncio.timeout(seconds) as limit:
                call = _Call(limit)
                try:
                    return await self._attempt(work, call)
                except SourceError as error:
                    if not idempotent or error.code not in RETRYABLE:
                        raise
                    call.failure = error
                await asyncio.sleep(_random.uniform(*_RETRY_SECONDS))
                try:
                    return await self._attempt(work, call)
                except SourceError as error:
                    # Not asked again: what the first try met is the cause.
                    raise call.failure if error.code in NOT_ASKED else error from None
        except TimeoutError:
            raise self._noted(call.failure or self._late(call, seconds)) from None
        except SourceError as error:
            raise self._noted(error) from None

    def health(self) -> SourceHealth:
        """How the source does now."""
        manifest, breaker = self._manifest, self._breaker.state
        success, error = self._last_success, self._last_error
        state: Literal["up", "degraded", "down"] = "up"
        if error is not None and (success is None or error[0] >= success[0]):
            quiet = success is None or self._clock.monotonic() - success[0] > manifest.freshness.warn_after
            state = "down" if quiet or breaker is BreakerState.OPEN else "degraded"
        return SourceHealth(
            id=manifest.id,
            title=manifest.title,
            kind=manifest.kind,
            state=state,
            breaker=breaker,
            latency_ms_median=median(self._latencies) if self._latencies else None,
            last_success_at=success[1] if success is not None else None,
            last_error=error[1] if error is not None else None,
        )

    async def _attempt(self, work: Callable[[], Awaitable[T]], call: _Call) -> T:
        ticket = self._breaker.enter()
        if ticket is None:
            raise SourceError(
                "BREAKER_OPEN",
                f"{self._manifest.id}: failed too often just before and is left alone for a while",
            )
        before = self._breaker.state
        call.working = False
        try:
            await self._take_place()
            call.working = True
            began = self._clock.monotonic()
            try:
                result = await work()
            finally:
                self._places.release()
        except SourceError as error:
            if error.code == "OVERLOADED":
                self._breaker.abandoned(ticket)
            elif error.code in COUNTS_AGAINST_SYSTEM:
                self._breaker.failed(ticket)
            else:
                self._answered(ticket, began, served=error.code == "NOT_FOUND")
            raise
        except asyncio.CancelledError:
            if call.working and call.limit.expired():
                self._breaker.failed(ticket)
            else:
                self._breaker.abandoned(ticket)
            raise
        except BaseException:
            self._breaker.abandoned(ticket)
            raise
        else:
            self._answered(ticket, began, served=True)
            return result
        finally:
            if (after := self._breaker.state) is not before:
                log.warning("source.breaker", source=self._manifest.id, state=after.value)

    async def _take_place(self) -> None:
        if self._places.locked() and self._waiting >= self._manifest.queue:
            raise SourceError(
                "OVERLOADED", f"{self._manifest.id}: {self._waiting} requests are waiting already"
            )
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1

    def _late(self, call: _Call, seconds: float) -> SourceError:
        if call.working:
            return SourceError("TIMEOUT", f"{self._manifest.id}: no whole answer within {seconds:g} s")
        return SourceError(
            "OVERLOADED",
            f"{self._manifest.id}: no place among {self._manifest.concurrency} requests within {seconds:g} s",
        )

    def _answered(self, ticket: int, began: float, *, served: bool) -> None:
        self._breaker.succeeded(ticket)
        now = self._clock.monotonic()
        self._latencies.append((now - began) * 1000)
        if served:
            self._last_success = (now, self._clock.now())

    def _noted(self, error: SourceError) -> SourceError:
        # NOT_FOUND is an answer. BREAKER_OPEN would hide the failure that opened it.
        if error.code not in ("NOT_FOUND", "BREAKER_OPEN"):
            last = LastError(error.reason, error.message, self._clock.now())
            self._last_error = (self._clock.monotonic(), last)
        return error
