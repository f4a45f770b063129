"""What one transaction of the writer holds: linked records, claimed keys, ended commands, erased values."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from okno.audit import batch_store, store
from okno.audit.chain import Entry, Head, new_salt, salted_digest
from okno.audit.drafts import Draft
from okno.audit.records import Outcome, RecordRef
from okno.errors import Conflict, NotFound, OknoError, Unavailable
from okno.storage.engine import is_gone


class RacedError(Exception):
    """Another process has used one of our idempotency keys in between."""


@dataclass(frozen=True, slots=True)
class Written:
    """The record is committed."""

    ref: RecordRef


@dataclass(frozen=True, slots=True)
class Existing:
    """Nothing was written: the idempotency key belongs to this command."""

    command: store.CommandState


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was written, or, after `Unavailable`, nothing that will stand without a "not started" behind it."""

    error: OknoError


@dataclass(frozen=True, slots=True)
class Raised:
    """The effect raised this, and nothing of it nor its record was written."""

    error: Exception


Answer = Written | Existing | Refused | Raised

# A local effect that is committed together with its record. It may run again in another transaction, when the first one is
# given up; it may give another draft for the record, which tells what it has found.
Effect = Callable[[Any], Awaitable[Draft | None]]


@dataclass(eq=False, slots=True)
class Ticket:
    """A draft and the one who waits for what becomes of it."""

    draft: Draft
    future: asyncio.Future[Answer]
    effect: Effect | None = None

    def answer(self, answer: Answer) -> None:
        """Wakes the waiter, unless it has been told something or has gone."""
        if not self.future.done():
            self.future.set_result(answer)


@dataclass(slots=True)
class Batch:
    """What one transaction writes. `answers` holds for its tickets once it has committed."""

    tickets: Sequence[Ticket]
    head: Head
    records: list[store.Sealed] = field(default_factory=list)
    answers: list[tuple[Ticket, Answer]] = field(default_factory=list)

    def link(self, draft: Draft) -> store.Sealed:
        """Gives the draft the next place in the chain."""
        salt = new_salt()
        entry = Entry(
            chain=self.head.chain,
            seq=self.head.seq + 1,
            at=draft.at,
            event_type=draft.event_type,
            phase=draft.phase.value,
            outcome=None if draft.outcome is None else draft.outcome.value,
            actor_id=draft.actor_id,
            actor_kind=draft.actor_kind,
            subject_kind=draft.subject_kind,
            subject_id=draft.subject_id,
            refers=draft.refers,
            policy_version=draft.policy_version,
            rule=draft.rule,
            request_id=draft.request_id,
            digest=salted_digest(salt, draft.value),
            prev_hash=self.head.hash,
            team=draft.team,
        )
        record = store.Sealed(entry, entry.hash(), salt, draft.value)
        self.records.append(record)
        self.head = Head(entry.chain, entry.seq, record.hash, entry.at)
        return record

    async def write(self, session: Any, genesis: Callable[[], Draft]) -> None:
        """Puts the batch into the transaction; a chain that has no record yet begins with `genesis`.

        Raises:
            RacedError: another process has just used one of the idempotency keys; begin again.
            ChainTakenError: the places of these records are taken.
        """
        tickets = self.tickets
        keys = {(claim.actor_id, claim.key) for each in tickets if (claim := each.draft.claim) and claim.key}
        used = await batch_store.find_commands(session, keys)
        commands = await batch_store.lock_commands(
            session, {end.intent for each in tickets if (end := each.draft.finish)}
        )
        if self.head.seq < 0:
            self.link(genesis())
        new, ends, erased = [], [], []
        for ticket in tickets:
            draft = ticket.draft
            claim, finish = draft.claim, draft.finish
            if claim and claim.key and (command := used.get((claim.actor_id, claim.key))):
                self.answers.append((ticket, Existing(command)))
                continue
            if finish and (
                refusal := _refusal(commands.get(finish.intent), finish.outcome, settles=finish.settles)
            ):
                self.answers.append((ticket, Refused(refusal)))
                continue
            if ticket.effect is not None:
                try:
                    said: Draft | None = await batch_store.take_effect(session, ticket.effect)
                except Unavailable:
                    raise
                except Exception as error:
                    if is_gone(error):
                        raise
                    self.answers.append((ticket, Raised(error)))
                    continue
                draft = said or draft
            record = self.link(draft)
            self.answers.append((ticket, Written(record.ref)))
            if claim:
                new.append(_command_row(draft, record))
                if claim.key:
                    used[claim.actor_id, claim.key] = store.CommandState(
                        claim.id, claim.salt, claim.digest, "running", None, record.ref, draft.at
                    )
            if finish and (finish.outcome != Outcome.UNKNOWN or _open(commands.get(finish.intent))):
                ends.append((finish, record.ref, draft.at))
                if command := commands.get(finish.intent):
                    commands[finish.intent] = replace(command, state=finish.outcome.value)
            if draft.erases and draft.refers:
                erased.append(draft.refers)
        if new and await batch_store.insert_commands(session, new) < len(new):
            raise RacedError
        if self.records:
            await batch_store.append(session, self.records)
        if ends:
            await batch_store.finish_commands(session, ends)
        if erased:
            await store.erase_values(session, erased)


def _open(command: store.CommandState | None) -> bool:
    return command is not None and command.state in ("running", "unknown")


def _refusal(command: store.CommandState | None, outcome: Outcome, *, settles: bool) -> OknoError | None:
    if not settles:
        # who did it knows best, whatever was settled meanwhile: its word is always recorded
        return None
    if command is None:
        return NotFound("no command has this intent")
    if not _open(command) or command.state == outcome.value:
        return Conflict(f"the command has ended already: {command.state}")
    return None


def _command_row(draft: Draft, record: store.Sealed) -> dict[str, Any]:
    claim = draft.claim
    assert claim is not None
    return {
        "id": claim.id,
        "actor_id": claim.actor_id,
        "idempotency_key": claim.key,
        "event_type": draft.event_type,
        "input_salt": claim.salt,
        "input_digest": claim.digest,
        "state": "running",
        "intent_chain_id": record.entry.chain,
        "intent_seq": record.entry.seq,
        "started_at": draft.at,
    }
