"""The servers that are measured side by side: processes that say their port on the first line, one thread each."""

import asyncio
import contextlib
import json
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
_PATIENCE_SECONDS = 180.0


@dataclass(frozen=True)
class ServerPlan:
    """How to start one. `environment` is on top of this process's own."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """One that listens."""

    name: str
    pid: int
    url: str
    headers: Mapping[str, str]


def node(script: str) -> list[str]:
    """The command of a script in bench/peers."""
    return ["node", str(PEERS / script)]


def okno() -> list[str]:
    """The command of bench.okno_server."""
    return [sys.executable, "-m", "bench.okno_server"]


@asynccontextmanager
async def running(plans: Sequence[ServerPlan]) -> AsyncIterator[dict[str, Running]]:
    """All of them, by name, stopped when the block ends.

    Raises:
        RuntimeError: one did not start; the message ends with what it said.
    """
    async with contextlib.AsyncExitStack() as stack:
        yield {plan.name: await stack.enter_async_context(_running(plan)) for plan in plans}


@asynccontextmanager
async def _running(plan: ServerPlan) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *plan.command,
        env={**os.environ, "NODE_ENV": "production", **plan.environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        cwd=PEERS.parents[1],
    )
    try:
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _PATIENCE_SECONDS)
            port = json.loads(line)["port"]
        except (TimeoutError, ValueError) as error:
            raise RuntimeError(f"{plan.name} did not start; its errors stand above") from error
        yield Running(plan.name, process.pid, f"http://127.0.0.1:{port}/graphql", plan.headers)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        await process.wait()


@dataclass(frozen=True)
class Load:
    """What one target did in one round. `processor`: seconds of processor time for a request; NaN where nobody tells."""

    per_second: float
    processor: float
    failed: int


@dataclass(frozen=True)
class Target:
    """A request that is repeated."""

    server: Running
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


async def measure_load(
    targets: Sequence[Target], *, rounds: int, seconds: float, connections: int
) -> dict[str, list[Load]]:
    """Each target for some seconds in closed loops, all of them in turn, `rounds` times, by one client.

    Raises:
        RuntimeError: the client failed.
    """
    plan = {
        "rounds": rounds,
        "seconds": seconds,
        "connections": connections,
        "targets": [
            {
                "name": target.server.name,
                "pid": target.server.pid,
                "url": target.server.url,
                "headers": {**target.server.headers, **target.headers},
                "body": target.body,
            }
            for target in targets
        ],
    }
    process = await asyncio.create_subprocess_exec(
        *node("load.mjs"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(json.dumps(plan).encode())
    if process.returncode != 0:
        raise RuntimeError("the load generator failed; its errors stand above")
    found: dict[str, list[Load]] = {target.server.name: [] for target in targets}
    for line in out.splitlines():
        said = json.loads(line)
        found[said["name"]].append(Load(said["perSecond"], _number(said["processor"]), said["failed"]))
    return found


def _number(value: float | None) -> float:
    return math.nan if value is None else value
