"""Ready-made actions: what is offered, what would change, and the run itself, gated and recorded.

Order of a run: gate → intent in the journal → lock of the target → preview again and compare → effect → outcome.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from jsonschema import Draft202012Validator

from okno.audit.records import ActorRef, Event, SubjectRef
from okno.audit.service import Command, Journal
from okno.clock import Clock
from okno.errors import Conflict, InvalidInput, UnknownOutcome
from okno.identity.model import Actor
from okno.operations.model import (
    EVENT_TYPES,
    Offer,
    Preview,
    Problem,
    RunOutcome,
    RunResult,
    ShownChange,
    keys_of,
)
from okno.operations.sweep import Sweep
from okno.operations.tokens import PreviewTokens, SeenPreview
from okno.people.model import Person
from okno.people.service import People
from okno.policy.current import PolicySource
from okno.policy.decisions import DecisionCounts
from okno.policy.service import Alternative, Policy, Rights
from okno.sources.errors import SourceError, SourceOutcomeUnknown
from okno.sources.service import Sources

MAX_PROBLEMS = 20


class Operations:
    """All operations of all sources. Who may run which on whom is decided by the policy's action `run`."""

    def __init__(
        self,
        *,
        policy: PolicySource,
        people: People,
        sources: Sources,
        journal: Journal,
        clock: Clock,
        key: bytes,
        decisions: DecisionCounts | None = None,
    ) -> None:
        """Args:
        decisions: counts what is decided on those who try; what is only offered is not counted.
        """
        self._policies = policy
        self._decisions = DecisionCounts(clock) if decisions is None else decisions
        self._sources = sources
        self._journal = journal
        self._clock = clock
        self._tokens = PreviewTokens(key, clock)
        self._locks: dict[tuple[str, UUID], _Lock] = {}
        self._offers = {
            operation.id: Offer(operation, manifest)
            for manifest in sources.manifests.values()
            for operation in manifest.operations
        }
        self._sweep = Sweep(offers=self._offers, people=people, sources=sources, journal=journal, clock=clock)

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all operations, sorted."""
        return sorted(self._offers)

    def offered(self, actor: Actor, person: Person) -> list[Offer]:
        """The operations that the actor may run on the employee, by id; those that want a second factor first are marked."""
        policy, facts = self._policies.get(), person.facts()
        offers = []
        for name in self.ids:
            if _rule(policy, actor, name, facts) is not None:
                offers.append(self._offers[name])
            elif _lacks_second_factor(policy, actor, name, facts):
                offers.append(replace(self._offers[name], second_factor=True))
        return offers

    async def preview(
        self, actor: Actor, operation_id: str, person: Person, given: Any, idempotency_key: str
    ) -> Preview:
        """What the operation would change now, with a token that lets `run` go on for 10 minutes.

        A preview has no effect, so that repeating it, with the same key too, reads the present state again.

        Raises:
            Unavailable: the journal cannot be written.
        """
        admitted = await self._admit(actor, operation_id, person, given, idempotency_key)
        if isinstance(admitted, Problem):
            return Preview(None, None, (admitted,))
        if admitted.problems:
            return Preview(None, None, admitted.problems)
        async with self._journal.command(
            actor=_actor(actor),
            event_type=EVENT_TYPES["operationPreview"],
            subject=admitted.subject,
            detail={"operation": operation_id, "input": admitted.given},
            idempotency_key=None,
            policy_version=admitted.policy_version,
            rule=admitted.rule,
        ) as command:
            try:
                changes = await self._changes(admitted)
            except SourceError as error:
                command.failed(f"SOURCE_{error.code}", error.message)
                return Preview(None, None, (_source_problem(error),))
            except InvalidInput as error:
                command.failed(error.code, error.message)
                return Preview(None, None, (Problem(error.code, error.message, error.field),))
            command.succeeded({"changes": len(changes)})
        if not changes:
            return Preview(
                changes,
                None,
                (Problem("NOTHING_TO_CHANGE", "It is so already; there is nothing to change."),),
            )
        token = self._tokens.sign(
            actor_id=actor.id,
            operation_id=operation_id,
            person_id=admitted.person.id,
            given=admitted.given,
            changes=[change.as_json() for change in changes],
        )
        return Preview(changes, token)

    async def run(
        self,
        actor: Actor,
        operation_id: str,
        person: Person,
        given: Any,
        *,
        preview_token: str,
        idempotency_key: str,
    ) -> RunResult:
        """Runs the operation, once per idempotency key, if it still does what the preview showed.

        Raises:
            Unavailable: the intent cannot be recorded; nothing was done.
        """
        admitted = await self._admit(actor, operation_id, person, given, idempotency_key)
        if isinstance(admitted, Problem):
            return RunResult(None, problems=(admitted,))
        if admitted.problems:
            return RunResult(None, problems=admitted.problems)
        seen = self._tokens.read(
            preview_token,
            actor_id=actor.id,
            operation_id=operation_id,
            person_id=admitted.person.id,
            given=admitted.given,
        )
        if seen is None:
            return RunResult(
                None,
                problems=(
                    Problem(
                        "PREVIEW_INVALID", "The preview token belongs to another preview.", "previewToken"
                    ),
                ),
            )
        record: str | None = None
        try:
            async with self._journal.command(
                actor=_actor(actor),
                event_type=EVENT_TYPES["operationRun"],
                subject=admitted.subject,
                detail={"operation": operation_id, "input": admitted.given},
                idempotency_key=idempotency_key,
                policy_version=admitted.policy_version,
                rule=admitted.rule,
            ) as command:
                record = str(command.ref)
                if command.replayed:
                    return _replay(command)
                return await self._effect(command, admitted, seen, idempotency_key)
        except Conflict as error:
            return RunResult(None, problems=(Problem("CONFLICT", error.message, "idempotencyKey"),))
        except UnknownOutcome as error:
            return RunResult(RunOutcome.UNKNOWN, None, record, problems=(Problem(error.code, error.message),))

    async def _effect(
        self, command: Command, admitted: "_Admitted", seen: SeenPreview, idempotency_key: str
    ) -> RunResult:
        """Under the target's lock: looks again, compares with what was seen, and acts."""
        record = str(command.ref)
        sent = False

        async def before_effect() -> None:
            nonlocal sent
            sent = True

        async with self._locked(admitted.offer.source.id, admitted.person.id):
            if self._clock.now() >= seen.expires_at:
                return _failed(
                    command,
                    Problem(
                        "PREVIEW_EXPIRED", "The preview is older than 10 minutes; look again.", "previewToken"
                    ),
                )
            try:
                changes = await self._changes(admitted)
                if not seen.shows([change.as_json() for change in changes]):
                    changed = Problem(
                        "PREVIEW_CHANGED",
                        "The systems have changed since the preview; look at what would change now.",
                    )
                    return _failed(command, changed, changes)
                result = await self._sources.run(
                    admitted.offer.operation.id,
                    admitted.keys,
                    admitted.given,
                    idempotency_key=idempotency_key,
                    before_effect=before_effect,
                )
            except SourceOutcomeUnknown as error:
                command.unknown(f"SOURCE_{error.code}", error.message)
                return RunResult(RunOutcome.UNKNOWN, None, record, problems=(_source_problem(error),))
            except SourceError as error:
                return _failed(command, _source_problem(error))
            except Exception:
                if sent:
                    command.unknown("INTERNAL", "The run broke off after the request was sent.")
                raise
        title = admitted.offer.source.title
        done = [ShownChange.of_change(change, title) for change in result.changes]
        command.succeeded({"changes": [change.as_json() for change in done]})
        return RunResult(RunOutcome.SUCCEEDED, done, record)

    async def sweep(self) -> int:
        """Settles what can be settled of the runs with an unknown outcome; see `okno.operations.sweep`. For the worker."""
        return await self._sweep.run()

    async def _admit(
        self, actor: Actor, operation_id: str, person: Person, given: Any, idempotency_key: str
    ) -> "_Admitted | Problem":
        """The gate, then the form of the input. A denied attempt is recorded before anything else is told."""
        policy = self._policies.get()
        offer = self._offers.get(operation_id)
        rule = _rule(policy, actor, operation_id, person.facts()) if offer else None
        if offer is not None:
            self._decisions.count_one(
                policy, actor.rights, "run", "Employee", operation_id, person.facts(), actor.employee_id
            )
        subject = _subject(policy, actor, person)
        if offer is None or rule is None:
            unproven = offer is not None and _lacks_second_factor(policy, actor, operation_id, person.facts())
            lacks = {"lacks": "second_factor"} if unproven else {}
            await self._journal.record(
                Event(
                    event_type="access.denied",
                    actor=_actor(actor),
                    subject=subject,
                    detail={"action": "run", "operation": operation_id[:200], **lacks},
                    policy_version=policy.version,
                )
            )
            if unproven:
                message = "This operation wants a second factor, proven just before. Sign in with one and try again."
                return Problem("SECOND_FACTOR", message, "operation")
            return Problem("DENIED", "You may not run this operation on this employee.", "operation")
        if not 1 <= len(idempotency_key) <= 200:
            return Problem("INVALID_INPUT", "An idempotency key has 1 to 200 characters.", "idempotencyKey")
        values = {} if given is None else given
        return _Admitted(offer, person, subject, values, rule.rule_id, policy.version, _check(offer, values))

    async def _changes(self, admitted: "_Admitted") -> list[ShownChange]:
        changes = await self._sources.preview(admitted.offer.operation.id, admitted.keys, admitted.given)
        return [ShownChange.of_change(change, admitted.offer.source.title) for change in changes]

    @asynccontextmanager
    async def _locked(self, source_id: str, person_id: UUID) -> AsyncIterator[None]:
        """One run at a time on one person in one system, within this process.

        Between processes the second preview stands guard (ADR 7): the loser finds that the state has changed.
        """
        lock = self._locks.setdefault((source_id, person_id), _Lock())
        lock.waiting += 1
        try:
            async with lock.lock:
                yield
        finally:
            lock.waiting -= 1
            if not lock.waiting:
                del self._locks[source_id, person_id]


