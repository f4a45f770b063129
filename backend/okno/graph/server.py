"""Answers one GraphQL request: document → plan behind the gate → execution → records → response.

What has to be recorded is recorded before the answer is handed out: no record, no data.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

from graphql import ExecutionResult, GraphQLError, OperationType
from strawberry.execution import optimized_is_awaitable

from okno.audit.records import Event, SubjectRef
from okno.errors import OknoError
from okno.graph.context import Context, Services
from okno.graph.cost import Bill, requested
from okno.graph.decided import note as note_decisions
from okno.graph.documents import MAX_ERRORS, DocumentCache, DocumentReader, ReadDocument
from okno.graph.errors import error_body, failure_body, format_errors
from okno.graph.executor import GatedExecutor
from okno.graph.limits import DEFAULT_LIMITS, Allowance, Limits
from okno.graph.plans import PlanCache
from okno.graph.schema import Graph
from okno.graph.trusted import Library, TrustedDocuments
from okno.identity.model import Actor
from okno.usage.clients import client_of

INTROSPECTION = "introspection.use"
SUBSCRIBE_ELSEWHERE = "Subscribe over graphql-transport-ws, or with Accept: text/event-stream."


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the client sent it, with its document or the id of a trusted one.

    `root`: the event that a subscription is executed for.
    """

    query: str | None = None
    variables: Mapping[str, Any] | None = None
    operation_name: str | None = None
    root: Any = None
    document_id: str | None = None


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

    def __init__(
        self,
        graph: Graph,
        services: Services,
        *,
        limits: Limits = DEFAULT_LIMITS,
        trusted: TrustedDocuments | None = None,
        browsers_are_free: bool = True,
    ) -> None:
        """Args:
        trusted: the registered documents; by default those of the widgets.
        browsers_are_free: whether other documents run with a browser's session too: in development.
        """
        self.graph = graph
        self.services = services
        self.limits = limits
        if trusted is None:
            trusted = TrustedDocuments.load(
                DocumentReader(graph.core, limits), widgets=services.dashboards.documents
            )
        self.documents = DocumentCache(graph.core, limits=limits)
        self._library = Library(self.documents, trusted, browsers_are_free=browsers_are_free)
        self._plans = PlanCache()

    def context(self, actor: Actor, request_id: str, *, client: str | None = None) -> Context:
        """A new request's context.

        Args:
            client: what the client calls itself, the header X-Okno-Client.

        Raises:
            InvalidInput: it is no such name.
        """
        return Context(
            actor=actor,
            services=self.services,
            sections=self.graph.sections,
            request_id=request_id,
            client=client_of(actor, client),
        )

    async def answer(
        self, context: Context, operations: Sequence[Operation], *, read_only: bool = False
    ) -> list[Answer]:
        """Answers the operations of one request, in their order; they share its loaders and its record of sensitive reads.

        Args:
            read_only: refuses mutations (GET).
        """
        allowance = Allowance(self.limits)
        prepared = [
            await self.prepare(context, operation, read_only=read_only, allowance=allowance)
            for operation in operations
        ]
        return await self.execute(context, prepared)

    async def execute(self, context: Context, prepared: Sequence[GatedExecutor | Answer]) -> list[Answer]:
        """Executes what `prepare` has let through; what it has refused stays so."""
        reads = _SensitiveReads()
        if len(prepared) == 1 or any(_is_mutation(each) for each in prepared):  # a task for one costs 15 µs
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

    async def prepare(
        self,
        context: Context,
        operation: Operation,
        *,
        read_only: bool = False,
        allowance: Allowance | None = None,
    ) -> GatedExecutor | Answer:
        """The operation with its plan, or why it cannot be executed.

        Args:
            allowance: what the operations of this request may use together; by default it has one.
        """
        request_id = context.request_id
        curious = context.gate.may_use(INTROSPECTION)
        allowance = allowance or Allowance(self.limits)
        document = self._library.find(
            operation.query,
            operation.document_id,
            context.actor,
            hide_suggestions=not curious,
            allowance=allowance,
        )
        if document.node is None:
            return _refused(document.errors, request_id, document.code)
        executor = GatedExecutor.build(
            self.graph.core,
            document.node,
            root_value=operation.root,
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
            executor.bill = self._bill(document, operation, allowance)
            plan = executor.prepare(
                may_introspect=curious, plans=self._plans, document=document.key, size=document.size
            )
            if executor.is_mutation and (limits := self.services.limits) is not None:
                waiting = limits.write(context.actor.id, len(executor.operation.selection_set.selections))
                if waiting is not None:
                    await waiting
            await self._record_denied(context, plan.denied_fields("Mutation"))
        except GraphQLError as error:
            return _refused([error], request_id, "BAD_USER_INPUT")
        except OknoError as error:
            return Answer(failure_body(error, request_id), error.http_status, request_error=True)
        if operation.root is None:
            self.services.usage.note(context.client, document)
        return executor

    def _bill(self, document: ReadDocument, operation: Operation, allowance: Allowance) -> Bill:
        """Raises LimitExceeded for a free operation that asks for too much."""
        cost = document.cost.of(operation.operation_name)
        points = requested(cost, operation.variables or {})
        if document.trusted:
            return Bill(cost, points, self.limits.trusted_cost)
        allowance.take_cost(points)
        return Bill(cost, points, self.limits.cost)

    async def _execute(
        self, context: Context, executor: GatedExecutor | Answer, reads: "_SensitiveReads"
    ) -> Answer:
        if isinstance(executor, Answer):
            return executor
        if executor.operation.operation is OperationType.SUBSCRIPTION and executor.root_value is None:
            return Answer(
                error_body(SUBSCRIBE_ELSEWHERE, "BAD_REQUEST", context.request_id), 400, request_error=True
            )
        executed = executor.execute_operation()
        result = executed if isinstance(executed, ExecutionResult) else await cast(Awaitable[Any], executed)
        assert isinstance(result, ExecutionResult)
        reads.add(executor.sensitive_reads)
        note_decisions(executor)
        if executor.is_mutation:
            context.forget_reads()
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = format_errors(
                result.errors, context.request_id, code="BAD_USER_INPUT", executing=True
            )
        body["extensions"] = {
            "gate": executor.plan.report(),
            "cost": executor.bill.as_json(result.data),
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
