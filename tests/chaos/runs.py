"""Previews and runs of operations over the API, and what the journal says of them."""

import base64
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from tests.chaos.deployment import Answer, Deployment, Employee, post, wait_until

OPERATOR = "dmitry.orlov"
PREVIEW = """mutation ($input: OperationPreviewInput!) { operationPreview(input: $input) {
  changes { before after } previewToken errors { code message field } } }"""
RUN = """mutation ($input: OperationRunInput!) { operationRun(input: $input) {
  outcome changes { before after } journalRecord replayed errors { code message field } } }"""

# What the worker waits before it looks: see operations/sweep.py and audit/command.py
IS_SETTLED_AFTER = "6 minutes"
SWEEPS_EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Run:
    """The payload of one `operationRun`."""

    payload: dict[str, Any]
    seconds: float

    @property
    def outcome(self) -> str | None:
        found: str | None = self.payload["outcome"]
        return found

    @property
    def codes(self) -> list[str]:
        return [error["code"] for error in self.payload["errors"]]

    @property
    def replayed(self) -> bool:
        return bool(self.payload["replayed"])

    @property
    def record(self) -> str | None:
        """Place of the intent in the journal, `chain:seq`."""
        found = self.payload["journalRecord"]
        return None if found is None else base64.b64decode(found).decode().partition(":")[2]


def preview(
    deployment: Deployment, employee: Employee, operation: str, given: Any, *, login: str = OPERATOR
) -> dict[str, Any]:
    """The payload of a preview."""
    values = {
        "operation": operation,
        "employee": employee.id,
        "input": given,
        "idempotencyKey": str(uuid4()),
    }
    answer = post(deployment.stack, deployment.token(login), PREVIEW, input=values).json()
    assert "errors" not in answer, answer
    payload: dict[str, Any] = answer["data"]["operationPreview"]
    return payload


def ask_to_run(
    deployment: Deployment,
    employee: Employee,
    operation: str,
    given: Any,
    token: str,
    key: str,
    *,
    login: str = OPERATOR,
) -> Answer:
    """The answer to a run, whatever it is."""
    values = {
        "operation": operation,
        "employee": employee.id,
        "input": given,
        "previewToken": token,
        "idempotencyKey": key,
    }
    return post(deployment.stack, deployment.token(login), RUN, input=values)


def run(
    deployment: Deployment,
    employee: Employee,
    operation: str,
    given: Any,
    token: str,
    key: str,
    *,
    login: str = OPERATOR,
) -> Run:
    """The payload of a run."""
    answer = ask_to_run(deployment, employee, operation, given, token, key, login=login)
    body = answer.json()
    assert "errors" not in body, body
    return Run(body["data"]["operationRun"], answer.seconds)


def outcomes_of(deployment: Deployment, record: str | None) -> list[str]:
    """The outcomes that the journal holds for an intent, oldest first."""
    chain, seq = _place(record)
    rows = deployment.sql(
        """SELECT outcome FROM audit_record WHERE phase = 'outcome'
           AND refers_chain_id = $1 AND refers_seq = $2 ORDER BY at""",
        chain,
        seq,
    )
    return [row["outcome"] for row in rows]


def is_settled(deployment: Deployment, record: str) -> bool:
    """Whether the journal knows how it ended, and once only."""
    known = [each for each in outcomes_of(deployment, record) if each != "unknown"]
    return len(known) == 1


def settle_by_the_worker(deployment: Deployment, record: str | None) -> None:
    """Lets the worker look now instead of after its pause: the begin of the command is moved into the past."""
    chain, seq = _place(record)
    deployment.sql(
        f"""UPDATE audit_command SET started_at = started_at - interval '{IS_SETTLED_AFTER}'
            WHERE intent_chain_id = $1 AND intent_seq = $2""",
        chain,
        seq,
    )
    assert record is not None
    wait_until(
        "the worker has found out how it ended",
        lambda: is_settled(deployment, record),
        seconds=6 * SWEEPS_EVERY_SECONDS,
        every=0.2,
    )


def _place(record: str | None) -> tuple[UUID, int]:
    assert record is not None, "there is no intent in the journal"
    chain, _, seq = record.rpartition(":")
    return UUID(chain), int(seq)
