"""The services under the graph without their servers: people in a dict, sources in a dict, a journal in a list."""

from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from okno.audit.api import history_facts, record_facts
from okno.audit.command import ABANDONED_AFTER, Command, First
from okno.audit.fanout import Fanout
from okno.audit.records import (
    ActorRef,
    Event,
    Outcome,
    Phase,
    Record,
    RecordPage,
    RecordRef,
    SubjectRef,
    Unsettled,
)
from okno.audit.rows import Filter, Rows, admits
from okno.audit.search import Concern, ConcernPage, fields_read, matches
from okno.clock import ManualClock
from okno.errors import Conflict, NotFound, Unavailable, UnknownOutcome
from okno.identity.browser import Browser
from okno.identity.model import Actor, employee_uuid
from okno.identity.sessions import Authentication
from okno.people.model import Found, Knowing, Known, Match, Matching, Page, Person, PersonState, Place
from okno.policy.condition import Condition, evaluate
from okno.settings import Settings
from okno.sources.errors import SourceError
from okno.sources.manifest import SourceManifest
from okno.sources.model import (
    Change,
    HasKeys,
    OperationResult,
    PersonKeys,
    SectionResult,
    Settled,
    SourceFailure,
    SourceHealth,
    State,
)
from okno.storage.keyset import Window

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
CHAIN = UUID("11111111-1111-4111-8111-111111111111")


def person(number: str, login: str, name: str, country: str = "RU", **changes: Any) -> Person:
    """An employee of the index."""
    made = Person(
        id=employee_uuid(number),
        personnel_number=number,
        login=login,
        email=f"{login}@okno.example",
        dn=f"uid={login},ou=people,dc=okno,dc=example",
        full_name=name,
        latin_name=login.replace(".", " ").title(),
        position="Engineer",
        department="Engineering",
        office="Office 1",
        country=country,
        city="City",
        time_zone="Europe/Moscow",
        state=PersonState.WORKS,
        protected=False,
        manager_id=None,
        work_phone="+74950000000",
        gone=False,
        indexed_at=NOW,
        vanished_at=None,
    )
    return replace(made, **changes)


class FakePeople:
    """The index."""

    def __init__(self, *people: Person) -> None:
        self.people = {each.id: each for each in people}
        self.queries = 0

    async def get_many(self, person_ids: Sequence[UUID]) -> dict[UUID, Person]:
        self.queries += 1
        return {each: self.people[each] for each in person_ids if each in self.people}

    async def get(self, person_id: UUID) -> Person:
        if person_id not in self.people:
            raise NotFound("No such employee.")
        return self.people[person_id]

    async def managers_of(self, person_ids: Sequence[UUID]) -> dict[UUID, list[Person]]:
        self.queries += 1
        return {each: self._chain(each) for each in person_ids}

    def _chain(self, person_id: UUID) -> list[Person]:
        chain: list[Person] = []
        found = self.people.get(person_id)
        while (
            found and found.manager_id and (found := self.people.get(found.manager_id)) and found not in chain
        ):
            chain.append(found)
        return chain

    async def search(
        self,
        text: str | None,
        *,
        matching: Matching,
        knowing: Knowing,
        where: Condition | None = None,
        me: UUID | None = None,
        window: Window[Place],
    ) -> Page:
        self.queries += 1
        found = [
            each
            for each in self.people.values()
            if (where is None or evaluate(where, each.facts(), me))
            and (_matches(each, text, matching, me) or _knows(each, text, knowing, me))
        ]
        places = [Place(number, None, None, each.id) for number, each in enumerate(found)]
        start, end = _bounds(window, [place.rank for place in places], lambda place: place.rank)
        items = tuple(Found(each, place) for each, place in zip(found, places, strict=True))
        return Page(items[start:end], has_previous=start > 0, has_next=end < len(items))


