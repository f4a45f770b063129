"""Usage: counts what clients use of the schema, writes it every ten seconds, and answers who would miss a field."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Protocol

import structlog

from okno.clock import Clock
from okno.errors import NotFound, OknoError
from okno.storage.engine import Database
from okno.storage.keyset import Window
from okno.usage import store
from okno.usage.counts import Counts, in_order
from okno.usage.model import Asked, Breaks, Broken, Client, ClientUse, Member, MemberUse, Uses

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 10.0
_LAST_FLUSH_SECONDS = 5.0
_CHUNK = 2_000


class Document(Protocol):
    """What usage asks of a document that was read."""

    @property
    def key(self) -> bytes:
        """What the document is known by."""

    @property
    def fields(self) -> frozenset[str]:
        """The coordinates of the schema that it uses."""


class Usage:
    """What clients use of this deployment's schema. One for each process; all processes add to the same counts."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        members: Iterable[Member],
        *,
        counts: Counts | None = None,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        """
        Args:
            members: all that the schema consists of.
        """
        self._db = db
        self._clock = clock
        self._members: Mapping[str, Member] = {
            member.coordinate: member for member in sorted(members, key=lambda each: each.coordinate)
        }
        self._counts = Counts() if counts is None else counts
        self._flush_seconds = flush_seconds
        self._stopping = asyncio.Event()
        self._flushing: asyncio.Task[None] | None = None

    def note(self, client: Client, document: Document) -> None:
        """Counts one operation that is executed. Never fails and never waits."""
        if document.fields:
            self._counts.note(client, document.key, document.fields, self._clock.now())

    def start(self) -> None:
        """Begins to write the counts again and again."""
        self._flushing = asyncio.create_task(self._flush_until_stopped(), name="okno-usage-flush")

    async def close(self) -> None:
        """Writes what was counted, as far as the database lets it within a few seconds."""
        self._stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_FLUSH_SECONDS):
                if self._flushing is not None:
                    await self._flushing
                await self._try_to_flush()

    async def flush(self) -> None:
        """Adds the counts to those in the database. What cannot be written is kept for the next time.

        A commit whose answer is lost may be counted twice: these are numbers to decide by, not accounts.

        Raises:
            Unavailable: the database does not answer.
        """
        waiting = in_order(self._counts.take())
        written = 0
        try:
            while written < len(waiting):
                chunk = waiting[written : written + _CHUNK]
                async with self._db.transaction() as session:
                    await store.add(session, chunk)
                written += len(chunk)
        finally:
            self._counts.put_back(waiting[written:])

    async def forget(self, *, keep_days: int) -> int:
        """Deletes the counts of days before the last `keep_days`; says how many rows."""
        async with self._db.transaction() as session:
            return await store.delete_before(session, self._since(keep_days))

    async def list_uses(self, asked: Asked, window: Window[str] | None = None) -> Uses:
        """The parts of the schema that are asked about, by coordinate, each with who used it.

        Args:
            window: how many of them, between which coordinates; None: all.

        Raises:
            NotFound: a name is none of this schema; the message names the nearest.
            Unavailable: the database does not answer.
        """
        since = self._since(asked.days)
        matching = [
            member
            for member in self._named(asked.names)
            if (not asked.deprecated or member.deprecation is not None)
            and (asked.search or "").casefold() in member.coordinate.casefold()
        ]
        async with self._db.transaction() as session:
            if asked.unused or asked.client is not None:
                used = await store.list_used(
                    session, [each.coordinate for each in matching], since=since, client=asked.client
                )
                matching = [member for member in matching if (member.coordinate in used) is not asked.unused]
            page = matching if window is None else _within(matching, window)
            clients = await store.list_clients(
                session, [member.coordinate for member in page], since=since, client=asked.client
            )
            recorded_since = await store.find_oldest_day(session)
        return Uses(
            items=[_use(member, clients.get(member.coordinate, ())) for member in page],
            total=len(matching),
            has_next=bool(page) and page[-1] is not matching[-1],
            has_previous=bool(page) and page[0] is not matching[0],
            recorded_since=recorded_since,
        )

    async def list_broken(
        self, coordinates: Sequence[str], *, days: int, known: Iterable[str] = ()
    ) -> Breaks:
        """The clients that use any of these parts of the schema.

        Args:
            coordinates: what is to be taken away; a type stands for all that is in it.
            known: coordinates of the schema that the clients were written against, when it is not this deployment's.

        Raises:
            NotFound: a name is of neither schema and was never used; the message names the nearest.
            Unavailable: the database does not answer.
        """
        since = self._since(days)
        async with self._db.transaction() as session:
            names = {*self._members, *known}
            if not all(_meant(name, names) for name in coordinates):
                names |= await store.list_used(session, since=since)
            wanted = {each for name in coordinates for each in _known(name, names)}
            found = await store.list_clients(session, sorted(wanted), since=since)
            recorded_since = await store.find_oldest_day(session)
        broken: dict[Client, Broken] = {}
        for coordinate, uses in sorted(found.items()):
            for use in uses:
                one = broken.get(use.client)
                at = use.last_seen_at if one is None else max(one.last_seen_at, use.last_seen_at)
                operations = {**(one.operations if one else {}), coordinate: use.operations}
                broken[use.client] = Broken(use.client, at, operations)
        clients = sorted(broken.values(), key=lambda each: (-max(each.operations.values()), each.client))
        return Breaks(clients, recorded_since)

    def _named(self, names: Sequence[str]) -> list[Member]:
        if not names:
            return list(self._members.values())
        every = list(self._members)
        wanted = {each for name in names for each in _known(name, every)}
        return [member for coordinate, member in self._members.items() if coordinate in wanted]

    def _since(self, days: int) -> date:
        return self._clock.now().date() - timedelta(days=days - 1)

    async def _flush_until_stopped(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._flush_seconds)
                return
            await self._try_to_flush()

    async def _try_to_flush(self) -> None:
        try:
            await self.flush()
        except OknoError as error:
            log.warning("usage not written, the counts are kept", code=error.code, held=len(self._counts))
        except Exception:
            log.exception("usage not written, the counts are kept", held=len(self._counts))
        if self._counts.lost:
            log.warning("usage of too many clients to hold was not counted", rows=self._counts.lost)
            self._counts.lost = 0


