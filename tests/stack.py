"""A whole Okno as its user starts it, `okno up` in a process of its own, with a small company."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from okno.storage.embedded import SUPERUSER, EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90.0


@dataclass
class Stack:
    """The running deployment: its address, its data folder, and the means to disturb it."""

    port: int
    data_dir: Path
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the `okno` commands that work on this deployment."""
        return {**os.environ, "OKNO_DATA_DIR": str(self.data_dir), "PORT": str(self.port)}

    @property
    def superuser_dsn(self) -> str:
        return EmbeddedPostgres(self.data_dir / "postgres").url("okno", SUPERUSER)

    def okno(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs an `okno` command on this deployment."""
        result = subprocess.run(
            [sys.executable, "-m", "okno.cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"okno {' '.join(arguments)}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
            )
        return result

    def token(self, login: str) -> str:
        """A bearer token of a demo person."""
        return self.okno("token", "issue", "--as", login, "--ttl", "1h").stdout.strip().splitlines()[-1]

    def graphql(self, token: str, query: str, **variables: Any) -> dict[str, Any]:
        """Runs one document; gives the whole answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/graphql", body, headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def fault(self, source: str, **faults: object) -> None:
        """Lets a simulated system misbehave."""
        self._control("POST", f"/faults/{source}", faults)

    def heal(self, source: str) -> None:
        """Ends the faults of a simulated system."""
        self._control("DELETE", f"/faults/{source}", None)

    def stop(self) -> None:
        """Ctrl-C, as its user would."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"okno up did not stop within 40 s after SIGINT:\n{self.output.read_text()}"
            ) from None

    def _control(self, method: str, path: str, body: object) -> None:
        ports = json.loads((self.data_dir / "sandbox" / "ports.json").read_text())
        connection = http.client.HTTPConnection("127.0.0.1", ports["control"], timeout=5)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"content-type": "application/json"})
            response = connection.getresponse()
            assert response.status < 300, response.read()
        finally:
            connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    data_dir: Path | None = None,
    *,
    employees: int = 300,
    port: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Stack:
    """Starts `okno up` and waits until /readyz says 200.

    Args:
        variables: settings of this deployment beside those of every test, as environment variables.

    Raises:
        AssertionError: it did not come up; the message holds what it printed.
    """
    directory = data_dir or Path(tempfile.mkdtemp(prefix="okno-stack-"))
    port = port or free_port()
    output = directory / "up.log"
    directory.mkdir(parents=True, exist_ok=True)
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith("OKNO_") and name != "DATABASE_URL"
        },
        "OKNO_DATA_DIR": str(directory),
        "OKNO_SANDBOX_EMPLOYEES": str(employees),
        "PORT": str(port),
        **(variables or {}),
    }
    with output.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "okno.cli", "up"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    stack = Stack(port, directory, process, output)
    deadline = time.monotonic() + START_SECONDS
    while not _ready(port) or "Okno is up" not in output.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            logs = "\n".join(
                f"--- {file.name}\n{file.read_text(errors='replace')[-2000:]}"
                for file in (directory / "logs").glob("*.log")
            )
            raise AssertionError(f"okno up did not come up:\n{output.read_text()}\n{logs}")
        time.sleep(0.1)
    return stack


def remove(stack: Stack) -> None:
    """Stops the deployment and removes its data."""
    try:
        stack.stop()
    finally:
        shutil.rmtree(stack.data_dir, ignore_errors=True)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
