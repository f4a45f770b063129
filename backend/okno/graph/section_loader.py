"""The sections of one source that one request reads: each asked for once, and all that are wanted at a time together."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from okno.people.model import Person
from okno.sources.model import PersonKeys, SectionResult, SourceFailure, State
from okno.sources.service import Sources

log = structlog.get_logger(__name__)


class SectionLoader:
    """Remembers what it has read. Belongs to one request, and so to one actor.

    People are known here by their personnel numbers, which their ids follow from: the hash of a text is kept by it, that of a
    UUID is computed anew each time.
    """

    def __init__(self, sources: Sources, source_id: str) -> None:
        self._sources = sources
        self._source_id = source_id
        self._known: dict[str, SectionResult] = {}
        self._wanted: dict[str, PersonKeys] = {}
        """Who is asked for when the resolvers that run now have all said whom they want."""
        self._batch: asyncio.Task[None] | None = None
        self._reading: dict[str, asyncio.Task[None]] = {}

    def find(self, person: Person) -> SectionResult | None:
        """The section, if this request has it already."""
        return self._known.get(person.personnel_number)

    async def load(self, persons: Sequence[Person]) -> list[SectionResult]:
        """Their sections, in their order. Nothing is awaited for what this request or the source's cache has."""
        known = self._known
        missing = [_keys(person) for person in persons if person.personnel_number not in known]
        if missing:
            for task in {self._want(keys) for keys in self._take_cached(missing)}:
                # One resolver that goes away does not take the answer from the others.
                await asyncio.shield(task)
        return [known[person.personnel_number] for person in persons]

    def _take_cached(self, missing: Sequence[PersonKeys]) -> list[PersonKeys]:
        """Remembers what the source's cache has; gives those whom it does not have."""
        known, left = self._known, []
        for keys, result in zip(missing, self._sources.cached(self._source_id, missing), strict=True):
            if result is None:
                left.append(keys)
            else:
                known[keys.personnel_number] = result
        return left

    def _want(self, keys: PersonKeys) -> "asyncio.Task[None]":
        task = self._reading.get(keys.personnel_number)
        if task is None:
            if self._batch is None:
                self._batch = asyncio.create_task(self._read())
            self._wanted[keys.personnel_number] = keys
            task = self._reading[keys.personnel_number] = self._batch
        return task

    async def _read(self) -> None:
        # A resolver that was started by one that runs now comes one turn of the loop later.
        await asyncio.sleep(0)
        wanted, self._wanted, self._batch = self._wanted, {}, None
        results = await self._ask(wanted)
        for number, result in zip(wanted, results, strict=True):
            self._known[number] = result
            del self._reading[number]

    async def _ask(self, wanted: Mapping[str, PersonKeys]) -> list[SectionResult]:
        """Whatever happens in a source costs its own section and nothing else."""
        try:
            return await self._sources.read_many(self._source_id, list(wanted.values()))
        except Exception:
            log.exception("graph.section_failed", source=self._source_id)
            failure = SourceFailure("BAD_ANSWER", f"{self._source_id}: its answer could not be worked up")
            return [SectionResult(State.FAILED, None, None, failure) for _ in wanted]


def _keys(person: Person) -> PersonKeys:
    return PersonKeys(person.id, person.personnel_number, person.login, person.email, person.dn)
