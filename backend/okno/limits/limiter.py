"""Allowances that all processes share, taken in pieces, so that hardly any request waits for the database.

A process lets a tenth of each limit pass by itself and tells the database of it with its next question. What the
database grants is spent here until it lapses. While the database does not answer, a process keeps everybody to a quarter
of the limit by its own count: the gate is neither open nor shut (docs/adr/0022).
"""

import asyncio
import contextlib
from collections.abc import Awaitable
from contextvars import Context
from dataclasses import dataclass, field
from math import ceil

import structlog

from okno.clock import Clock
from okno.errors import OknoError, RateLimited
from okno.limits import store
from okno.storage.engine import Database

log = structlog.get_logger(__name__)

# A piece that is not used up lapses, so that what a quiet client holds here is not missing elsewhere
LEASE_SECONDS = 5.0
ANSWER_SECONDS = 1.0
AWAY_SECONDS = 5.0
SHARE_ALONE = 0.25
_MOST_BUCKETS = 50_000
_MOST_AT_ONCE = 500
_SHORTEST_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in `seconds`, and at once when nothing was asked for before."""

    name: str
    count: int
    seconds: float = 60.0

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    @property
    def credit(self) -> int:
        """What a process lets pass before it asks."""
        return max(1, self.count // 10)

    @property
    def piece(self) -> int:
        """What a process asks for at once: a second's worth, or a twentieth of a small limit."""
        return max(1, ceil(max(self.per_second, self.count / 20)))


@dataclass(slots=True)
class _Bucket:
    """What this process knows of one limit and one who asks. Times are readings of the monotonic clock."""

    limit: Limit
    who: str
    credit_since: float
    left: float = 0.0
    lapses_at: float = 0.0
    owed: float = 0.0
    dry_until: float = 0.0
    waiting: float = 0.0
    answer: "asyncio.Future[None] | None" = None
    alone: float = -1.0
    alone_at: float = 0.0


@dataclass(slots=True)
class _Questions:
    wanted: dict[tuple[str, str], _Bucket] = field(default_factory=dict)
    there: asyncio.Event = field(default_factory=asyncio.Event)


