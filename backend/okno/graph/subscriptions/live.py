"""Runs subscriptions: for each event who asks is authenticated anew, the plan made anew, and the answer gated and recorded
as that of any request. The two transports only carry what comes out of here.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn
from uuid import UUID

from graphql import GraphQLError, OperationType, get_argument_values
from graphql.execution.collect_fields import collect_fields

from okno.audit.fanout import Fanout, FellBehind
from okno.audit.records import Record
from okno.errors import InvalidInput, Unavailable
from okno.graph.context import Context
from okno.graph.errors import BadRequest
from okno.graph.executor import GatedExecutor
from okno.graph.gate import Gate
from okno.graph.server import Answer, GraphServer, Operation
from okno.graph.subscriptions.topics import TOPICS, Topic
from okno.identity.model import Actor
from okno.identity.service import Identity

Deliver = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """What keeps one client from taking the process. Each number is the greatest that is allowed."""

    operations_of_socket: int = 20
    subscriptions_of_actor: int = 100
    sockets_of_actor: int = 50
    pending_events: int = 1_000
    # of one socket; they may also come all at once
    messages_per_minute: int = 1_200
    init_seconds: float = 3.0
    send_seconds: float = 15.0
    # Rights are looked at anew for each event, and without events this often
    check_seconds: float = 5.0
    # How long a subscription waits for a database that is away, rather than end
    patience_seconds: float = 30.0
    retry_seconds: float = 1.0


class Caller:
    """Who holds a connection open. `actor` is as of the last look."""

    def __init__(
        self,
        identity: Identity,
        actor: Actor,
        *,
        authorization: str | None,
        request_id: str,
        client: str | None = None,
    ) -> None:
        self._identity = identity
        self._authorization = authorization
        self.actor = actor
        self.request_id = request_id
        self.client = client

    async def renew(self) -> Actor:
        """Looks again who that is and what they may, at most two seconds late.

        Raises:
            Unauthenticated: the session or the token is over, or its holder may no longer act.
            Unavailable: nobody can tell now.
        """
        self.actor = await self._identity.renew(self.actor, self._authorization)
        return self.actor


class Live:
    """All that stays open in one process."""

    def __init__(self, server: GraphServer, fanout: Fanout, *, limits: LiveLimits | None = None) -> None:
        self.server = server
        self.limits = limits or LiveLimits()
        self.fanout = fanout
        self._subscriptions: Counter[UUID] = Counter()
        self._sockets: Counter[UUID] = Counter()

    def context(self, caller: Caller) -> Context:
        """A context with the rights of now and empty loaders."""
        return self.server.context(caller.actor, caller.request_id, client=caller.client)

    async def open(
        self, caller: Caller, operation: Operation, *, read_only: bool = False
    ) -> "Subscribed | Callable[[], Coroutine[Any, Any, Answer]]":
        """Prepares an operation: a subscription that can be run, or what gives the one answer.

        Raises:
            OknoError: the policy is against the subscription, or something it needs does not answer.
        """
        context = self.context(caller)
        executor = await self.server.prepare(context, operation, read_only=read_only)
        if isinstance(executor, Answer) or executor.operation.operation is not OperationType.SUBSCRIPTION:

            async def answer() -> Answer:
                return (await self.server.execute(context, [executor]))[0]

            return answer
        field, arguments = _root_field(executor)
        topic = TOPICS[field](arguments)
        await topic.check(context)
        return Subscribed(self, caller, operation, topic, context.gate)

    @contextmanager
    def counted(self, actor: Actor) -> Iterator[None]:
        """Counts a subscription of the actor while the block runs.

        Raises:
            BadRequest: the actor has as many as one may have in this process.
        """
        most = self.limits.subscriptions_of_actor
        with _counted(self._subscriptions, actor.id, "subscriptions_of_actor", most):
            yield

    @contextmanager
    def counted_socket(self, actor: Actor) -> Iterator[None]:
        """Counts a connection of the actor while the block runs.

        Raises:
            BadRequest: the actor has as many as one may have in this process.
        """
        with _counted(self._sockets, actor.id, "sockets_of_actor", self.limits.sockets_of_actor):
            yield


class Subscribed:
    """One subscription."""

    def __init__(self, live: Live, caller: Caller, operation: Operation, topic: Topic, gate: Gate) -> None:
        self._live = live
        self._caller = caller
        self._operation = operation
        self._topic = topic
        self._gate = gate

    async def run(self, deliver: Deliver, started: Callable[[], None] = lambda: None) -> NoReturn:
        """Delivers the answers to events until something ends it. Never returns.

        Args:
            deliver: takes the body of an answer once it may leave.
            started: called when everything that is committed from now on will be noticed.

        Raises:
            Unauthenticated: who subscribed may no longer act at all.
            Denied, NotFound: they may no longer have these events, or what these are about is gone.
            BadRequest: a limit was reached; the text names it.
            Stopping: the process stops.
            Unavailable: the database is away for long.
        """
        limits = self._live.limits
        with (
            self._live.counted(self._caller.actor),
            self._live.fanout.subscribe(
                lambda record: self._topic.wants(record, self._gate),
                key=self._topic.key,
                most_pending=limits.pending_events,
            ) as pending,
        ):
            await self._live.fanout.wait_ready()
            started()
            while True:
                record: Record | None = None
                try:
                    async with asyncio.timeout(limits.check_seconds):
                        record = await pending.next()
                except TimeoutError:
                    pass
                except FellBehind:
                    most = limits.pending_events
                    raise _exceeds("pending_events", most, "What the subscriber has not taken yet") from None
                answer = await self._patiently(record)
                if answer is not None:
                    await deliver(answer.body)

    async def _patiently(self, record: Record | None) -> Answer | None:
        """The answer to an event, or a look at the rights when there is none."""
        deadline = asyncio.get_running_loop().time() + self._live.limits.patience_seconds
        while True:
            try:
                return await self._answer(record)
            except Unavailable:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(self._live.limits.retry_seconds)

    async def _answer(self, record: Record | None) -> Answer | None:
        await self._caller.renew()
        context = self._live.context(self._caller)
        self._gate = context.gate
        if record is None:
            await self._topic.check(context)
            return None
        root = await self._topic.root(context, record)
        if root is None:
            return None
        (answer,) = await self._live.server.answer(context, [replace(self._operation, root=root)])
        if answer.status == Unavailable.http_status:
            raise Unavailable("The event cannot be shown now: the journal does not answer.")
        return answer


@contextmanager
def _counted(counts: Counter[UUID], key: UUID, limit: str, most: int) -> Iterator[None]:
    if counts[key] >= most:
        raise _exceeds(limit, most, "What one person or tool has open")
    counts[key] += 1
    try:
        yield
    finally:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]


def _exceeds(limit: str, most: int, what: str) -> BadRequest:
    return BadRequest.exceeds(limit, most + 1, most, what, status=429)


def _root_field(executor: GatedExecutor) -> tuple[str, Mapping[str, Any]]:
    """The field that is subscribed to, and its arguments. Validation has seen to it that there is exactly one.

    Raises:
        InvalidInput: an argument is wrong.
    """
    root_type = executor.schema.subscription_type
    assert root_type is not None
    fields = collect_fields(
        executor.schema, executor.fragments, executor.variable_values, root_type, executor.operation
    ).grouped_field_set
    ((details, *_),) = fields.values()
    name = details.node.name.value
    try:
        return name, get_argument_values(
            root_type.fields[name], details.node, executor.variable_values, details.fragment_variable_values
        )
    except GraphQLError as error:
        raise InvalidInput(error.message) from error
