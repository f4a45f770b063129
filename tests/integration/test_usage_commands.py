"""`okno schema usage` and `okno schema breaks` on a real database."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from okno.cli import main
from okno.clock import SystemClock
from okno.storage.engine import Database
from okno.usage.model import Client, PrincipalKind
from okno.usage.service import Usage
from tests.conftest import Cloned
from tests.integration.test_usage import Document
from tests.stack import ROOT

REPORTS = Client("reports", "1.4", PrincipalKind.SERVICE, "reports-service")
PRETENDER = Client("reports", "", PrincipalKind.PERSON, "anna.sorokina")
WEB = Client("web", "", PrincipalKind.SESSION, "")

Okno = Callable[..., Result]


async def _use(app_url: str, used: Sequence[tuple[Client, str]]) -> None:
    db = Database.connect(app_url, role=None)
    usage = Usage(db, SystemClock(), ())
    for client, coordinate in used:
        usage.note(client, Document(coordinate.encode(), frozenset({coordinate})))
    await usage.flush()
    await db.dispose()


@pytest.fixture
def okno(committed: Cloned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Okno:
    """Runs a command on a database in which reports and the web application used a login, and reports something gone."""
    used = [(REPORTS, "Employee.login"), (REPORTS, "Employee.login"), (WEB, "Employee.login")]
    used += [(PRETENDER, "Employee.email"), (REPORTS, "Employee.gone")]
    asyncio.run(_use(committed.app_url, used))
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OKNO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OKNO_APP_DATABASE_URL", committed.app_url)

    def run(*arguments: str, text: str | None = None) -> Result:
        return CliRunner().invoke(main, ["schema", *arguments], input=text)

    return run


def test_a_field_is_told_with_its_clients_and_who_vouches_for_them(okno: Okno) -> None:
    result = okno("usage", "Employee.login", "Employee.email", "Employee.city")
    assert result.exit_code == 0, result.output
    lines = [line.partition(", last ")[0] for line in result.stdout.splitlines()]
    assert lines[:-1] == [
        "Employee.city   nobody",
        "Employee.email  1 operation",
        "    reports (person anna.sorokina): 1 operation",
        "Employee.login  3 operations",
        "    reports/1.4 (service reports-service): 2 operations",
        "    web (sessions): 1 operation",
    ]
    assert lines[-1].startswith("3 parts of the schema, in the last 30 days; recorded since 20")


def test_as_json_it_holds_the_same(okno: Okno) -> None:
    result = okno("usage", "Employee", "--client", "reports", "--json", "--since", "7d")
    answer = json.loads(result.stdout)
    assert answer["days"] == 7
    assert [(each["coordinate"], each["operations"]) for each in answer["members"]] == [
        ("Employee.email", 1),
        ("Employee.login", 2),
    ]
    (client,) = answer["members"][1]["clients"]
    assert {key: value for key, value in client.items() if key != "lastSeenAt"} == {
        "name": "reports",
        "version": "1.4",
        "principalKind": "service",
        "principal": "reports-service",
        "operations": 2,
    }


def test_what_nobody_used_and_what_is_deprecated_are_listed(okno: Okno) -> None:
    unused = okno("usage", "Employee", "--unused").stdout
    assert "Employee.city" in unused
    assert "Employee.login" not in unused
    assert okno("usage", "Employee", "--deprecated", "--unused").stdout.startswith("0 parts of the schema, ")


def test_a_name_that_does_not_exist_is_one_line_with_the_nearest(okno: Okno) -> None:
    for command in ("usage", "breaks"):
        result = okno(command, "Employee.logn")
        assert result.exit_code == 1
        assert result.stderr.startswith(
            "Error: There is no Employee.logn in the schema; the nearest are Employee.login"
        )


def test_a_period_of_another_form_is_a_wrong_call(okno: Okno) -> None:
    result = okno("usage", "--since", "month")
    assert result.exit_code == 2
    assert "write 1d to 3650d, such as 30d" in result.stderr


def test_who_would_break_is_told_by_client_and_by_the_exit_code(okno: Okno) -> None:
    result = okno("breaks", "Employee.login", "Employee.city")
    assert result.exit_code == 1
    lines = [line.partition(", last ")[0] for line in result.stdout.splitlines()]
    assert lines[:4] == [
        "reports/1.4 (service reports-service)",
        "    Employee.login: 2 operations",
        "web (sessions)",
        "    Employee.login: 1 operation",
    ]
    assert lines[4].startswith("2 clients would break, in the last 90 days")
    result = okno("breaks", "Employee.city")
    assert result.exit_code == 0
    assert result.stdout.startswith("nobody would break, in the last 90 days; recorded since 20")


def test_a_list_of_coordinates_is_read_from_a_file_or_standard_input(okno: Okno, tmp_path: Path) -> None:
    listed = "# breaking since 0.1.0\nEmployee.city\n\nEmployee.gone  # a field that went\nQuery.employees.search\n"
    file = tmp_path / "breaking.txt"
    file.write_text(listed)
    for result in (
        okno("breaks", "--from", str(file), "--json"),
        okno("breaks", "--from", "-", "--json", text=listed),
    ):
        assert result.exit_code == 1, result.output
        (client,) = json.loads(result.stdout)["clients"]
        assert (client["name"], client["operations"]) == ("reports", {"Employee.gone": 1})
    assert okno("breaks", "--from", "-", text="# nothing\n").exit_code == 0


def test_the_schema_of_before_knows_what_is_gone_and_was_never_used(okno: Okno, tmp_path: Path) -> None:
    before = tmp_path / "before.graphql"
    before.write_text("type Query { oldest: String old(first: Int): String }")
    assert okno("breaks", "Query.old(first:)").exit_code == 1
    result = okno("breaks", "Query.old(first:)", "Query.oldest", "--schema", str(before))
    assert (result.exit_code, result.stderr) == (0, "")
    before.write_text("type Query {")
    result = okno("breaks", "Query.old", "--schema", str(before))
    assert result.exit_code == 1
    assert "before.graphql: it is no GraphQL schema" in result.stderr


def test_without_coordinates_there_is_nothing_to_ask(okno: Okno) -> None:
    result = okno("breaks")
    assert result.exit_code == 2
    assert "give coordinates" in result.stderr
