"""People: find an employee, read one or many from the local index, and keep the index fresh."""

from collections.abc import Sequence
from uuid import UUID

from okno.clock import Clock
from okno.errors import NotFound
from okno.people.index.admission import Admission, Residency
from okno.people.index.refresh import Refresh, Scanner
from okno.people.model import IndexState, Knowing, Matching, Page, Person, Place, Progress, SourceReport
from okno.people.query import parse
from okno.people.store import PeopleStore
from okno.policy.condition import Condition
from okno.storage.engine import Database
from okno.storage.keyset import Window

MAX_CHAIN = 25


class People:
    """The local index of employees. Reads ask PostgreSQL only, never a source."""

    def __init__(
        self,
        db: Database,
        sources: Scanner,
        clock: Clock,
        *,
        admission: Admission | None = None,
        residency: Residency | None = None,
    ) -> None:
        """
        Args:
            admission: who is never taken into the index; by default nobody.
            residency: which countries' data the index may copy; by default all.
        """
        self._db = db
        self._sources = sources
        self._clock = clock
        self._admission = admission
        self._residency = residency
        self._store = PeopleStore()

    async def get(self, person_id: UUID) -> Person:
        """Raises:
        NotFound: the index has nobody with this id.
        """
        person = (await self.get_many([person_id])).get(person_id)
        if person is None:
            raise NotFound("No such employee.")
        return person

    async def get_many(self, person_ids: Sequence[UUID]) -> dict[UUID, Person]:
        """Those of the people who exist, in one query; for a DataLoader."""
        async with self._db.transaction() as session:
            return await self._store.get_many(session, person_ids)

    async def find_by_key(self, kind: str, value: str) -> Person | None:
        """The employee known under `value`, kinds `personnel_number`, `login`, `email`, `dn`; letter case is ignored.

        None also when two employees are known under it: nobody is guessed.
        """
        async with self._db.transaction() as session:
            return await self._store.find_by_key(session, kind, value)

    async def managers(self, person_id: UUID, *, limit: int = MAX_CHAIN) -> list[Person]:
        """The chain upwards, nearest first, at most `limit`; it ends where it would come round to somebody again."""
        return (await self.managers_of([person_id], limit=limit))[person_id]

    async def managers_of(
        self, person_ids: Sequence[UUID], *, limit: int = MAX_CHAIN
    ) -> dict[UUID, list[Person]]:
        """The chains upwards of many people in one query; for a DataLoader."""
        async with self._db.transaction() as session:
            return await self._store.managers_of(session, person_ids, min(limit, MAX_CHAIN))

    async def search(
        self,
        text: str | None,
        *,
        matching: Matching,
        knowing: Knowing | None = None,
        where: Condition | None = None,
        me: UUID | None = None,
        window: Window[Place],
    ) -> Page:
        """Some of the people whom every word of `text` describes, best first; of all people when it is blank.

        Args:
            text: parts of a name in any alphabet and order, login, e-mail, personnel number, phone in any spelling.
            matching: what may be searched, each with the rows for which it may be. Without `Match.NAMES` the order
                does not depend on names either, nor without `Match.STATE` on who left.
            knowing: what people may be found by besides who has typed it whole: never by a part, and it changes no order.
            where: the rows that may be seen at all; None is all rows. Applied in SQL before the limit.
            me: the employee that `ME` in the conditions stands for.
            window: between places of earlier results of the same search.

        Raises:
            InvalidInput: `text` is not usable, or a place is none of the order that this reader sees; `field` says which.
        """
        query = parse(text)
        async with self._db.transaction() as session:
            return await self._store.search(
                session, query, matching=matching, knowing=knowing or {}, where=where, me=me, window=window
            )

    async def count(self) -> int:
        """How many employees the index holds."""
        async with self._db.transaction() as session:
            return await self._store.count(session)

    async def index_state(self) -> IndexState:
        """How far the index is filled, by whichever process fills it."""
        return await self._refresh().state()

    async def refresh_index(self, progress: Progress | None = None) -> list[SourceReport]:
        """Reads every source with an `index` mapping, HR first, and brings the index up to date.

        Each page is one transaction that also moves the cursor. What was cut off within the last hour goes on where it
        stopped, and only that. A source that fails does not hold up the others: its report says `failure`.

        Raises:
            Conflict: another process is refreshing.
            Unavailable: the database went away.
        """
        return await self._refresh().run(progress)

    def _refresh(self) -> Refresh:
        return Refresh(
            self._db, self._sources, self._clock, admission=self._admission, residency=self._residency
        )
