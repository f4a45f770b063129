"""Server-sent events in the "distinct connections" mode of npm's graphql-sse (its PROTOCOL.md): one request, one stream."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from okno.audit.fanout import Stopping
from okno.errors import OknoError
from okno.graph.errors import failure_body
from okno.graph.negotiation import EVENT_STREAM
from okno.graph.server import Answer, Operation
from okno.graph.subscriptions.live import Caller, Live, Subscribed

# Proxies close connections on which nothing happens, and a client that has gone is noticed by writing
PING_SECONDS = 12.0

Opened = Subscribed | Callable[[], Coroutine[Any, Any, Answer]]


async def respond(
    live: Live, caller: Caller, operation: Operation, *, read_only: bool, always: bool
) -> "EventStream | Answer":
    """The stream of a subscription, or the answer to another operation.

    Args:
        always: the client takes nothing but events; also one answer, or why there is none, is sent as such.
    """
    opened: Opened
    try:
        opened = await live.open(caller, operation, read_only=read_only)
    except OknoError as error:
        refused = Answer(failure_body(error, caller.request_id), error.http_status, request_error=True)

        async def refuse() -> Answer:
            return refused

        opened = refuse
    if isinstance(opened, Subscribed) or always:
        return EventStream(live, caller, opened)
    return await opened()


class EventStream(Response):
    """Sends what an operation gives until it ends or the client has gone."""

    media_type = EVENT_STREAM

    def __init__(self, live: Live, caller: Caller, opened: Opened) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"})
        del self.headers["content-length"]
        self._live = live
        self._caller = caller
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the operation first and answers once it runs: who has the headers misses nothing that is committed later."""
        started, may_write = asyncio.Event(), asyncio.Event()

        async def write(text: bytes, *, more: bool = True) -> None:
            await may_write.wait()
            async with asyncio.timeout(self._live.limits.send_seconds):
                await send({"type": "http.response.body", "body": text, "more_body": more})

        running = asyncio.create_task(self._run(write, started.set))
        running.add_done_callback(lambda _task: started.set())
        gone = asyncio.create_task(_disconnect(receive))
        pinging = asyncio.create_task(_ping(write))
        tasks = {running, gone, pinging}
        ended: set[asyncio.Task[None]] = set()
        try:
            await started.wait()
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            may_write.set()
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if running not in ended or isinstance(running.exception(), OSError | TimeoutError):
            return  # the client has gone, or does not read
        running.result()
        await write(b"", more=False)

    async def _run(
        self, write: Callable[..., Coroutine[Any, Any, None]], started: Callable[[], None]
    ) -> None:
        async def deliver(body: Mapping[str, Any]) -> None:
            started()
            await write(b"event: next\ndata: " + orjson.dumps(body) + b"\n\n")

        try:
            if isinstance(self._opened, Subscribed):
                await self._opened.run(deliver, started)
            else:
                await deliver((await self._opened()).body)
        except Stopping:
            return  # the stream breaks off, which tells the client to come back
        except OknoError as error:
            await deliver(failure_body(error, self._caller.request_id))
        await write(b"event: complete\ndata:\n\n")


async def _disconnect(receive: Receive) -> None:
    message: Message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()


async def _ping(write: Callable[..., Coroutine[Any, Any, None]]) -> None:
    while True:
        await write(b":\n\n")
        await asyncio.sleep(PING_SECONDS)
