"""Server-side sessions and the rotation of their cookie.

The cookie carries `key.secret`; the row finds itself by the key's digest. A rotation makes the shown secret the
previous one and sends a new one, which the client *confirms* by showing it; then the previous dies after a grace.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from okno.clock import Clock
from okno.errors import Unauthenticated
from okno.identity import store
from okno.identity.credentials import SessionCookie, digest
from okno.identity.model import Actor
from okno.identity.models import AccountRow, SessionRow
from okno.identity.recent import Recent
from okno.settings import IdentitySettings
from okno.storage.engine import Database

# How long requests that were under way when the client learned the new secret may still show the previous one.
GRACE = timedelta(seconds=30)
# A rotation whose answer got lost leaves the client with the previous secret; after this it is given another new one.
LOST_ANSWER = timedelta(seconds=60)


class Verdict(StrEnum):
    """Whether the shown cookie opens the session."""

    VALID = "valid"
    EXPIRED = "expired"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, and what has to be written for the session to stay true."""

    verdict: Verdict
    confirm: bool = False
    rotate: bool = False
    touch: bool = False


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who acts, and the cookie's new value when this request rotated it."""

    actor: Actor
    renewed_cookie: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PreparedSession:
    """A row not yet stored, and the cookie that will open it."""

    row: SessionRow
    cookie: SessionCookie = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Known:
    actor: Actor
    ends_at: datetime


def judge(session: SessionRow, shown: bytes, *, now: datetime, settings: IdentitySettings) -> Judgement:
    """Decides about a cookie whose key is right and whose secret has the digest `shown`.

    A secret that is neither the current nor a still tolerated previous one was used by somebody else meanwhile, or is
    the somebody else: the session has to end (RFC 9700, section 4.14, says the same of refresh tokens).
    """
    if _is_over(session, now=now, settings=settings):
        return Judgement(Verdict.EXPIRED)
    idle = timedelta(seconds=settings.session_idle_seconds)
    unseen = now - session.last_seen_at
    age = now - session.rotated_at
    touch = unseen >= min(timedelta(seconds=60), idle / 10)
    if hmac.compare_digest(shown, session.secret_hash):
        unconfirmed = session.previous_hash is not None and session.grace_until is None
        rotate = age >= timedelta(seconds=settings.session_rotate_seconds)
        return Judgement(Verdict.VALID, confirm=unconfirmed, rotate=rotate, touch=touch)
    if session.previous_hash is None or not hmac.compare_digest(shown, session.previous_hash):
        return Judgement(Verdict.REPLAYED)
    if session.grace_until is None:
        return Judgement(Verdict.VALID, rotate=age >= LOST_ANSWER, touch=touch)
    if now < session.grace_until:
        return Judgement(Verdict.VALID, touch=touch)
    return Judgement(Verdict.REPLAYED)


def _is_over(session: SessionRow, *, now: datetime, settings: IdentitySettings) -> bool:
    idle = timedelta(seconds=settings.session_idle_seconds)
    return now >= session.ends_at or now - session.last_seen_at >= idle


class Replayed(Unauthenticated):
    """A cookie that was already replaced came back. Carries the session, which the caller ends."""

    def __init__(self, actor: Actor) -> None:
        super().__init__("This session was used from elsewhere and has been ended. Sign in again.")
        self.actor = actor


