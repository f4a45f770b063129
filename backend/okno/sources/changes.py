"""Operations of a source: preview, run, settle. Generic; what an operation does stands in its manifest."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from okno.errors import InvalidInput, OknoError
from okno.sources.errors import SourceError, SourceOutcomeUnknown, SourceRefused, SourceUnreachable
from okno.sources.kind import Effect
from okno.sources.manifest import Operation, PreviewLine, SourceManifest
from okno.sources.model import Change, OperationResult, PersonKeys, Settled
from okno.sources.reader import Reader
from okno.sources.template import Template, as_is

Section = Mapping[str, Any]


class Changer:
    """One operation of one source."""

    def __init__(self, reader: Reader, operation: Operation) -> None:
        self.operation = operation
        self._reader = reader
        self._validator = Draft202012Validator(operation.input)

    @property
    def manifest(self) -> SourceManifest:
        """Of the source that declares the operation."""
        return self._reader.manifest

    async def preview(self, keys: PersonKeys, given: Mapping[str, Any]) -> list[Change]:
        """See `Sources.preview`."""
        self._check(given)
        _, section = await self._read(self._key(keys))
        self._require(section)
        return self._changes(section, given)

    async def run(
        self,
        keys: PersonKeys,
        given: Mapping[str, Any],
        before_effect: Callable[[], Awaitable[object] | None],
    ) -> OperationResult:
        """See `Sources.run`."""
        self._check(given)
        key = self._key(keys)
        try:
            record, before = await self._read(key)
        except SourceError as error:
            if error.code in ("NOT_FOUND", "REFUSED"):
                raise SourceRefused(error.reason, error.message) from None
            raise SourceUnreachable(error.reason, error.message) from None
        self._require(before)
        planned = self._changes(before, given)
        if not planned:
            raise SourceRefused(
                "REFUSED", f"{self.operation.id}: there is nothing to change, it is so already"
            )
        await self._execute(key, record, given, before_effect)
        try:
            _, after = await self._read(key)
        except SourceError:
            return OperationResult(planned)  # confirmed by the system, only not seen again
        return OperationResult(
            [
                Change(change.source, change.path, change.title, change.before, after.get(line.field))
                for change, line in ((change, self._line(change)) for change in planned)
            ]
        )

    async def settle(self, keys: PersonKeys, given: Mapping[str, Any]) -> Settled:
        """See `Sources.settle`."""
        self._check(given)
        try:
            _, section = await self._read(self._key(keys))
        except SourceError:
            return "unknown"
        purpose = self.operation.preview[0]
        before = section.get(purpose.field)
        return "done" if before == _after(purpose, before, given) else "not_done"

    async def _execute(
        self,
        key: str,
        record: Any,
        given: Mapping[str, Any],
        before_effect: Callable[[], Awaitable[object] | None],
    ) -> None:
        effect = Effect(before_effect)
        values = {f"input.{name}": str(value) for name, value in given.items()}
        if isinstance(record, dict) and isinstance(record.get("dn"), str):
            values["entry.dn"] = record["dn"]
        reader = self._reader
        try:
            await reader.runtime.call(
                lambda: reader.connector.execute(self.operation, values, effect),
                seconds=self.manifest.deadline_seconds,
                idempotent=False,
            )
        except (SourceRefused, SourceUnreachable):
            raise
        except SourceError as error:
            if effect.sent:
                raise SourceOutcomeUnknown(error.reason, error.message) from None
            if error.code == "REFUSED":
                raise SourceRefused(error.reason, error.message) from None
            raise SourceUnreachable(error.reason, error.message) from None
        except OknoError:
            raise  # of before_effect: nothing was sent
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if effect.sent:
                raise SourceOutcomeUnknown(
                    "BAD_ANSWER", f"{self.operation.id}: {type(error).__name__} after sending"
                ) from error
            raise
        finally:
            if effect.sent:
                reader.forget(key)

    async def _read(self, key: str) -> tuple[Any, Section]:
        record, answer = await self._reader.record(key)
        assert answer.data is not None, "record raises NOT_FOUND instead"
        return record, answer.data

    def _key(self, keys: PersonKeys) -> str:
        key = keys.find(self.manifest.key)
        if key is None:
            raise SourceRefused(
                "NO_KEY", f"{self.manifest.id}: the person has no {self.manifest.key}, which it is read by"
            )
        return key

    def _check(self, given: Mapping[str, Any]) -> None:
        error = next(
            iter(sorted(self._validator.iter_errors(dict(given)), key=lambda error: list(error.path))), None
        )
        if error is None:
            return
        field = ".".join(str(part) for part in error.path) or (
            next((name for name in error.schema.get("required", []) if name not in given), None)
            if isinstance(error.schema, dict)
            else None
        )
        # The validator's own message quotes the value; a message leaves the process and must not.
        raise InvalidInput(
            f"{self.operation.id}: the input does not satisfy the rule {error.validator!r}", field=field
        )

    def _require(self, section: Section) -> None:
        for requirement in self.operation.requires:
            if section.get(requirement.field) != requirement.equals:
                path = f"{self.manifest.section.field}.{requirement.field}"
                raise SourceRefused(
                    "REFUSED",
                    f"{self.operation.id}: needs {path} to be {requirement.equals!r}, which it is not",
                )

    def _changes(self, section: Section, given: Mapping[str, Any]) -> list[Change]:
        found = []
        for line in self.operation.preview:
            before = section.get(line.field)
            after = _after(line, before, given)
            if before != after:
                path = f"{self.manifest.section.field}.{line.field}"
                found.append(Change(self.manifest.id, path, line.title, before, after))
        return found

    def _line(self, change: Change) -> PreviewLine:
        name = change.path.rpartition(".")[2]
        return next(line for line in self.operation.preview if line.field == name)


def _after(line: PreviewLine, before: Any, given: Mapping[str, Any]) -> Any:
    values = {f"input.{name}": str(value) for name, value in given.items()}
    members = list(before) if isinstance(before, list) else []
    if line.add is not None:
        member = Template(line.add).render(values, as_is)
        return members if _holds(members, member) else [*members, member]
    if line.remove is not None:
        member = Template(line.remove).render(values, as_is)
        return (
            [known for known in members if known.casefold() != member.casefold()]
            if _holds(members, member)
            else before
        )
    return line.after


def _holds(members: list[str], member: str) -> bool:
    # Directory servers compare names without regard to case.
    return any(known.casefold() == member.casefold() for known in members)
