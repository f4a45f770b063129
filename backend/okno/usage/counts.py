"""Counts in memory, bounded: cheap to add to while a request runs, taken out by the flush."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from okno.usage.model import Client, PrincipalKind

# stands for the names of a client that gave too many; the header admits no such character
OTHER_NAMES = "*"


class Key(NamedTuple):
    """What is counted apart. Processes write in the order of these keys, so that they never wait for each other in a circle."""

    coordinate: str
    day: date
    client: Client


@dataclass(slots=True)
class Count:
    """How many operations, and when the last was."""

    operations: int
    last_seen_at: datetime

    def add(self, other: "Count") -> None:
        self.operations += other.operations
        self.last_seen_at = max(self.last_seen_at, other.last_seen_at)


@dataclass(slots=True)
class _Used:
    """A document as one client used it since it was last spread over its coordinates."""

    coordinates: frozenset[str]
    count: Count


class Counts:
    """What was used since the last flush.

    A request costs one look-up by (client, document); the coordinates of the document are counted when the entry is spread,
    at the flush or when there are too many entries. Not for several threads.

    Args:
        documents: at most so many (client, document) are held before the oldest is spread.
        rows: at most so many rows are held for the database; what would be another one is counted in `lost`.
        names: so many names and versions a holder may give in a day; those beyond count as "*".
    """

    def __init__(self, *, documents: int = 4_000, rows: int = 50_000, names: int = 50) -> None:
        self._documents = documents
        self._rows = rows
        self._names = names
        self._recent: dict[tuple[Client, bytes], _Used] = {}
        self._waiting: dict[Key, Count] = {}
        self._given: dict[tuple[PrincipalKind, str], set[tuple[str, str]]] = {}
        self._day = date.min
        self.lost = 0

    def __len__(self) -> int:
        """Entries held, of both kinds."""
        return len(self._recent) + len(self._waiting)

    def note(self, client: Client, document: bytes, coordinates: frozenset[str], now: datetime) -> None:
        """Counts one operation.

        Args:
            document: what the document is known by; documents of one key have the same coordinates.
        """
        used = self._recent.get((client, document))
        if used is None:
            self._begin(client, document, coordinates, now)
            return
        used.count.operations += 1
        used.count.last_seen_at = now

    def take(self) -> dict[Key, Count]:
        """All that was counted, out of here."""
        while self._recent:
            self._spread_oldest()
        taken, self._waiting = self._waiting, {}
        return taken

    def put_back(self, counted: Iterable[tuple[Key, Count]]) -> None:
        """Holds on to what could not be written."""
        for key, count in counted:
            self._add(key, count)

    def _begin(self, client: Client, document: bytes, coordinates: frozenset[str], now: datetime) -> None:
        client = self._admitted(client, now.date())
        used = self._recent.get((client, document))
        if used is not None:
            used.count.add(Count(1, now))
            return
        if len(self._recent) >= self._documents:
            self._spread_oldest()
        self._recent[client, document] = _Used(coordinates, Count(1, now))

    def _admitted(self, client: Client, day: date) -> Client:
        """The client; under one common name once its holder has given too many, as a build number for each request would be."""
        if day != self._day:
            self._day = day
            self._given.clear()
        given = self._given.setdefault((client.kind, client.principal), set())
        name = (client.name, client.version)
        if name in given:
            return client
        if len(given) >= self._names:
            return client._replace(name=OTHER_NAMES, version="")
        given.add(name)
        return client

    def _spread_oldest(self) -> None:
        (client, document), used = next(iter(self._recent.items()))
        del self._recent[client, document]
        day = used.count.last_seen_at.date()
        for coordinate in used.coordinates:
            self._add(Key(coordinate, day, client), used.count)

    def _add(self, key: Key, count: Count) -> None:
        held = self._waiting.get(key)
        if held is not None:
            held.add(count)
        elif len(self._waiting) < self._rows:
            self._waiting[key] = Count(count.operations, count.last_seen_at)
        else:
            self.lost += count.operations


def in_order(counted: Mapping[Key, Count]) -> list[tuple[Key, Count]]:
    """The counts in the order in which every process writes them."""
    return sorted(counted.items(), key=lambda each: each[0])
