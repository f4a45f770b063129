"""Secrets of a whole deployment: planted, provoked in every way at hand, and then searched for in all that it said and wrote."""

import asyncio
import json
import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import asyncpg
import pytest
import structlog
from click.testing import CliRunner

from okno.cli import main
from tests import stack as stacks
from tests.api.stack_asking import JSON, relay
from tests.chaos.deployment import ask
from tests.chaos.runs import PREVIEW, RUN

pytestmark = [pytest.mark.xdist_group("stack-secrets"), pytest.mark.timeout(300)]

OIDC_SECRET = "planted-0idc-cl1ent-secret-7d1f"
SOURCES = ("hr", "directory", "domain", "equipment")
FAULTS: tuple[dict[str, object], ...] = (
    {"outage": True},
    {"garbage": True},
    {"half": True},
)
EVERYTHING = """query ($id: ID!) { employee(id: $id) { displayName hr { fullName meta { state error { code message } } }
  directory { meta { state error { code message } } } domain { locked meta { state error { code message } } }
  equipment { meta { state error { code message } } } } }"""


@pytest.fixture(scope="module")
def stack() -> Iterator[stacks.Stack]:
    # nothing listens at the provider's address: each sign-in fails with the client's secret at hand
    variables = {
        "OKNO_LOG_LEVEL": "DEBUG",
        "OKNO_OIDC_ISSUER": "http://127.0.0.1:9",
        "OKNO_OIDC_CLIENT_ID": "okno",
        "OKNO_OIDC_CLIENT_SECRET": "env:OIDC_SECRET",
        "OIDC_SECRET": OIDC_SECRET,
    }
    stack = stacks.start(employees=100, variables=variables)
    yield stack
    stacks.remove(stack)