def _within(members: Sequence[Member], window: Window[str]) -> Sequence[Member]:
    between = [
        member
        for member in members
        if (window.after is None or member.coordinate > window.after)
        and (window.before is None or member.coordinate < window.before)
    ]
    return between[-window.size :] if window.backwards else between[: window.size]


def _use(member: Member, clients: Sequence[ClientUse]) -> MemberUse:
    return MemberUse(
        member=member,
        operations=sum(use.operations for use in clients),
        last_seen_at=max((use.last_seen_at for use in clients), default=None),
        clients=clients,
    )


def _meant(name: str, coordinates: Collection[str]) -> list[str]:
    """The coordinates that a name stands for: itself with its arguments, or all of a type."""
    return [each for each in coordinates if each == name or each.startswith((f"{name}(", f"{name}."))]


def _known(name: str, coordinates: Collection[str]) -> list[str]:
    """What a name stands for.

    Raises:
        NotFound: nothing.
    """
    if found := _meant(name, coordinates):
        return found
    types = {each.partition(".")[0] for each in coordinates}
    near = get_close_matches(name, types if "." not in name else coordinates, n=3)
    if not near and "." in name:
        near = sorted(_meant(name.partition(".")[0], coordinates))[:3]
    hint = f"the nearest are {', '.join(near)}" if near else "write Type, Type.field or Type.field(argument:)"
    raise NotFound(f"There is no {name} in the schema; {hint}.", field="coordinate")
