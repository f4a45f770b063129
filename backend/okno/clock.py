"""The one clock. Everything that asks the time is handed a `Clock`; SQL gets the time as a parameter."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the code asks of time."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for deadlines and durations."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that only its holder moves. Both readings advance together."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"ManualClock needs an aware start, got {start!r}; add tzinfo=UTC")
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, by: timedelta) -> None:
        """Moves both readings forward.

        Raises:
            ValueError: `by` is negative; use `set_wall` to move the wall clock back.
        """
        if by < timedelta(0):
            raise ValueError(
                f"advance takes a positive duration, got {by}; set_wall moves the wall clock back"
            )
        self._now += by
        self._monotonic += by.total_seconds()

    def set_wall(self, now: datetime) -> None:
        """Sets the wall clock alone, as an administrator or NTP does; the monotonic reading stays."""
        self._now = now.astimezone(UTC)
