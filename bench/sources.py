"""The sources asked alone, by the barest client of each protocol: the limit for a card that asks all of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import asyncpg
import ldap3

Ask = Callable[[str], Awaitable[None]]


@asynccontextmanager
async def bare_clients(environment: Mapping[str, str]) -> AsyncIterator[Mapping[str, Ask]]:
    """One question to each source by personnel number, over connections that are open already."""
    async with aiohttp.ClientSession() as http:
        equipment = await asyncpg.connect(environment["OKNO_EQUIPMENT_URL"])
        domain = await asyncio.to_thread(_connect_domain, environment)

        async def get(url: str, token: str, parameters: Mapping[str, str]) -> None:
            headers = {"authorization": f"Bearer {token}"}
            async with http.get(url, params=parameters, headers=headers) as response:
                response.raise_for_status()
                await response.read()

        async def hr(number: str) -> None:
            await get(f"{environment['OKNO_HR_URL']}/v1/employees/{number}", environment["OKNO_HR_TOKEN"], {})

        async def directory(number: str) -> None:
            parameters = {"filter": f'externalId eq "{number}"'}
            await get(
                f"{environment['OKNO_DIRECTORY_URL']}/Users", environment["OKNO_DIRECTORY_TOKEN"], parameters
            )

        async def account(number: str) -> None:
            base, wanted = "ou=people,dc=okno,dc=example", ["*", "+"]
            query = f"(employeeNumber={number})"
            await asyncio.to_thread(domain.search, base, query, attributes=wanted)

        async def devices(number: str) -> None:
            await equipment.fetch("SELECT * FROM equipment WHERE personnel_number = $1", number)

        try:
            yield {"hr": hr, "directory": directory, "domain": account, "equipment": devices}
        finally:
            await equipment.close()
            await asyncio.to_thread(domain.unbind)


async def timed(ask: Ask, number: str) -> float:
    """Seconds of one question."""
    began = time.perf_counter()
    await ask(number)
    return time.perf_counter() - began


def _connect_domain(environment: Mapping[str, str]) -> ldap3.Connection:
    server = ldap3.Server(environment["OKNO_DOMAIN_URL"], get_info=ldap3.NONE)
    who, password = environment["OKNO_DOMAIN_BIND_DN"], environment["OKNO_DOMAIN_PASSWORD"]
    return ldap3.Connection(server, who, password, auto_bind=True, receive_timeout=10)
