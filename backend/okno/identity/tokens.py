"""Bearer tokens of people and of service principals: scoped, expiring, revocable, digests at rest."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from okno.clock import Clock
from okno.errors import InvalidInput, NotFound, Unauthenticated
from okno.identity import store
from okno.identity.credentials import PERSON_PREFIX, SERVICE_PREFIX, digest, is_token, new_secret
from okno.identity.model import Actor
from okno.identity.models import TokenRow
from okno.identity.recent import Recent
from okno.storage.engine import Database

LONGEST_PERSON_TTL = timedelta(days=90)
LONGEST_SERVICE_TTL = timedelta(days=366)
# `last_used_at` answers "is it still in use", so it is written at most this often.
USE_NOTED_EVERY = timedelta(minutes=10)

_SCOPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_SERVICE = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What may be told about a token; never the token."""

    id: UUID
    kind: str
    holder: str
    team: str | None
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token. `token` is shown once and can never be read again."""

    id: UUID
    holder: str
    team: str | None
    scopes: tuple[str, ...]
    ttl: timedelta
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KnownToken:
    """Whom a token makes its bearer, and until when."""

    actor: Actor
    expires_at: datetime


def check_service(name: str, scopes: Collection[str], known_scopes: Collection[str] | None) -> None:
    """
    Args:
        known_scopes: those that the policy speaks of; None skips the check.

    Raises:
        InvalidInput: the name or a scope has not the form that the policy can speak of, a scope is unknown to it, or there is
            none.
    """
    if len(name) > 64 or not _SERVICE.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is no name for a service: small Latin letters, digits and single . _ - between them",
            field="service",
        )
    if not scopes:
        raise InvalidInput(
            "A service's token needs at least one scope: without one it may do nothing", field="scope"
        )
    for scope in scopes:
        if len(scope) > 128 or not _SCOPE.fullmatch(scope):
            raise InvalidInput(
                f"{scope!r} is no scope: write noun.verb, such as people.search", field="scope"
            )
        if known_scopes is not None and scope not in known_scopes:
            raise InvalidInput(
                f"The policy knows no scope {scope}; it knows {', '.join(sorted(known_scopes))}",
                field="scope",
            )


def check_ttl(ttl: timedelta, longest: timedelta) -> None:
    """
    Raises:
        InvalidInput: the time to live is not positive or above the limit.
    """
    if not timedelta(0) < ttl <= longest:
        raise InvalidInput(
            f"A token lives more than nothing and at most {longest.days} days; asked for {ttl}", field="ttl"
        )


class Tokens:
    """Issues, finds, lists and revokes bearer tokens."""

    def __init__(self, db: Database, clock: Clock, actor_of: Callable[[store.HeldToken], Actor]) -> None:
        self._db = db
        self._clock = clock
        self._actor_of = actor_of
        self._recent: Recent[KnownToken] = Recent(clock)

    async def issue_to_person(
        self, db: Any, token_id: UUID, account_id: UUID, *, team_id: str, ttl: timedelta
    ) -> str:
        """The token itself, which nobody can read again."""
        return await self._issue(
            db, PERSON_PREFIX, token_id, ttl=ttl, account_id=account_id, team_id=team_id, scopes=[]
        )

    async def issue_to_service(
        self,
        db: Any,
        token_id: UUID,
        service_id: UUID,
        *,
        scopes: Collection[str],
        ttl: timedelta,
    ) -> str:
        """The token itself, which nobody can read again."""
        return await self._issue(
            db, SERVICE_PREFIX, token_id, ttl=ttl, service_id=service_id, scopes=sorted(set(scopes))
        )

    async def authenticate(self, token: str) -> Actor:
        """
        Raises:
            Unauthenticated: it is malformed, unknown, expired or revoked, or its holder may no longer act.
        """
        if not is_token(token):
            raise Unauthenticated("The bearer token is malformed: it starts with okno_pat_ or okno_svc_.")
        secret_hash = digest(token)
        now = self._clock.now()
        known = self._recent.find(secret_hash)
        if known is None:
            generation = self._recent.generation
            known = await self._read(secret_hash, now)
            self._recent.put(secret_hash, known, generation=generation)
        if now >= known.expires_at:
            raise Unauthenticated("The bearer token has expired. Issue a new one.")
        return known.actor

    async def _read(self, secret_hash: bytes, now: datetime) -> KnownToken:
        """The token as it is stored, its use noted."""
        async with self._db.transaction() as db:
            held = await store.find_token(db, secret_hash)
            if held is None:
                raise Unauthenticated("The bearer token is not known.")
            row = held.token
            if row.revoked_at is not None:
                raise Unauthenticated("The bearer token was revoked.")
            known = KnownToken(self._actor_of(held), row.expires_at)
            if now < row.expires_at and (
                row.last_used_at is None or now - row.last_used_at >= USE_NOTED_EVERY
            ):
                await store.touch_token(db, row.id, now=now)
        return known

    async def list_valid(self) -> Sequence[TokenInfo]:
        async with self._db.transaction() as db:
            return [_info(held) for held in await store.list_tokens(db, now=self._clock.now())]

    async def get(self, token_id: UUID) -> TokenInfo:
        """
        Raises:
            NotFound: no token has this id.
        """
        async with self._db.transaction() as db:
            held = await store.find_token_by_id(db, token_id)
        if held is None:
            raise NotFound(f"No token has the id {token_id}; `okno token list` shows those that are valid")
        return _info(held)

    async def revoke(self, db: Any, token_id: UUID) -> bool:
        """False when it was revoked before. `forget` it when that is committed."""
        return await store.revoke_token(db, token_id, now=self._clock.now())

    def forget(self) -> None:
        """What was revoked is refused by this process at once; by others it is within two seconds."""
        self._recent.clear()

    async def revoke_all(self, db: Any, account_id: UUID) -> int:
        """Revokes all tokens of the person, in the transaction that records it; how many. `forget` them then."""
        return await store.revoke_tokens_of(db, account_id, now=self._clock.now())

    async def _issue(
        self,
        db: Any,
        prefix: str,
        token_id: UUID,
        *,
        ttl: timedelta,
        scopes: list[str],
        account_id: UUID | None = None,
        service_id: UUID | None = None,
        team_id: str | None = None,
    ) -> str:
        token = prefix + new_secret()
        now = self._clock.now()
        row = TokenRow(
            id=token_id,
            account_id=account_id,
            service_id=service_id,
            team_id=team_id,
            scopes=scopes,
            secret_hash=digest(token),
            created_at=now,
            expires_at=now + ttl,
        )
        await store.add_token(db, row)
        return token


def _info(held: store.HeldToken) -> TokenInfo:
    row = held.token
    holder = (
        held.account.login
        if held.account is not None
        else held.service.name
        if held.service is not None
        else ""
    )
    kind = "person" if held.account is not None else "service"
    return TokenInfo(
        row.id, kind, holder, row.team_id, tuple(row.scopes), row.created_at, row.expires_at, row.last_used_at
    )