def _subject(policy: Policy, actor: Actor, person: Person) -> SubjectRef:
    """The employee as the actor may know them: everybody reads the records of what they tried themselves."""
    table = policy.table(actor.rights, "read", "Employee")
    names = {
        "login": person.login,
        "personnelNumber": person.personnel_number,
        "displayName": person.full_name,
    }
    label = next(
        (
            name
            for field, name in names.items()
            if name and table.decide(f"Employee.{field}").allows(person.facts(), actor.employee_id)
        ),
        None,
    )
    return SubjectRef(kind="Employee", id=person.id, label=label)


def _rule(
    policy: Policy,
    actor: Actor,
    operation_id: str,
    facts: Mapping[str, object],
    *,
    rights: Rights | None = None,
) -> Alternative | None:
    decision = policy.table(rights or actor.rights, "run", "Employee").decide(operation_id)
    return decision.allows(facts, actor.employee_id) if decision.alternatives else None


def _lacks_second_factor(
    policy: Policy, actor: Actor, operation_id: str, facts: Mapping[str, object]
) -> bool:
    """Whether what is denied now would be allowed to the same session with a fresh second factor."""
    rights = actor.stepped_up
    return rights is not None and _rule(policy, actor, operation_id, facts, rights=rights) is not None


class _Lock:
    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class _Admitted:
    """An operation that the gate lets through."""

    __slots__ = ("given", "keys", "offer", "person", "policy_version", "problems", "rule", "subject")

    def __init__(
        self,
        offer: Offer,
        person: Person,
        subject: SubjectRef,
        given: Any,
        rule: str,
        policy_version: str,
        problems: Sequence[Problem],
    ) -> None:
        self.offer = offer
        self.person = person
        self.given = given
        self.rule = rule
        self.policy_version = policy_version
        self.problems = problems
        self.subject = subject
        self.keys = keys_of(person)


