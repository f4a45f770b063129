"""Failed sign-ins with one login from one address: growing waits, then a lock for a while.

Login and address together: whoever fails on purpose shuts out nobody who comes from elsewhere. The login need not exist, so
that waiting tells nothing about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from okno.clock import Clock
from okno.errors import OknoError
from okno.limits import store
from okno.settings import LimitSettings
from okno.storage.engine import Database

# Failures that lie further back count no more
FORGOTTEN_AFTER = timedelta(hours=1)
_LONGEST_LOGIN = 128


class TooManyAttempts(OknoError):
    """Too many sign-ins failed; the next one is not looked at before its time."""

    code = "TOO_MANY_ATTEMPTS"
    http_status = 429

    def __init__(self, seconds: float) -> None:
        self.retry_after_seconds = max(1, ceil(seconds))
        super().__init__(
            f"Too many sign-ins have failed. Try again in {self.retry_after_seconds} s, or ask an administrator."
        )
        self.told = {"retryAfterSeconds": self.retry_after_seconds}


@dataclass(frozen=True, slots=True)
class Held:
    """Who has to wait until when, after how many failures."""

    login: str
    address: str
    failures: int
    free_at: datetime


class Attempts:
    """Counts what failed. Sign-ins are rare, so that each may ask the database."""

    def __init__(self, db: Database, clock: Clock, settings: LimitSettings) -> None:
        self._db = db
        self._clock = clock
        self._settings = settings

    async def check(self, login: str, address: str) -> None:
        """
        Raises:
            TooManyAttempts: one has to wait; nothing was looked at.
            Unavailable: the database does not answer, so nobody signs in.
        """
        now = self._clock.now()
        async with self._db.transaction() as db:
            attempt = await store.find_attempt(db, _folded(login), address)
        if attempt is not None and now < attempt.free_at:
            raise TooManyAttempts((attempt.free_at - now).total_seconds())

    async def failed(self, login: str, address: str) -> Held | None:
        """Counts a failure; gives the lock when this one has caused it."""
        login, now = _folded(login), self._clock.now()
        async with self._db.transaction() as db:
            failures = await store.count_failure(
                db, login, address, now=now, forgotten_before=now - FORGOTTEN_AFTER
            )
            wait = self.wait_after(failures)
            if wait:
                await store.hold_until(db, login, address, now + wait)
        locks = self._settings.lock_after
        return Held(login, address, failures, now + wait) if failures >= locks else None

    def wait_after(self, failures: int) -> timedelta:
        """Nothing after the first three; then 2, 4, 8 … seconds; from `lock_after` failures on the lock."""
        if failures >= self._settings.lock_after:
            return timedelta(seconds=self._settings.lock_seconds)
        if failures <= self._settings.free_failures:
            return timedelta(0)
        seconds = 2.0 ** min(30, failures - self._settings.free_failures)
        return timedelta(seconds=min(seconds, self._settings.lock_seconds))

    async def succeeded(self, login: str, address: str) -> None:
        """Forgets what failed before."""
        async with self._db.transaction() as db:
            await store.forget_attempts(db, login=_folded(login), address=address)

    async def list_held(self) -> Sequence[Held]:
        """Who has to wait now, the longest first."""
        async with self._db.transaction() as db:
            rows = await store.list_held(db, now=self._clock.now())
        return [Held(row.login, row.address, row.failures, row.free_at) for row in rows]

    async def release(self, *, login: str | None = None, address: str | None = None) -> int:
        """Lets them try again at once; returns how many. With neither given all."""
        async with self._db.transaction() as db:
            return await self.release_in(db, login=login, address=address)

    async def release_in(self, db: Any, *, login: str | None, address: str | None) -> int:
        """The same in the transaction that records it."""
        return await store.forget_attempts(
            db, login=None if login is None else _folded(login), address=address
        )

    async def delete_past(self) -> int:
        """For the worker: removes what counts no more."""
        async with self._db.transaction() as db:
            return await store.delete_past_attempts(db, now=self._clock.now(), kept=FORGOTTEN_AFTER)


def _folded(login: str) -> str:
    return login.strip().lower()[:_LONGEST_LOGIN]
