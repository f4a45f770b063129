"""The sections of one source that one request reads: each asked for once, and all that are wanted at a time together."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

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

    def find_all(self, persons: Sequence[Person]) -> list[SectionResult] | None:
        """Their sections, in their order; None where the source has to be asked for one of them.

        What the source's cache has of them is remembered.
        """
        known = self._known
        numbers = [person.personnel_number for person in persons]
        missing = [person for person in persons if person.personnel_number not in known] if known else persons
        if missing:
            cached = self._sources.cached(self._source_id, missing)
            if missing is persons and all(cached):
                results = cast(list[SectionResult], cached)
                known.update(zip(numbers, results, strict=True))
                return results
            known.update(
                (person.personnel_number, result)
                for person, result in zip(missing, cached, strict=True)
                if result is not None
            )
            if not all(cached):
                return None
        return [known[number] for number in numbers]

    async def load(self, persons: Sequence[Person]) -> list[SectionResult]:
        """Their sections, in their order. Nothing is awaited for what this request or the source's cache has."""
        found = self.find_all(persons)
        if found is not None:
            return found
        known = self._known
        for task in {self._want(_keys(each)) for each in persons if each.personnel_number not in known}:
            # One resolver that goes away does not take the answer from the others.
            await asyncio.shield(task)
        return [known[person.personnel_number] for person in persons]

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
