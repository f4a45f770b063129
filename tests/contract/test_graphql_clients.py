"""Clients of other makers as they come from npm: Apollo Client, urql and plain fetch read and write without a special case."""

from typing import Any

import pytest

from tests.contract.peers.okno import Okno, run_node

pytestmark = [pytest.mark.xdist_group("stack-graphql"), pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def employee(okno: Okno) -> str:
    return okno.employee_id("Иван Петров")


@pytest.fixture(scope="module")
def read(okno: Okno, employee: str) -> dict[str, Any]:
    """What each client read of the same work."""
    given = {"endpoint": okno.endpoint, "token": okno.token("anna.sorokina"), "employee": employee}
    found: dict[str, Any] = run_node("clients/all.mjs", given)
    return found


@pytest.mark.parametrize("client", ["apollo", "urql", "fetch"])
def test_a_client_reads_writes_and_understands_what_went_wrong(
    client: str, read: dict[str, Any], employee: str
) -> None:
    assert read[client] == {
        "card": {
            "me": {"login": "anna.sorokina"},
            "employee": {
                "id": employee,
                "displayName": "Иван Петров",
                "login": "ivan.petrov",
                "hr": {"meta": {"state": "OK"}, "country": "RU", "salary": None},
                "domain": {"meta": {"state": "OK"}, "locked": True},
            },
        },
        "change": {"source": "domain", "before": True, "after": False},
        "mayRun": True,
        "problems": ["DENIED"],
        "wrongId": ["INVALID_INPUT"],
        "wrongField": ["GRAPHQL_VALIDATION_FAILED"],
        "nobody": ["UNAUTHENTICATED"],
    }
