"""A changed policy in a running API process: it decides by it without a restart, and refuses what it must not take."""

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.conftest import Cloned
from tests.integration.test_api_process import _is_alive, _sources
from tests.stack import ROOT, free_port

WITNESS = 'permit(p: Person, "use", _o: Okno, "graphiql.use", "test.graphiql: whoever signed in explores, for this test") if\n    person(p);\n'
PERMISSIONS = "{ me { permissions } }"


@dataclass
class Api:
    """A running process with a policy folder of its own."""

    process: subprocess.Popen[bytes]
    port: int
    policies: Path
    dsn: str
    token: str = ""

    def write(self, text: str) -> None:
        (self.policies / "zz_test.polar").write_text(text, encoding="utf-8")

    def ask(self) -> tuple[bool, str]:
        """Whether the witness's right is there, and the version that says so."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
            connection.request("POST", "/graphql", json.dumps({"query": PERMISSIONS}).encode(), headers)
            body: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return "graphiql.use" in body["data"]["me"]["permissions"], body["extensions"]["policyVersion"]

    def events(self, kind: str) -> int:
        """How many records of this type the journal has of the process."""

        async def count() -> int:
            connection = await asyncpg.connect(self.dsn)
            try:
                found: int = await connection.fetchval(
                    "SELECT count(*) FROM audit_record WHERE event_type = $1", kind
                )
                return found
            finally:
                await connection.close()

        return asyncio.run(count())

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None
            assert time.monotonic() < deadline, f"policy {self.ask()}"


@pytest.fixture
def api(committed: Cloned, tmp_path: Path) -> Iterator[Api]:
    policies = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", policies)
    port = free_port()
    environment = {
        **os.environ,
        **_sources(),
        "OKNO_MODE": "development",
        "OKNO_DATA_DIR": str(tmp_path / "data"),
        "OKNO_POLICIES_DIR": str(policies),
        "OKNO_APP_DATABASE_URL": committed.app_url,
        "PORT": str(port),
    }
    command = [sys.executable, "-m", "okno.cli"]
    with (tmp_path / "api.log").open("wb") as log:
        # a session of its own: SIGHUP asks a process without a terminal to look at its files
        process = subprocess.Popen(
            [*command, "api"], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    running = Api(process, port, policies, committed.superuser_url)
    try:
        deadline = time.monotonic() + 60
        while not _is_alive(port):
            assert process.poll() is None, (tmp_path / "api.log").read_text()
            assert time.monotonic() < deadline
        issued = subprocess.run(
            [*command, "token", "issue", "--as", "anna.sorokina", "--ttl", "1h"],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        running.token = issued.stdout.strip().splitlines()[-1]
        yield running
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_a_process_takes_a_changed_policy_and_refuses_a_broken_one_and_a_changed_level(api: Api) -> None:
    first = api.ask()
    assert not first[0]
    assert api.events("policy.loaded") == 1

    api.write(WITNESS)
    api.wait(lambda: api.ask()[0])
    second = api.ask()
    assert second[1] != first[1]
    assert api.events("policy.loaded") == 2

    api.write("permit(;\n")
    api.process.send_signal(signal.SIGHUP)
    api.wait(lambda: api.events("policy.refused") == 1)
    assert api.ask() == second, "the old policy stays"

    api.write(WITNESS)
    levels = next(file for file in api.policies.glob("*.polar") if "Employee.workPhone" in file.read_text())
    kept = levels.read_text()
    changed = re.sub(r'level\("Employee\.workPhone", "\w+"\)', 'level("Employee.workPhone", "secret")', kept)
    assert changed != kept
    levels.write_text(changed)
    api.process.send_signal(signal.SIGHUP)
    api.wait(lambda: api.events("policy.refused") == 2)
    assert api.ask() == second

    levels.write_text(kept)
    (api.policies / "zz_test.polar").unlink()
    api.process.send_signal(signal.SIGHUP)
    api.wait(lambda: not api.ask()[0])
    assert api.ask() == first
    assert (api.events("policy.loaded"), api.events("policy.refused")) == (3, 2)
