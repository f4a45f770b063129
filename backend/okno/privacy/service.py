"""Export, erasure and forgetting over all domains of the registry. What changes something is a command of the journal."""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from okno.audit.command import ABANDONED_AFTER
from okno.audit.personal_data import count_kept, find_erasable
from okno.audit.records import SYSTEM, Event, Outcome, Record, RecordRef, SubjectRef
from okno.audit.service import Journal
from okno.clock import Clock
from okno.errors import Conflict, NotFound, UnknownOutcome
from okno.identity.model import employee_uuid
from okno.people.personal_data import is_working
from okno.privacy import store
from okno.privacy.digests import Digests
from okno.privacy.model import CorporateSystem, Counts, Erased, Erasure, Plan
from okno.privacy.registry import DOMAINS
from okno.privacy.store import Session
from okno.settings import RetentionSettings
from okno.storage.engine import Database
from okno.storage.personal_data import Limit, PersonalData, Subject

log = structlog.get_logger(__name__)

_CHUNK = 500
_TABLE_OF_VALUES = "audit_value"
# Who erases touches its row at every step, and no step takes as long
UNTOUCHED = timedelta(minutes=1)


class Privacy:
    """What may be asked for in a person's name, and what time asks for."""

    def __init__(
        self,
        db: Database,
        journal: Journal,
        clock: Clock,
        digests: Digests,
        retention: RetentionSettings,
        *,
        systems: Sequence[CorporateSystem] = (),
        domains: Sequence[PersonalData] = DOMAINS,
    ) -> None:
        """
        Args:
            systems: what is connected, to be named in an export.
        """
        self._db = db
        self._journal = journal
        self._clock = clock
        self._digests = digests
        self._retention = retention
        self._systems = systems
        self._domains = domains

    async def export(self, person: str) -> dict[str, Any]:
        """All that Okno itself holds about a person, by domain and table, and the systems that hold more.

        Args:
            person: login, personnel number, e-mail or id.

        Raises:
            NotFound: nobody is known under it.
            Conflict: several are.
            Unavailable: it could not be recorded; nothing is given out.
        """
        async with self._db.transaction() as session:
            subject = await self._find(session, person)
            domains = {each.domain: await each.export(session, subject) for each in self._domains}
        counts = {
            name: {table: len(rows) for table, rows in found.items()} for name, found in domains.items()
        }
        await self._journal.record(
            Event("privacy.exported", SYSTEM, _subject_ref(subject), {"rows": _only_some(counts)})
        )
        return {
            "exportedAt": self._clock.now().isoformat(),
            "person": subject.as_json(),
            "okno": domains,
            "held": [
                {"table": table.name, "column": column, "tells": kind.value, "kept": table.kept}
                for each in self._domains
                for table in each.tables
                for column, kind in table.columns.items()
            ],
            "corporateSystems": [
                {"id": each.id, "title": dict(each.title), "holds": [dict(field) for field in each.holds]}
                for each in self._systems
            ],
        }

    async def plan(self, person: str) -> Plan:
        """What `erase` would do now. Changes nothing: the erasing runs, and is rolled back.

        Raises:
            NotFound, Conflict: as `export`.
        """
        now = self._clock.now()
        deeds_before = self._deeds_before(now)
        try:
            async with self._db.transaction() as session:
                subject = await self._find(session, person)
                values = await self._count_values(session, subject, deeds_before)
                kept = await count_kept(session, subject, deeds_before=deeds_before)
                working = subject.employee_id is not None and await is_working(session, subject.employee_id)
                counts = {each.domain: await each.erase(session, subject, now) for each in self._domains}
                counts["audit"] = {_TABLE_OF_VALUES: values}
                raise _RolledBack
        except _RolledBack:
            return Plan(_only_some(counts), kept, now + (now - deeds_before), working)

    async def erase(self, person: str, *, reason: str, although_working: bool = False) -> Erased:
        """Erases what Okno itself holds, and keeps the index from taking the person in again.

        What was broken off is finished by repeating it, or by the worker: then the outcome of the first command says so.

        Raises:
            NotFound: nobody is known under it, or all was erased before.
            Conflict: several are known, or HR lists the person as working and `although_working` is not said.
            Unavailable: it could not be recorded; nothing was done.
            UnknownOutcome: it was begun and could not be finished yet.
        """
        async with self._db.transaction() as session:
            if (begun := await self._find_begun(session, person)) is None:
                subject = await self._find(session, person)
                working = subject.employee_id is not None and await is_working(session, subject.employee_id)
        if begun is not None:
            return await self._finish(begun)
        if working and not although_working:
            raise Conflict(
                "HR lists this person as working, so that Okno would no longer find somebody who needs support. Erase after "
                "the last day, or say --although-working."
            )
        async with self._journal.command(
            actor=SYSTEM,
            event_type="privacy.erased",
            subject=_subject_ref(subject),
            detail={"reason": reason},
            idempotency_key=None,
            policy_version=None,
            rule=None,
        ) as command:
            erasure = Erasure(
                self._digest(subject),
                subject,
                tuple(sorted(subject.accounts)),
                bars_index=subject.personnel_number is not None,
                intent=str(command.ref),
                begun_at=self._clock.now(),
            )
            try:
                async with self._db.transaction() as session:
                    await store.begin(session, erasure, key_id=self._digests.key_id)
                counts = await self._work(erasure)
                await command.commit(partial(self._forget, erasure.digest), {"rows": counts})
            except Exception as error:
                # some of it is gone for certain, or may be: neither "failed" nor "succeeded" would be true
                log.warning("privacy.erasure_broken_off", error=type(error).__name__, intent=erasure.intent)
                raise UnknownOutcome(
                    "The erasure was begun and could not be finished. The worker finishes it within minutes; so does repeating "
                    "the command."
                ) from error
        return Erased(counts, erasure.intent, resumed=False)

    async def lift(self, personnel_number: str) -> None:
        """Lets the index take an erased person in again, at its next refresh.

        Raises:
            NotFound: the index is not kept from taking this person in.
        """
        digest = self._digests.of_number(personnel_number)
        async with self._db.transaction() as session:
            found = await store.find(session, digest)
        if found is None or not found.bars_index:
            raise NotFound(
                "Nobody with this personnel number is kept out of the index; give the number that HR knows the person by."
            )
        async with self._journal.command(
            actor=SYSTEM,
            event_type="privacy.lifted",
            subject=SubjectRef("Employee", employee_uuid(personnel_number.strip())),
            detail={"digest": digest.hex()},  # tells who only to whoever has the key
            idempotency_key=None,
            policy_version=None,
            rule=None,
        ) as command:
            await command.commit(lambda session: store.lift(session, digest))

    async def finish_erasures(self) -> int:
        """For the worker: finishes what was broken off, and settles commands whose end nobody knows. Says how many."""
        now = self._clock.now()
        async with self._db.transaction() as session:
            unfinished = await store.list_unfinished(session, untouched_since=now - UNTOUCHED)
        for erasure in unfinished:
            await self._finish(erasure)
        return len(unfinished) + await self._settle()

    async def apply_retention(self) -> Counts:
        """For the worker: deletes what is older than `[privacy.retention]` allows. Says how many rows, by setting and table."""
        now = self._clock.now()
        befores = {
            setting: now - timedelta(days=days) for setting, days in self._retention.model_dump().items()
        }
        limits = [(limit, befores[limit.setting]) for each in self._domains for limit in each.limits]
        async with self._db.transaction() as session:
            due: dict[str, dict[str, int]] = {}
            for limit, before in limits:
                due.setdefault(limit.setting, {})[limit.table.name] = await store.count_due(
                    session, limit, before
                )
            erased = Subject(accounts=frozenset(await store.list_accounts(session)))
            deeds = await self._count_values(session, erased, befores["erased_deeds_days"])
        due["erased_deeds_days"] = {_TABLE_OF_VALUES: deeds}
        if not (due := _only_some(due)):
            return {}
        async with self._journal.command(
            actor=SYSTEM,
            event_type="privacy.forgotten",
            subject=None,
            detail={"due": due, "before": {name: befores[name].isoformat() for name in due}},
            idempotency_key=None,
            policy_version=None,
            rule=None,
        ) as command:
            # each value's erasure is a record of its own, whatever comes of the rest
            values = await self._erase_values(erased, befores["erased_deeds_days"])
            done = await command.commit(lambda session: _delete(session, limits), {"due": due})
        return _only_some({**done, "erased_deeds_days": {_TABLE_OF_VALUES: values}})

    # Inside

    async def _find(self, session: Session, person: str) -> Subject:
        subject = Subject()
        for domain in self._domains:
            found = await domain.find(session, person)
            if found.employee_id and subject.employee_id and found.employee_id != subject.employee_id:
                raise Conflict("Several people are known under this; give the personnel number or the id.")
            subject = subject.joined(found)
        if not subject.known:
            raise NotFound(
                "Okno holds nothing about anybody known under this; give a login, personnel number, e-mail or id."
            )
        for _ in range(2):  # an account tells the employee, who may have further accounts
            for domain in self._domains:
                subject = await domain.widen(session, subject)
        return subject

    async def _find_begun(self, session: Session, person: str) -> Erasure | None:
        digest, asked = self._digests.of_number(person), person.strip().lower()
        for erasure in await store.list_unfinished(session):
            subject = erasure.subject
            if erasure.digest == digest or asked in {*subject.logins, *subject.ids}:
                return erasure
        return None

    def _digest(self, subject: Subject) -> bytes:
        if subject.personnel_number is not None:
            return self._digests.of_number(subject.personnel_number)
        return self._digests.of_account(subject.ids[0])

    async def _finish(self, erasure: Erasure) -> Erased:
        """Goes on with an erasure that was broken off, and says so as the outcome of its command."""
        counts = await self._work(erasure)
        async with self._db.transaction() as session:
            await self._forget(erasure.digest, session)
        with contextlib.suppress(Conflict):  # another process was faster
            await self._journal.settle(
                RecordRef.parse(erasure.intent),
                Outcome.SUCCEEDED,
                "It was broken off and finished later.",
                result={"rows": counts},
                code="FINISHED_LATER",
            )
        return Erased(counts, erasure.intent, resumed=True)

    async def _work(self, erasure: Erasure) -> Counts:
        """Erases domain by domain, each in one transaction with the note that it is done. Any number may work at one."""
        now = self._clock.now()
        done: Mapping[str, Mapping[str, int]] = erasure.done
        for domain in self._domains:
            async with self._db.transaction() as session:
                found = await store.find(session, erasure.digest, lock=True)
                if found is None or found.finished:
                    return done
                if domain.domain in (done := found.done):
                    continue
                done = {**done, domain.domain: await domain.erase(session, erasure.subject, now)}
                if domain.domain != "audit":
                    await store.note_done(session, erasure.digest, done, now)
        values = await self._erase_values(erasure.subject, self._deeds_before(now))
        return _only_some({**done, "audit": {_TABLE_OF_VALUES: values}})

    async def _forget(self, digest: bytes, session: Session) -> None:
        """The last step: who was erased is not named here any more either."""
        await store.finish(session, digest, self._clock.now())

    async def _erase_values(self, subject: Subject, deeds_before: datetime) -> int:
        """Erases the values of records through the journal, which records each erasure."""
        count, more = 0, bool(subject.ids)
        while more:
            async with self._db.transaction() as session:
                found = await find_erasable(session, subject, deeds_before=deeds_before, limit=_CHUNK)
            await self._journal.erase(found.refs, actor=SYSTEM, reason="privacy")
            count, more = count + len(found.refs), found.more
        return count

    async def _count_values(self, session: Session, subject: Subject, deeds_before: datetime) -> int:
        found = await find_erasable(session, subject, deeds_before=deeds_before, limit=1_000_000)
        return len(found.refs)

    async def _settle(self) -> int:
        """Says how commands of ours ended that lost their process, once nothing of them is under way any more."""
        async with self._db.transaction() as session:
            under_way = {each.intent for each in await store.list_unfinished(session)}
        settled = 0
        for each in await self._journal.list_unsettled(ABANDONED_AFTER):
            intent = each.intent
            if intent.event_type != "privacy.erased" or str(intent.ref) in under_way:
                continue
            outcome, message = await self._find_out(intent)
            try:
                await self._journal.settle(intent.ref, outcome, message, code="SETTLED")
                settled += 1
            except Conflict:
                continue  # another worker was faster
        return settled

    async def _find_out(self, intent: Record) -> tuple[Outcome, str]:
        async with self._db.transaction() as session:
            if await store.was_begun(session, str(intent.ref)):
                return Outcome.SUCCEEDED, "It was finished later."
        return Outcome.FAILED, "It was not begun."

    def _deeds_before(self, now: datetime) -> datetime:
        return now - timedelta(days=self._retention.erased_deeds_days)


