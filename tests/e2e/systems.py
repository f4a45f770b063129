"""The systems behind Okno, asked past it: what they really hold, and changes that Okno does not know of."""

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import asyncpg
import ldap3
from strawberry.relay import to_base64

from tests.stack import Stack

PEOPLE = "ou=people,dc=okno,dc=example"
GROUPS = "ou=groups,dc=okno,dc=example"
# Up to here people are fixed ones, which tests share; behind them each belongs to the test that took it.
LAST_FIXED = 100026
LOCKING_FAILURES = 5
DOMAIN_ATTRIBUTES = [
    "*",
    "pwdAccountLockedTime",
    "pwdFailureTime",
    "pwdChangedTime",
    "pwdLastSuccess",
    "memberOf",
]


class Systems:
    """Direct access to the systems of one deployment."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._handed_out: set[str] = set()

    def hr(self, number: str) -> dict[str, Any]:
        """The employee as HR has it."""
        return self._get("HR", f"/v1/employees/{number}")

    def directory(self, number: str) -> dict[str, Any]:
        """The user as the corporate directory has it."""
        query = urllib.parse.urlencode({"filter": f'externalId eq "{number}"'})
        user: dict[str, Any] = self._get("DIRECTORY", f"/Users?{query}")["Resources"][0]
        return user

    def domain(self, login: str) -> dict[str, Any]:
        """The account as the directory server has it: attributes, each a list of values."""
        with self._administrator() as connection:
            return self._search(
                connection, f"uid={login},{PEOPLE}", ldap3.BASE, "(objectClass=*)", DOMAIN_ATTRIBUTES
            )[0]

    def groups(self) -> list[str]:
        """Names of all groups of the domain."""
        with self._administrator() as connection:
            found = self._search(connection, GROUPS, ldap3.LEVEL, "(objectClass=groupOfNames)", ["cn"])
            return sorted(name for group in found for name in group["cn"])

    def groups_of(self, login: str) -> list[str]:
        """Names of the groups an account is in."""
        return sorted(dn.split(",")[0].removeprefix("cn=") for dn in self.domain(login).get("memberOf", []))

    def equipment(self, number: str) -> list[dict[str, Any]]:
        """What the employee was given, as the equipment database has it."""
        return self._rows(
            self._environment["OKNO_EQUIPMENT_URL"],
            "SELECT * FROM equipment WHERE personnel_number = $1 ORDER BY issued_on, inventory_number",
            number,
        )

    def is_locked(self, login: str) -> bool:
        return bool(self.domain(login).get("pwdAccountLockedTime"))

    def lock(self, login: str) -> None:
        """Locks an account as it happens in life: by wrong passwords."""
        if self.is_locked(login):
            return
        server = ldap3.Server(self._environment["OKNO_DOMAIN_URL"])
        for _ in range(LOCKING_FAILURES):
            connection = ldap3.Connection(server, f"uid={login},{PEOPLE}", "wrong")
            assert not connection.bind()
            connection.unbind()
        assert self.is_locked(login)

    def unlock(self, login: str) -> None:
        """Unlocks an account, as another administrator would."""
        with self._administrator() as connection:
            changes: Any = {"pwdAccountLockedTime": [(ldap3.MODIFY_DELETE, [])]}
            assert connection.modify(f"uid={login},{PEOPLE}", changes), connection.result
        assert not self.is_locked(login)

    def somebody(self, country: str = "RU") -> dict[str, Any]:
        """An employee at work, with an open account, whom no other test has; as HR has them, with `login`."""
        for employee in self._employees:
            number = employee["personnelNumber"]
            if number in self._handed_out or int(number) <= LAST_FIXED or employee["protectedPerson"]:
                continue
            if employee["country"] != country or employee["state"] != "WORKS":
                continue
            self._handed_out.add(number)
            login = self.directory(number)["userName"]
            if not self.is_locked(login):
                return {**employee, "login": login}
        raise AssertionError(f"nobody is left in {country}; the demo company of the tests is too small")

    def id_of(self, number: str) -> str:
        """The employee's id in Okno."""
        rows = self._rows(
            self._stack.superuser_dsn, "SELECT id FROM people_person WHERE personnel_number = $1", number
        )
        return to_base64("Employee", str(rows[0]["id"]))

    def end_sessions(self, login: str) -> None:
        """Ends all sessions of a person, as an administrator of the database could."""
        self._rows(
            self._stack.superuser_dsn,
            "DELETE FROM identity_session USING identity_account a WHERE account_id = a.id AND a.login = $1",
            login,
        )

    def reads(self, system: str) -> int:
        """How many reads the simulated system has answered, a sign-in to it included."""
        ports = json.loads((self._stack.data_dir / "sandbox" / "ports.json").read_text())
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['control']}/counters", timeout=5) as answer:
            count: int = json.loads(answer.read())[system]["reads"]
            return count

    @cached_property
    def _environment(self) -> dict[str, str]:
        lines = (self._stack.data_dir / "run.env").read_text().splitlines()
        secrets: dict[str, str] = json.loads((self._stack.data_dir / "keys" / "sandbox.json").read_text())
        return secrets | dict(line.split("=", 1) for line in lines)

    @cached_property
    def _employees(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get("HR", "/v1/employees?limit=1000")["items"]
        return found

    def _get(self, system: str, path: str) -> dict[str, Any]:
        environment = self._environment
        request = urllib.request.Request(  # noqa: S310 - http to the simulated system
            environment[f"OKNO_{system}_URL"] + path,
            headers={"authorization": f"Bearer {environment[f'OKNO_{system}_TOKEN']}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            body: dict[str, Any] = json.loads(answer.read())
            return body

    @contextmanager
    def _administrator(self) -> Iterator[Any]:
        environment = self._environment
        server = ldap3.Server(environment["OKNO_DOMAIN_URL"], connect_timeout=5)
        connection = ldap3.Connection(
            server,
            environment["OKNO_DOMAIN_BIND_DN"],
            environment["OKNO_DOMAIN_PASSWORD"],
            receive_timeout=5,
            auto_bind=True,
        )
        try:
            yield connection
        finally:
            connection.unbind()

    def _search(
        self, connection: Any, base: str, scope: Any, text: str, attributes: list[str]
    ) -> list[dict[str, Any]]:
        connection.search(base, text, scope, attributes=attributes)
        return [
            {name: [value.decode() for value in values] for name, values in entry["raw_attributes"].items()}
            for entry in connection.response or []
        ]

    def _rows(self, dsn: str, statement: str, *arguments: object) -> list[dict[str, Any]]:
        async def ask() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(dsn)
            try:
                return [dict(row) for row in await connection.fetch(statement, *arguments)]
            finally:
                await connection.close()

        # Playwright's event loop holds this thread.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, ask()).result()
