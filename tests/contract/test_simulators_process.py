"""The process of the simulators: its ports, its end, what it keeps."""

import asyncio
import json
import os
import signal
import sys
from datetime import date
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from okno.sandbox.cli import company_file
from okno.sandbox.cli import sandbox as command
from okno.sandbox.company import generate
from okno.sandbox.runner import Sandbox

SECRETS = {
    "OKNO_HR_TOKEN": "hr-secret",
    "OKNO_DIRECTORY_TOKEN": "scim-secret",
    "OKNO_DOMAIN_PASSWORD": "ldap-secret",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    generate(5, 60, company_file(tmp_path), date(2026, 11, 2), lambda done, total: None)
    return tmp_path


async def start(data: Path, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "okno.sandbox.serve", "--company", str(company_file(data)), "--data-dir", str(data),
        env={**os.environ, **SECRETS, **environment}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ports(data: Path) -> dict[str, int]:
    file = data / "sandbox" / "ports.json"
    async with asyncio.timeout(15):
        while not file.exists():  # noqa: ASYNC110 (the condition is a file of another process)
            await asyncio.sleep(0.01)
    loaded: dict[str, int] = json.loads(file.read_text())
    return loaded


def forget(data: Path) -> None:
    """Takes away what a killed process could not."""
    (data / "sandbox" / "ports.json").unlink()


async def end(process: asyncio.subprocess.Process, number: int = signal.SIGTERM) -> str:
    process.send_signal(number)
    _, log = await asyncio.wait_for(process.communicate(), 10)
    return log.decode()


async def test_it_ends_cleanly_keeps_its_ports_and_tells_no_secrets(data: Path) -> None:
    process = await start(data)
    first = await ports(data)
    assert set(first) == {"hr", "directory", "domain", "control"}
    log = await end(process)
    assert process.returncode == 0
    assert not (data / "sandbox" / "ports.json").exists(), "it is there only while all systems listen"
    assert "secret" not in log
    process = await start(data)
    assert await ports(data) == first
    await end(process, signal.SIGKILL)
    forget(data)
    process = await start(data)
    async with aiohttp.ClientSession() as client:
        assert await ports(data) == first
        async with client.get(
            f"http://127.0.0.1:{first['control']}/counters", timeout=aiohttp.ClientTimeout(10)
        ) as response:
            assert response.status == 200
    await end(process, signal.SIGINT)
    assert process.returncode == 0


async def test_a_port_that_somebody_else_took_is_replaced(data: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    taken = server.sockets[0].getsockname()[1]
    (data / "sandbox" / "ports.last.json").write_text(json.dumps({"hr": taken, "domain": "x", "control": 0}))
    process = await start(data)
    assert (await ports(data))["hr"] != taken
    await end(process)
    server.close()
    await server.wait_closed()


async def test_a_second_process_for_the_same_folder_is_refused(data: Path) -> None:
    process = await start(data)
    before = await ports(data)
    second = await start(data)
    _, log = await asyncio.wait_for(second.communicate(), 10)
    assert second.returncode == 1
    assert "another sandbox serves" in log.decode()
    assert await ports(data) == before
    await end(process)


async def test_what_is_missing_is_said_in_one_line(data: Path) -> None:
    process = await start(data, OKNO_HR_TOKEN="")
    _, log = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, log.decode()) == (
        1,
        "the sandbox needs the environment variables OKNO_HR_TOKEN\n",
    )
    company_file(data).unlink()
    process = await start(data)
    _, log = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 1
    assert "okno sandbox generate" in log.decode()


async def test_what_is_written_survives_a_restart_and_a_kill(data: Path) -> None:
    patch = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "Changed"}],
    }
    headers = {"Authorization": "Bearer scim-secret"}
    process = await start(data)
    base = f"http://127.0.0.1:{(await ports(data))['directory']}/scim/v2/Users"
    async with aiohttp.ClientSession(headers=headers) as client:
        async with client.get(base, params={"filter": 'userName eq "ivan.petrov"'}) as response:
            user = (await response.json(content_type=None))["Resources"][0]
        async with client.patch(f"{base}/{user['id']}", json=patch) as response:
            assert response.status == 200
    await end(process, signal.SIGKILL)
    forget(data)
    process = await start(data)
    assert f"127.0.0.1:{(await ports(data))['directory']}/" in base
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.get(f"{base}/{user['id']}") as response,
    ):
        title = (await response.json(content_type=None))["title"]
    assert title == "Changed"
    await end(process)


async def test_faults_are_set_from_the_command_line(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKNO_DATA_DIR", str(data))
    monkeypatch.setenv("OKNO_CONFIG_DIR", str(data / "config"))
    process = await start(data)
    await ports(data)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(command, ["fault", *arguments])
        assert result.exit_code == 0, result.output
        return result.output.strip()

    answers = [
        await asyncio.to_thread(run, *arguments)
        for arguments in (
            ("hr", "--latency", "250ms", "--errors", "30%"),
            ("hr", "--outage", "60s"),
            ("hr", "--outage"),
            ("domain", "--hang", "--for", "1m"),
            ("hr", "--clear"),
        )
    ]
    assert answers == [
        "hr: latency_seconds=0.25, error_rate=0.3",
        "hr: outage=True, for_seconds=60.0",
        "hr: outage=True",
        "domain: hang=True, for_seconds=60.0",
        "hr: no faults",
    ]
    await end(process)


async def test_a_sandbox_of_tests_leaves_the_company_file_alone(data: Path) -> None:
    before = company_file(data).read_bytes()
    async with Sandbox(company_file(data)) as sandbox:
        assert set(sandbox.ports) == {"hr", "directory", "domain", "control"}
        assert "OKNO_EQUIPMENT_URL" not in sandbox.environment()
    assert company_file(data).read_bytes() == before
