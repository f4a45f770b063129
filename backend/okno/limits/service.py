"""The limits of one deployment: what is counted, by whom, and how much it may be."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from starlette.types import Scope

from okno.clock import Clock
from okno.limits import store
from okno.limits.address import Addresses
from okno.limits.attempts import Attempts
from okno.limits.limiter import Limit, Limiter
from okno.settings import Settings
from okno.storage.engine import Database

__all__ = ["Asking", "RequestLimits"]

_STATE = "okno.asking"
_MOST_GOOD_TOKENS = 10_000
_ALLOWANCES_KEPT = timedelta(minutes=5)


class RequestLimits:
    """Counts for all processes of a deployment. Every method gives None, or what has to be awaited before going on.

    Raises (all of them, also when awaited):
        RateLimited: nothing is left.
    """

    def __init__(self, db: Database, clock: Clock, settings: Settings) -> None:
        limits = settings.limits
        self.enabled = limits.enabled
        self.addresses = Addresses(settings.http.trusted_proxies)
        self.attempts = Attempts(db, clock, limits)
        self._db = db
        self._clock = clock
        self._limiter = Limiter(db, clock)
        self._address = Limit("requests of an address", limits.address_per_minute)
        self._actors = {
            "person": Limit("requests of a person", limits.person_per_minute),
            "service": Limit("requests of a service", limits.service_per_minute),
        }
        self._writes = Limit("writes", limits.writes_per_minute)
        self._sign_ins = Limit("sign-ins of an address", limits.sign_ins_per_minute)
        self._bad_tokens = Limit("bad tokens of an address", limits.bad_tokens_per_minute)
        self._good_tokens: dict[tuple[str, bytes], None] = {}

    async def close(self) -> None:
        await self._limiter.close()

    def request(self, address: str) -> Awaitable[None] | None:
        return self._limiter.take(self._address, address) if self.enabled else None

    def act(self, kind: str, actor_id: UUID, count: int = 1) -> Awaitable[None] | None:
        return self._limiter.take(self._actors[kind], actor_id.hex, count) if self.enabled else None

    def write(self, actor_id: UUID, count: int = 1) -> Awaitable[None] | None:
        return self._limiter.take(self._writes, actor_id.hex, count) if self.enabled else None

    def sign_in(self, address: str) -> Awaitable[None] | None:
        return self._limiter.take(self._sign_ins, address) if self.enabled else None

    def show_token(self, address: str, digest: bytes) -> None:
        """Before a token is looked up. Whoever showed too many that were none waits, unless this very token was good here."""
        if not self.enabled or (address, digest) in self._good_tokens:
            return
        self._limiter.check(self._bad_tokens, address)

    def token_was_good(self, address: str, digest: bytes) -> None:
        """Its holder is not kept waiting for others' failures behind the same address."""
        if (address, digest) not in self._good_tokens:
            if len(self._good_tokens) >= _MOST_GOOD_TOKENS:
                del self._good_tokens[next(iter(self._good_tokens))]
            self._good_tokens[address, digest] = None

    def token_was_bad(self, address: str, digest: bytes) -> Awaitable[None] | None:
        self._good_tokens.pop((address, digest), None)
        return self._limiter.take(self._bad_tokens, address) if self.enabled else None

    async def delete_past(self) -> int:
        """For the worker: removes allowances that are whole again and failures that count no more."""
        async with self._db.transaction() as db:
            deleted = await store.delete_full(db, before=self._clock.now() - _ALLOWANCES_KEPT)
        return deleted + await self.attempts.delete_past()


@dataclass(frozen=True, slots=True)
class Asking:
    """From where a request or a socket comes, and the limits that hold for it. Travels in the scope's state."""

    limits: RequestLimits
    address: str

    @classmethod
    def put(cls, limits: RequestLimits, scope: Scope) -> "Asking":
        asking = scope.setdefault("state", {})[_STATE] = cls(limits, limits.addresses.of(scope))
        return asking

    @staticmethod
    def find(scope: Scope) -> "Asking | None":
        """None where no limits hold."""
        found: Asking | None = scope.get("state", {}).get(_STATE)
        return found
