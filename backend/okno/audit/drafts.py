"""A record before it has a place in a chain, and what else is to be committed together with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import structlog

from okno.audit.chain import canonical, new_salt, salted_digest
from okno.audit.records import SYSTEM, ActorRef, Event, Outcome, Phase, RecordRef
from okno.errors import InvalidInput

_LONGEST = 500  # characters of an identifier that stands in the chain itself


@dataclass(frozen=True, slots=True)
class Claim:
    """A new command: it takes its idempotency key together with its intent, or neither."""

    id: UUID
    actor_id: UUID
    key: str | None
    salt: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a command, committed together with its outcome.

    `settles`: said by somebody who looked afterwards, so it only counts while the end is still unknown.
    """

    intent: RecordRef
    outcome: Outcome
    result: str | None
    settles: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """All of a record but its place and its hash."""

    event_type: str
    phase: Phase
    at: datetime
    value: str
    actor_id: UUID | None = None
    actor_kind: str | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    outcome: Outcome | None = None
    refers: RecordRef | None = None
    policy_version: str | None = None
    rule: str | None = None
    request_id: str | None = None
    team: str | None = None
    claim: Claim | None = None
    finish: Finish | None = None
    erases: bool = False


def draft(
    event: Event,
    *,
    phase: Phase,
    at: datetime,
    refers: RecordRef | None = None,
    claim: Claim | None = None,
    finish: Finish | None = None,
    erases: bool = False,
) -> Draft:
    """Checks and splits an event: identifiers for the chain, personal values apart.

    Everything that the database could refuse is refused here: one bad record must not fail the batch it is in.

    Raises:
        InvalidInput: an identifier is too long or not storable, or the detail has no JSON form.
    """
    actor, subject = event.actor, event.subject
    values: dict[str, Any] = {"detail": event.detail}
    if actor is not None:
        values["actor"] = {"login": actor.login, "name": actor.display_name}
    if subject is not None:
        values["subject"] = {"label": subject.label}
    request_id = event.request_id or structlog.contextvars.get_contextvars().get("request_id")
    return Draft(
        event_type=event.event_type,
        phase=phase,
        at=at,
        value=canonical(values),
        actor_id=None if actor is None else actor.id,
        actor_kind=None if actor is None else storable("actor.kind", actor.kind),
        subject_kind=None if subject is None else storable("subject.kind", subject.kind),
        subject_id=None if subject is None else storable("subject.id", str(subject.id)),
        outcome=event.outcome,
        refers=refers,
        policy_version=_optional("policy_version", event.policy_version),
        rule=_optional("rule", event.rule),
        request_id=_optional("request_id", None if request_id is None else str(request_id)),
        team=None if actor is None else _optional("actor.team", actor.team),
        claim=claim,
        finish=finish,
        erases=erases,
    )


def intent(
    event: Event, *, actor: ActorRef, key: str | None, given: Mapping[str, Any], at: datetime
) -> Draft:
    """The intent of a command. `given` is what a repetition must give again to be the same command."""
    if key is not None and not 0 < len(storable("idempotencyKey", key)) <= 200:
        raise InvalidInput("an idempotency key has 1 to 200 characters", field="idempotencyKey")
    salt = new_salt()
    claim = Claim(uuid4(), actor.id, key, salt, input_digest(salt, event, given))
    return draft(event, phase=Phase.INTENT, at=at, claim=claim)


def input_digest(salt: bytes, event: Event, given: Mapping[str, Any]) -> bytes:
    """What tells one command from another under the same idempotency key."""
    subject = None if event.subject is None else [event.subject.kind, str(event.subject.id)]
    return salted_digest(salt, canonical([event.event_type, subject, given]))


def ending(
    event: Event,
    intent_ref: RecordRef,
    outcome: Outcome,
    *,
    at: datetime,
    result: Any = None,
    code: str | None = None,
    message: str | None = None,
    settles: bool = False,
) -> Draft:
    """The outcome of a command."""
    said = {"result": result, "code": code, "message": message}
    return draft(
        Event(
            event.event_type,
            event.actor,
            event.subject,
            {name: what for name, what in said.items() if what is not None},
            outcome,
            event.policy_version,
            event.rule,
            event.request_id,
        ),
        phase=Phase.OUTCOME,
        at=at,
        refers=intent_ref,
        finish=Finish(intent_ref, outcome, canonical(said), settles),
    )


def not_started(intended: Draft, intent_ref: RecordRef, at: datetime) -> Draft:
    """The outcome of an intent whose caller had gone, or had been told "unavailable", before it was known to be written."""
    said = {
        "result": None,
        "code": "NOT_STARTED",
        "message": "The caller no longer waited when the intent was written.",
    }
    return Draft(
        event_type=intended.event_type,
        phase=Phase.OUTCOME,
        at=at,
        value=canonical({"detail": said, "actor": {"login": SYSTEM.login, "name": SYSTEM.display_name}}),
        actor_id=SYSTEM.id,
        actor_kind=SYSTEM.kind,
        subject_kind=intended.subject_kind,
        subject_id=intended.subject_id,
        outcome=Outcome.FAILED,
        refers=intent_ref,
        policy_version=intended.policy_version,
        rule=intended.rule,
        request_id=intended.request_id,
        finish=Finish(intent_ref, Outcome.FAILED, canonical(said), settles=False),
    )


def not_done(ended: Draft, at: datetime) -> Draft:
    """The outcome of a command whose local effect turned out not to have been committed, nor its first outcome with it."""
    assert ended.finish is not None
    said = {
        "result": None,
        "code": "NOT_DONE",
        "message": "The connection was lost while it was committed; it was not.",
    }
    return replace(
        ended,
        at=at,
        value=canonical({"detail": said, "actor": {"login": SYSTEM.login, "name": SYSTEM.display_name}}),
        actor_id=SYSTEM.id,
        actor_kind=SYSTEM.kind,
        team=None,
        outcome=Outcome.FAILED,
        finish=Finish(ended.finish.intent, Outcome.FAILED, canonical(said), settles=True),
    )


def journal_event(event_type: str, at: datetime, **detail: Any) -> Draft:
    """What the journal says of itself."""
    return draft(Event(event_type, SYSTEM, None, detail), phase=Phase.EVENT, at=at)


def storable(field: str, text: str) -> str:
    """Refuses what PostgreSQL would: NUL and lone surrogates; and what is too long for an identifier."""
    if len(text) > _LONGEST or "\x00" in text or not _encodable(text):
        raise InvalidInput(
            f"{field} of a journal record has at most {_LONGEST} characters and neither NUL nor half characters",
            field=field,
        )
    return text


def _optional(field: str, text: str | None) -> str | None:
    return None if text is None else storable(field, text)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
