"""Brings the people index up to date from the sources: page by page, resumable, HR first, the others enrich."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import structlog

from okno.clock import Clock
from okno.errors import ConfigurationError, Conflict
from okno.identity.model import employee_uuid
from okno.people.index.admission import Admission, NobodyBarred, Residency
from okno.people.index.merge import Known, Merged, Merger, clean
from okno.people.index.store import Counts, IndexStore, Run, Session, hold_pages
from okno.people.model import IndexState, Progress, SourceReport
from okno.sources.errors import SourceError
from okno.sources.model import ScanPage
from okno.storage.engine import Database

PRIMARY = "hr"
RESUME_WITHIN = timedelta(hours=1)  # a cursor older than that may mean other people by now: begin anew
# A source that answers "nobody" or half of everybody is taken for broken, not for a company that lost half its people.
MAX_VANISHED_SHARE = 0.5
MIN_PEOPLE_TO_DOUBT = 20
# A resumed cursor that the source no longer takes shows as one of these; then the reading begins anew.
_CURSOR_REFUSED = frozenset({"REFUSED", "NOT_FOUND", "BAD_ANSWER"})

log = structlog.get_logger(__name__)


class IndexedSource(Protocol):
    """What the index asks of a manifest."""

    @property
    def index(self) -> Mapping[str, str]: ...
    @property
    def can_scan(self) -> bool: ...


class Scanner(Protocol):
    """What the index asks of `okno.sources.service.Sources`."""

    @property
    def manifests(self) -> Mapping[str, IndexedSource]: ...
    def scan(self, source_id: str, *, cursor: str | None = None) -> AsyncIterator[ScanPage]: ...


class Refresh:
    """One call of `People.refresh_index`."""

    def __init__(
        self,
        db: Database,
        sources: Scanner,
        clock: Clock,
        *,
        admission: Admission | None = None,
        residency: Residency | None = None,
    ) -> None:
        self._admission = admission or NobodyBarred()
        self._residency = residency or Residency(None)
        self._db = db
        self._sources = sources
        self._clock = clock
        self._store = IndexStore()
        self._columns = {
            source_id: tuple(manifest.index)
            for source_id, manifest in sources.manifests.items()
            if manifest.index and manifest.can_scan
        }
        if PRIMARY not in self._columns:
            raise ConfigurationError(
                f"No source {PRIMARY} with an index mapping: the people index has nobody to list."
            )
        self._order = [PRIMARY, *(source_id for source_id in self._columns if source_id != PRIMARY)]

    async def run(self, progress: Progress | None) -> list[SourceReport]:
        """Reads what was cut off lately, or else everything."""
        if PRIMARY not in self._columns:
            raise ConfigurationError(
                f"No source {PRIMARY} with an index mapping: the people index has nobody to list."
            )
        async with self._db.transaction() as session:
            cut_off = await self._store.unfinished(session, self._clock.now() - RESUME_WITHIN)
        todo = [source_id for source_id in self._order if source_id in cut_off] or self._order
        reports = [await self._read_source(source_id, progress) for source_id in todo]
        if any(report.changed or report.vanished for report in reports):
            async with self._db.transaction() as session:
                await self._store.settle(session)
        return reports

    async def state(self) -> IndexState:
        """How far the index is."""
        async with self._db.transaction() as session:
            return await self._store.state(session, PRIMARY, self._order)

    async def _read_source(self, source_id: str, progress: Progress | None) -> SourceReport:
        run = await self._begin(source_id, RESUME_WITHIN)
        total = Counts()
        try:
            try:
                await self._read_pages(run, total, progress)
            except SourceError as error:
                if not (run.resumed and total.seen == 0 and error.code in _CURSOR_REFUSED):
                    raise
                log.warning("people.index.begin_anew", source=source_id, code=error.code)
                run = await self._begin(source_id, None)
                await self._read_pages(run, total, progress)
        except SourceError as error:
            log.warning("people.index.cut_off", source=source_id, code=error.code, seen=total.seen)
            async with self._db.transaction() as session:
                await self._store.note_failure(session, run, error.code)
            return SourceReport(source_id, resumed=run.resumed, failure=error.code, **total.items())
        await self._finish(run, total)
        return SourceReport(source_id, resumed=run.resumed, failure=None, **total.items())

    async def _begin(self, source_id: str, resume_within: timedelta | None) -> Run:
        async with self._db.transaction() as session:
            return await self._store.begin(session, source_id, self._clock.now(), resume_within)

    async def _read_pages(self, run: Run, total: Counts, progress: Progress | None) -> None:
        self._pages = run.pages
        if run.complete:
            return
        async with self._db.transaction() as session:
            expected = await self._store.count_present(session) or None
        merger = Merger(run.source_id, self._order, self._columns)
        async with aclosing(_one_ahead(self._sources.scan(run.source_id, cursor=run.cursor))) as pages:
            async for page in pages:
                total.add(await self._write_page(run, merger, page))
                self._pages += 1
                if progress is not None:
                    progress(run.source_id, run.seen + total.seen, expected)

    async def _write_page(self, run: Run, merger: Merger, page: ScanPage) -> Counts:
        now = self._clock.now()
        listed: dict[UUID, Mapping[str, Any]] = {}
        nobody = 0
        for record in page.records:
            number = merger.personnel_number(record)
            if number is None:
                nobody += 1
            else:
                listed[employee_uuid(number)] = (
                    record  # the last one stands where a page lists somebody twice
                )
        async with self._db.transaction() as session:
            await self._claim(session, run)
            await hold_pages(
                session
            )  # before looking who is barred: whoever is barred later, waits for this page
            records = await self._admitted(session, merger, listed)
            known = await self._store.load(session, list(records))
            merged: dict[UUID, Merged] = {}
            for person_id, record in records.items():
                if (
                    result := self._merge(merger, run, known.get(person_id, Known()), record, now)
                ) is not None:
                    merged[person_id] = result
                else:
                    nobody += 1
            changed = {person_id: person.row for person_id, person in merged.items() if person.changed}
            await self._store.write(session, list(changed.values()))
            if run.source_id == PRIMARY:
                await self._store.touch(session, [i for i in merged if i not in changed], now, run)
            keys = [(i, kind, value) for i, person in merged.items() for kind, value in person.keys.items()]
            await self._store.replace_keys(session, run, list(merged), keys)
            await self._store.drop_all_keys(
                session, [i for i, person in changed.items() if not person["resident"]]
            )
            counts = Counts(
                seen=len(page.records) + page.rejected, changed=len(changed), rejected=page.rejected
            )
            if run.source_id == PRIMARY:
                counts.rejected += nobody
            else:
                counts.unmatched = nobody
            await self._store.advance(session, run, page.cursor, counts)
        return counts

    async def _admitted(
        self, session: Session, merger: Merger, records: Mapping[UUID, Mapping[str, Any]]
    ) -> Mapping[UUID, Mapping[str, Any]]:
        """Without those who are never taken in."""
        numbers = {person_id: merger.personnel_number(record) for person_id, record in records.items()}
        barred = set(
            await self._admission.barred(
                session, [number for number in numbers.values() if number is not None]
            )
        )
        return {
            person_id: record for person_id, record in records.items() if numbers[person_id] not in barred
        }

    def _merge(
        self, merger: Merger, run: Run, known: Known, record: Mapping[str, Any], now: datetime
    ) -> Merged | None:
        """What the record makes of the person, as far as it may be held here."""
        if run.source_id == PRIMARY:
            if self._residency.admits(clean(record.get("country"))):
                return merger.merge(known, record, now, run.number)
            return merger.outline(known, record, now, run.number)
        if known.row is not None and not self._residency.admits(known.row["country"]):
            return Merged(known.row, changed=False, keys={})
        return merger.merge(known, record, now, run.number)

    async def _finish(self, run: Run, total: Counts) -> None:
        """Settles what the reading did not list any more, and closes it."""
        now = self._clock.now()
        async with self._db.transaction() as session:
            await self._claim(session, run)
            ending = Counts()
            if run.source_id == PRIMARY:
                unseen, of = (
                    await self._store.count_unseen(session, run),
                    await self._store.count_present(session),
                )
                if self._doubtful(run, unseen, of):
                    ending.withheld = unseen
                else:
                    ending.vanished = await self._store.mark_vanished(session, run, now)
            else:
                ids, of = await self._store.forgotten(session, run)
                if self._doubtful(run, len(ids), of):
                    ending.withheld = len(ids)
                else:
                    await self._forget(session, run, ids)
                    ending.vanished = len(ids)
            await self._store.finish(session, run, now, ending)
        total.add(ending)

    async def _forget(self, session: Session, run: Run, ids: Sequence[UUID]) -> None:
        """Who left a system is no longer known by its keys."""
        merger = Merger(run.source_id, self._order, self._columns)
        merged = [merger.without_keys(person) for person in (await self._store.load(session, ids)).values()]
        await self._store.write(session, [person.row for person in merged if person.changed])
        await self._store.drop_keys(session, run, ids)

    async def _claim(self, session: Session, run: Run) -> None:
        if not await self._store.claim(session, run, self._pages):
            raise Conflict("Another process is refreshing the people index; this one stopped.")

    def _doubtful(self, run: Run, unseen: int, of: int) -> bool:
        doubtful = of >= MIN_PEOPLE_TO_DOUBT and unseen > of * MAX_VANISHED_SHARE
        if doubtful:
            log.warning("people.index.vanishing_withheld", source=run.source_id, unseen=unseen, of=of)
        return doubtful


async def _one_ahead(pages: AsyncIterator[ScanPage]) -> AsyncGenerator[ScanPage]:
    """The same pages; the next one is fetched while the last one is written."""
    following = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await following) is not None:
            following = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()