class _RolledBack(Exception):
    """Ends a transaction that must leave nothing behind."""


async def _delete(session: Session, limits: Sequence[tuple[Limit, datetime]]) -> Counts:
    done: dict[str, dict[str, int]] = {}
    for limit, before in limits:
        count = await store.delete_due(session, limit, before)
        done.setdefault(limit.setting, {})[limit.table.name] = count
    return done


def _subject_ref(subject: Subject) -> SubjectRef:
    """Without a label: this record is to name nobody."""
    if subject.employee_id is not None:
        return SubjectRef("Employee", subject.employee_id)
    return SubjectRef("Account", min(subject.accounts))


def _only_some(counts: Counts) -> dict[str, dict[str, int]]:
    """Without zeros."""
    found = {
        name: {table: count for table, count in tables.items() if count} for name, tables in counts.items()
    }
    return {name: tables for name, tables in found.items() if tables}


class Bars:
    """Keeps erased people out of the index; what `People` asks."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests

    async def barred(self, session: Session, personnel_numbers: Any) -> set[str]:
        """
        Raises:
            ConfigurationError: the key of the digests is another one, so that nobody could be known again.
        """
        return await store.barred(session, self._digests, personnel_numbers)


def systems_of(manifests: Mapping[str, Any]) -> list[CorporateSystem]:
    """What each connected system tells about a person, by its manifest."""
    return [
        CorporateSystem(
            manifest.id,
            dict(manifest.title),
            [dict(field.title) for field in manifest.section.fields],
        )
        for manifest in manifests.values()
        if manifest.section is not None
    ]
