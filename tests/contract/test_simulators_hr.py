"""The HR simulator, spoken to by an independent client; and the faults that all HTTP simulators share."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from okno.sandbox.company import generate
from okno.sandbox.runner import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    company: Path = tmp_path_factory.mktemp("sandbox") / "company.sqlite"
    generate(5, 120, company, date(2026, 11, 2), lambda done, total: None)
    async with Sandbox(company, private=False) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    await sandbox.clear()
    environment = sandbox.environment()
    headers = {"Authorization": f"Bearer {environment['OKNO_HR_TOKEN']}"}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(environment["OKNO_HR_URL"], headers=headers, timeout=timeout) as session:
        yield session
    await sandbox.clear()


async def get(client: aiohttp.ClientSession, path: str, **parameters: Any) -> tuple[int, Any]:
    async with client.get(path, params=parameters) as response:
        return response.status, await response.json()


async def test_an_employee_is_read_with_all_fields(client: aiohttp.ClientSession) -> None:
    status, person = await get(client, "/v1/employees/100010")
    assert status == 200
    assert {key: person[key] for key in ("fullName", "latinName", "country", "state", "timeZone")} == {
        "fullName": "Иван Петров",
        "latinName": "Ivan Petrov",
        "country": "RU",
        "state": "WORKS",
        "timeZone": "Europe/Moscow",
    }
    expected = [
        "personnelNumber",
        "fullName",
        "latinName",
        "firstName",
        "lastName",
        "middleName",
        "position",
        "department",
        "departmentPath",
        "managerPersonnelNumber",
        "office",
        "country",
        "city",
        "timeZone",
        "hireDate",
        "leaveUntil",
        "lastDay",
        "state",
        "employmentType",
        "workPhone",
        "birthDate",
        "homeAddress",
        "personalPhone",
        "salary",
        "protectedPerson",
        "updatedAt",
    ]
    assert list(person) == expected


async def test_pages_cover_everybody_once(client: aiohttp.ClientSession) -> None:
    numbers: list[str] = []
    parameters: dict[str, str] = {"limit": "50"}
    for _ in range(3):
        _, page = await get(client, "/v1/employees", **parameters)
        numbers += [each["personnelNumber"] for each in page["items"]]
        parameters["cursor"] = page["next"]
    assert page["next"] is None
    assert len(numbers) == len(set(numbers)) == 120
    assert numbers == sorted(numbers)


async def test_several_people_are_read_at_once(client: aiohttp.ClientSession) -> None:
    _, page = await get(client, "/v1/employees", personnelNumbers="100012,100010,999999,x")
    assert [each["personnelNumber"] for each in page["items"]] == ["100010", "100012"]
    assert page["next"] is None


@pytest.mark.parametrize("number", ["1", "0100010", "100010x", "%00", "1e5", "١٠٠٠١٠"])
async def test_an_unknown_number_is_not_found(client: aiohttp.ClientSession, number: str) -> None:
    status, body = await get(client, f"/v1/employees/{number}")
    assert (status, body["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "parameters",
    [{"limit": "0"}, {"limit": "1001"}, {"limit": "ten"}, {"cursor": "abc"}, {"cursor": "💥"}, {"page": "2"}],
)
async def test_a_wrong_parameter_is_refused(
    client: aiohttp.ClientSession, parameters: dict[str, str]
) -> None:
    status, body = await get(client, "/v1/employees", **parameters)
    assert (status, body["error"]["code"]) == (400, "BAD_REQUEST")


async def test_more_chosen_employees_than_the_limit_are_refused(client: aiohttp.ClientSession) -> None:
    numbers = [str(100_001 + number) for number in range(201)]
    status, body = await get(client, "/v1/employees", personnelNumbers=",".join(numbers[:200]))
    assert (status, body["next"]) == (200, None)
    status, body = await get(client, "/v1/employees", personnelNumbers=",".join(numbers))
    assert (status, body["error"]["code"]) == (400, "BAD_REQUEST")


async def test_a_request_without_the_token_is_refused(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession(sandbox.environment()["OKNO_HR_URL"]) as stranger:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
            async with stranger.get("/v1/employees/100010", headers=headers) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
                assert (await response.json())["error"]["code"] == "UNAUTHORIZED"


async def test_unknown_paths_and_methods_are_answered_as_errors(client: aiohttp.ClientSession) -> None:
    status, body = await get(client, "/v2/employees")
    assert (status, body["error"]["code"]) == (404, "NOT_FOUND")
    async with client.delete("/v1/employees/100010") as response:
        assert response.status == 405
        assert "GET" in response.headers["Allow"]


async def test_an_error_rate_of_all_refuses_every_request(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    await sandbox.fault("hr", error_rate=1)
    async with client.get("/v1/employees/100010") as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert (await response.json())["error"]["code"] == "UNAVAILABLE"
    await sandbox.clear("hr")
    assert (await get(client, "/v1/employees/100010"))[0] == 200


async def test_latency_delays_the_answer(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    await sandbox.fault("hr", latency_seconds=0.2)
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert (await get(client, "/v1/employees/100010"))[0] == 200
    assert loop.time() - start >= 0.2


async def test_an_outage_refuses_connections_and_cuts_open_ones(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    await get(client, "/v1/employees/100010")
    await sandbox.fault("hr", outage=True)
    for _ in range(2):
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get("/v1/employees/100010")
    await sandbox.clear("hr")
    assert (await get(client, "/v1/employees/100010"))[0] == 200


async def test_an_outage_ends_by_itself_when_told_so(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    await sandbox.fault("hr", outage=True, for_seconds=0.1)
    async with asyncio.timeout(10):
        while True:
            try:
                status, _ = await get(client, "/v1/employees/100010")
            except aiohttp.ClientConnectionError:
                continue
            break
    assert status == 200


async def test_a_hanging_request_is_never_answered_and_is_cut_when_the_fault_ends(sandbox: Sandbox) -> None:
    environment = sandbox.environment()
    headers = {"Authorization": f"Bearer {environment['OKNO_HR_TOKEN']}"}
    await sandbox.fault("hr", hang=True)
    before = await sandbox.counters()
    # POST: aiohttp repeats a GET by itself when the connection is cut
    async with aiohttp.ClientSession(environment["OKNO_HR_URL"], headers=headers) as client:
        request = asyncio.create_task(client.post("/v1/employees/100010"))
        done, _ = await asyncio.wait([request], timeout=0.2)
        assert not done
        await sandbox.clear("hr")
        with pytest.raises(aiohttp.ClientConnectionError):
            await request
    after = await sandbox.counters()
    assert [after["hr"][key] for key in ("reads", "writes")] == [
        before["hr"][key] for key in ("reads", "writes")
    ]


async def test_garbage_is_no_json(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    await sandbox.fault("hr", garbage=True)
    async with client.get("/v1/employees/100010") as response:
        assert response.status == 200
        with pytest.raises(ValueError):
            await response.json()


async def test_half_an_answer_ends_before_its_length(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    await sandbox.fault("hr", half=True)
    with pytest.raises(aiohttp.ClientPayloadError):
        async with client.get("/v1/employees/100010") as response:
            await response.read()


async def test_a_slow_drip_outlasts_a_deadline(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    await sandbox.fault("hr", slow_drip=True)
    async with client.get("/v1/employees/100010") as response:
        assert await response.content.readexactly(2) == b'{"'
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await response.read()


async def test_the_control_port_refuses_what_it_does_not_know_and_browsers(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="unknown fault 'latency'"):
        await sandbox.fault("hr", latency=2)
    with pytest.raises(ValueError, match="no such system"):
        await sandbox.fault("tax", hang=True)
    url = f"http://127.0.0.1:{sandbox.ports['control']}/faults"
    async with aiohttp.ClientSession() as session:
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            async with session.get(url, headers=headers) as response:
                assert response.status == 403
        async with session.post(f"{url}/hr", data=b"{") as response:
            assert response.status == 400
        async with session.get(url) as response:
            assert set(await response.json()) == {"hr", "directory", "domain"}