def _bounds(window: Window[Any], order: Sequence[int], number: Callable[[Any], int]) -> tuple[int, int]:
    """Where the window begins and ends among entries with these rising numbers."""
    start = 0 if window.after is None else bisect_right(order, number(window.after))
    end = len(order) if window.before is None else bisect_left(order, number(window.before))
    if window.backwards:
        return max(start, end - window.size), end
    return start, min(end, start + window.size)


def _matches(each: Person, text: str | None, matching: Matching, me: UUID | None) -> bool:
    values = {
        Match.NAMES: f"{each.full_name} {each.latin_name}",
        Match.LOGIN: each.login,
        Match.EMAIL: each.email,
        Match.NUMBER: each.personnel_number,
        Match.PHONE: each.work_phone,
    }
    return not text or any(
        text.lower() in (values.get(match) or "").lower()
        for match, condition in matching.items()
        if condition is None or evaluate(condition, each.facts(), me)
    )


def _knows(each: Person, text: str | None, knowing: Knowing, me: UUID | None) -> bool:
    values = {
        Known.NAME: each.full_name,
        Known.LATIN_NAME: each.latin_name,
        Known.LOGIN: each.login,
        Known.EMAIL: each.email,
        Known.NUMBER: each.personnel_number,
        Known.PHONE: each.work_phone,
    }
    return any(
        text == values[known]
        for known, condition in knowing.items()
        if condition is None or evaluate(condition, each.facts(), me)
    )


class FakeSources:
    """Corporate systems whose records are dicts: `data[source][personnel number]`."""

    def __init__(self, manifests: Mapping[str, SourceManifest]) -> None:
        self.manifests = manifests
        self.data: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in manifests}
        self.down: dict[str, SourceFailure] = {}
        self.warm: set[tuple[str, str | None]] = set()
        """Sources, and people of a source, that are read without waiting."""
        self.calls: list[tuple[str, str]] = []
        self.effects: list[str] = []
        self.run_error: SourceError | Exception | None = None
        self.settled: Settled = "unknown"

    async def read(self, source_id: str, keys: PersonKeys, *, fresh: bool = False) -> SectionResult:
        return self._section(source_id, keys)

    def _section(self, source_id: str, keys: HasKeys) -> SectionResult:
        self.calls.append((source_id, keys.personnel_number))
        if source_id in self.down:
            return SectionResult(State.FAILED, None, None, self.down[source_id])
        record = self.data[source_id].get(keys.personnel_number)
        if record is None:
            return SectionResult(State.FAILED, None, None, SourceFailure("NOT_FOUND", "no such record"))
        return SectionResult(State.OK, dict(record), NOW, None)

    def cached(self, source_id: str, people: Sequence[HasKeys]) -> list[SectionResult | None]:
        warm = (source_id, None) in self.warm
        return [
            self._section(source_id, each)
            if warm or (source_id, each.personnel_number) in self.warm
            else None
            for each in people
        ]

    async def read_many(self, source_id: str, keys: Sequence[PersonKeys]) -> list[SectionResult]:
        return [await self.read(source_id, each) for each in keys]

    async def preview(self, operation_id: str, keys: PersonKeys, given: Mapping[str, Any]) -> list[Change]:
        if failure := self.down.get(operation_id.partition(".")[0]):
            raise SourceError(failure.code, failure.message)
        record = self.data["domain"][keys.personnel_number]
        if not record["locked"]:
            return []
        return [Change("domain", "domain.locked", {"en": "Locked", "ru": "Заблокирована"}, True, False)]

    async def run(
        self,
        operation_id: str,
        keys: PersonKeys,
        given: Mapping[str, Any],
        *,
        idempotency_key: str,
        before_effect: Callable[[], Awaitable[object] | None],
    ) -> OperationResult:
        changes = await self.preview(operation_id, keys, given)
        waiting = before_effect()
        if waiting is not None:
            await waiting
        if self.run_error is not None:
            raise self.run_error
        self.effects.append(keys.personnel_number)
        self.data["domain"][keys.personnel_number]["locked"] = False
        return OperationResult(changes)

    async def settle(self, operation_id: str, keys: PersonKeys, given: Mapping[str, Any]) -> Settled:
        return self.settled

    def health(self) -> list[SourceHealth]:
        return [
            SourceHealth(each.id, each.title, each.kind, "up", "closed", 1.5, NOW, None)  # type: ignore[arg-type]
            for each in self.manifests.values()
        ]


