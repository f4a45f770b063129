"""Strawberry types of ready-made actions."""

import enum
from typing import Any, cast

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from okno.operations.model import Offer, Preview, Problem, RunOutcome, RunResult, ShownChange


@strawberry.type(
    description="A ready-made action that you may run on the employee asked about, at least after proving a second factor."
)
class Operation:
    """An offered operation."""

    id: strawberry.ID = strawberry.field(description="Id of the operation, such as domain.unlock.")
    title: JSON = strawberry.field(description="What it does, by language.")
    source: str = strawberry.field(description="Id of the system it changes.")
    source_title: JSON = strawberry.field(description="The system's name by language.")
    risk: str = strawberry.field(description="low, medium or high.")
    input_schema: JSON = strawberry.field(
        description="JSON Schema of its input; titles by language are in `x-title`."
    )
    second_factor: bool = strawberry.field(
        description="Whether it is refused until you prove a second factor; it is offered so that you know."
    )

    @classmethod
    def of_offer(cls, offer: Offer) -> "Operation":
        """The GraphQL form of an offer."""
        return cls(
            id=strawberry.ID(offer.operation.id),
            title=cast(JSON, dict(offer.operation.title)),
            source=offer.source.id,
            source_title=cast(JSON, dict(offer.source.title)),
            risk=offer.operation.risk,
            input_schema=cast(JSON, dict(offer.operation.input)),
            second_factor=offer.second_factor,
        )


@strawberry.type(description="What becomes what in a system.")
class Change:
    """One line of a preview or result."""

    source: str = strawberry.field(description="Id of the system.")
    source_title: JSON = strawberry.field(description="The system's name by language.")
    title: JSON = strawberry.field(description="What changes, by language.")
    before: JSON | None = strawberry.field(description="The value now, or before the run.")
    after: JSON | None = strawberry.field(description="The value after the run.")

    @classmethod
    def of_shown(cls, change: ShownChange) -> "Change":
        """The GraphQL form of a change."""
        return cls(
            source=change.source,
            source_title=cast(JSON, dict(change.source_title)),
            title=cast(JSON, dict(change.title)),
            before=cast(JSON, change.before),
            after=cast(JSON, change.after),
        )


def _code(value: str, description: str) -> Any:
    return strawberry.enum_value(value, description=description)


@strawberry.enum(description="What is wrong, told apart by what the user may do next.")
class UserErrorCode(enum.Enum):
    """Every code that a problem of an operation may have. Clients show a text for each."""

    DENIED = _code("DENIED", "The policy does not let you do this; the attempt is in the journal.")
    SECOND_FACTOR = _code(
        "SECOND_FACTOR",
        "The policy wants a second factor, proven just before; the attempt is in the journal.",
    )
    NOT_FOUND = _code("NOT_FOUND", "There is no such employee or object, or none that you may know of.")
    INVALID_INPUT = _code("INVALID_INPUT", "`field` names the part of the input to mend.")
    CONFLICT = _code(
        "CONFLICT", "The idempotency key belongs to another command, or its command is still running."
    )
    NOTHING_TO_CHANGE = _code("NOTHING_TO_CHANGE", "The systems are in the wanted state already.")
    PREVIEW_INVALID = _code("PREVIEW_INVALID", "The preview token belongs to another preview; look again.")
    PREVIEW_EXPIRED = _code("PREVIEW_EXPIRED", "The preview is older than 10 minutes; look again.")
    PREVIEW_CHANGED = _code("PREVIEW_CHANGED", "The systems have changed since the preview; look again.")
    UNAVAILABLE = _code(
        "UNAVAILABLE", "Something that Okno needs did not answer; nothing was done. Try later."
    )
    UNKNOWN_OUTCOME = _code(
        "UNKNOWN_OUTCOME", "It is not known how it ended. Okno will look; do not repeat it blindly."
    )
    SETTLED = _code(
        "SETTLED", "It was not known how it ended; Okno has looked since, `outcome` says what it found."
    )
    INTERNAL = _code("INTERNAL", "Okno failed; the log has the cause.")
    SOURCE_REFUSED = _code("SOURCE_REFUSED", "The system understood and said no: rights, rules, or state.")
    SOURCE_NOT_FOUND = _code("SOURCE_NOT_FOUND", "The system does not know this employee or object.")
    SOURCE_NO_KEY = _code("SOURCE_NO_KEY", "The employee has no key that the system knows people by.")
    SOURCE_TIMEOUT = _code("SOURCE_TIMEOUT", "The system gave no whole answer in time.")
    SOURCE_UNREACHABLE = _code("SOURCE_UNREACHABLE", "The system could not be reached.")
    SOURCE_BAD_ANSWER = _code("SOURCE_BAD_ANSWER", "The system gave an answer that Okno does not understand.")
    SOURCE_BREAKER_OPEN = _code(
        "SOURCE_BREAKER_OPEN", "The system was not asked, it failed too often just before."
    )
    SOURCE_OVERLOADED = _code("SOURCE_OVERLOADED", "The system was not asked, too much is being asked of it.")

    @classmethod
    def of_code(cls, code: str) -> "UserErrorCode":
        """The code of a problem; old records of the journal may hold others, which nobody can act on."""
        return cls.__members__.get(_SAME.get(code, code), cls.INTERNAL)


