"""Who asks a whole stack: what is expired, revoked, forged or out of scope gets one clear refusal."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.api.stack_asking import JSON, ME, Browser, relay
from tests.chaos.deployment import (
    DEPLOYMENTS,
    Deployment,
    ask,
    assert_no_internals,
    assert_one_clear_error,
    post,
    wait_until,
)
from tests.chaos.runs import PREVIEW, RUN

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def deployments() -> Iterator[None]:
    yield
    DEPLOYMENTS.close()


@pytest.fixture
def deployment(deployments: None) -> Deployment:
    return DEPLOYMENTS.shared()


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer okno_pat_x",
        "Bearer " + "A" * 6000,
        "Bearer okno_svc_8YMP7ubzHC2r2gnS061c0MNVcWoEAQ4nAAHY5yHfjcM",
        "Basic YWRtaW46YWRtaW4=",
        "Negotiate abc",
        "garbage",
        "Bearer a b c",
        "Bearer \xff\xfe",
    ],
    ids=lambda header: header[:24],
)
def test_a_credential_that_nobody_gave_out_is_unauthenticated(deployment: Deployment, header: str) -> None:
    answer = ask(
        deployment.stack, "POST", "/graphql", json.dumps({"query": ME}), {**JSON, "authorization": header}
    )
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")
    assert header[:40] not in answer.text or len(header) < 12


def test_without_a_credential_one_is_unauthenticated(deployment: Deployment) -> None:
    for headers in (JSON, {**JSON, "cookie": "okno_session=garbage"}, {**JSON, "cookie": "okno_session="}):
        answer = ask(deployment.stack, "POST", "/graphql", json.dumps({"query": ME}), headers)
        assert_one_clear_error(answer, 401, "UNAUTHENTICATED")


def test_an_expired_token_no_longer_works(deployment: Deployment) -> None:
    issued = deployment.stack.okno("token", "issue", "--as", "anna.sorokina", "--ttl", "1s")
    token = issued.stdout.strip().splitlines()[-1]
    answer = wait_until(
        "the token expires",
        lambda: found if (found := post(deployment.stack, token, ME)).status != 200 else None,
        seconds=10,
    )
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")


def test_a_revoked_token_stops_working_within_seconds(deployment: Deployment) -> None:
    issued = deployment.stack.okno("token", "issue", "--as", "anna.sorokina", "--ttl", "1h")
    token = issued.stdout.strip().splitlines()[-1]
    assert post(deployment.stack, token, ME).json()["data"]["me"]["login"] == "anna.sorokina"
    token_id = issued.stderr.split()[1]
    assert deployment.stack.okno("token", "revoke", token_id).stdout == f"revoked {token_id}\n"
    answer = wait_until(
        "the token stops working",
        lambda: found if (found := post(deployment.stack, token, ME)).status != 200 else None,
        seconds=5,
    )
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")
    assert token_id not in deployment.stack.okno("token", "list").stdout


def test_an_expired_session_is_unauthenticated_and_its_cookie_is_cleared(deployment: Deployment) -> None:
    browser = Browser(deployment, "anna.sorokina")
    signed_in = browser.post("/graphql", {"query": ME}, X_Okno_CSRF=browser.csrf)
    assert signed_in.json()["data"]["me"]["login"] == "anna.sorokina"
    deployment.sql(
        "UPDATE identity_session SET started_at = started_at - interval '2 days', ends_at = now() - interval '1 second'"
    )
    answer = wait_until(
        "the session is over",
        lambda: (
            found
            if (found := browser.post("/graphql", {"query": ME}, X_Okno_CSRF=browser.csrf)).status != 200
            else None
        ),
        seconds=5,
    )
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")
    session = browser.get("/auth/session")
    assert (session.status, session.json()["signedIn"]) == (200, False)
    assert "Max-Age=0" in session.headers["set-cookie"]


def test_a_session_that_lay_idle_is_over(deployment: Deployment) -> None:
    browser = Browser(deployment, "anna.sorokina")
    assert browser.get("/auth/session").json()["signedIn"] is True
    deployment.sql("UPDATE identity_session SET last_seen_at = last_seen_at - interval '9 hours'")
    wait_until(
        "the session is over",
        lambda: browser.get("/auth/session").json()["signedIn"] is False,
        seconds=5,
    )


def test_a_signed_out_session_is_over(deployment: Deployment) -> None:
    browser = Browser(deployment, "anna.sorokina")
    assert browser.post("/auth/sign-out", {}, X_Okno_CSRF=browser.csrf).status == 200
    answer = browser.post("/graphql", {"query": ME}, X_Okno_CSRF=browser.csrf)
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")


def test_a_cookie_alone_cannot_post(deployment: Deployment) -> None:
    browser = Browser(deployment, "anna.sorokina")
    for headers in (
        {},
        {"X_Okno_CSRF": ""},
        {"X_Okno_CSRF": "garbage"},
        {"X_Okno_CSRF": "ключ".encode().decode("latin-1")},
        {"X_Okno_CSRF": browser.csrf, "origin": "https://evil.example"},
        {"X_Okno_CSRF": browser.csrf, "origin": "null"},
        {"X_Okno_CSRF": browser.csrf, "Sec_Fetch_Site": "cross-site"},
    ):
        assert_one_clear_error(browser.post("/graphql", {"query": ME}, **headers), 403, "CSRF")
    assert_one_clear_error(browser.post("/auth/sign-out", {}), 403, "CSRF")
    assert browser.post("/graphql", {"query": ME}, X_Okno_CSRF=browser.csrf).status == 200


def test_sign_in_takes_nobody_who_is_not_there(deployment: Deployment) -> None:
    for body in (
        '{"login": "nobody.here"}',
        '{"login": ""}',
        '{"login": 7}',
        "{}",
        "[]",
        "{",
        "",
        '{"login": "' + "x" * 5000 + '"}',
        '{"login": "anna.sorokina\\u0000"}',
        "[" * 4000,
    ):
        answer = ask(deployment.stack, "POST", "/auth/development", body, JSON)
        assert 400 <= answer.status < 500, body[:40]
        assert answer.json()["code"]
        assert "set-cookie" not in answer.headers
        assert_no_internals(answer.text)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert ask(deployment.stack, "POST", "/auth/development", "login=anna.sorokina", form).status in (
        400,
        415,
    )
    foreign = {**JSON, "origin": "https://evil.example"}
    answer = ask(deployment.stack, "POST", "/auth/development", '{"login": "anna.sorokina"}', foreign)
    assert_one_clear_error(answer, 403, "CSRF")


def test_a_service_reads_what_its_scope_covers_and_runs_nothing(deployment: Deployment) -> None:
    issued = deployment.stack.okno(
        "token", "issue", "--service", "reports", "--scope", "employees.read", "--ttl", "1h"
    )
    token = issued.stdout.strip().splitlines()[-1]
    ivan = deployment.person("ivan.petrov")
    document = """query ($id: ID!) { me { kind displayName } employee(id: $id) { displayName login
      domain { meta { state } locked lastLogonAt } hr { position salary { minorUnits } birthDate } }
      operations(employee: $id) { id } auditRecords(first: 50) { edges { cursor } } sources { id } }"""
    answer = post(deployment.stack, token, document, id=ivan.id)
    assert_no_internals(answer.text)
    data = answer.json()["data"]
    assert data["me"]["kind"] == "service"
    assert (data["employee"]["displayName"], data["employee"]["login"]) == ("Иван Петров", "ivan.petrov")
    assert data["employee"]["domain"]["meta"]["state"] == "OK"
    assert data["employee"]["domain"]["locked"] is not None
    assert data["employee"]["hr"]["position"]
    assert data["employee"]["domain"]["lastLogonAt"] is None
    assert (data["employee"]["hr"]["salary"], data["employee"]["hr"]["birthDate"]) == (None, None)
    assert not data["operations"]
    assert data["auditRecords"] is None
    assert data["sources"] is None
    denied = {entry["path"] for entry in answer.json()["extensions"]["gate"] if entry["decision"] == "deny"}
    assert {"employee.hr.salary", "employee.hr.birthDate", "sources"} <= denied

    writes = deployment.counters("domain")["writes"]
    values = {
        "operation": "domain.unlock",
        "employee": ivan.id,
        "input": {},
        "idempotencyKey": str(uuid4()),
    }
    for document, given in ((PREVIEW, values), (RUN, {**values, "previewToken": "x"})):
        refused = post(deployment.stack, token, document, input=given)
        assert_no_internals(refused.text)
        body = refused.json()
        payload = next(iter((body.get("data") or {"none": None}).values()))
        codes = [error["code"] for error in payload["errors"]] if payload else []
        assert payload is None or codes == ["DENIED"], body
    assert deployment.counters("domain")["writes"] == writes


def test_a_protected_person_is_hidden_from_a_service_beyond_what_is_public(deployment: Deployment) -> None:
    issued = deployment.stack.okno(
        "token", "issue", "--service", "reports", "--scope", "employees.read", "--ttl", "1h"
    )
    token = issued.stdout.strip().splitlines()[-1]
    (maxim,) = deployment.sql("SELECT id FROM people_person WHERE login = 'maxim.egorov'")
    document = "query ($id: ID!) { employee(id: $id) { displayName login domain { locked meta { state } } } }"
    answer = post(deployment.stack, token, document, id=relay("Employee", maxim["id"])).json()
    employee = answer["data"]["employee"]
    assert employee["displayName"]
    assert employee["login"] is None
    assert employee["domain"] == {"locked": None, "meta": {"state": "DENIED"}}