class Provoked:
    """Everything that the deployment was asked, with what it answered, and the secrets that were in it."""

    def __init__(self, stack: stacks.Stack) -> None:
        self.stack = stack
        self.said: dict[str, str] = {}
        self.secrets: dict[str, str] = {"the OIDC client's secret": OIDC_SECRET}
        for name, value in json.loads((stack.data_dir / "keys" / "sandbox.json").read_text()).items():
            self.secrets[name] = value
        keys = [file for file in (stack.data_dir / "keys").iterdir() if file.name != "sandbox.json"]
        for file in keys:
            content = file.read_bytes()
            text = content.decode("latin-1").strip()
            lines = [line for line in text.splitlines() if "-----" not in line and len(line) >= 16]
            self.secrets[f"key {file.name}"] = lines[0] if text.isprintable() or lines else content.hex()

    def ask(self, what: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        text = None if body is None else json.dumps(body)
        answer = ask(self.stack, method, path, text, {**JSON, **names})
        told = {name: value for name, value in answer.headers.items() if name.lower() != "set-cookie"}
        self.said[f"{len(self.said)} {what}: {method} {path}"] = f"{told}\n{answer.text}"
        return answer

    def run(self, *arguments: str) -> None:
        """A command in this process: a process of its own would take seconds to begin."""
        root = logging.getLogger()
        handlers = root.handlers[:]
        environment = {"OKNO_DATA_DIR": str(self.stack.data_dir), "PORT": str(self.stack.port)}
        try:
            with patch.dict(os.environ):  # the command takes over the addresses of the running stack
                done = CliRunner().invoke(main, arguments, env=environment)
        finally:
            root.handlers[:] = handlers
            structlog.reset_defaults()
        self.said[f"okno {' '.join(arguments)}"] = done.output + str(done.exception or "")


async def _sql(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def provoked(stack: stacks.Stack) -> Provoked:
    found = Provoked(stack)
    _credentials(found)
    employee = _employee(found)
    for fault in FAULTS:
        for source in SOURCES:
            stack.fault(source, **fault)
        found.ask(
            f"{fault}", "POST", "/graphql", {"query": EVERYTHING, "variables": {"id": employee}}, **_as(found)
        )
    found.run("source", "check")
    for source in SOURCES:
        stack.heal(source)
    _operations(found, employee)
    _broken_tables(found)
    for arguments in (
        ("token", "list"),
        ("token", "people"),
        ("access", "locks"),
        ("access", "unlock", "--all"),
        ("audit", "verify"),
        ("audit", "list"),
        ("source", "list"),
        ("policy", "check"),
        ("schema", "usage"),
        ("token", "revoke", str(uuid4())),
        ("access", "sign-out", "nobody.here"),
    ):
        found.run(*arguments)
    found.ask("ready", "GET", "/readyz")
    return found


def _as(found: Provoked) -> dict[str, str]:
    return {"authorization": f"Bearer {found.secrets['a person’s token']}"}


def _credentials(found: Provoked) -> None:
    """Tokens and sessions, good ones and such as somebody made up."""
    found.secrets["a person’s token"] = found.stack.token("anna.sorokina")
    issued = found.stack.okno(
        "token", "issue", "--service", "reports", "--scope", "employees.read", "--ttl", "1h"
    )
    found.secrets["a service’s token"] = issued.stdout.strip().splitlines()[-1]
    found.secrets["a token that is none"] = f"okno_pat_{uuid4().hex}{'A' * 11}"
    signed_in = ask(found.stack, "POST", "/auth/development", '{"login": "anna.sorokina"}', JSON)
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    found.secrets["a session’s key"], found.secrets["a session’s secret"] = cookie.partition("=")[2].split(
        "."
    )
    csrf = signed_in.json()["csrfToken"]
    bad = found.secrets["a token that is none"]
    for authorization in (f"Bearer {bad}", f"Bearer {bad}x", f"Basic {bad}", bad):
        found.ask(
            "a bad token", "POST", "/graphql", {"query": "{ me { login } }"}, authorization=authorization
        )
    found.ask("no CSRF", "POST", "/graphql", {"query": "{ me { login } }"}, cookie=cookie)
    found.ask("a broken cookie", "GET", "/auth/session", cookie=f"{cookie}x")
    found.ask("the provider", "GET", "/auth/oidc/start")
    found.ask("the callback", "GET", "/auth/oidc/callback?code=planted-c0de&state=x")
    for _ in range(5):
        found.ask("nobody", "POST", "/auth/development", {"login": "nobody.here"})
    replayed = f"okno_session={found.secrets['a session’s key']}.{'B' * 43}"
    found.ask("a replayed cookie", "POST", "/auth/team", {"team": "x"}, cookie=replayed, x_okno_csrf=csrf)


def _employee(found: Provoked) -> str:
    async def find() -> str:
        connection = await asyncpg.connect(found.stack.superuser_dsn)
        try:
            return str(await connection.fetchval("SELECT id FROM people_person WHERE login = 'ivan.petrov'"))
        finally:
            await connection.close()

    return relay("Employee", asyncio.run(find()))


def _operations(found: Provoked, employee: str) -> None:
    given = {
        "operation": "domain.unlock",
        "employee": employee,
        "input": {},
        "idempotencyKey": "planted-1dem",
    }
    previewed = found.ask(
        "preview", "POST", "/graphql", {"query": PREVIEW, "variables": {"input": given}}, **_as(found)
    )
    payload = (previewed.json().get("data") or {}).get("operationPreview") or {}
    token = payload.get("previewToken") or "planted.preview.token-0000000000000000"
    found.said = {what: text.replace(token, "") for what, text in found.said.items()}
    found.secrets["a preview token"] = token
    for wrong in (token + "x", token[:-4], "x" * 3000):
        values = {**given, "previewToken": wrong}
        found.ask("run", "POST", "/graphql", {"query": RUN, "variables": {"input": values}}, **_as(found))
    found.ask("run", "POST", "/graphql", {"query": '{ me(token: "' + token + '") }'}, **_as(found))
    values = {**given, "previewToken": token}
    found.ask("run", "POST", "/graphql", {"query": RUN, "variables": {"input": values}}, **_as(found))


def _broken_tables(found: Provoked) -> None:
    """Real errors of SQLAlchemy with parameters: digests, logins and personal values are among them."""
    dsn = found.stack.superuser_dsn
    broken = {
        "identity_session": "method",
        "identity_token": "expires_at",
        "people_person": "full_name",
        "limits_attempt": "failures",
    }
    for table, column in broken.items():
        asyncio.run(_sql(dsn, f'ALTER TABLE {table} RENAME COLUMN "{column}" TO broken'))
    try:
        found.ask("a broken session", "POST", "/auth/development", {"login": "anna.sorokina"})
        found.ask("a broken failure", "POST", "/auth/development", {"login": "planted.l0gin"})
        fresh = f"okno_pat_{'C' * 43}"
        found.secrets["a token while the table is broken"] = fresh
        found.ask(
            "a broken token",
            "POST",
            "/graphql",
            {"query": "{ me { login } }"},
            authorization=f"Bearer {fresh}",
        )
        search = {"query": '{ employees(search: "Петров", first: 3) { edges { node { id } } } }'}
        found.ask("a broken search", "POST", "/graphql", search, **_as(found))
        found.run("token", "list")
    finally:
        for table, column in broken.items():
            asyncio.run(_sql(dsn, f'ALTER TABLE {table} RENAME COLUMN broken TO "{column}"'))


def _logs(stack: stacks.Stack) -> dict[str, str]:
    files = [*(stack.data_dir / "logs").iterdir(), stack.output]
    return {str(file.name): file.read_text(encoding="utf-8", errors="replace") for file in files}


def _holding(texts: dict[str, str], secrets: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (where, name)
        for where, text in texts.items()
        for name, secret in secrets.items()
        if len(secret) >= 8 and secret in text
    ]


def test_no_log_holds_a_secret(provoked: Provoked) -> None:
    logs = _logs(provoked.stack)
    written = "\n".join(logs.values())
    assert "ProgrammingError" in written, "the broken tables were met, and that is told"
    assert "[SQL:" in written
    assert _holding(logs, provoked.secrets) == []
    assert "planted.l0gin" not in written, "parameters of a statement"
    assert not re.search(r"okno_(pat|svc)_[A-Za-z0-9_-]{43}", written)
    assert not re.search(r"postgres(ql)?://[^/\s:]+:[^@\s\[]+@", written)


def test_no_answer_and_no_command_tells_a_secret(provoked: Provoked) -> None:
    assert len(provoked.said) > 30
    assert _holding(provoked.said, provoked.secrets) == []
    for what, text in provoked.said.items():
        assert "Traceback" not in text, what
        assert "asyncpg" not in text, what
        assert "SELECT" not in text, what


def test_no_table_holds_a_secret(provoked: Provoked) -> None:
    """The journal least of all: it is exported, and kept for years."""

    async def read() -> dict[str, str]:
        connection = await asyncpg.connect(provoked.stack.superuser_dsn)
        try:
            names = await connection.fetch(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"
            )
            return {
                row["relname"]: "\n".join(
                    str(each["line"])
                    for each in await connection.fetch(f'SELECT t::text AS line FROM "{row["relname"]}" t')
                )
                for row in names
            }
        finally:
            await connection.close()

    tables = asyncio.run(read())
    assert "session.failed" in tables["audit_record"]
    assert _holding(tables, provoked.secrets) == []


def test_files_with_secrets_are_for_their_owner_alone(provoked: Provoked) -> None:
    directory = provoked.stack.data_dir
    files = [*(directory / "keys").iterdir(), directory / "run.env"]
    assert files
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file.name
    others: dict[str, str] = {
        str(file.relative_to(directory)): file.read_bytes().decode("latin-1")
        for file in directory.rglob("*")
        if file.is_file() and file not in files and "postgres" not in Path(file).parts
    }
    sandbox = {name for name in others if name.startswith("sandbox/")}
    assert _holding({name: others[name] for name in others.keys() - sandbox}, provoked.secrets) == []


def test_the_processes_do_not_show_secrets_to_others_on_the_machine(provoked: Provoked) -> None:
    """Arguments of a process can be read by anybody on the machine."""
    commands = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands[str(file)] = file.read_bytes().replace(b"\0", b" ").decode("latin-1")
        except OSError:
            continue
    ours = {name: text for name, text in commands.items() if "okno.cli" in text}
    assert ours
    assert _holding(ours, provoked.secrets) == []
