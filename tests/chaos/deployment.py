"""The deployment that the fault tests share, and how they talk to it, look into it and wait for it."""

import asyncio
import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import ldap3
import psutil

from tests import stack as stacks
from tests.stack import Stack

T = TypeVar("T")

PEOPLE = "ou=people,dc=okno,dc=example"
GROUPS = "ou=groups,dc=okno,dc=example"
SYSTEMS = ("hr", "directory", "domain", "equipment")

# What would tell a stranger how Okno is made or where it runs
INTERNALS = (
    "Traceback",
    'File "',
    ".py",
    "site-packages",
    "asyncpg",
    "sqlalchemy",
    "aiohttp",
    "ldap3",
    "starlette",
    "strawberry",
    "NoneType",
    "postgresql://",
    "ldap://",
    "/postgres/run",
)


# Tests that wait for a breaker to close ask about somebody new each time: a company that does not run out of people.
EMPLOYEES = 1_500


def wait_until(what: str, condition: Callable[[], T | None], *, seconds: float, every: float = 0.05) -> T:
    """Asks again and again until the answer is true.

    Raises:
        AssertionError: it was not within that time; `what` says what was waited for, and the last answer is shown.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s; the last answer was {found!r}")
        time.sleep(every)


@dataclass(frozen=True)
class Answer:
    """One answer over HTTP, whatever it is."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    stack: Stack,
    method: str,
    path: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float = 60.0,
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=timeout)
    began = time.monotonic()
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, named, content, time.monotonic() - began)


def post(stack: Stack, token: str, query: str, **variables: Any) -> Answer:
    """One GraphQL document with a bearer token."""
    body = json.dumps({"query": query, "variables": variables})
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return ask(stack, "POST", "/graphql", body, headers)


def assert_no_internals(text: str) -> None:
    """Nothing of the inside of the process shows."""
    found = [each for each in INTERNALS if each in text]
    assert not found, f"{found} shows in {text[:2000]}"


def assert_one_clear_error(answer: Answer, status: int, code: str) -> None:
    """One JSON error with a code, a sentence and the request's id, and no trace."""
    assert answer.status == status, answer.text
    assert "json" in answer.headers["content-type"], answer.headers
    assert_no_internals(answer.text)
    body = answer.json()
    if "errors" in body:
        (error,) = body["errors"]
        assert "data" not in body or all(value is None for value in body["data"].values())
        assert error["extensions"]["code"] == code, answer.text
        assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
        assert error["message"]
    else:
        assert body["code"] == code, answer.text
        assert body["message"]
    assert answer.headers["x-request-id"]


def assert_unavailable(answer: Answer) -> None:
    """One JSON error that says to try again: of the whole request, or of the one field that was asked for."""
    if answer.status == 200:
        assert answer.json()["data"] is None or not any(answer.json()["data"].values())
    assert_one_clear_error(answer, 200 if answer.status == 200 else 503, "UNAVAILABLE")


@dataclass(frozen=True)
class Employee:
    """Somebody of the index whom no test has asked the systems about yet."""

    id: str
    login: str
    number: str

    @property
    def dn(self) -> str:
        return f"uid={self.login},{PEOPLE}"


class Deployment:
    """One running stack with what the tests know of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._tokens: dict[str, str] = {}
        self._strangers = self._find_strangers()

    def token(self, login: str) -> str:
        """A token of this demo person, issued once."""
        if login not in self._tokens:
            self._tokens[login] = self.stack.token(login)
        return self._tokens[login]

    def stranger(self) -> Employee:
        """The next employee who has worked here and has not been looked at: no cache knows anything of them."""
        stranger = next(self._strangers, None)
        assert stranger is not None, (
            "the company is too small for so many tests; start it with more employees"
        )
        return stranger

    def outsider(self, group: str) -> Employee:
        """A stranger who is not in that group of the domain."""
        members = Domain(self.stack).members(group)
        return next(employee for employee in self._strangers if employee.dn not in members)

    def person(self, login: str) -> Employee:
        """The employee with this login."""
        document = "query ($s: String!) { employees(search: $s, first: 5) { edges { node { id login personnelNumber } } } }"
        answer = post(self.stack, self.token("dmitry.orlov"), document, s=login).json()
        return next(
            Employee(node["id"], node["login"], node["personnelNumber"])
            for edge in answer["data"]["employees"]["edges"]
            if (node := edge["node"])["login"] == login
        )

    def is_well(self) -> bool:
        """Whether it still runs and answers."""
        if self.stack.process.poll() is not None:
            return False
        try:
            return ask(self.stack, "GET", "/readyz", timeout=10).status == 200
        except OSError:
            return False

    def is_ready(self) -> bool:
        """Whether /readyz says 200."""
        try:
            return ask(self.stack, "GET", "/readyz", timeout=10).status == 200
        except OSError:
            return False

    def heal_all(self) -> None:
        for system in SYSTEMS:
            self.stack.heal(system)

    def counters(self, system: str) -> Mapping[str, int]:
        """Reads, writes and connections that reached a simulated system."""
        ports = json.loads((self.stack.data_dir / "sandbox" / "ports.json").read_text())
        connection = http.client.HTTPConnection("127.0.0.1", ports["control"], timeout=5)
        try:
            connection.request("GET", "/counters")
            counters: dict[str, dict[str, int]] = json.loads(connection.getresponse().read())
            return counters[system]
        finally:
            connection.close()

    def processes(self) -> dict[str, psutil.Process]:
        """The supervisor's children by their `okno` command, and `postgres`."""
        found = {}
        for child in psutil.Process(self.stack.process.pid).children():
            with contextlib.suppress(psutil.Error):
                line = child.cmdline()
                if child.status() != psutil.STATUS_ZOMBIE and line:
                    found["postgres" if line[0].endswith("/postgres") else line[-1]] = child
        return found

    def postmaster(self) -> psutil.Process:
        """The main process of the embedded PostgreSQL."""
        return psutil.Process(int(_postmaster_file(self.stack.data_dir).read_text().split("\n")[0]))

    def sql(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """A statement as the superuser of the stack's database."""

        async def run() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.stack.superuser_dsn, timeout=10)
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(run())

    def _find_strangers(self) -> Iterator[Employee]:
        document = """query ($after: String) { employees(first: 100, after: $after) {
            pageInfo { hasNextPage endCursor } edges { node { id login personnelNumber state protected } } } }"""
        after = None
        while True:
            answer = post(self.stack, self.token("dmitry.orlov"), document, after=after).json()
            page = answer["data"]["employees"]
            for edge in page["edges"]:
                node = edge["node"]
                # below lie the fixed people, of whom tests expect certain things
                if (
                    node["state"] == "WORKS"
                    and not node["protected"]
                    and int(node["personnelNumber"]) > 100100
                ):
                    yield Employee(node["id"], node["login"], node["personnelNumber"])
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]


