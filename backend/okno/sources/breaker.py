"""A circuit breaker: a source that fails again and again is left alone for a while, then tried with one call."""

from enum import StrEnum

from okno.clock import Clock


class BreakerState(StrEnum):
    """closed: calls pass; open: none does; half_open: one call is trying."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Every call takes a ticket with `enter` and gives it back with exactly one of `succeeded`, `failed`, `abandoned`.

    A ticket from before the last change of state is ignored: a slow call of yesterday says nothing about now.
    """

    def __init__(self, clock: Clock, *, failures: int, open_seconds: float) -> None:
        self._clock = clock
        self._failures = failures
        self._open_seconds = open_seconds
        self._in_a_row = 0
        self._generation = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """The state now."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        if self._probing or self._clock.monotonic() - self._opened_at >= self._open_seconds:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def enter(self) -> int | None:
        """A ticket, or None where the call must not be made."""
        if self._opened_at is not None:
            if self._probing or self.state is BreakerState.OPEN:
                return None
            self._probing = True
        return self._generation

    def succeeded(self, ticket: int) -> None:
        """The source answered, be it a refusal: open or half-open → closed."""
        if ticket != self._generation:
            return
        if self._opened_at is not None:
            self._generation += 1
        self._opened_at, self._probing, self._in_a_row = None, False, 0

    def failed(self, ticket: int) -> None:
        """The source did not answer as it should: closed → open after enough of them, half-open → open."""
        if ticket != self._generation:
            return
        self._in_a_row += 1
        if self._probing or self._in_a_row >= self._failures:
            self._opened_at, self._probing = self._clock.monotonic(), False
            self._generation += 1

    def abandoned(self, ticket: int) -> None:
        """The call ended without an answer that says anything; another call may try."""
        if ticket == self._generation:
            self._probing = False
