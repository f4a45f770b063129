"""What a kind of corporate system has to offer. The runtime puts deadline, bulkhead, retry and breaker around it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from okno.sources.errors import SourceRefused
from okno.sources.manifest import Operation
from okno.sources.many import Many


@dataclass(frozen=True, slots=True)
class RawPage:
    """Records as the system gave them; `cursor` continues after them, None at the end."""

    records: list[Any]
    cursor: str | None


class Scan(Protocol):
    """A listing under way. `next` may be called again after an error and then repeats the page."""

    async def next(self) -> RawPage:
        """The next page.

        Raises:
            SourceError: the page could not be read.
        """

    async def close(self) -> None:
        """Gives back what the listing holds."""


class Effect:
    """One state-changing request: tells *definitely not done* from *may be done*."""

    def __init__(self, before: Callable[[], Awaitable[object] | None]) -> None:
        self._before = before
        self.sent = False
        """Set when the first byte may have left."""

    async def about_to_send(self) -> None:
        """The kind calls it once the way is open, right before the request leaves. What it raises stops the request."""
        waiting = self._before()
        if waiting is not None:
            await waiting


class Connector(Protocol):
    """A source instance of one kind. All methods run in the event loop and raise `SourceError` for every fault of the
    system; cancelling one frees its connection at once."""

    async def fetch(self, key: str) -> Any:
        """The record of one person.

        Raises:
            SourceError: NOT_FOUND when the system answered that there is none.
        """

    async def fetch_many(self, keys: Sequence[str]) -> Many:
        """The records of several people, at most the manifest's `many_size`, in one request; see `okno.sources.many`.

        Raises:
            SourceError: the request failed as a whole. Never NOT_FOUND: that is said of each person.
        """

    def scan(self, cursor: str | None) -> Scan:
        """Lists everybody, from the start or after a page's cursor."""

    async def ping(self) -> None:
        """Asks something small that changes nothing, with the credentials of the manifest."""

    async def execute(self, operation: Operation, values: Mapping[str, str], effect: Effect) -> None:
        """Makes the change. Returns when the system confirmed it.

        Raises:
            SourceRefused: the system said no; nothing is done.
            SourceError: anything else; `effect.sent` tells whether it may be done.
        """

    async def close(self) -> None:
        """Closes all connections."""


class ReadOnly:
    """For kinds whose manifests declare no operations."""

    async def execute(self, operation: Operation, values: Mapping[str, str], effect: Effect) -> None:
        raise SourceRefused("REFUSED", f"operation {operation.id}: this kind of source cannot write")
