"""The client kit: docs/api.md shows the examples as they are, and each runs against the server as the text says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from okno.graph.errors import CODES
from okno.settings import GraphqlSettings
from tests.chaos.deployment import ask
from tests.contract.peers import find_program
from tests.contract.peers.okno import NODE_PEERS, Okno, installed
from tests.stack import ROOT

pytestmark = [pytest.mark.xdist_group("stack-graphql"), pytest.mark.timeout(120)]

EXAMPLES = ROOT / "docs" / "examples"
TEXT = (ROOT / "docs" / "api.md").read_text()
SHOWN = re.compile(r"^\[`(examples/[\w.-]+)`\]\(\1\):\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PREVIEW = """mutation { operationPreview(input: {operation: "x", employee: "y", idempotencyKey: "z"}) {
    previewToken } }"""
LOCKED = """query ($after: String) { employees(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor } edges { node { id displayName login domain { locked enabled } } } } }"""


class Company:
    """Those whom the examples are about: operators of accounts see them all."""

    def __init__(self, okno: Okno) -> None:
        self.token = okno.token("dmitry.orlov")
        self.employees = 0
        self._locked: list[tuple[str, str]] = []
        after, more = None, True
        while more:
            page = okno.ask(self.token, LOCKED, after=after)["data"]["employees"]
            self.employees += len(page["edges"])
            for edge in page["edges"]:
                node = edge["node"]
                # the one whom other tests look at stays as he is
                if node["domain"]["locked"] and node["domain"]["enabled"] and node["login"] != "ivan.petrov":
                    self._locked.append((node["login"], node["displayName"]))
            more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]

    def take_locked(self) -> tuple[str, str]:
        """Login and name of somebody whose account is locked, somebody else each time."""
        return self._locked.pop()


@pytest.fixture(scope="module")
def company(okno: Okno) -> Company:
    return Company(okno)


def _run(okno: Okno, company: Company, *command: str, status: int = 0) -> list[str]:
    environment = {**os.environ, "OKNO_URL": okno.stack.url, "OKNO_TOKEN": company.token}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=EXAMPLES
    )
    assert done.returncode == status, done.stdout + done.stderr
    return (done.stdout + done.stderr).splitlines()


def _assert_unlocks(said: list[str], company: Company, name: str, *, tells: str) -> None:
    """What all of them print, in which order; `tells`: what one tells besides, "cost" or "refusal"."""
    cost = [r"cost: [1-9]\d* requested, [1-9]\d* spent, 5000 allowed"] if tells == "cost" else []
    refusal = [r"NOTHING_TO_CHANGE: .+"] if tells == "refusal" else []
    patterns = [
        re.escape(name),
        "domain: OK, locked: [Tt]rue",
        *cost,
        "Locked: [Tt]rue -> [Ff]alse",
        r"Locked at: 20\d\d-.+ -> (None|null)",
        r"Failed sign-ins: \d+ -> 0",
        "SUCCEEDED, replayed: [Ff]alse",
        "SUCCEEDED, replayed: [Tt]rue",
        *refusal,
        f"{company.employees} employees on {-(-company.employees // 100)} pages",
        r"INVALID_INPUT: id is not an id that this API gave out\.",
    ]
    assert re.fullmatch("\n".join(patterns), "\n".join(said)), "\n".join(said)


def test_the_text_shows_every_example_as_it_is() -> None:
    shown = dict(SHOWN.findall(TEXT))
    files = {f"examples/{file.name}": file.read_text() for file in EXAMPLES.iterdir() if file.is_file()}
    assert shown == files


def test_the_text_tells_every_code_and_no_other() -> None:
    schema = (ROOT / "schema.graphql").read_text()
    members = re.search(r"enum UserErrorCode \{\n(.*?)^\}", schema, re.MULTILINE | re.DOTALL)
    assert members is not None
    assert _column("UserErrorCode") == sorted(re.findall(r"^  (\w+)$", members[1], re.MULTILINE))
    assert _column("extensions.code") == sorted(CODES)


def test_the_text_tells_every_limit_as_it_is() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (\d+) \| ", TEXT, re.MULTILINE))
    defaults = {name: str(value) for name, value in GraphqlSettings().model_dump().items()}
    del defaults["trusted_cost"]
    assert rows == defaults


def test_the_text_tells_the_status_of_each_code(okno: Okno, company: Company) -> None:
    told = {
        code: row.split("|")[2]
        for row in TEXT.splitlines()
        for code in re.findall(r"`(\w+)`", row.split("|")[1] if row.startswith("| `") else "")
    }
    signed = {
        "authorization": f"Bearer {company.token}",
        "content-type": "application/json",
        "accept": "application/graphql-response+json",
    }
    nested = "{ me { login } " + " ".join(f"a{number}: me {{ login }}" for number in range(20)) + " }"
    requests: list[tuple[str, str, object, dict[str, str]]] = [
        ("BAD_REQUEST", "POST", {}, {}),
        ("BAD_USER_INPUT", "POST", {"query": "query ($id: ID!) { employee(id: $id) { id } }"}, {}),
        ("GRAPHQL_PARSE_FAILED", "POST", {"query": "{"}, {}),
        ("GRAPHQL_VALIDATION_FAILED", "POST", {"query": "{ nothing }"}, {}),
        ("LIMIT_EXCEEDED", "POST", {"query": nested}, {}),
        ("PERSISTED_DOCUMENT_NOT_FOUND", "POST", {"documentId": f"sha256:{'0' * 64}"}, {}),
        ("UNAUTHENTICATED", "POST", {"query": "{ me { login } }"}, {"authorization": "Bearer nonsense"}),
        ("METHOD_NOT_ALLOWED", "GET", quote(PREVIEW), {}),
        ("NOT_ACCEPTABLE", "POST", {"query": "{ me { login } }"}, {"accept": "image/png"}),
        ("UNSUPPORTED_MEDIA_TYPE", "POST", {"query": "{ me { login } }"}, {"content-type": "text/plain"}),
    ]
    for code, method, given, headers in requests:
        path = "/graphql" if method == "POST" else f"/graphql?query={given}"
        body = json.dumps(given) if method == "POST" else None
        answer = ask(okno.stack, method, path, body, {**signed, **headers})
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == code, (code, error)
        assert str(answer.status) in told[code], (code, answer.status)


def _column(title: str) -> list[str]:
    """The codes in the first column of the table with this title."""
    _, _, table = TEXT.partition(f"| `{title}` |")
    rows = table.partition("\n\n")[0].splitlines()[2:]
    return sorted(code for row in rows for code in re.findall(r"`(\w+)`", row.split("|")[1]))


def test_the_example_for_curl_unlocks_an_account(okno: Okno, company: Company) -> None:
    login, name = company.take_locked()
    said = _run(okno, company, find_program("bash", "bash"), "okno.sh", login)
    _assert_unlocks(said, company, name, tells="cost")


def test_the_example_for_python_unlocks_an_account(okno: Okno, company: Company) -> None:
    login, name = company.take_locked()
    said = _run(okno, company, sys.executable, "okno_client.py", login)
    _assert_unlocks(said, company, name, tells="refusal")


def test_the_example_for_typescript_has_its_types_right_and_unlocks_an_account(
    okno: Okno, company: Company, tmp_path: Path
) -> None:
    shutil.copy(EXAMPLES / "okno-client.ts", tmp_path)
    types = ["--types", "node", "--typeRoots", str(NODE_PEERS / "node_modules" / "@types")]
    language = ["--lib", "es2022", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
    strict = ["--strict", "--noUncheckedIndexedAccess", "--noUnusedLocals", "--noUnusedParameters"]
    compiled = subprocess.run(
        [str(installed("tsc")), *strict, *language, *types, "okno-client.ts"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stdout
    login, name = company.take_locked()
    said = _run(okno, company, find_program("node", "nodejs"), str(tmp_path / "okno-client.js"), login)
    _assert_unlocks(said, company, name, tells="refusal")


def test_who_is_not_found_ends_an_example_with_a_sentence(okno: Okno, company: Company) -> None:
    for command in (("bash", "okno.sh"), (sys.executable, "okno_client.py")):
        said = _run(okno, company, *command, "zzzz-nobody", status=1)
        assert said == ["nobody is found by zzzz-nobody"]
