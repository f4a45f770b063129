"""The sandbox for tests and benchmarks: all simulators in a process of their own, on free ports."""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import orjson

from okno.sandbox.faults import SYSTEMS
from okno.sandbox.records import SERVICE_DN
from okno.sandbox.serving import HOST

_START_SECONDS = 20.0


class Sandbox:
    """`async with Sandbox(company_file) as sandbox:` — clients find the systems by `sandbox.environment()`.

    Args:
        company_file: made by `company.generate`.
        equipment_upstream_dsn: the read-only role's DSN of a prepared database (`equipment.prepare`); None: no equipment.
        private: work on a copy, so that what tests write does not stay in the file.
        people_password: what everybody in the domain binds with; None: people cannot bind.
    """

    def __init__(
        self,
        company_file: Path,
        equipment_upstream_dsn: str | None = None,
        *,
        hr_token: str | None = None,
        directory_token: str | None = None,
        domain_password: str | None = None,
        people_password: str | None = None,
        private: bool = True,
    ) -> None:
        self._company = company_file
        self._equipment = equipment_upstream_dsn
        self._hr_token = hr_token or secrets.token_urlsafe(16)
        self._directory_token = directory_token or secrets.token_urlsafe(16)
        self._domain_password = domain_password or secrets.token_urlsafe(16)
        self._people_password = people_password
        self._private = private
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._client: aiohttp.ClientSession | None = None
        self.ports: dict[str, int] = {}

    async def __aenter__(self) -> "Sandbox":
        self._folder = tempfile.TemporaryDirectory(prefix="okno-sandbox-")
        folder = Path(self._folder.name)
        company = self._company
        if self._private:
            company = folder / "company.sqlite"
            shutil.copyfile(self._company, company)
        environment = {
            **os.environ,
            "OKNO_HR_TOKEN": self._hr_token,
            "OKNO_DIRECTORY_TOKEN": self._directory_token,
            "OKNO_DOMAIN_BIND_DN": SERVICE_DN,
            "OKNO_DOMAIN_PASSWORD": self._domain_password,
            "OKNO_DOMAIN_PEOPLE_PASSWORD": self._people_password or "",
            "OKNO_EQUIPMENT_UPSTREAM": self._equipment or "",
            "OKNO_LOG_LEVEL": "WARNING",
        }
        arguments = [
            "-m",
            "okno.sandbox.serve",
            "--company",
            str(company),
            "--data-dir",
            str(folder),
            "--child",
        ]
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            assert self._process.stdout is not None
            line = await asyncio.wait_for(self._process.stdout.readline(), _START_SECONDS)
            if not line:
                raise RuntimeError(
                    "the sandbox ended before it listened; its reason stands on standard error"
                )
            self.ports = orjson.loads(line)
            self._client = aiohttp.ClientSession(f"http://{HOST}:{self.ports['control']}")
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    def environment(self) -> dict[str, str]:
        """The OKNO_* variables by which sources find the systems."""
        result = {
            "OKNO_HR_URL": f"http://{HOST}:{self.ports['hr']}",
            "OKNO_HR_TOKEN": self._hr_token,
            "OKNO_DIRECTORY_URL": f"http://{HOST}:{self.ports['directory']}/scim/v2",
            "OKNO_DIRECTORY_TOKEN": self._directory_token,
            "OKNO_DOMAIN_URL": f"ldap://{HOST}:{self.ports['domain']}",
            "OKNO_DOMAIN_BIND_DN": SERVICE_DN,
            "OKNO_DOMAIN_PASSWORD": self._domain_password,
        }
        if self._equipment is not None:
            parts = urlsplit(self._equipment)
            credentials, _, _ = parts.netloc.rpartition("@")
            address = f"{HOST}:{self.ports['equipment']}"
            netloc = f"{credentials}@{address}" if credentials else address
            result["OKNO_EQUIPMENT_URL"] = urlunsplit((parts.scheme, netloc, parts.path, "", ""))
        return result

    async def fault(self, system: str, **faults: Any) -> None:
        """Sets all faults of one system, see FORMATS.md.

        Raises:
            ValueError: there is no such system or fault; the message is the control port's.
        """
        await self._control("POST", f"/faults/{system}", faults)

    async def clear(self, system: str | None = None) -> None:
        """Clears the faults of one system, or of all."""
        for each in [system] if system is not None else [name for name in SYSTEMS if name in self.ports]:
            await self._control("DELETE", f"/faults/{each}")

    async def counters(self) -> dict[str, dict[str, int]]:
        """Reads, writes and connections that reached each system."""
        result: dict[str, dict[str, int]] = await self._control("GET", "/counters")
        return result

    async def _control(self, method: str, path: str, body: Any = None) -> Any:
        assert self._client is not None, "the sandbox is not running"
        async with self._client.request(method, path, json=body) as response:
            answer = orjson.loads(await response.read())
            if response.status != 200:
                raise ValueError(answer["error"])
            return answer

    async def _end(self) -> None:
        if self._client is not None:
            await self._client.close()
        if self._process is not None:
            if self._process.returncode is None:
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.communicate(), 10)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()