class Domain:
    """The directory server as it really is, asked past Okno."""

    def __init__(self, stack: Stack) -> None:
        environment = dict(
            line.split("=", 1) for line in (stack.data_dir / "run.env").read_text().splitlines() if line
        )
        self._url = environment["OKNO_DOMAIN_URL"]
        self._dn = environment["OKNO_DOMAIN_BIND_DN"]
        self._password = environment["OKNO_DOMAIN_PASSWORD"]

    def is_locked(self, employee: Employee) -> bool:
        """Whether the account is locked."""
        (entry,) = self._search(employee.dn, "(objectClass=*)", ldap3.BASE, "pwdAccountLockedTime")
        return bool(entry["attributes"].get("pwdAccountLockedTime"))

    def members(self, group: str) -> set[str]:
        """The DNs in a group."""
        (entry,) = self._search(f"cn={group},{GROUPS}", "(objectClass=*)", ldap3.BASE, "member")
        return set(entry["attributes"]["member"])

    def has_member(self, group: str, employee: Employee) -> bool:
        return employee.dn in self.members(group)

    def _search(self, base: str, condition: str, scope: Any, *attributes: str) -> list[Any]:
        server = ldap3.Server(self._url, get_info=ldap3.NONE, connect_timeout=10)
        connection = ldap3.Connection(server, self._dn, self._password, receive_timeout=10)
        assert connection.bind(), "the domain is not healthy"
        try:
            connection.search(base, condition, scope, attributes=list(attributes))
            return list(connection.response or [])
        finally:
            connection.unbind()


class Deployments:
    """One deployment at a time: two would not fit on a small machine."""

    def __init__(self) -> None:
        self._shared: Deployment | None = None

    def shared(self) -> Deployment:
        """The deployment in common; a new one when a test before has left it broken."""
        if self._shared is not None:
            try:
                self._shared.heal_all()
                wait_until("the shared deployment is well", self._shared.is_well, seconds=30)
            except (AssertionError, OSError):
                self.close()
        if self._shared is None:
            self._shared = Deployment(stacks.start(employees=EMPLOYEES))
        return self._shared

    def replace(self, stack: Stack) -> Deployment:
        """The deployment was started again, on the same data folder."""
        self._shared = Deployment(stack)
        return self._shared

    def close(self) -> None:
        """Stops what runs and removes its data."""
        if self._shared is not None:
            deployment, self._shared = self._shared, None
            with contextlib.suppress(ProcessLookupError):
                stacks.remove(deployment.stack)
            leave_nothing(deployment.stack.data_dir)


DEPLOYMENTS = Deployments()


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """The processes that work on this data folder, as their command line or their environment tells."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            belongs = any(str(data_dir) in part for part in process.cmdline())
            if belongs or process.environ().get("OKNO_DATA_DIR") == str(data_dir):
                found.append(process)
    return found


def leave_nothing(data_dir: Path) -> None:
    """After a test that went wrong: ends what still works on its data folder."""
    for process in processes_of(data_dir):
        with contextlib.suppress(psutil.Error):
            process.kill()


def _postmaster_file(data_dir: Path) -> Path:
    return data_dir / "postgres" / "cluster" / "postmaster.pid"
