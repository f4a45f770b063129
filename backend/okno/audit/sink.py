"""A second place for the checkpoints, out of reach of whoever can write the data folder: a bucket of an S3-compatible store.

Checkpoints are brought there in their order, by one process at a time. What could not be brought stays in the file of the
checkpoints, which is bounded; how far it went stands in `audit/sink.json`.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from okno.audit.chain import instant
from okno.audit.checkpoint import Seals
from okno.audit.records import SYSTEM, Event
from okno.clock import Clock
from okno.errors import OknoError, Unavailable
from okno.network import PRIVATE, NetworkGuard

_log = structlog.get_logger("okno.audit")

# Checkpoints in one object, when many wait
MOST_AT_ONCE = 100
_TIMEOUT = aiohttp.ClientTimeout(total=20, connect=5)


class Sink(Protocol):
    """Where checkpoints are kept a second time."""

    async def put(self, name: str, body: bytes) -> None:
        """Keeps the body under the name. The same again changes nothing.

        Raises:
            Unavailable: it was not kept, as far as is known; the message says why.
        """

    async def close(self) -> None:
        """Lets go of connections."""


class S3Sink:
    """A bucket, by one PUT with AWS Signature Version 4. Written out here, since a library for it brings 16 MB of other things."""

    def __init__(
        self,
        *,
        endpoint: str,
        bucket: str,
        prefix: str,
        region: str,
        access_key: str,
        secret_key: str,
        clock: Clock,
        network: NetworkGuard = PRIVATE,
    ) -> None:
        network.check_url(endpoint, ("https", "http"), what="[audit.s3] endpoint")
        self._base = f"{endpoint.rstrip('/')}/{quote(bucket, safe='')}"
        self._prefix = prefix
        self._region = region
        self._access_key = access_key
        self._secret_key = secret_key
        self._clock = clock
        self._network = network
        self._session: aiohttp.ClientSession | None = None

    async def put(self, name: str, body: bytes) -> None:
        url = URL(f"{self._base}/{quote(self._prefix + name, safe='/-_.~')}", encoded=True)
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=2, socket_factory=self._network.new_socket)
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, trust_env=False)
        headers = signed_headers(
            "PUT", url, body, self._region, self._access_key, self._secret_key, self._clock.now()
        )
        try:
            async with self._session.put(url, data=body, headers=headers, allow_redirects=False) as answer:
                if answer.status not in (200, 201, 204):
                    said = re.search(rb"<Code>(\w{1,60})</Code>", await answer.content.read(4096))
                    code = f" {said[1].decode()}" if said else ""
                    raise Unavailable(f"The bucket of the checkpoints answered {answer.status}{code}.")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"The bucket of the checkpoints does not answer: {type(error).__name__}."
            ) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def signed_headers(
    method: str, url: URL, body: bytes, region: str, access_key: str, secret_key: str, at: datetime
) -> dict[str, str]:
    """Headers of a request without a query, signed as the AWS guide "Signature Version 4 signing process" says for S3."""
    now, digest = at.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(body).hexdigest()
    host = url.raw_host or ""
    host = f"[{host}]" if ":" in host else host
    headers = {
        "host": host if url.is_default_port() else f"{host}:{url.port}",
        "x-amz-content-sha256": digest,
        "x-amz-date": now,
    }
    names = ";".join(headers)
    request = "\n".join(
        [method, url.raw_path, "", *(f"{name}:{value}" for name, value in headers.items()), "", names, digest]
    )
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return headers | {
        "authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    }


@dataclass(frozen=True, slots=True)
class SinkState:
    """How far the sink has come. `number`: the last checkpoint there; `skipped`: how many were lost while it was away."""

    number: int = 0
    shipped_at: str | None = None
    failing_since: str | None = None
    error: str | None = None
    skipped: int = 0

    @classmethod
    def read(cls, data_dir: Path) -> "SinkState":
        """What was written last; nothing when there is nothing readable."""
        try:
            return cls(**json.loads(_state_path(data_dir).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()


def sink_detail(data_dir: Path) -> dict[str, Any]:
    """What `/readyz` tells of the sink: its state, and how many checkpoints wait. Blocks."""
    state, waiting = SinkState.read(data_dir), 0
    with contextlib.suppress(OSError):
        waiting = max(0, Seals(data_dir, None).last_number() - state.number)
    return {
        "state": "FAILING" if state.failing_since else "ok",
        "waiting": waiting,
        "since": state.failing_since,
        "error": state.error,
    }


class Shipper:
    """Brings checkpoints to the sink. Every process has one; the one that gets the lock is at work."""

    def __init__(
        self,
        seals: Seals,
        sink: Sink,
        data_dir: Path,
        clock: Clock,
        record: Callable[[Event], Awaitable[Any]],
    ) -> None:
        self._seals = seals
        self._sink = sink
        self._data_dir = data_dir
        self._clock = clock
        self._record = record

    async def close(self) -> None:
        await self._sink.close()

    async def ship(self) -> int:
        """Brings what waits there, in order, until all is there or something fails; gives how many."""
        with self._alone() as is_alone:
            if not is_alone:
                return 0
            state = await asyncio.to_thread(SinkState.read, self._data_dir)
            shipped = 0
            try:
                while True:
                    waiting, lines = await asyncio.to_thread(
                        self._seals.read_waiting, state.number, MOST_AT_ONCE
                    )
                    if not lines:
                        break
                    skipped = lines[0][0] - state.number - 1
                    first, last = lines[0][0], lines[-1][0]
                    await self._sink.put(
                        f"{first:010}-{last:010}.jsonl", b"".join(line + b"\n" for _, line in lines)
                    )
                    shipped += len(lines)
                    state = replace(
                        state, number=last, shipped_at=self._now(), skipped=state.skipped + max(0, skipped)
                    )
                    await asyncio.to_thread(self._write, state)
                    if waiting == len(lines):
                        break
            except Unavailable as error:
                await self._failed(state, error)
            else:
                if shipped and state.failing_since is not None:
                    await self._restored(state)
            return shipped

    async def _failed(self, state: SinkState, error: OknoError) -> None:
        _log.warning("audit.sink_unavailable", error=error.message)
        is_new = state.failing_since is None
        state = replace(state, failing_since=state.failing_since or self._now(), error=error.message)
        await asyncio.to_thread(self._write, state)
        if is_new:
            await self._tell("journal.sink_failed", {"error": error.message, "after": state.number})

    async def _restored(self, state: SinkState) -> None:
        detail = {"since": state.failing_since, "number": state.number, "skipped": state.skipped}
        await asyncio.to_thread(self._write, replace(state, failing_since=None, error=None, skipped=0))
        await self._tell("journal.sink_restored", detail)

    async def _tell(self, event_type: str, detail: dict[str, Any]) -> None:
        with contextlib.suppress(Unavailable):  # the log has it, and so has /readyz
            await self._record(Event(event_type, SYSTEM, None, detail))

    def _write(self, state: SinkState) -> None:
        path = _state_path(self._data_dir)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(state)) + "\n", "utf-8")
        os.replace(fresh, path)

    def _now(self) -> str:
        return instant(self._clock.now())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        descriptor = os.open(self._data_dir / "audit" / "sink.lock", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)


def _state_path(data_dir: Path) -> Path:
    return data_dir / "audit" / "sink.json"
