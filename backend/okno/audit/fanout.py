"""Hands new records of the journal to those in this process who listen. Nobody who is slow holds up another."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from okno.audit.records import Record
from okno.errors import OknoError, Unavailable

MOST_PENDING = 1_000

log = structlog.get_logger("okno.audit")


class FellBehind(OknoError):
    """A subscriber did not take its records as fast as they came."""

    code = "LIMIT_EXCEEDED"
    http_status = 429


class Stopping(Unavailable):
    """The process stops; another one, or this one started again, goes on."""


class Subscriber:
    """The records that one listener has not taken yet. Take them with `next`."""

    def __init__(
        self, wants: Callable[[Record], bool], key: Callable[[Record], Hashable], most_pending: int
    ) -> None:
        self._wants = wants
        self._key = key
        self._most_pending = most_pending
        self._pending: OrderedDict[Hashable, Record] = OrderedDict()
        self._wake = asyncio.Event()
        self._ended: OknoError | None = None

    async def next(self) -> Record:
        """The next record, in the order of the feed.

        Raises:
            FellBehind: more records were pending than the limit; what was pending is gone.
            Stopping: the process stops.
        """
        while not self._pending and self._ended is None:
            self._wake.clear()
            await self._wake.wait()
        if self._ended is not None:
            raise self._ended
        return self._pending.popitem(last=False)[1]

    def offer(self, record: Record) -> None:
        """Keeps the record if it is wanted. Of records with one key the last one counts, in the place of the first."""
        if self._ended is not None or not self._wants(record):
            return
        key = self._key(record)
        if key not in self._pending and len(self._pending) >= self._most_pending:
            self.end(
                FellBehind(
                    f"The subscription did not keep up: more than {self._most_pending} events were pending, "
                    "which is the limit. Read what happened meanwhile and subscribe again."
                )
            )
            return
        self._pending[key] = record
        self._wake.set()

    def end(self, error: OknoError) -> None:
        """The listener gets no more than this error."""
        if self._ended is None:
            self._ended = error
            self._pending.clear()
            self._wake.set()


class Fanout:
    """The listeners of one process."""

    def __init__(self) -> None:
        self._subscribers: dict[int, Subscriber] = {}
        self._closed: OknoError | None = None
        self._ready = asyncio.Event()
        self._ready.set()

    def begin(self) -> None:
        """A feed begins, and does not know yet where to read from."""
        self._ready.clear()

    def be_ready(self) -> None:
        """From now on nothing that is committed escapes the feed."""
        self._ready.set()

    async def wait_ready(self, seconds: float = 5.0) -> None:
        """Waits until whoever listens misses nothing that is committed from then on.

        Raises:
            Unavailable: it takes too long, because the database does not answer.
        """
        if self._ready.is_set():
            return
        try:
            async with asyncio.timeout(seconds):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable("The journal cannot be followed now. Try again in a moment.") from None

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscribers)

    @contextmanager
    def subscribe(
        self,
        wants: Callable[[Record], bool],
        *,
        key: Callable[[Record], Hashable] = lambda record: record.ref,
        most_pending: int = MOST_PENDING,
    ) -> Iterator[Subscriber]:
        """Listens until the block ends. Every record that is committed after this began is offered.

        Args:
            key: records that say the same to the listener have the same key.
        """
        subscriber = Subscriber(wants, key, most_pending)
        if self._closed is not None:
            subscriber.end(self._closed)
        self._subscribers[id(subscriber)] = subscriber
        try:
            yield subscriber
        finally:
            del self._subscribers[id(subscriber)]

    def publish(self, records: Sequence[Record]) -> None:
        """Offers the records to everybody. Never raises: a listener with a defect is ended and the others go on."""
        for subscriber in list(self._subscribers.values()):
            try:
                for record in records:
                    subscriber.offer(record)
            except Exception:
                log.exception("audit.subscriber_failed")
                subscriber.end(Unavailable("The subscription failed inside Okno. Subscribe again."))

    def close(self) -> None:
        """Ends all listeners, now and to come: the process stops."""
        self._closed = Stopping("Okno is stopping here. Subscribe again in a moment.")
        self._ready.set()
        for subscriber in list(self._subscribers.values()):
            subscriber.end(self._closed)