@dataclass
class _Stored:
    digest: tuple[Any, ...]
    first: First | None


class FakeJournal:
    """A journal that keeps what it was told, tells it to who listens, and can be taken away."""

    def __init__(self, clock: ManualClock, fanout: Fanout) -> None:
        self._clock = clock
        self._fanout = fanout
        self.away = False
        self.events: list[Event] = []
        self.records: list[Record] = []
        self.unsettled: list[Unsettled] = []
        self._keys: dict[tuple[UUID, str], tuple[RecordRef, _Stored]] = {}

    def of_type(self, event_type: str) -> list[Event]:
        return [event for event in self.events if event.event_type == event_type]

    async def record(self, event: Event) -> RecordRef:
        if self.away:
            raise Unavailable("The journal is away.")
        self.events.append(event)
        return self._write(event, Phase.EVENT, event.outcome)

    @asynccontextmanager
    async def command(
        self,
        *,
        actor: ActorRef,
        event_type: str,
        subject: SubjectRef | None,
        detail: Mapping[str, Any],
        idempotency_key: str | None,
        policy_version: str | None,
        rule: str | None,
    ) -> AsyncIterator[Command]:
        if self.away:
            raise Unavailable("The journal is away.")
        digest = (event_type, subject and subject.id, repr(detail))
        key = (actor.id, idempotency_key) if idempotency_key is not None else None
        if key in self._keys:
            ref, stored = self._keys[key]
            if stored.digest != digest:
                raise Conflict("this idempotency key was used for another command", field="idempotencyKey")
            if stored.first is None:
                raise Conflict(
                    "the command with this idempotency key is still running", field="idempotencyKey"
                )
            yield Command(ref, first=stored.first)
            return
        event = Event(event_type, actor, subject, detail, None, policy_version, rule)
        command = Command(self._write(event, Phase.INTENT, None))
        stored = _Stored(digest, None)
        if key is not None:
            self._keys[key] = (command.ref, stored)
        try:
            yield command
        except BaseException as error:
            if command.outcome is None:
                code = getattr(error, "code", "INTERNAL")
                end = command.unknown if isinstance(error, UnknownOutcome) else command.failed
                end(code, str(error))
            self._finish(event, command, stored)
            raise
        assert command.outcome is not None
        self._finish(event, command, stored)

    def _finish(self, event: Event, command: Command, stored: _Stored) -> None:
        assert command.outcome is not None
        stored.first = First(command.outcome, command.result, command.code, command.message)
        self.events.append(replace(event, outcome=command.outcome))
        self._write(event, Phase.OUTCOME, command.outcome)

    def _write(self, event: Event, phase: Phase, outcome: Outcome | None) -> RecordRef:
        ref = RecordRef(CHAIN, len(self.records))
        actor, subject = event.actor, event.subject
        self.records.append(
            Record(
                ref=ref,
                at=self._clock.now(),
                event_type=event.event_type,
                phase=phase,
                outcome=outcome,
                actor_id=actor.id if actor else None,
                actor_kind=actor.kind if actor else None,
                actor_login=actor.login if actor else None,
                actor_name=actor.display_name if actor else None,
                subject_kind=subject.kind if subject else None,
                subject_id=str(subject.id) if subject else None,
                subject_label=subject.label if subject else None,
                detail=event.detail,
                refers=None,
                policy_version=event.policy_version,
                rule=event.rule,
                request_id=event.request_id,
                digest=b"\x01",
                prev_hash=b"\x02",
                hash=b"\x03",
                erased=False,
                team=actor.team if actor else None,
            )
        )
        self._fanout.publish(self.records[-1:])
        return ref

    async def get_record(self, ref: RecordRef) -> Record:
        for record in self.records:
            if record.ref == ref:
                return record
        raise NotFound("no such journal record")

    async def get_records(self, refs: Sequence[RecordRef]) -> dict[RecordRef, Record]:
        return {record.ref: record for record in self.records if record.ref in refs}

    async def list_records(
        self,
        window: Window[tuple[datetime, UUID, int]],
        *,
        subject_id: UUID | str | None = None,
        actor_id: UUID | None = None,
        event_type: str | None = None,
    ) -> RecordPage:
        found = [
            record
            for record in reversed(self.records)
            if (subject_id is None or record.subject_id == str(subject_id))
            and (actor_id is None or record.actor_id == actor_id)
        ]
        start, end = _bounds(window, [-record.ref.seq for record in found], lambda place: -place[2])
        return RecordPage(found[start:end], has_previous=start > 0, has_next=end < len(found))

    async def list_unsettled(
        self,
        older_than: timedelta = ABANDONED_AFTER,
        *,
        begun_after: datetime | None = None,
        limit: int = 100,
    ) -> list[Unsettled]:
        now = self._clock.now()
        return [
            each
            for each in self.unsettled
            if now - each.started_at >= older_than and (begun_after is None or each.started_at > begun_after)
        ][:limit]

    async def settle(
        self,
        intent: RecordRef,
        outcome: Outcome,
        message: str | None = None,
        *,
        code: str | None = None,
    ) -> RecordRef:
        if not any(each.intent.ref == intent for each in self.unsettled):
            raise Conflict("the command has ended meanwhile")
        self.unsettled = [each for each in self.unsettled if each.intent.ref != intent]
        self.events.append(Event("settled", outcome=outcome, detail={"message": message, "code": code}))
        return intent