# Codes of the journal that say the same to a user as another does
_SAME = {"INTERRUPTED": "UNKNOWN_OUTCOME", "NO_OUTCOME": "UNKNOWN_OUTCOME", "NOT_STARTED": "UNAVAILABLE"}


@strawberry.type(
    description="Something that the user can mend, or has to know; data, not an error of the request."
)
class UserError:
    """A problem with a stable code."""

    code: UserErrorCode = strawberry.field(description="What is wrong.")
    message: str = strawberry.field(
        description="For developers, in English. The web application shows a text by code."
    )
    field: str | None = strawberry.field(description="Which part of the input it is about.")

    @classmethod
    def of_problem(cls, problem: Problem) -> "UserError":
        """The GraphQL form of a problem."""
        return cls(code=UserErrorCode.of_code(problem.code), message=problem.message, field=problem.field)


@strawberry.input(description="Which operation to preview, on whom, with what.")
class OperationPreviewInput:
    """Input of `operationPreview`."""

    operation: strawberry.ID = strawberry.field(description="Id of the operation, such as domain.unlock.")
    employee: strawberry.ID = strawberry.field(description="Id of the employee.")
    idempotency_key: str = strawberry.field(
        description="Chosen by the client, 1 to 200 characters, new for each preview."
    )
    input: JSON | None = strawberry.field(
        default=None, description="The operation's input, as its `inputSchema` has it."
    )


@strawberry.input(description="Which operation to run, on whom, with what, after its changes were seen.")
class OperationRunInput:
    """Input of `operationRun`."""

    operation: strawberry.ID = strawberry.field(description="Id of the operation, such as domain.unlock.")
    employee: strawberry.ID = strawberry.field(description="Id of the employee.")
    preview_token: str = strawberry.field(description="The token of the preview that was seen.")
    idempotency_key: str = strawberry.field(
        description="Chosen by the client, 1 to 200 characters. Repeating it never repeats the effect: the first result comes back."
    )
    input: JSON | None = strawberry.field(default=None, description="The same input as in the preview.")


@strawberry.type(description="What the operation would change, or why it cannot run.")
class OperationPreviewPayload:
    """Payload of `operationPreview`."""

    changes: list[Change] | None = strawberry.field(
        description="What would become what; null when that could not be found out, empty when it is so already."
    )
    preview_token: str | None = strawberry.field(
        description="To be given to `operationRun` within 10 minutes."
    )
    errors: list[UserError] = strawberry.field(
        description="Why there is no preview; empty when there is one."
    )

    @classmethod
    def of_preview(cls, preview: Preview) -> "OperationPreviewPayload":
        """The GraphQL form of a preview."""
        return cls(
            changes=None
            if preview.changes is None
            else [Change.of_shown(change) for change in preview.changes],
            preview_token=preview.token,
            errors=[UserError.of_problem(problem) for problem in preview.problems],
        )


@strawberry.enum(description="How a run ended.")
class OperationOutcome(enum.Enum):
    """The three ends of a command."""

    SUCCEEDED = strawberry.enum_value("SUCCEEDED", description="The system confirmed the change.")
    FAILED = strawberry.enum_value("FAILED", description="Nothing was changed.")
    UNKNOWN = strawberry.enum_value(
        "UNKNOWN",
        description="It was sent, and the system's answer is missing. Okno will look; do not repeat it blindly.",
    )


@strawberry.type(description="How the run ended.")
class OperationRunPayload:
    """Payload of `operationRun`."""

    outcome: OperationOutcome | None = strawberry.field(
        description="How it ended; null when nothing was begun."
    )
    changes: list[Change] | None = strawberry.field(
        description="What became what. With the error PREVIEW_CHANGED: what would become what now."
    )
    journal_record: strawberry.ID | None = strawberry.field(
        description="Id of the journal's record of the intent."
    )
    replayed: bool | None = strawberry.field(
        description="Whether this is the result of an earlier run with the same key."
    )
    errors: list[UserError] = strawberry.field(description="Why it did not succeed; empty when it did.")

    @classmethod
    def of_result(cls, result: RunResult) -> "OperationRunPayload":
        """The GraphQL form of a result."""
        return cls(
            outcome=None if result.outcome is None else _OUTCOMES[result.outcome],
            changes=None
            if result.changes is None
            else [Change.of_shown(change) for change in result.changes],
            journal_record=None
            if result.record is None
            else strawberry.ID(relay.to_base64("AuditRecord", result.record)),
            replayed=result.replayed,
            errors=[UserError.of_problem(problem) for problem in result.problems],
        )


_OUTCOMES = {
    RunOutcome.SUCCEEDED: OperationOutcome.SUCCEEDED,
    RunOutcome.FAILED: OperationOutcome.FAILED,
    RunOutcome.UNKNOWN: OperationOutcome.UNKNOWN,
}
