"""Reading one source: cache, coalescing of equal reads, the last good answer while the source is down, listing."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from okno.clock import Clock
from okno.sources.cache import Answer, AnswerCache
from okno.sources.errors import SourceError
from okno.sources.kind import Connector, RawPage
from okno.sources.manifest import SourceManifest
from okno.sources.mapping import Mapper
from okno.sources.model import ScanPage, SectionResult, SourceFailure, State
from okno.sources.runtime import Runtime

log = structlog.get_logger(__name__)

Results = dict[str, SectionResult]


class Reader:
    """One source as the rest of Okno reads it."""

    def __init__(
        self, manifest: SourceManifest, connector: Connector, clock: Clock, *, textual: bool
    ) -> None:
        self.manifest = manifest
        self.connector = connector
        self.runtime = Runtime(manifest, clock)
        self.mapper = Mapper(manifest, textual=textual)
        self._clock = clock
        self._cache = AnswerCache(manifest.cache_entries)
        self._reading: set[asyncio.Task[Results]] = set()
        self._under_way: dict[str, asyncio.Task[Results]] = {}
        """Of those that are being read the ones that further readers may join."""

    async def read(self, key: str, *, fresh: bool) -> SectionResult:
        """The section of the person with that key. Never raises for a fault of the source.

        Args:
            fresh: asks the source, past the cache and past reads that are under way.
        """
        if fresh:
            return await self._read(key)
        if (result := self._fresh_enough(key, self._clock.monotonic())) is not None:
            return result
        task = self._under_way.get(key) or self._start([key])
        # One reader who goes away does not take the answer from the others.
        return (await asyncio.shield(task))[key]

    def cached(self, keys: Iterable[str | None]) -> list[SectionResult | None]:
        """What the cache has of these people that is fresh enough; None for those who have no key."""
        now, longest, result = self._clock.monotonic(), self.manifest.cache_seconds, self._result
        return [  # what `_fresh_enough` does, in the open: a page of people asks for hundreds
            None if answer is None or now - answer.asked_at >= longest else answer.result or result(answer)
            for answer in self._cache.find_many(keys)
        ]

    async def read_many(self, keys: Iterable[str]) -> Results:
        """The sections of several people, by key, as `read` gives each of them.

        Who is in no cache and not being read is asked for in as few requests as the manifest allows, all at once. A fault
        of a request costs those whom it asked for; a fault of a record, or none at all, that one person. Where
        all is cached nothing is awaited.
        """
        now = self._clock.monotonic()
        results: Results = {}
        tasks: dict[str, asyncio.Task[Results]] = {}
        missing: list[str] = []
        for key in dict.fromkeys(keys):
            if (result := self._fresh_enough(key, now)) is not None:
                results[key] = result
            elif (task := self._under_way.get(key)) is not None:
                tasks[key] = task
            else:
                missing.append(key)
        for chunk in self._chunks(missing):
            tasks.update(dict.fromkeys(chunk, self._start(chunk)))
        for key, task in tasks.items():
            results[key] = (await asyncio.shield(task))[key]
        return results

    async def record(self, key: str) -> tuple[Any, Answer]:
        """The record as the source gives it now, and the answer made of it.

        Raises:
            SourceError: the source did not answer, or not as the manifest promises.
        """
        asked_at, as_of = self._clock.monotonic(), self._clock.now()
        try:
            record = await self._ask(key)
        except SourceError as error:
            if error.code == "NOT_FOUND":
                self._cache.put(key, Answer(None, as_of, asked_at))
            raise
        answer = Answer(self.mapper.section(record), as_of, asked_at)
        self._cache.put(key, answer)
        return record, answer

    def forget(self, key: str) -> None:
        """After a write: what is known of the person is out of date, and so is what is being read."""
        self._cache.forget(key, self._clock.monotonic())
        self._under_way.pop(key, None)

    async def scan(self, cursor: str | None) -> AsyncIterator[ScanPage]:
        """Everybody whom the source knows, as columns of the index, page by page.

        Raises:
            SourceError: a page could not be read; going on from the last page's cursor is safe.
        """
        listing = self.connector.scan(cursor)
        try:
            while True:
                page = await self.runtime.call(
                    listing.next, seconds=self.manifest.scan_page_seconds, idempotent=True
                )
                yield self._page(page)
                if page.cursor is None:
                    return
        finally:
            await listing.close()

    async def ping(self) -> None:
        """Asks the source something small.

        Raises:
            SourceError: it does not answer, or refuses the credentials.
        """
        await self.runtime.call(self.connector.ping, seconds=self.manifest.deadline_seconds, idempotent=True)

    async def close(self) -> None:
        """Stops reads under way and closes the connections."""
        tasks = list(self._reading)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.connector.close()

    def _fresh_enough(self, key: str, now: float) -> SectionResult | None:
        answer = self._cache.find(key)
        if answer is None or now - answer.asked_at >= self.manifest.cache_seconds:
            return None
        return self._result(answer)

    def _chunks(self, keys: Sequence[str]) -> list[Sequence[str]]:
        """What to ask for together. A key that a system may stumble over is asked for alone, at nobody else's cost."""
        size = self.manifest.many_size
        plain = [key for key in keys if key.isprintable()]
        together: list[Sequence[str]] = [plain[at : at + size] for at in range(0, len(plain), size)]
        return together + [[key] for key in keys if not key.isprintable()]

    def _start(self, keys: Sequence[str]) -> "asyncio.Task[Results]":
        """Begins to read these people, in a task of its own that others may join."""
        task = asyncio.create_task(self._read_all(keys))
        self._reading.add(task)
        self._under_way.update(dict.fromkeys(keys, task))
        task.add_done_callback(lambda done: self._read_ended(keys, done))
        return task

    def _read_ended(self, keys: Sequence[str], task: "asyncio.Task[Results]") -> None:
        self._reading.discard(task)
        for key in keys:
            if self._under_way.get(key) is task:
                del self._under_way[key]

    async def _ask(self, key: str) -> Any:
        return await self.runtime.call(
            lambda: self.connector.fetch(key), seconds=self.manifest.deadline_seconds, idempotent=True
        )

    async def _read(self, key: str) -> SectionResult:
        try:
            _, answer = await self.record(key)
            return self._result(answer)
        except Exception as error:
            return self._without_source(key, self._fault(error))

    async def _read_all(self, keys: Sequence[str]) -> Results:
        if len(keys) == 1:
            return {keys[0]: await self._read(keys[0])}
        asked_at, as_of = self._clock.monotonic(), self._clock.now()
        try:
            found = await self.runtime.call(
                lambda: self.connector.fetch_many(keys),
                seconds=self.manifest.deadline_seconds,
                idempotent=True,
            )
        except Exception as error:
            fault = self._fault(error)
            return {key: self._without_source(key, fault) for key in keys}
        results = {key: self._taken(key, record, as_of, asked_at) for key, record in found.items()}
        alone = [key for key in keys if key not in found]
        results.update(zip(alone, await asyncio.gather(*map(self._read, alone)), strict=True))
        return results

    def _taken(self, key: str, record: Any, as_of: datetime, asked_at: float) -> SectionResult:
        """What one record of many is worth."""
        try:
            if isinstance(record, SourceError):
                raise record
            answer = Answer(self.mapper.section(record), as_of, asked_at)
        except Exception as error:
            fault = self._fault(error)
            if fault.code == "NOT_FOUND":
                self._cache.put(key, Answer(None, as_of, asked_at))
            return self._without_source(key, fault)
        self._cache.put(key, answer)
        return self._result(answer)

    def _fault(self, error: Exception) -> SourceError:
        if isinstance(error, SourceError):
            return error
        # a defect in a kind costs its section and nothing else
        log.error("source.defect", source=self.manifest.id, exc_info=error)
        return SourceError("BAD_ANSWER", f"{self.manifest.id}: {type(error).__name__} while reading")

    def _without_source(self, key: str, error: SourceError) -> SectionResult:
        failure = SourceFailure(error.reason, error.message)
        answer = self._cache.find(key)
        if error.code == "NOT_FOUND" or answer is None or answer.data is None:
            return SectionResult(State.FAILED, None, None, failure)
        if self._clock.monotonic() - answer.asked_at <= self.manifest.freshness.error_after:
            return SectionResult(State.STALE, answer.data, answer.as_of, failure)
        return SectionResult(State.FAILED, None, None, failure)

    def _result(self, answer: Answer) -> SectionResult:
        if answer.data is None:
            failure = SourceFailure(
                "NOT_FOUND", f"{self.manifest.id}: knows nobody with this {self.manifest.key}"
            )
            return SectionResult(State.FAILED, None, answer.as_of, failure)
        return SectionResult(State.OK, answer.data, answer.as_of, None)

    def _page(self, page: RawPage) -> ScanPage:
        records: list[Mapping[str, Any]] = []
        rejected = 0
        for record in page.records:
            try:
                records.append(self.mapper.index_row(record))
            except SourceError as error:
                rejected += 1
                log.warning("source.record_rejected", source=self.manifest.id, cause=error.message)
        return ScanPage(records, page.cursor, rejected)
