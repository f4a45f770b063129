"""The sandbox's simulators as peers, in the process that `okno up` runs too."""

import asyncio
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from okno.sandbox.company import generate
from okno.sandbox.runner import Sandbox
from tests.contract.peers import Peer

T = TypeVar("T")
_PEOPLE_PASSWORD = "everybody-in-the-test"


@dataclass(frozen=True)
class RunningSandbox:
    """All four simulators of one small company; `do` runs a coroutine of the sandbox from any thread."""

    sandbox: Sandbox
    loop: asyncio.AbstractEventLoop

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def peer(self, source: str) -> Peer:
        """The simulator of that source."""
        environment = self.sandbox.environment()
        secret = {
            "hr": "OKNO_HR_TOKEN",
            "directory": "OKNO_DIRECTORY_TOKEN",
            "domain": "OKNO_DOMAIN_PASSWORD",
        }
        return Peer(
            name="simulator",
            source=source,
            environment=environment,
            expected=_EXPECTED[source],
            secret=environment[secret[source]],
            powerless={
                "OKNO_DOMAIN_BIND_DN": "uid=anna.sorokina,ou=people,dc=okno,dc=example",
                "OKNO_DOMAIN_PASSWORD": _PEOPLE_PASSWORD,
            },
        )


_EXPECTED: dict[str, dict[str, Any]] = {
    "hr": {
        "personnelNumber": "100010",
        "fullName": "Иван Петров",
        "latinName": "Ivan Petrov",
        "managerPersonnelNumber": "100004",
        "country": "RU",
        "timeZone": "Europe/Moscow",
        "leaveUntil": None,
        "state": "WORKS",
    },
    "directory": {
        "userName": "ivan.petrov",
        "displayName": "Иван Петров",
        "email": "ivan.petrov@okno.example",
        "active": True,
        "locale": "ru-RU",
        "timeZone": "Europe/Moscow",
        "manager": "Алексей Громов",
    },
    "domain": {
        "login": "ivan.petrov",
        "dn": "uid=ivan.petrov,ou=people,dc=okno,dc=example",
        "enabled": True,
        "locked": True,
        "failedLogons": 5,
    },
}


@contextmanager
def running_sandbox(equipment: Peer) -> Iterator[RunningSandbox]:
    """A company of 60 people; the equipment simulator stands before the peer's database."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox")
    thread.start()
    with tempfile.TemporaryDirectory(prefix="okno-company-") as folder:
        company = Path(folder, "company.sqlite")
        generate(20261101, 60, company, date(2026, 11, 2), lambda done, total: None)
        running = RunningSandbox(
            Sandbox(company, equipment.environment["OKNO_EQUIPMENT_URL"], people_password=_PEOPLE_PASSWORD),
            loop,
        )
        try:
            running.do(running.sandbox.__aenter__())
            try:
                yield running
            finally:
                running.do(running.sandbox.__aexit__(None, None, None))
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(20)
            loop.close()
