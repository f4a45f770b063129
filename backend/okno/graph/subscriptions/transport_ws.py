"""graphql-transport-ws, the protocol of npm's graphql-ws (its PROTOCOL.md), over one WebSocket.

Everything that may be sent to /graphql may be sent here, to the same gate, limits and records.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NoReturn
from uuid import uuid4

import orjson
import structlog
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from okno.audit.fanout import Stopping
from okno.errors import OknoError, Unauthenticated, Unavailable
from okno.graph.errors import INTERNAL, BadRequest, failure_body
from okno.graph.request import read_json, read_operation
from okno.graph.server import Answer, Operation
from okno.graph.subscriptions.live import Caller, Live, Subscribed
from okno.identity.http import authenticated
from okno.identity.model import Actor
from okno.identity.service import Identity
from okno.limits.service import Asking
from okno.usage.clients import HEADER as CLIENT_HEADER

PROTOCOL = "graphql-transport-ws"

INVALID_MESSAGE = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
INIT_TIMEOUT = 4408
ALREADY_EXISTS = 4409
TOO_MANY_INITS = 4429
INTERNAL_ERROR = 4500
# RFC 6455, section 7.4.1, and IANA's registry
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013

_LONGEST_ID = 200
_LONGEST_REASON = 123  # bytes, RFC 6455, section 5.5

log = structlog.get_logger(__name__)


class _Close(Exception):
    """Ends the socket. `code` is None when it has ended already."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Sockets:
    """The WebSockets of one process."""

    def __init__(self, live: Live, identity: Identity) -> None:
        self._live = live
        self._identity = identity

    async def handle(self, websocket: WebSocket) -> None:
        """Serves one connection to its end."""
        request_id = str(websocket.scope.get("state", {}).get("request_id") or uuid4())
        try:
            self._identity.browser.check_origin(websocket.headers)
        except OknoError as error:
            log.warning("graphql.socket_refused", code=error.code)
            await _refuse(websocket, error, request_id)
            return
        await _Socket(websocket, self._live, self._identity, request_id).serve()


