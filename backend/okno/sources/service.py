"""Corporate systems as the rest of Okno sees them: read a section, list people for the index, run an operation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from okno.clock import Clock
from okno.errors import ConfigurationError, NotFound
from okno.network import PRIVATE, NetworkGuard
from okno.sources.changes import Changer
from okno.sources.errors import Code, SourceError, SourceOutcomeUnknown, SourceRefused, SourceUnreachable
from okno.sources.loader import ManifestError, load_manifests
from okno.sources.manifest import FieldManifest, Operation, SourceManifest
from okno.sources.model import (
    Change,
    HasKeys,
    LastError,
    OperationResult,
    PersonKeys,
    ScanPage,
    SectionResult,
    Settled,
    SourceFailure,
    SourceHealth,
    State,
)
from okno.sources.reader import Reader
from okno.sources.registry import KINDS

__all__ = [
    "Change",
    "Code",
    "FieldManifest",
    "LastError",
    "ManifestError",
    "Operation",
    "OperationResult",
    "PersonKeys",
    "ScanPage",
    "SectionResult",
    "Settled",
    "SourceError",
    "SourceFailure",
    "SourceHealth",
    "SourceManifest",
    "SourceOutcomeUnknown",
    "SourceRefused",
    "SourceUnreachable",
    "Sources",
    "State",
    "load_sources_manifests",
]


def load_sources_manifests(directory: Path) -> dict[str, SourceManifest]:
    """The manifests of `config/sources/` by id.

    Raises:
        ManifestError: lists every problem of every file with its line.
    """
    return load_manifests(directory, {name: kind.manifest for name, kind in KINDS.items()})


class Sources:
    """All connected systems of a deployment."""

    def __init__(
        self,
        manifests: Mapping[str, SourceManifest],
        clock: Clock,
        environment: Mapping[str, str] | None = None,
        *,
        network: NetworkGuard = PRIVATE,
    ) -> None:
        """
        Args:
            environment: where references such as {env: OKNO_HR_URL} are looked up; by default the process's own.
            network: where the systems may be.

        Raises:
            ConfigurationError: references lead nowhere; all of them are named.
        """
        self.manifests = manifests
        self._readers: dict[str, Reader] = {}
        self._warming: set[asyncio.Task[None]] = set()
        problems = []
        for source_id, manifest in manifests.items():
            kind = KINDS[manifest.kind]
            try:
                connector = kind.connect(manifest, environment, network)
            except ConfigurationError as error:
                problems.append(f"config/sources/{source_id}.yaml: {error.message}")
                continue
            self._readers[source_id] = Reader(manifest, connector, clock, textual=kind.textual)
        if problems:
            raise ConfigurationError("Sources cannot be connected:\n  " + "\n  ".join(problems))
        self._changers = {
            operation.id: Changer(self._readers[source_id], operation)
            for source_id, manifest in manifests.items()
            for operation in manifest.operations
        }

    @classmethod
    def load(cls, directory: Path, clock: Clock, environment: Mapping[str, str] | None = None) -> "Sources":
        """The sources of `config/sources/`.

        Raises:
            ConfigurationError: a manifest is wrong or a reference leads nowhere.
        """
        return cls(load_sources_manifests(directory), clock, environment)

    async def start(self) -> None:
        """Opens connections in the background, so that the first card is no slower. A source that is down stops nothing."""
        for reader in self._readers.values():
            task = asyncio.create_task(_warm(reader))
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)

    async def close(self) -> None:
        """Stops what is under way and closes all connections."""
        warming = list(self._warming)
        for task in warming:
            task.cancel()
        await asyncio.gather(*warming, return_exceptions=True)
        await asyncio.gather(*(reader.close() for reader in self._readers.values()))

    async def read(self, source_id: str, keys: PersonKeys, *, fresh: bool = False) -> SectionResult:
        """One section of one person. A fault of the source is a state of the result, never an exception.

        Args:
            fresh: asks the source itself, past the cache.
        """
        reader = self._reader(source_id)
        key = keys.find(reader.manifest.key)
        if key is None:
            return SectionResult(State.FAILED, None, None, _no_key(reader))
        return await reader.read(key, fresh=fresh)

    def cached(self, source_id: str, people: Sequence[HasKeys]) -> list[SectionResult | None]:
        """Those of their sections that would be given without asking the source, in their order."""
        reader = self._reader(source_id)
        return reader.cached(map(attrgetter(reader.manifest.key), people))

    async def read_many(self, source_id: str, keys: Sequence[PersonKeys]) -> list[SectionResult]:
        """One section of several people, in their order: what `read` gives each of them, in as few requests as the
        manifest's read.many allows. A fault is a state of the result that it costs, never an exception."""
        reader = self._reader(source_id)
        name = reader.manifest.key
        found = [person.find(name) for person in keys]
        results = await reader.read_many(key for key in found if key is not None)
        return [
            SectionResult(State.FAILED, None, None, _no_key(reader)) if key is None else results[key]
            for key in found
        ]

    def forget(self, keys: PersonKeys) -> None:
        """The person was changed, perhaps by another process: what is known of them is out of date."""
        for reader in self._readers.values():
            if (key := keys.find(reader.manifest.key)) is not None:
                reader.forget(key)

    def scan(self, source_id: str, *, cursor: str | None = None) -> AsyncIterator[ScanPage]:
        """Everybody whom the source knows, as columns of the people index, page by page.

        Args:
            cursor: that of the last page that was worked up; None starts anew.

        Raises:
            SourceError: while iterating: a page could not be read. Going on from the last cursor is safe.
            ConfigurationError: the manifest declares no listing.
        """
        reader = self._reader(source_id)
        if not reader.manifest.can_scan:
            raise ConfigurationError(
                f"config/sources/{source_id}.yaml declares no listing, so it cannot fill the index"
            )
        return reader.scan(cursor)

    async def ping(self, source_id: str) -> None:
        """Asks the source something small that changes nothing.

        Raises:
            SourceError: it does not answer, or refuses the credentials.
        """
        await self._reader(source_id).ping()

    def find_operation(self, operation_id: str) -> tuple[SourceManifest, Operation] | None:
        """The operation and the source that declares it."""
        changer = self._changers.get(operation_id)
        return (changer.manifest, changer.operation) if changer is not None else None

    async def preview(self, operation_id: str, keys: PersonKeys, input: Mapping[str, Any]) -> list[Change]:  # noqa: A002
        """What the operation would change now; nothing is written. Empty: it is so already.

        Raises:
            InvalidInput: the input does not fit the operation's schema; `field` says where.
            SourceRefused: the person's state does not allow the operation, or the system does not know the person.
            SourceError: the source cannot be read.
        """
        return await self._changer(operation_id).preview(keys, input)

    async def run(
        self,
        operation_id: str,
        keys: PersonKeys,
        input: Mapping[str, Any],  # noqa: A002
        *,
        idempotency_key: str,
        before_effect: Callable[[], Awaitable[object] | None],
    ) -> OperationResult:
        """Makes the change, once, and reads back what became of it.

        Args:
            idempotency_key: handed to systems that deduplicate by it; the journal guards the others.
            before_effect: called when the way to the system is open, right before the request leaves. What it raises
                stops the operation with nothing done.

        Raises:
            InvalidInput: the input does not fit the operation's schema.
            SourceRefused: the system said no, or there is nothing to change: definitely not done.
            SourceUnreachable: the request did not leave: definitely not done.
            SourceOutcomeUnknown: the request left and no answer came: `settle` later.
        """
        return await self._changer(operation_id).run(keys, input, before_effect)

    async def settle(self, operation_id: str, keys: PersonKeys, input: Mapping[str, Any]) -> Settled:  # noqa: A002
        """Reads back whether an operation of unknown outcome took effect. Ask only once its request can no longer be under
        way, that is after the source's deadline. `unknown` when the source cannot be read."""
        return await self._changer(operation_id).settle(keys, input)

    def health(self) -> list[SourceHealth]:
        """How each source does, in the order of the manifests."""
        return [reader.runtime.health() for reader in self._readers.values()]

    def _reader(self, source_id: str) -> Reader:
        reader = self._readers.get(source_id)
        if reader is None:
            raise NotFound(f"no source {source_id}; there are {', '.join(self._readers)}")
        return reader

    def _changer(self, operation_id: str) -> Changer:
        changer = self._changers.get(operation_id)
        if changer is None:
            raise NotFound(f"no operation {operation_id}")
        return changer


def _no_key(reader: Reader) -> SourceFailure:
    return SourceFailure(
        "NO_KEY", f"{reader.manifest.id}: the person has no {reader.manifest.key}, which it is read by"
    )


async def _warm(reader: Reader) -> None:
    try:
        await reader.ping()
    except SourceError:
        return  # its health shows it, and so does each section
