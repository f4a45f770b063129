"""Processes are killed: they come back, what they were doing is found out, and nothing that was stored is lost."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests import stack as stacks
from tests.chaos.deployment import (
    Deployment,
    Deployments,
    Domain,
    leave_nothing,
    post,
    processes_of,
    wait_until,
)
from tests.chaos.runs import ask_to_run, outcomes_of, preview, run, settle_by_the_worker

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(400)]

GROUP = {"group": "app-tracker"}


@pytest.fixture
def folder() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="okno-stack-"))
    yield directory
    leave_nothing(directory)
    shutil.rmtree(directory, ignore_errors=True)


def okno_up(directory: Path, port: int) -> "subprocess.Popen[bytes]":
    """`okno up` on a folder, its output in `up.log` there."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OKNO_") and name != "DATABASE_URL"
    }
    environment |= {"OKNO_DATA_DIR": str(directory), "OKNO_SANDBOX_EMPLOYEES": "60", "PORT": str(port)}
    with (directory / "up.log").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "okno.cli", "up"],
            cwd=stacks.ROOT,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def test_the_api_killed_in_the_middle_of_a_run_comes_back_and_the_worker_finds_out_how_it_ended(
    deployment: Deployment,
) -> None:
    stack, domain, employee = deployment.stack, Domain(deployment.stack), deployment.stranger()
    shown = preview(deployment, employee, "domain.add_to_group", GROUP)
    key, api = str(uuid4()), deployment.processes()["api"]
    connections = deployment.counters("domain")["connections"]
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
        api.kill()
        assert isinstance(running.exception(), OSError | Exception), "the client sees its connection end"
    stack.heal("domain")

    wait_until("the supervisor starts the API again", deployment.is_ready, seconds=60, every=0.2)
    assert deployment.processes()["api"].pid != api.pid
    (command,) = deployment.sql(
        "SELECT state, intent_chain_id, intent_seq FROM audit_command WHERE idempotency_key = $1", key
    )
    record = f"{command['intent_chain_id']}:{command['intent_seq']}"
    assert (command["state"], outcomes_of(deployment, record)) == ("running", [])
    early = run(deployment, employee, "domain.add_to_group", GROUP, shown["previewToken"], key)
    assert (early.outcome, early.codes) == (None, ["CONFLICT"]), "nobody knows yet how it ended"

    writes = deployment.counters("domain")["writes"]
    settle_by_the_worker(deployment, record)
    done = domain.has_member(GROUP["group"], employee)
    assert outcomes_of(deployment, record) == ["succeeded" if done else "failed"]
    again = run(deployment, employee, "domain.add_to_group", GROUP, shown["previewToken"], key)
    assert (again.outcome, again.replayed) == ("SUCCEEDED" if done else "FAILED", True)
    assert deployment.counters("domain")["writes"] == writes
    verified = stack.okno("audit", "verify", check=False)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize("name", ["worker", "serve"], ids=["worker", "simulated systems"])
def test_another_process_that_is_killed_comes_back_by_itself(deployment: Deployment, name: str) -> None:
    killed = deployment.processes()[name]
    killed.kill()
    wait_until(
        "the supervisor starts it again",
        lambda: (found := deployment.processes().get(name)) is not None and found.pid != killed.pid,
        seconds=30,
    )
    document = """query ($id: ID!) { employee(id: $id) { hr { meta { state } } directory { meta { state } }
        domain { meta { state } } equipment { meta { state } } } }"""

    def whole() -> bool:
        answer = post(
            deployment.stack, deployment.token("dmitry.orlov"), document, id=deployment.stranger().id
        ).json()
        sections = answer["data"]["employee"].values()
        return all(section["meta"]["state"] == "OK" for section in sections)

    wait_until("a card is whole again", whole, seconds=40, every=0.2)


