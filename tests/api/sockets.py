"""WebSockets and event streams of an application in this process: no server, no network, and nothing to wait for but messages."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message

PROTOCOL = "graphql-transport-ws"
ORIGIN = "http://localhost:8000"
SECONDS = 10.0


class Refused(Exception):
    """The handshake was answered with HTTP."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(str(status))
        self.status = status
        self.headers = headers
        self.body: dict[str, Any] = json.loads(body) if body else {}


class Socket:
    """One end of a WebSocket; the application has the other."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str], protocols: tuple[str, ...]) -> None:
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._scope = {
            "type": "websocket",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "root_path": "",
            "scheme": "ws",
            "query_string": b"",
            "headers": _headers(headers),
            "subprotocols": list(protocols),
            "extensions": {"websocket.http.response": {}},
            "server": ("localhost", 8000),
            "client": ("127.0.0.1", 1),
        }
        self.protocol: str | None = None
        self.headers: Mapping[str, str] = {}
        self.reading = asyncio.Event()
        self.reading.set()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Shakes hands.

        Raises:
            Refused: the application did not want to.
        """
        self._task = asyncio.create_task(self._run())
        self._to_app.put_nowait({"type": "websocket.connect"})
        first = await self._next()
        if first["type"] == "websocket.http.response.start":
            body = await self._next()
            raise Refused(first["status"], _names(first["headers"]), body["body"])
        if first["type"] == "websocket.close":
            raise Refused(403, {}, b"")
        assert first["type"] == "websocket.accept", first
        self.protocol, self.headers = first.get("subprotocol"), _names(first.get("headers", ()))

    async def send(self, message: object) -> None:
        """Sends JSON, or a text or bytes as they are."""
        if isinstance(message, bytes):
            self._to_app.put_nowait({"type": "websocket.receive", "bytes": message})
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def receive(self) -> dict[str, Any]:
        """The next message."""
        message = await self._next()
        assert message["type"] == "websocket.send", message
        parsed: dict[str, Any] = json.loads(message["text"])
        return parsed

    async def closed(self) -> tuple[int, str]:
        """The code and the reason with which the application closes, whatever it sends before."""
        while True:
            message = await self._next()
            if message["type"] == "websocket.close":
                return message["code"], message["reason"]

    async def init(self, **payload: Any) -> None:
        await self.send({"type": "connection_init", "payload": payload})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, operation_id: str = "1", **variables: Any) -> None:
        """Subscribes, and waits until the server listens."""
        payload = {"query": query, "variables": variables}
        await self.send({"id": operation_id, "type": "subscribe", "payload": payload})
        await self.send({"type": "ping", "payload": {"after": operation_id}})
        assert await self.receive() == {"type": "pong", "payload": {"after": operation_id}}

    async def ask(self, query: str, operation_id: str = "q", **variables: Any) -> dict[str, Any]:
        """The answer to a query or mutation."""
        payload = {"query": query, "variables": variables}
        await self.send({"id": operation_id, "type": "subscribe", "payload": payload})
        body = await self.next(operation_id)
        assert await self.receive() == {"id": operation_id, "type": "complete"}
        return body

    async def next(self, operation_id: str = "1") -> dict[str, Any]:
        """The body of the next event or answer."""
        message = await self.receive()
        assert (message["id"], message["type"]) == (operation_id, "next"), message
        body: dict[str, Any] = message["payload"]
        return body

    async def error(self, operation_id: str = "1") -> dict[str, Any]:
        """The one error that ends an operation."""
        message = await self.receive()
        assert (message["id"], message["type"]) == (operation_id, "error"), message
        (error,) = message["payload"]
        assert isinstance(error, dict)
        return error

    async def let_go(self) -> None:
        """Waits until the application is done with the connection, although the client is still there."""
        assert self._task is not None
        async with asyncio.timeout(SECONDS):
            await asyncio.shield(self._task)

    async def leave(self) -> None:
        """The client goes away; waits until the application is done with it."""
        self.reading.set()
        if self._task is not None and not self._task.done():
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
            async with asyncio.timeout(SECONDS):
                await self._task

    async def _next(self) -> Message:
        async with asyncio.timeout(SECONDS):
            return await self._from_app.get()

    async def _run(self) -> None:
        async def send(message: Message) -> None:
            await self.reading.wait()
            self._from_app.put_nowait(message)
            if message["type"] == "websocket.close":
                self._to_app.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

        await self._app(self._scope, self._to_app.get, send)


@asynccontextmanager
async def connected(
    app: ASGIApp, headers: Mapping[str, str] | None = None, *, protocols: tuple[str, ...] = (PROTOCOL,)
) -> AsyncIterator[Socket]:
    """A socket that has shaken hands, and has left in the end."""
    socket = Socket(app, headers or {}, protocols)
    try:
        await socket.open()
        yield socket
    finally:
        await socket.leave()


class Stream:
    """The answer to one HTTP request, as it comes."""

    def __init__(self) -> None:
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._text = b""
        self.started = asyncio.Event()
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.reading = asyncio.Event()
        self.reading.set()
        self.served = asyncio.Event()

    async def send(self, message: Message) -> None:
        """What the application calls."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], _names(message["headers"])
            self.started.set()
            return
        await self.reading.wait()
        self._parts.put_nowait(message["body"])
        if not message.get("more_body", False):
            self._parts.put_nowait(None)

    async def event(self) -> tuple[str, Any] | None:
        """The next event with its data, comments passed over; None at the end of the stream."""
        while True:
            while b"\n\n" not in self._text:
                async with asyncio.timeout(SECONDS):
                    part = await self._parts.get()
                if part is None:
                    assert not self._text, self._text
                    return None
                self._text += part
            block, _, self._text = self._text.partition(b"\n\n")
            fields = dict(line.split(b":", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            if fields:
                data = fields[b"data"].strip()
                return fields[b"event"].strip().decode(), json.loads(data) if data else None

    async def body(self) -> Any:
        """The JSON of an answer that is no stream."""
        parts = []
        while (part := await self._parts.get()) is not None:
            parts.append(part)
        return json.loads(b"".join(parts))


@asynccontextmanager
async def streaming(
    app: ASGIApp, body: object, headers: Mapping[str, str], *, method: str = "POST", query: bytes = b""
) -> AsyncIterator[Stream]:
    """A request whose answer has begun; in the end the client goes away."""
    stream = Stream()
    given = {"content-type": "application/json", "accept": "text/event-stream", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": "/graphql",
        "raw_path": b"/graphql",
        "root_path": "",
        "scheme": "http",
        "query_string": query,
        "headers": _headers(given),
        "server": ("localhost", 8000),
        "client": ("127.0.0.1", 1),
    }
    messages: asyncio.Queue[Message] = asyncio.Queue()
    messages.put_nowait({"type": "http.request", "body": json.dumps(body).encode(), "more_body": False})
    task = asyncio.create_task(_call(app, scope, messages, stream))
    try:
        async with asyncio.timeout(SECONDS):
            await stream.started.wait()
        yield stream
    finally:
        stream.reading.set()
        messages.put_nowait({"type": "http.disconnect"})
        async with asyncio.timeout(SECONDS):
            await task


async def _call(
    app: ASGIApp, scope: dict[str, Any], messages: "asyncio.Queue[Message]", stream: Stream
) -> None:
    try:
        await app(scope, messages.get, stream.send)
    finally:
        stream.served.set()


def _headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _names(headers: Any) -> Mapping[str, str]:
    return {name.decode().lower(): value.decode() for name, value in headers}
