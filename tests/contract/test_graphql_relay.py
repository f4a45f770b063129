"""Relay: its compiler accepts the schema, and what it compiles pages and refetches against the running server."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.contract.peers.okno import NODE_PEERS, Okno, installed
from tests.stack import ROOT

pytestmark = [pytest.mark.xdist_group("stack-graphql"), pytest.mark.timeout(120)]

CONFIG = {
    "src": "./src",
    "language": "typescript",
    "schema": "./schema.graphql",
    "artifactDirectory": "./artifacts",
    "persistConfig": {"file": "./documents.json", "algorithm": "SHA256"},
}


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The documents that Relay's compiler makes of the small application in tests/peers/relay, by operation name."""
    project = tmp_path_factory.mktemp("relay")
    _lay_out(project, (ROOT / "schema.graphql").read_text())
    said = _compile(project)
    assert said.returncode == 0, said.stdout + said.stderr
    texts = json.loads((project / "documents.json").read_text()).values()
    return {re.split(r"\W+", text)[1]: text for text in texts}


def _lay_out(project: Path, schema: str) -> None:
    shutil.copytree(NODE_PEERS / "relay" / "src", project / "src")
    (project / "artifacts").mkdir()
    (project / "documents.json").write_text("{}")
    (project / "schema.graphql").write_text(schema)
    (project / "relay.config.json").write_text(json.dumps(CONFIG))


def _compile(project: Path) -> subprocess.CompletedProcess[str]:
    command = [str(installed("relay-compiler")), "relay.config.json"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)


def _ask(okno: Okno, document: str, **variables: Any) -> dict[str, Any]:
    answer = okno.ask(okno.token("dmitry.orlov"), document, **variables)
    assert "errors" not in answer, answer
    data: dict[str, Any] = answer["data"]
    return data


def test_the_compiler_accepts_the_schema_and_makes_every_document(documents: dict[str, str]) -> None:
    assert set(documents) == {
        "EmployeeCardPreviewMutation",
        "EmployeeCardQuery",
        "EmployeeCardRefetchQuery",
        "EmployeeListPaginationQuery",
        "EmployeeListQuery",
        "HistoryPaginationQuery",
        "HistoryQuery",
        "HistoryRecordRefetchQuery",
        "HistorySubscription",
    }


def test_the_compiler_would_notice_a_connection_without_page_info(tmp_path: Path) -> None:
    schema = (ROOT / "schema.graphql").read_text()
    before, connection, after = schema.partition("type EmployeeConnection")
    _lay_out(
        tmp_path, before + connection + re.sub(r"pageInfo: PageInfo!", "pages: PageInfo!", after, count=1)
    )
    said = _compile(tmp_path)
    assert said.returncode != 0
    assert "pageInfo" in said.stdout + said.stderr


def test_what_it_compiled_pages_forwards_and_back_again(okno: Okno, documents: dict[str, str]) -> None:
    document = documents["EmployeeListPaginationQuery"]
    first = _ask(okno, document, first=3)["employees"]
    onward = {"first": 3, "after": first["pageInfo"]["endCursor"]}
    second = _ask(okno, document, **onward)["employees"]
    # Relay's loadPrevious names all four, those of the other direction as null
    backward = {"first": None, "after": None, "last": 3, "before": second["pageInfo"]["startCursor"]}
    again = _ask(okno, document, **backward)["employees"]
    ids = [[edge["node"]["id"] for edge in page["edges"]] for page in (first, second, again)]
    assert ids[2] == ids[0]
    assert len({*ids[0], *ids[1]}) == 6
    assert first["pageInfo"]["hasNextPage"]
    assert second["pageInfo"]["hasPreviousPage"]
    assert not again["pageInfo"]["hasPreviousPage"]


def test_what_it_compiled_asks_for_one_object_anew_by_its_id(okno: Okno, documents: dict[str, str]) -> None:
    ivan = okno.employee_id("Иван Петров")
    found = _ask(okno, documents["EmployeeCardRefetchQuery"], id=ivan)["node"]
    assert (found["__typename"], found["id"], found["login"]) == ("Employee", ivan, "ivan.petrov")
    elena = okno.token("elena.kim")
    okno.ask(elena, "query ($id: ID!) { employee(id: $id) { hr { birthDate } } }", id=ivan)
    pages = okno.ask(elena, documents["HistoryQuery"], employee=ivan)
    record = pages["data"]["auditRecords"]["edges"][0]["node"]
    assert record["eventType"] == "sensitive.read"
    again = okno.ask(elena, documents["HistoryRecordRefetchQuery"], id=record["id"])
    assert again["data"]["node"]["id"] == record["id"]