class FakeSearch:
    """The search over a fake journal."""

    def __init__(self, journal: FakeJournal) -> None:
        self._journal = journal

    async def list_records(
        self, window: Window[tuple[datetime, UUID, int]], asked: Filter, reach: Rows | None = None
    ) -> RecordPage:
        found = [
            record
            for record in reversed(self._journal.records)
            if matches(record, asked) and (reach is None or admits(reach, record_facts(record)))
        ]
        start, end = _bounds(window, [-record.ref.seq for record in found], lambda place: -place[2])
        return RecordPage(found[start:end], has_previous=start > 0, has_next=end < len(found))

    async def list_concerns(
        self, window: Window[tuple[datetime, UUID, int]], employee_id: UUID, reach: Rows
    ) -> ConcernPage:
        found = [
            Concern(record, fields_read(record, employee_id), record.outcome)
            for record in reversed(self._journal.records)
            if record.phase is not Phase.OUTCOME
            and (record.subject_id == str(employee_id) or fields_read(record, employee_id))
            and admits(reach, history_facts(record, employee_id))
        ]
        start, end = _bounds(window, [-each.record.ref.seq for each in found], lambda place: -place[2])
        return ConcernPage(found[start:end], has_previous=start > 0, has_next=end < len(found))


@dataclass
class FakeIdentity:
    """Bearer tokens are logins."""

    actors: dict[str, Actor]
    browser: Browser = field(default_factory=lambda: Browser(Settings()))

    async def authenticate_session(
        self, cookies: Mapping[str, str], authorization: str | None
    ) -> Authentication | None:
        if authorization is not None:
            actor = self.actors[authorization.removeprefix("Bearer ")]
            return Authentication(replace(actor, csrf_token=None))
        login = cookies.get("okno_session")
        return Authentication(self.actors[login]) if login else None
