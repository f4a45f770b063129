"""A whole Okno of its own for a bench: `okno up` in a data folder and on a port of its own."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Stack:
    """What runs: its address, its data folder, the addresses and secrets of its sources."""

    url: str
    data_dir: Path
    environment: Mapping[str, str]

    def token(self, login: str) -> str:
        """A bearer token of a demo person."""
        command = [sys.executable, "-m", "okno.cli", "token", "issue", "--as", login, "--ttl", "1h"]
        result = subprocess.run(
            command, env=dict(self.environment), capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise RuntimeError(f"okno token issue failed: {result.stderr.strip()[-500:]}")
        return result.stdout.strip().splitlines()[-1]

    async def delay(self, seconds: float) -> None:
        """Makes every simulated system answer that much later; 0 clears it."""
        ports = json.loads((self.data_dir / "sandbox" / "ports.json").read_text())
        async with aiohttp.ClientSession(f"http://127.0.0.1:{ports['control']}") as session:
            for system in ("hr", "directory", "domain", "equipment"):
                path = f"/faults/{system}"
                answer = (
                    session.post(path, json={"latency_seconds": seconds}) if seconds else session.delete(path)
                )
                async with answer as response:
                    response.raise_for_status()


@asynccontextmanager
async def running_stack() -> AsyncIterator[Stack]:
    """Starts everything and stops it again. OKNO_BENCH_DATA_DIR keeps the data for the next run.

    Raises:
        RuntimeError: it did not come up; the message ends with what `okno up` said.
    """
    with tempfile.TemporaryDirectory(prefix="okno-bench-") as temporary:
        data_dir = _data_dir(temporary)
        port = _free_port()
        environment = {
            **os.environ,
            "OKNO_DATA_DIR": str(data_dir),
            "PORT": str(port),
            "OKNO_MODE": "development",
            "OKNO_LIMITS": "false",  # a bench asks more in a minute than one client may
        }
        environment.pop("DATABASE_URL", None)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "okno.cli", "up", env=environment, start_new_session=True, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said: list[str] = []
        reader = asyncio.create_task(_relay(process, said))
        try:
            url = f"http://127.0.0.1:{port}"
            await asyncio.wait_for(_ready(url, process, said), _PATIENCE_SECONDS)
            yield Stack(url, data_dir, {**environment, **_run_environment(data_dir)})
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()
            await reader


async def _relay(process: asyncio.subprocess.Process, said: list[str]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        said.append(line.decode(errors="replace").rstrip())
        print("   |", said[-1], flush=True)


async def _ready(url: str, process: asyncio.subprocess.Process, said: list[str]) -> None:
    async with aiohttp.ClientSession() as session:
        while process.returncode is None:
            try:
                async with session.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    raise RuntimeError("okno up ended:\n" + "\n".join(said[-20:]))


def _run_environment(data_dir: Path) -> dict[str, str]:
    lines = (data_dir / "run.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _data_dir(otherwise: str) -> Path:
    return Path(os.environ.get("OKNO_BENCH_DATA_DIR", otherwise)).resolve()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
