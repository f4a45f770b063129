"""The API as a process: an ordinary stop ends its chain of the journal."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import Cloned
from tests.stack import ROOT, free_port


def _is_alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 204
    except OSError:
        return False
    finally:
        connection.close()


def _sources() -> dict[str, str]:
    """Addresses at which nothing listens: no source is asked here."""
    names = ("HR", "DIRECTORY")
    return {
        **{f"OKNO_{name}_URL": "http://127.0.0.1:9" for name in names},
        **{f"OKNO_{name}_TOKEN": "unused" for name in names},
        "OKNO_DOMAIN_URL": "ldap://127.0.0.1:9",
        "OKNO_DOMAIN_BIND_DN": "cn=okno",
        "OKNO_DOMAIN_PASSWORD": "unused",
        "OKNO_EQUIPMENT_URL": "postgresql://127.0.0.1:9/equipment",
    }


def test_sigterm_closes_the_services_and_ends_the_chain(committed: Cloned, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **os.environ,
        **_sources(),
        "OKNO_DATA_DIR": str(tmp_path),
        "OKNO_APP_DATABASE_URL": committed.app_url,
        "PORT": str(port),
    }
    api = subprocess.Popen(
        [sys.executable, "-m", "okno.cli", "api"], cwd=ROOT, env=environment, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 60
        while not _is_alive(port):
            assert api.poll() is None, api.stderr and api.stderr.read().decode()
            assert time.monotonic() < deadline
        api.send_signal(signal.SIGTERM)
        _, said = api.communicate(timeout=30)
    finally:
        if api.poll() is None:
            api.kill()
            api.communicate()
    assert api.returncode == 0, said.decode()
    assert list((tmp_path / "audit" / "heads").iterdir()) == [], "its chain has ended"
    heads = [json.loads(line) for line in (tmp_path / "audit" / "ended.jsonl").read_text().splitlines()]
    assert [head["ended"] for head in heads] == [True]
