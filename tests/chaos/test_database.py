"""PostgreSQL goes away and comes back: clear errors meanwhile, nothing done without its record, and no restart needed."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import psutil
import pytest

from tests.chaos.deployment import (
    Answer,
    Deployment,
    Domain,
    ask,
    assert_no_internals,
    assert_one_clear_error,
    assert_unavailable,
    post,
    wait_until,
)
from tests.chaos.runs import ask_to_run, outcomes_of, preview, run, settle_by_the_worker

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(300)]

PATIENCE_SECONDS = 6.0  # nobody waits longer for being told to come back
ME = "{ me { login } }"
GROUP = {"group": "remote-desktop"}
DEATHS = pytest.mark.parametrize("death", [signal.SIGINT, signal.SIGKILL], ids=["shut down", "killed"])


@contextmanager
def database_away(deployment: Deployment, death: signal.Signals) -> Iterator[None]:
    """PostgreSQL ends, and the supervisor, which would start it again at once, is held until the block ends."""
    supervisor = psutil.Process(deployment.stack.process.pid)
    postmaster = deployment.postmaster()
    supervisor.suspend()
    try:
        postmaster.send_signal(death)
        wait_until("PostgreSQL ends", lambda: _is_gone(postmaster), seconds=30)
        yield
    finally:
        supervisor.resume()


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_back(deployment: Deployment) -> None:
    wait_until("/readyz says 200 again", deployment.is_ready, seconds=60, every=0.2)


@DEATHS
def test_requests_during_the_outage_get_one_clear_error_and_afterwards_all_works(
    deployment: Deployment, death: signal.Signals
) -> None:
    stack, token = deployment.stack, deployment.token("dmitry.orlov")
    employee = deployment.stranger()
    api = deployment.processes()["api"]
    signed_in = ask(
        stack,
        "POST",
        "/auth/development",
        '{"login": "dmitry.orlov"}',
        {"content-type": "application/json"},
    )
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    document = "query ($id: ID!) { employee(id: $id) { displayName hr { meta { state } position } } }"

    with database_away(deployment, death):
        # what was authenticated a moment ago is remembered for two seconds
        answer = wait_until(
            "the API notices",
            lambda: found if (found := post(stack, token, ME)).status != 200 else None,
            seconds=20,
        )
        sign_in = '{"login": "kwame.mensah"}'
        answers = [
            answer,
            post(stack, token, document, id=employee.id),
            ask(stack, "GET", "/auth/session", headers={"cookie": cookie}),
            ask(stack, "POST", "/auth/development", sign_in, {"content-type": "application/json"}),
        ]
        for answer in answers:
            assert_one_clear_error(answer, 503, "UNAVAILABLE")
            assert answer.seconds < PATIENCE_SECONDS
        ready = ask(stack, "GET", "/readyz")
        assert ready.status == 503
        assert ready.json()["ready"] is False
        assert ready.json()["checks"]["database"] == "UNAVAILABLE"
        assert_no_internals(ready.text)
        assert ask(stack, "GET", "/livez").status == 204, "the process is alive, so nobody should restart it"
        assert ask(stack, "GET", "/").status == 200, "the page stands, and shows the error"

    wait_until_back(deployment)
    assert deployment.processes()["api"].pid == api.pid, "the API was not restarted"
    found = post(stack, token, document, id=employee.id).json()
    assert "errors" not in found
    assert found["data"]["employee"]["hr"]["meta"]["state"] == "OK"
    session = ask(stack, "GET", "/auth/session", headers={"cookie": cookie})
    assert session.json()["signedIn"] is True
    verified = stack.okno("audit", "verify", check=False)
    assert verified.returncode == 0, verified.stdout


@DEATHS
def test_without_its_record_no_change_reaches_a_system(deployment: Deployment, death: signal.Signals) -> None:
    domain, employee = Domain(deployment.stack), deployment.outsider(GROUP["group"])
    shown = preview(deployment, employee, "domain.add_to_group", GROUP)
    key, before = str(uuid4()), deployment.counters("domain")["writes"]

    def attempt() -> Answer:
        return ask_to_run(deployment, employee, "domain.add_to_group", GROUP, shown["previewToken"], key)

    with database_away(deployment, death), ThreadPoolExecutor(3) as threads:
        for attempted in threads.map(lambda _: attempt(), range(3)):
            assert_unavailable(attempted)
        assert deployment.counters("domain")["writes"] == before

    wait_until_back(deployment)
    assert deployment.counters("domain")["writes"] == before
    assert not domain.has_member(GROUP["group"], employee)
    done = wait_until(
        "the same run with the same key is done",
        lambda: (
            found
            if (
                found := run(
                    deployment, employee, "domain.add_to_group", GROUP, shown["previewToken"], str(uuid4())
                )
            ).outcome
            else None
        ),
        seconds=20,
    )
    assert done.outcome == "SUCCEEDED"
    assert outcomes_of(deployment, done.record) == ["succeeded"]
    assert domain.has_member(GROUP["group"], employee)


@DEATHS
def test_a_change_under_way_when_the_database_goes_away_has_its_outcome_in_the_end(
    deployment: Deployment, death: signal.Signals
) -> None:
    stack, domain, employee = deployment.stack, Domain(deployment.stack), deployment.outsider(GROUP["group"])
    shown = preview(deployment, employee, "domain.add_to_group", GROUP)
    key = str(uuid4())
    counters = deployment.counters("domain")
    connections, writes = counters["connections"], counters["writes"]
    stack.fault("domain", latency_seconds=0.8)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(
            ask_to_run, deployment, employee, "domain.add_to_group", GROUP, shown["previewToken"], key
        )
        wait_until(
            "the run opens its connection",
            lambda: deployment.counters("domain")["connections"] > connections,
            seconds=10,
            every=0.01,
        )
        with database_away(deployment, death):
            wait_until(
                "the change is made", lambda: deployment.counters("domain")["writes"] > writes, seconds=10
            )
        answer = running.result()
    stack.heal("domain")
    wait_until_back(deployment)

    assert_no_internals(answer.text)
    if answer.status == 200:
        payload = answer.json()["data"]["operationRun"]
        assert payload["outcome"] in ("SUCCEEDED", "UNKNOWN")
    else:
        assert_unavailable(answer)
    (command,) = deployment.sql(
        "SELECT intent_chain_id, intent_seq FROM audit_command WHERE idempotency_key = $1", key
    )
    record = f"{command['intent_chain_id']}:{command['intent_seq']}"
    settle_by_the_worker(deployment, record)
    is_member = domain.has_member(GROUP["group"], employee)
    assert outcomes_of(deployment, record)[-1] == ("succeeded" if is_member else "failed")
    verified = stack.okno("audit", "verify", check=False)
    assert verified.returncode == 0, verified.stdout
