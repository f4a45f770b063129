"""scim2-server, an independent implementation of SCIM 2.0, as a process."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.contract.peers import PEOPLE, Peer, free_port, listens, wait_until

TOKEN = "bearer-secret-of-okno"
_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@contextmanager
def running_scim2_server() -> Iterator[Peer]:
    """A server that holds PEOPLE; Ivan Petrov is in the group Payments and has a manager."""
    program = Path(sys.executable).with_name("scim2-server")
    assert program.exists(), "scim2-server is missing: install the dev extra of pyproject.toml"
    port = free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--bearer-token", TOKEN],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: process.poll() is not None or listens(port), "scim2-server's start")
        assert process.poll() is None, f"scim2-server ended with {process.returncode}"
        base = f"http://127.0.0.1:{port}/v2"
        ivan = _fill(base)
        yield Peer(
            name="scim2-server",
            source="directory",
            environment={"OKNO_DIRECTORY_URL": base, "OKNO_DIRECTORY_TOKEN": TOKEN},
            expected={
                "userName": "ivan.petrov",
                "displayName": "Иван Петров",
                "email": "ivan.petrov@okno.example",
                "phone": "+74957390022",
                "active": True,
                "locale": "ru-RU",
                "timeZone": "Europe/Moscow",
                "modifiedAt": datetime.fromisoformat(ivan["meta"]["lastModified"]),
            },
            secret=TOKEN,
        )
    finally:
        process.terminate()
        process.wait(20)


def _fill(base: str) -> Any:
    ivan = None
    for number, login, name, _, displayed in PEOPLE:
        user = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", _ENTERPRISE],
            "externalId": number,
            "userName": login,
            "displayName": displayed,
            "nickName": name,
            "active": True,
            "locale": "ru-RU",
            "timezone": "Europe/Moscow",
            "emails": [{"value": f"{login}@okno.example", "type": "work", "primary": True}],
            "phoneNumbers": [{"value": "+74957390022", "type": "work"}],
            _ENTERPRISE: {"employeeNumber": number, "department": "Payments"},
        }
        answer = _post(f"{base}/Users", user)
        if login == "ivan.petrov":
            ivan = answer
    return ivan


def _post(url: str, body: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310
        url,
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return json.load(answer)