def test_a_second_okno_up_on_the_same_folder_is_refused_with_a_clear_message(deployment: Deployment) -> None:
    stack = deployment.stack
    environment = {**stack.environment, "PORT": str(stacks.free_port())}
    second = subprocess.run(
        [sys.executable, "-m", "okno.cli", "up"],
        cwd=stacks.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "already runs on the data folder" in second.stderr
    assert str(stack.data_dir) in second.stderr
    assert "OKNO_DATA_DIR" in second.stderr
    assert "Traceback" not in second.stderr
    assert deployment.is_ready()


def test_a_taken_port_is_refused_with_a_clear_message(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = okno_up(folder, port)
        assert refused.wait(60) == 1
    output = (folder / "up.log").read_text()
    assert f"port {port} on 127.0.0.1 is taken" in output
    assert "set PORT" in output
    assert "Traceback" not in output
    assert processes_of(folder) == []


def test_ctrl_c_during_the_start_leaves_no_process_and_the_next_start_comes_up(folder: Path) -> None:
    port, output = stacks.free_port(), folder / "up.log"
    for moment in ("Starting Okno", "Demo company", "✓ PostgreSQL", "✓ Tables", "✓ Simulated systems"):
        output.unlink(missing_ok=True)
        starting = okno_up(folder, port)
        wait_until(
            moment,
            lambda: moment in output.read_text() or starting.poll() is not None,  # noqa: B023
            seconds=90,
            every=0.005,
        )
        assert starting.poll() is None, f"{moment}:\n{output.read_text()}"
        starting.send_signal(signal.SIGINT)
        code = starting.wait(60)
        text = output.read_text()
        assert "Stopped." in text, moment
        assert "Traceback" not in text, f"{moment}:\n{text}"
        assert code == 0, f"{moment}:\n{text}"
        assert processes_of(folder) == [], moment
    stack = stacks.start(folder, employees=60, port=port)
    stack.stop()
    assert processes_of(folder) == []


def test_after_the_supervisor_was_killed_its_children_end_and_the_next_start_keeps_the_data(
    deployments: Deployments, deployment: Deployment
) -> None:
    stack, domain = deployment.stack, Domain(deployment.stack)
    token, employee = deployment.token("dmitry.orlov"), deployment.stranger()
    shown = preview(deployment, employee, "domain.add_to_group", GROUP)
    done = run(deployment, employee, "domain.add_to_group", GROUP, shown["previewToken"], str(uuid4()))
    assert done.outcome == "SUCCEEDED"
    children, postmaster = deployment.processes(), deployment.postmaster()
    assert set(children) == {"api", "worker", "serve", "postgres"}

    stack.process.kill()
    stack.process.wait()
    for name in ("api", "worker", "serve"):
        wait_until(f"{name} ends", lambda: _ended(children[name]), seconds=30)  # noqa: B023

    started = deployments.replace(stacks.start(stack.data_dir, port=stack.port))
    assert started.postmaster().pid == postmaster.pid, "the PostgreSQL that was left is adopted"
    assert post(started.stack, token, "{ me { login } }").json()["data"]["me"]["login"] == "dmitry.orlov"
    assert Domain(started.stack).has_member(GROUP["group"], employee)
    assert domain is not None
    assert outcomes_of(started, done.record) == ["succeeded"]
    verified = started.stack.okno("audit", "verify", check=False)
    assert verified.returncode == 0, verified.stdout
    started.stack.stop()
    assert processes_of(stack.data_dir) == [], "the adopted server is stopped with the rest"


def test_a_second_start_keeps_the_data(deployments: Deployments, deployment: Deployment) -> None:
    stack, domain, ivan = deployment.stack, Domain(deployment.stack), deployment.person("ivan.petrov")
    assert domain.is_locked(ivan)
    shown = preview(deployment, ivan, "domain.unlock", {"reason": "asked by phone"}, login="anna.sorokina")
    unlocked = run(
        deployment,
        ivan,
        "domain.unlock",
        {"reason": "asked by phone"},
        shown["previewToken"],
        str(uuid4()),
        login="anna.sorokina",
    )
    assert unlocked.outcome == "SUCCEEDED"
    token = deployment.token("anna.sorokina")
    stack.stop()
    assert processes_of(stack.data_dir) == []

    started = deployments.replace(stacks.start(stack.data_dir, port=stack.port))
    answer = post(
        started.stack,
        token,
        "query ($id: ID!) { employee(id: $id) { domain { meta { state } locked failedLogons } } }",
        id=ivan.id,
    ).json()
    assert answer["data"]["employee"]["domain"] == {
        "meta": {"state": "OK"},
        "locked": False,
        "failedLogons": 0,
    }
    assert not Domain(started.stack).is_locked(ivan)
    assert outcomes_of(started, unlocked.record) == ["succeeded"]
    verified = started.stack.okno("audit", "verify", check=False)
    assert verified.returncode == 0, verified.stdout


def _ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
