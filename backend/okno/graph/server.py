"""Answers one GraphQL request: document → plan behind the gate → execution → records → response.

What has to be recorded is recorded before the answer is handed out: no record, no data.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

from graphql import ExecutionResult, GraphQLError
from strawberry.execution import optimized_is_awaitable

from okno.audit.records import Event, SubjectRef
from okno.errors import OknoError
from okno.graph.context import Context, Services
from okno.graph.documents import MAX_ERRORS, DocumentCache
from okno.graph.errors import error_body, format_errors
from okno.graph.executor import GatedExecutor
from okno.graph.limits import DEFAULT_LIMITS, Limits
from okno.graph.schema import Graph
from okno.identity.model import Actor

INTROSPECTION = "introspection.use"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the client sent it."""

    query: str
    variables: Mapping[str, Any] | None = None
    operation_name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to one operation. `request_error`: it was not executed at all, and there is no `data`.

    `status` is that of application/graphql-response+json.
    """

    body: dict[str, Any]
    status: int = 200
    request_error: bool = False


class GraphServer:
    """Executes operations for actors. One for each process; it keeps read documents."""

    def __init__(self, graph: Graph, services: Services, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.graph = graph
        self.services = services
        self.limits = limits
        self._documents = DocumentCache(graph.core, limits=limits)

    def context(self, actor: Actor, request_id: str) -> Context:
        """A new request's context."""
        return Context(
            actor=actor, services=self.services, sections=self.graph.sections, request_id=request_id
        )

    async def answer(
        self, context: Context, operations: Sequence[Operation], *, read_only: bool = False
    ) -> list[Answer]:
        """Answers the operations of one request, in their order; they share its loaders and its record of sensitive reads.

        Args:
            read_only: refuses mutations (GET).
        """
        reads = _SensitiveReads()
        prepared = [await self._prepare(context, operation, read_only=read_only) for operation in operations]
        if any(_is_mutation(each) for each in prepared):
            answers = [await self._execute(context, each, reads) for each in prepared]
        else:
            answers = await asyncio.gather(*(self._execute(context, each, reads) for each in prepared))
        if not reads.by_subject:
            return answers
        try:
            await context.journal.record(reads.event(context))
        except OknoError as error:
            body = error_body(
                "The journal cannot be written, so sensitive fields cannot be shown.",
                "UNAVAILABLE",
                context.request_id,
            )
            withheld = Answer(body, error.http_status, request_error=True)
            # Only what has to be recorded is withheld: how a mutation beside it ended must not be lost
            return [
                withheld if isinstance(each, GatedExecutor) and each.sensitive_reads else answer
                for each, answer in zip(prepared, answers, strict=True)
            ]
        return answers

    async def _prepare(
        self, context: Context, operation: Operation, *, read_only: bool
    ) -> GatedExecutor | Answer:
        """The operation with its plan, or why it cannot be executed."""
        request_id = context.request_id
        curious = context.gate.may_use(INTROSPECTION)
        document = self._documents.read(operation.query, hide_suggestions=not curious)
        if document.node is None:
            return _refused(document.errors, request_id, document.code)
        executor = GatedExecutor.build(
            self.graph.core,
            document.node,
            context_value=context,
            raw_variable_values=dict(operation.variables or {}),
            operation_name=operation.operation_name,
            is_awaitable=cast(Any, optimized_is_awaitable),
            hide_suggestions=not curious,
        )
        if isinstance(executor, list):
            return _refused(executor[:MAX_ERRORS], request_id, "BAD_USER_INPUT")
        assert isinstance(executor, GatedExecutor)
        if read_only and executor.is_mutation:
            message = "GET answers queries only; send this operation with POST."
            return Answer(error_body(message, "METHOD_NOT_ALLOWED", request_id), 405, request_error=True)
        try:
            plan = executor.prepare(may_introspect=curious)
            await self._record_denied(context, plan.denied_fields("Mutation"))
        except GraphQLError as error:
            return _refused([error], request_id, "BAD_USER_INPUT")
        except OknoError as error:
            body = error_body(error.message, error.code, request_id)
            return Answer(body, error.http_status, request_error=True)
        return executor

    async def _execute(
        self, context: Context, executor: GatedExecutor | Answer, reads: "_SensitiveReads"
    ) -> Answer:
        if isinstance(executor, Answer):
            return executor
        executed = executor.execute_operation()
        result = executed if isinstance(executed, ExecutionResult) else await cast(Awaitable[Any], executed)
        assert isinstance(result, ExecutionResult)
        reads.add(executor.sensitive_reads)
        if executor.is_mutation:
            context.forget_reads()
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = format_errors(result.errors, context.request_id, code="GRAPHQL_EXECUTION_FAILED")
        body["extensions"] = {
            "gate": executor.plan.report(),
            "policyVersion": context.policy.version,
            "requestId": context.request_id,
        }
        return Answer(body)

    async def _record_denied(self, context: Context, fields: Sequence[str]) -> None:
        """A denied attempt to change something is recorded before anything of the request runs."""
        if not fields:
            return
        await context.journal.record(
            Event(
                event_type="access.denied",
                actor=context.actor_ref,
                detail={"action": "write", "mutations": list(fields)},
                policy_version=context.policy.version,
                request_id=context.request_id,
            )
        )


class _SensitiveReads:
    """Whose fields of a recorded level one request has resolved."""

    def __init__(self) -> None:
        self.by_subject: dict[UUID, tuple[str | None, set[str]]] = {}

    def add(self, reads: Mapping[UUID, tuple[str | None, set[str]]]) -> None:
        for subject, (label, fields) in reads.items():
            self.by_subject.setdefault(subject, (label, set()))[1].update(fields)

    def event(self, context: Context) -> Event:
        """The one record: who, whom, which fields."""
        event = Event(
            event_type="sensitive.read",
            actor=context.actor_ref,
            policy_version=context.policy.version,
            request_id=context.request_id,
        )
        if len(self.by_subject) == 1:
            ((subject, (label, fields)),) = self.by_subject.items()
            return replace(
                event, subject=SubjectRef("Employee", subject, label), detail={"fields": sorted(fields)}
            )
        employees = [
            {"id": str(subject), "label": label, "fields": sorted(fields)}
            for subject, (label, fields) in sorted(self.by_subject.items())
        ]
        return replace(event, detail={"employees": employees})


def _is_mutation(prepared: GatedExecutor | Answer) -> bool:
    return isinstance(prepared, GatedExecutor) and prepared.is_mutation


def _refused(errors: Sequence[GraphQLError], request_id: str, code: str) -> Answer:
    return Answer({"errors": format_errors(errors, request_id, code=code)}, 400, request_error=True)
