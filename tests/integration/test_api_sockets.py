"""Sockets and streams of the API as a process: a stop does not wait for those who listen."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Cloned
from tests.integration.test_api_process import _sources
from tests.stack import ROOT, free_port

RECORDS = "subscription { auditRecordAdded { eventType } }"
SECONDS = 30


@pytest.fixture
def api(committed: Cloned, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and its address."""
    port = free_port()
    environment = {
        **os.environ,
        **_sources(),
        "OKNO_DATA_DIR": str(tmp_path),
        "OKNO_APP_DATABASE_URL": committed.app_url,
        "PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "okno.cli", "api"], cwd=ROOT, env=environment, stderr=subprocess.PIPE
    )
    try:
        yield process, f"http://localhost:{port}"
    finally:
        process.kill()
        process.communicate()


async def _sign_in(http: aiohttp.ClientSession, url: str) -> str:
    """Signs in as soon as the process answers; gives the CSRF token."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.post(f"{url}/auth/development", json={"login": "vera.lis"}) as answer:
                    token: str = (await answer.json())["csrfToken"]
                    return token


async def _subscribed(http: aiohttp.ClientSession, url: str) -> aiohttp.ClientWebSocketResponse:
    socket = await http.ws_connect(f"{url}/graphql", protocols=["graphql-transport-ws"], origin=url)
    await socket.send_json({"type": "connection_init"})
    assert (await socket.receive_json())["type"] == "connection_ack"
    await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": RECORDS}})
    await socket.send_json({"type": "ping"})
    assert (await socket.receive_json())["type"] == "pong"
    return socket


async def test_a_stop_ends_sockets_and_streams_and_does_not_wait_for_them(
    api: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, url = api
    jar, timeout = aiohttp.CookieJar(unsafe=True), aiohttp.ClientTimeout(SECONDS)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as http:
        headers = {"x-okno-csrf": await _sign_in(http, url), "origin": url, "accept": "text/event-stream"}
        socket = await _subscribed(http, url)
        stream = await http.post(f"{url}/graphql", json={"query": RECORDS}, headers=headers)
        assert stream.headers["content-type"].startswith("text/event-stream")
        process.send_signal(signal.SIGTERM)
        closing = await socket.receive()
        assert (closing.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1001)
        assert b"complete" not in await stream.content.read()
        _, said = await asyncio.to_thread(process.communicate, timeout=SECONDS)
        assert process.returncode == 0
        assert b"graceful shutdown exceeded" not in said, "uvicorn had to wait for them and broke them off"