class Limiter:
    """The allowances of one process."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._questions = _Questions()
        self._away_until = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
            self._asking = None

    def take(self, limit: Limit, who: str, count: int = 1) -> Awaitable[None] | None:
        """Takes from the allowance of `who`: at once, which gives None, or once the awaitable is done.

        Raises:
            RateLimited: nothing is left. The awaitable raises it too.
        """
        now = self._clock.monotonic()
        bucket = self._buckets.get((limit.name, who))
        if bucket is None:
            bucket = self._open(limit, who, now)
        elif bucket.left >= count and now < bucket.lapses_at:
            bucket.left -= count
            if bucket.left < limit.piece / 2 and bucket.answer is None:
                self._ask(bucket)
            return None
        return self._take_more(bucket, count, now)

    def check(self, limit: Limit, who: str) -> None:
        """Takes nothing.

        Raises:
            RateLimited: as far as this process knows, nothing is left.
        """
        bucket, now = self._buckets.get((limit.name, who)), self._clock.monotonic()
        if bucket is not None and now < bucket.dry_until:
            raise _refusal(limit, bucket.dry_until - now)

    def _open(self, limit: Limit, who: str, now: float) -> _Bucket:
        if len(self._buckets) >= _MOST_BUCKETS:
            # the oldest go; whoever is among them has used up an allowance has used it up in the database as well
            for key in [*self._buckets][: _MOST_BUCKETS // 10]:
                if self._buckets[key].answer is None:
                    del self._buckets[key]
        bucket = self._buckets[limit.name, who] = _Bucket(limit, who, now)
        return bucket

    def _take_more(self, bucket: _Bucket, count: int, now: float) -> Awaitable[None] | None:
        """Neither a piece that is at hand suffices, nor is it known that nothing is left."""
        limit = bucket.limit
        if now < bucket.dry_until:
            raise _refusal(limit, bucket.dry_until - now)
        if now - bucket.credit_since >= limit.seconds:
            bucket.credit_since, bucket.owed = now, 0.0
        if bucket.owed + count <= limit.credit:
            bucket.owed += count
            if 2 * bucket.owed >= limit.credit and limit.credit > 1:
                self._ask(bucket)
            return None
        self._ask(bucket)
        return self._wait(bucket, count)

    async def _wait(self, bucket: _Bucket, count: int) -> None:
        bucket.waiting += count
        try:
            while True:
                if bucket.answer is not None:
                    await asyncio.shield(bucket.answer)
                now = self._clock.monotonic()
                if bucket.left >= count and now < bucket.lapses_at:
                    bucket.left -= count
                    return
                if now < bucket.dry_until:
                    raise _refusal(bucket.limit, bucket.dry_until - now)
                self._ask(bucket)
        finally:
            bucket.waiting -= count

    def _ask(self, bucket: _Bucket) -> None:
        if bucket.answer is not None:
            return
        bucket.answer = asyncio.get_running_loop().create_future()
        self._questions.wanted[bucket.limit.name, bucket.who] = bucket
        self._questions.there.set()
        if self._asking is None or self._asking.done():
            # a context of its own: what it logs belongs to no request
            self._asking = asyncio.get_running_loop().create_task(
                self._serve(), name="limits", context=Context()
            )

    async def _serve(self) -> None:
        """Puts all questions that came meanwhile as one."""
        while True:
            await self._questions.there.wait()
            keys = [*self._questions.wanted][:_MOST_AT_ONCE]
            buckets = [self._questions.wanted.pop(key) for key in keys]
            if not self._questions.wanted:
                self._questions.there.clear()
            try:
                await self._answer(buckets)
            except BaseException:
                for bucket in buckets:
                    self._settle(bucket)
                raise

    async def _answer(self, buckets: list[_Bucket]) -> None:
        now = self._clock.monotonic()
        for bucket in buckets:
            if now >= bucket.lapses_at:  # what lapsed unused goes back
                bucket.owed, bucket.left = bucket.owed - bucket.left, 0.0
        if now >= self._away_until:
            asked = {
                (bucket.limit.name, bucket.who): (
                    bucket,
                    store.Asked(
                        bucket.limit.name,
                        bucket.who,
                        max(bucket.limit.piece, ceil(bucket.waiting)),
                        bucket.owed,
                        bucket.limit.count,
                        bucket.limit.per_second,
                    ),
                )
                for bucket in buckets
            }
            try:
                async with asyncio.timeout(ANSWER_SECONDS), self._db.transaction() as db:
                    given = await store.take(db, [each for _, each in asked.values()], now=self._clock.now())
            except (OknoError, TimeoutError) as error:
                self._away_until = self._clock.monotonic() + AWAY_SECONDS
                log.warning("limits.alone", code=getattr(error, "code", "TIMEOUT"), seconds=AWAY_SECONDS)
            except Exception:
                # whatever is wrong with the statement, nobody waits for it for ever
                self._away_until = self._clock.monotonic() + AWAY_SECONDS
                log.exception("limits.failed")
            else:
                for each in given:
                    bucket, question = asked[each.name, each.who]
                    self._apply(bucket, question.owed, each.granted, each.remaining)
                return
        for bucket in buckets:
            self._grant_alone(bucket)

    def _grant_alone(self, bucket: _Bucket) -> None:
        limit, now = bucket.limit, self._clock.monotonic()
        whole = max(1.0, limit.count * SHARE_ALONE)
        left = (
            whole
            if bucket.alone < 0
            else min(whole, bucket.alone + (now - bucket.alone_at) * limit.per_second * SHARE_ALONE)
        )
        owed = bucket.owed
        left = min(whole, max(0.0, left - owed))
        granted = min(float(max(limit.piece, ceil(bucket.waiting))), float(int(left)))
        bucket.alone, bucket.alone_at = left - granted, now
        self._apply(bucket, owed, granted, bucket.alone, share=SHARE_ALONE)

    def _apply(
        self, bucket: _Bucket, owed: float, granted: float, remaining: float, *, share: float = 1.0
    ) -> None:
        now = self._clock.monotonic()
        bucket.owed -= owed
        bucket.left += granted
        bucket.lapses_at = now + LEASE_SECONDS
        if granted < 1:
            # not before the next one is there, and not more often than each second: refusing must stay cheap
            missing = (1.0 - remaining) / (bucket.limit.per_second * share)
            bucket.dry_until = now + max(_SHORTEST_WAIT_SECONDS, min(missing, 2 * bucket.limit.seconds))
        self._settle(bucket)

    def _settle(self, bucket: _Bucket) -> None:
        answer, bucket.answer = bucket.answer, None
        if answer is not None and not answer.done():
            answer.set_result(None)


def _refusal(limit: Limit, seconds: float) -> RateLimited:
    return RateLimited(limit.name, limit.count, limit.seconds, retry_after_seconds=seconds)
