"""A whole Okno, and clients of other makers that are run against it with Node from tests/peers."""

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import stack as stacks
from tests.contract.peers import find_program

NODE_PEERS = stacks.ROOT / "tests" / "peers"
NODE_SECONDS = 60


class Okno:
    """One running deployment with a small company, and the tokens of those who ask it."""

    def __init__(self, stack: stacks.Stack) -> None:
        self.stack = stack
        self._tokens: dict[tuple[str, ...], str] = {}

    @property
    def endpoint(self) -> str:
        return f"{self.stack.url}/graphql"

    def token(self, login: str) -> str:
        """A token of a demo person, issued once."""
        return self._issued("--as", login)

    def service_token(self, name: str, *scopes: str) -> str:
        """A token of a service with these scopes, issued once."""
        return self._issued("--service", name, *(word for scope in scopes for word in ("--scope", scope)))

    def ask(self, token: str, query: str, **variables: Any) -> dict[str, Any]:
        """Runs one document; gives the whole answer."""
        return self.stack.graphql(token, query, **variables)

    def employee_id(self, name: str) -> str:
        """The Relay id of the employee of this displayed name, which everybody may read."""
        query = (
            "query ($s: String!) { employees(search: $s, first: 5) { edges { node { id displayName } } } }"
        )
        answer = self.ask(self.token("dmitry.orlov"), query, s=name)
        assert "errors" not in answer, answer
        named = {
            edge["node"]["displayName"]: edge["node"]["id"] for edge in answer["data"]["employees"]["edges"]
        }
        found: str = named[name]
        return found

    def _issued(self, *words: str) -> str:
        if words not in self._tokens:
            said = self.stack.okno("token", "issue", *words, "--ttl", "1h").stdout
            self._tokens[words] = said.strip().splitlines()[-1]
        return self._tokens[words]


@contextmanager
def running_okno() -> Iterator[Okno]:
    """Starts a deployment and removes it."""
    stack = stacks.start(employees=200)
    try:
        yield Okno(stack)
    finally:
        stacks.remove(stack)


def node_program(script: str) -> list[str]:
    """The command that runs a script of tests/peers.

    Raises:
        AssertionError: Node or the npm packages are missing; the message says what to install.
    """
    if not (NODE_PEERS / "node_modules").exists():
        raise AssertionError("the npm peers are missing: npm ci --prefix tests/peers")
    return [find_program("node", "nodejs"), str(NODE_PEERS / script)]


def run_node(script: str, given: object) -> Any:
    """Runs a script of tests/peers to its end.

    Args:
        given: what it reads as JSON from its standard input.

    Returns:
        What it writes as JSON to its standard output.

    Raises:
        AssertionError: it failed; the message holds what it said.
    """
    done = subprocess.run(
        node_program(script),
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=NODE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{script}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout)


class NodeServer:
    """A server of tests/peers: it says its port in its first line, and ends when its standard input does."""

    def __init__(self, script: str, given: object) -> None:
        self._process = subprocess.Popen(
            node_program(script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            _, said = self._process.communicate(timeout=10)
            raise AssertionError(f"{script} did not come up:\n{said}")
        self.port: int = json.loads(line)["port"]

    def post(self, path: str, body: object, **headers: str) -> Any:
        """One JSON request; gives the JSON of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                "POST", path, json.dumps(body), {"content-type": "application/json", **headers}
            )
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends it; what it had to say is thrown away."""
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def installed(binary: str) -> Path:
    """A command that an npm package of tests/peers brings."""
    return NODE_PEERS / "node_modules" / ".bin" / binary