class _Socket:
    def __init__(self, websocket: WebSocket, live: Live, identity: Identity, request_id: str) -> None:
        self._websocket = websocket
        self._live = live
        self._identity = identity
        self._request_id = request_id
        self._ended: asyncio.Future[_Close] = asyncio.get_running_loop().create_future()
        self._caller: Caller | None = None
        self._initialising = False
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # queries and mutations that run, and of these the ones whose answer nobody waits for any more
        self._answering: set[asyncio.Task[Answer]] = set()
        self._abandoned: set[asyncio.Task[Answer]] = set()
        self._held = ExitStack()
        self._asking = Asking.find(websocket.scope)
        self._messages_left = float(live.limits.messages_per_minute)
        self._messages_at = asyncio.get_running_loop().time()

    async def serve(self) -> None:
        """Accepts and serves the connection until either side ends it."""
        if PROTOCOL not in self._websocket.scope["subprotocols"]:
            await self._websocket.accept()
            await self._close(_Close(SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable"))
            return
        await self._websocket.accept(PROTOCOL)
        timer = asyncio.get_running_loop().call_later(self._live.limits.init_seconds, self._check_initialised)
        try:
            self._spawn(self._receive())
            close = await self._ended
        finally:
            timer.cancel()
            tasks = [*self._tasks]
            for task in tasks:
                task.cancel()
            # what may be changing something is not broken off because nobody waits for its answer any more
            await asyncio.gather(*tasks, *self._answering, return_exceptions=True)
            self._held.close()
        await self._close(close)

    def end(self, code: int | None, reason: str = "") -> None:
        """Ends the connection; the first one to say so gives the code and the reason."""
        if not self._ended.done():
            self._ended.set_result(_Close(code, reason))

    def _check_initialised(self) -> None:
        if self._caller is None:
            self.end(INIT_TIMEOUT, "Connection initialisation timeout")

    def _spawn(self, work: Any, done: Callable[[], None] = lambda: None) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)

        def forget(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            done()

        task.add_done_callback(forget)
        return task

    async def _guarded(self, work: Awaitable[None]) -> None:
        """What goes wrong in any part of the connection ends the whole of it."""
        try:
            await work
        except _Close as close:
            self.end(close.code, close.reason)
        except WebSocketDisconnect:
            self.end(None)
        except Exception:
            log.exception("graphql.socket_failed")
            self.end(INTERNAL_ERROR, INTERNAL)

    async def _receive(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise _Close(None)
            self._count_message()
            text = message.get("text")
            if text is None:
                raise _Close(INVALID_MESSAGE, "Only text messages are understood")
            try:
                parsed = read_json(text.encode(), self._live.server.limits, what="The message")
            except (BadRequest, UnicodeEncodeError) as error:
                raise _Close(INVALID_MESSAGE, str(error)) from None
            await self._handle(parsed)

    def _count_message(self) -> None:
        """Each costs reading, also those that ask for nothing."""
        most, now = self._live.limits.messages_per_minute, asyncio.get_running_loop().time()
        refilled = self._messages_left + (now - self._messages_at) * most / 60
        self._messages_left, self._messages_at = min(float(most), refilled) - 1, now
        if self._messages_left < 0:
            raise _Close(TRY_AGAIN_LATER, f"More than {most} messages in a minute")

    async def _handle(self, message: Any) -> None:
        kind = message.get("type") if isinstance(message, Mapping) else None
        payload = message.get("payload") if isinstance(message, Mapping) else None
        if kind in ("connection_init", "ping", "pong") and not isinstance(payload, Mapping | None):
            raise _Close(INVALID_MESSAGE, "The payload has to be an object")
        if kind == "connection_init":
            await self._initialise(payload or {})
        elif kind == "ping":
            await self._send({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
        elif kind == "pong":
            return
        elif kind in ("subscribe", "complete"):
            self._operation_message(kind, message.get("id"))
            if kind == "subscribe":
                await self._subscribe(message["id"], payload)
            elif (running := self._operations.pop(message["id"], None)) is not None:
                running.cancel()
        else:
            raise _Close(INVALID_MESSAGE, "The type of the message is not known")

    def _operation_message(self, kind: str, operation_id: Any) -> None:
        if not isinstance(operation_id, str) or not 1 <= len(operation_id) <= _LONGEST_ID:
            raise _Close(INVALID_MESSAGE, f"The id has to be a text of 1 to {_LONGEST_ID} characters")
        if self._caller is None:
            raise _Close(UNAUTHORIZED, "Unauthorized")

    async def _initialise(self, payload: Mapping[str, Any]) -> None:
        if self._initialising:
            raise _Close(TOO_MANY_INITS, "Too many initialisation requests")
        self._initialising = True
        headers = self._websocket.headers
        authorization = payload.get("authorization") or headers.get("authorization")
        client = payload.get("client") or headers.get(CLIENT_HEADER)
        if not isinstance(authorization, str | None) or not isinstance(client, str | None):
            raise _Close(INVALID_MESSAGE, "authorization and client have to be texts")
        authenticating = self._identity.authenticate(
            {} if authorization else self._websocket.cookies, authorization
        )
        try:
            if self._asking is None:
                actor = await authenticating
            else:
                actor = await authenticated(authenticating, authorization, self._asking)
            if actor is None:
                raise Unauthenticated("Sign in, or send a bearer token.")
        except Unauthenticated as error:
            raise _Close(UNAUTHORIZED, error.message) from error
        except OknoError as error:
            raise _Close(TRY_AGAIN_LATER, error.message) from error
        self._check_browser(actor)
        caller = Caller(
            self._identity, actor, authorization=authorization, request_id=self._request_id, client=client
        )
        try:
            self._live.context(caller)
            self._held.enter_context(self._live.counted_socket(actor))
        except BadRequest as error:
            raise _Close(FORBIDDEN, error.message) from error
        except OknoError as error:
            raise _Close(INVALID_MESSAGE, error.message) from error
        self._caller = caller
        await self._send({"type": "connection_ack"})
        self._spawn(self._watch(caller))

    def _check_browser(self, actor: Actor) -> None:
        """A session acts only from a page of ours. Browsers always name the page's origin here (RFC 6455, section 4.1), and no
        header of ours could come with it, so that the origin stands for the CSRF token."""
        if actor.csrf_token is not None and "origin" not in self._websocket.headers:
            raise _Close(FORBIDDEN, "A session needs the header Origin; tools use a bearer token")

    async def _watch(self, caller: Caller) -> None:
        """Ends the connection of whoever may no longer act, also when nothing happens on it."""
        while True:
            await asyncio.sleep(self._live.limits.check_seconds)
            try:
                await caller.renew()
            except Unauthenticated as error:
                await self._unauthorized(error)
            except Unavailable:
                continue  # nobody can tell now, and whatever is asked meanwhile is refused

    async def _unauthorized(self, error: Unauthenticated) -> NoReturn:
        """One error for each that runs, then the end of all."""
        while self._operations:
            operation_id, task = self._operations.popitem()
            if task is not asyncio.current_task():
                task.cancel()
            await self._send_errors(operation_id, self._errors(error))
        raise _Close(UNAUTHORIZED, error.message)

    async def _subscribe(self, operation_id: str, payload: Any) -> None:
        if operation_id in self._operations:
            raise _Close(ALREADY_EXISTS, f"Subscriber for {operation_id} already exists")
        if not isinstance(payload, Mapping):
            raise _Close(INVALID_MESSAGE, "The payload has to be an object")
        try:
            operation = read_operation(payload)
        except BadRequest as error:
            raise _Close(INVALID_MESSAGE, error.message) from error
        running, most = len(self._operations) + len(self._abandoned), self._live.limits.operations_of_socket
        if running >= most:
            too_many = BadRequest.exceeds(
                "operations_of_socket", running + 1, most, "What runs on the connection"
            )
            await self._send_errors(operation_id, self._errors(too_many))
            return
        # Whatever the client sends after this message finds the subscription running
        started = asyncio.Event()
        task = self._spawn(self._operate(operation_id, operation, started.set), started.set)
        self._operations[operation_id] = task
        task.add_done_callback(lambda task: self._forget(operation_id, task))
        await started.wait()

    def _forget(self, operation_id: str, task: asyncio.Task[None]) -> None:
        if self._operations.get(operation_id) is task:
            del self._operations[operation_id]

    async def _operate(self, operation_id: str, operation: Operation, started: Callable[[], None]) -> None:
        assert self._caller is not None
        try:
            actor = await self._caller.renew()
            if self._asking is not None:
                waiting = self._asking.limits.act(actor.kind, actor.id)
                if waiting is not None:
                    await waiting
            opened = await self._live.open(self._caller, operation)
            if isinstance(opened, Subscribed):
                await opened.run(lambda body: self._next(operation_id, body), started)
            started()
            answer = await self._answer(opened)
        except Unauthenticated as error:
            await self._unauthorized(error)
        except Stopping as error:
            raise _Close(GOING_AWAY, error.message) from error
        except OknoError as error:
            await self._finish(operation_id, self._errors(error))
            return
        if answer.request_error:
            await self._finish(operation_id, answer.body["errors"])
            return
        await self._next(operation_id, answer.body)
        await self._finish(operation_id)

    async def _answer(self, answer: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """The answer to a query or mutation, which goes on also when this is cancelled."""
        answering = asyncio.create_task(answer())
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)
        try:
            return await asyncio.shield(answering)
        except asyncio.CancelledError:
            self._abandoned.add(answering)
            answering.add_done_callback(self._abandoned.discard)
            raise

    async def _finish(self, operation_id: str, errors: Sequence[Any] | None = None) -> None:
        """The last message of an operation; its id is free again before the client can know."""
        self._operations.pop(operation_id, None)
        if errors is not None:
            await self._send_errors(operation_id, errors)
        else:
            await self._send({"id": operation_id, "type": "complete"})

    def _errors(self, error: OknoError) -> Sequence[Any]:
        errors: Sequence[Any] = failure_body(error, self._request_id)["errors"]
        return errors

    async def _send_errors(self, operation_id: str, errors: Sequence[Any]) -> None:
        await self._send({"id": operation_id, "type": "error", "payload": errors})

    async def _next(self, operation_id: str, body: Mapping[str, Any]) -> None:
        await self._send({"id": operation_id, "type": "next", "payload": body})

    async def _send(self, message: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._live.limits.send_seconds):
                await self._websocket.send_text(orjson.dumps(message).decode())
        except TimeoutError:
            raise _Close(TRY_AGAIN_LATER, "The client reads too slowly") from None
        except RuntimeError:  # closed meanwhile
            raise _Close(None) from None

    async def _close(self, close: _Close) -> None:
        if close.code is None:
            return
        reason = close.reason.encode()[:_LONGEST_REASON].decode("utf-8", "ignore")
        try:
            async with asyncio.timeout(1):
                await self._websocket.close(close.code, reason)
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            log.info("graphql.socket_gone", code=close.code)


async def _refuse(websocket: WebSocket, error: OknoError, request_id: str) -> None:
    """Answers the handshake with an HTTP error, before there is a socket."""
    body = orjson.dumps(failure_body(error, request_id))
    response = Response(
        body, error.http_status, media_type="application/json", headers={"Cache-Control": "no-store"}
    )
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response)
    else:
        await websocket.close()