def _check(offer: Offer, given: Any) -> list[Problem]:
    found = sorted(
        Draft202012Validator(offer.operation.input).iter_errors(given),
        key=lambda error: list(map(str, error.path)),
    )
    problems = []
    for error in found[:MAX_PROBLEMS]:
        where = ".".join(["input", *(str(part) for part in error.absolute_path)])
        problems.append(
            Problem("INVALID_INPUT", f"{where}: {_reason(error.validator, error.validator_value)}", where)
        )
    return problems


def _reason(keyword: Any, value: Any) -> str:
    """The broken rule without the value given: it may be personal, and messages leave the process."""
    return f"does not satisfy {keyword}: {value!r}"[:300]


def _replay(command: Command) -> RunResult:
    """The first result of a command that was repeated."""
    first = command.first
    stored = first.result.get("changes") if isinstance(first.result, Mapping) else None
    changes = None if stored is None else [ShownChange.of_json(change) for change in stored]
    problems = () if first.code is None else (Problem(first.code, first.message or ""),)
    outcome = RunOutcome[first.outcome.name]
    return RunResult(outcome, changes, str(command.ref), replayed=True, problems=problems)


def _failed(command: Command, problem: Problem, changes: Sequence[ShownChange] | None = None) -> RunResult:
    shown = None if changes is None else {"changes": [change.as_json() for change in changes]}
    command.failed(problem.code, problem.message, shown)
    return RunResult(RunOutcome.FAILED, changes, str(command.ref), problems=(problem,))


def _source_problem(error: SourceError) -> Problem:
    return Problem(f"SOURCE_{error.code}", error.message)


def _actor(actor: Actor) -> ActorRef:
    return ActorRef(actor.id, actor.kind, actor.login, actor.display_name, actor.team)
