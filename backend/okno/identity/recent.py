"""What was authenticated a moment ago, so that a burst of requests costs one query."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from okno.clock import Clock

# Other processes learn of a revocation, a sign-out or a change of membership after at most this long.
MEMORY_SECONDS = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    value: T
    good_until: float


class Recent(Generic[T]):
    """Values by the digest of a credential, each for two seconds, at most `limit` of them."""

    def __init__(self, clock: Clock, *, limit: int = 10_000) -> None:
        self._clock = clock
        self._limit = limit
        self._entries: dict[bytes, _Entry[T]] = {}
        self.generation = 0
        """Note it before asking the database and give it to `put`."""

    def find(self, key: bytes) -> T | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._clock.monotonic() >= entry.good_until:
            del self._entries[key]
            return None
        return entry.value

    def put(self, key: bytes, value: T, *, generation: int) -> None:
        """Keeps the value, unless something was revoked since `generation`: it may have been this."""
        if generation != self.generation:
            return
        self._entries.pop(key, None)
        if len(self._entries) >= self._limit:
            del self._entries[
                next(iter(self._entries))
            ]  # the oldest: entries stand in the order of their arrival
        self._entries[key] = _Entry(value, self._clock.monotonic() + MEMORY_SECONDS)

    def clear(self) -> None:
        """After a revocation: nothing that was read before it is believed."""
        self._entries.clear()
        self.generation += 1
