"""The sections of one source that one request reads: each asked for once, and all that are wanted at a time together."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog

from okno.people.model import Person
from okno.sources.model import PersonKeys, SectionResult, SourceFailure, State
from okno.sources.service import Sources

log = structlog.get_logger(__name__)


class SectionLoader:
    """Remembers what it has read. Belongs to one request, and so to one actor."""

    def __init__(self, sources: Sources, source_id: str) -> None:
        self._sources = sources
        self._source_id = source_id
        self._known: dict[UUID, SectionResult] = {}
        self._wanted: dict[UUID, PersonKeys] = {}
        """Who is asked for when the resolvers that run now have all said whom they want."""
        self._batch: asyncio.Task[None] | None = None
        self._reading: dict[UUID, asyncio.Task[None]] = {}

    def find(self, person_id: UUID) -> SectionResult | None:
        """The section, if this request has it already."""
        return self._known.get(person_id)

    async def load(self, persons: Sequence[Person]) -> list[SectionResult]:
        """Their sections, in their order. Nothing is awaited for what this request or the source's cache has."""
        known = self._known
        missing = {person.id: _keys(person) for person in persons if person.id not in known}
        if missing:
            self._take_cached(missing)
            for task in {self._want(person_id, keys) for person_id, keys in missing.items()}:
                # One resolver that goes away does not take the answer from the others.
                await asyncio.shield(task)
        return [known[person.id] for person in persons]

    def _take_cached(self, missing: dict[UUID, PersonKeys]) -> None:
        cached = self._sources.cached(self._source_id, list(missing.values()))
        for person_id, result in zip(list(missing), cached, strict=True):
            if result is not None:
                self._known[person_id] = result
                del missing[person_id]

    def _want(self, person_id: UUID, keys: PersonKeys) -> "asyncio.Task[None]":
        task = self._reading.get(person_id)
        if task is None:
            if self._batch is None:
                self._batch = asyncio.create_task(self._read())
            self._wanted[person_id] = keys
            task = self._reading[person_id] = self._batch
        return task

    async def _read(self) -> None:
        # A resolver that was started by one that runs now comes one turn of the loop later.
        await asyncio.sleep(0)
        wanted, self._wanted, self._batch = self._wanted, {}, None
        results = await self._ask(wanted)
        for person_id, result in zip(wanted, results, strict=True):
            self._known[person_id] = result
            del self._reading[person_id]

    async def _ask(self, wanted: Mapping[UUID, PersonKeys]) -> list[SectionResult]:
        """Whatever happens in a source costs its own section and nothing else."""
        try:
            return await self._sources.read_many(self._source_id, list(wanted.values()))
        except Exception:
            log.exception("graph.section_failed", source=self._source_id)
            failure = SourceFailure("BAD_ANSWER", f"{self._source_id}: its answer could not be worked up")
            return [SectionResult(State.FAILED, None, None, failure) for _ in wanted]


def _keys(person: Person) -> PersonKeys:
    return PersonKeys(person.id, person.personnel_number, person.login, person.email, person.dn)