class Sessions:
    """Starts, finds, rotates and ends sessions."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: IdentitySettings,
        actor_of: Callable[[store.HeldSession, SessionCookie], Actor],
    ) -> None:
        self._db = db
        self._clock = clock
        self._settings = settings
        self._actor_of = actor_of
        self._recent: Recent[_Known] = Recent(clock)

    def prepare(
        self,
        account: AccountRow,
        *,
        method: str,
        team_id: str | None = None,
        ends_at: datetime | None = None,
        second_factor_at: datetime | None = None,
    ) -> PreparedSession:
        """A session that does not exist yet, so that it can be recorded before it does.

        Args:
            ends_at: the end of the session that this one continues; a new one lives its full lifetime.
            second_factor_at: when a second factor was proven, if it was.
        """
        cookie = SessionCookie.new()
        now = self._clock.now()
        row = SessionRow(
            id=uuid4(),
            account_id=account.id,
            method=method,
            team_id=team_id,
            key_hash=digest(cookie.key),
            secret_hash=digest(cookie.secret),
            rotated_at=now,
            started_at=now,
            last_seen_at=now,
            ends_at=ends_at or now + timedelta(seconds=self._settings.session_lifetime_seconds),
            second_factor_at=second_factor_at,
        )
        return PreparedSession(row, cookie)

    async def start(self, db: Any, session: PreparedSession, *, continues: UUID | None = None) -> None:
        """Adds the session, in the transaction that records it.

        Args:
            continues: the session it goes on with. Whoever ended all sessions meanwhile has ended this one too.

        Raises:
            Unauthenticated: that one has ended.
        """
        if continues is not None:
            await store.lock_account(db, session.row.account_id)
            if await store.find_session_by_id(db, continues) is None:
                raise Unauthenticated("The session has ended. Sign in again.")
        await store.add_session(db, session.row)

    async def get(self, session_id: UUID) -> store.HeldSession:
        """
        Raises:
            Unauthenticated: the session has ended.
        """
        async with self._db.transaction() as db:
            held = await store.find_session_by_id(db, session_id)
        if held is None:
            raise Unauthenticated("The session has ended. Sign in again.")
        return held

    async def authenticate(self, value: str, *, rotate: bool) -> Authentication:
        """Who the cookie's value is.

        Args:
            rotate: whether the caller can send a new cookie; without that an old one is never replaced.

        Raises:
            Replayed: the secret was already replaced; the session must be ended.
            Unauthenticated: no such session, or it expired.
        """
        cookie = SessionCookie.parse(value)
        if cookie is None:
            raise Unauthenticated("The session's cookie is malformed. Sign in again.")
        whole = digest(value)
        now = self._clock.now()
        known = self._recent.find(whole)
        if known is not None and now < known.ends_at:
            return Authentication(known.actor)
        generation = self._recent.generation
        async with self._db.transaction() as db:
            held = await store.find_session(db, digest(cookie.key))
            if held is None:
                raise Unauthenticated("The session has ended. Sign in again.")
            session = held.session
            shown = digest(cookie.secret)
            judgement = judge(session, shown, now=now, settings=self._settings)
            if judgement.verdict is Verdict.EXPIRED:
                raise Unauthenticated("The session has expired. Sign in again.")
            actor = self._actor_of(held, cookie)
            if judgement.verdict is Verdict.REPLAYED:
                raise Replayed(actor)
            renewed = None
            if judgement.rotate and rotate:
                successor = cookie.rotated()
                new = digest(successor.secret)
                if await store.rotate_session(
                    db, session.id, current=session.secret_hash, shown=shown, new=new, now=now
                ):
                    renewed = successor.value
            elif judgement.confirm:
                await store.confirm_session(db, session.id, shown, grace_until=now + GRACE)
            if judgement.touch and renewed is None:
                await store.touch_session(db, session.id, now=now)
        self._recent.put(whole, _Known(actor, session.ends_at), generation=generation)
        return Authentication(actor, renewed)

    async def renew(self, actor: Actor) -> Actor:
        """The actor of an open connection as the session makes it now.

        By the session's id: the cookie that opened the connection may have rotated since, and showing an old one ends the
        session. It does not count as being seen: an open page with nobody before it goes idle like any other.

        Raises:
            Unauthenticated: the session is over, or its holder may no longer act.
        """
        assert actor.session_id is not None
        key = b"id:" + actor.session_id.bytes
        now = self._clock.now()
        known = self._recent.find(key)
        if known is None or now >= known.ends_at:
            generation = self._recent.generation
            held = await self.get(actor.session_id)
            if _is_over(held.session, now=now, settings=self._settings):
                raise Unauthenticated("The session has expired. Sign in again.")
            renewed = self._actor_of(held, SessionCookie.new())
            known = _Known(replace(renewed, csrf_token=None), held.session.ends_at)
            self._recent.put(key, known, generation=generation)
        return replace(known.actor, csrf_token=actor.csrf_token)

    async def end(self, db: Any, session_id: UUID) -> bool:
        """Ends the session, in the transaction that records it. `forget` it when that is committed."""
        return await store.delete_session(db, session_id)

    def forget(self) -> None:
        """What has ended is refused by this process at once; other processes notice within two seconds."""
        self._recent.clear()

    async def end_all(self, db: Any, account_id: UUID) -> int:
        """Ends all sessions of the account, in the transaction that records it; how many there were. `forget` them then."""
        return await store.delete_sessions_of(db, account_id)

    async def delete_past(self) -> int:
        """Removes sessions that expired; returns how many."""
        now = self._clock.now()
        idle_since = now - timedelta(seconds=self._settings.session_idle_seconds)
        async with self._db.transaction() as db:
            return await store.delete_past_sessions(db, now=now, idle_since=idle_since)
