"""Processes are killed: they come back, what they were doing is found out, and nothing that was stored is lost."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests import stack as stacks
from tests.chaos.deployment import (
    EMPLOYEES,
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

GROUP = {"group": "remote-desktop"}


_started: "list[subprocess.Popen[bytes]]" = []


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder of the test's own. What the test has started on it and not stopped is ended."""
    directory = Path(tempfile.mkdtemp(prefix="okno-stack-"))
    yield directory
    leave_nothing(directory)
    while _started:
        _started.pop().wait(10)
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
        process = subprocess.Popen(
            [sys.executable, "-m", "okno.cli", "up"],
            cwd=stacks.ROOT,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    _started.append(process)
    return process


def test_the_api_killed_in_the_middle_of_a_run_comes_back_and_the_worker_finds_out_how_it_ended(
    deployment: Deployment,
) -> None:
    stack, domain, employee = deployment.stack, Domain(deployment.stack), deployment.outsider(GROUP["group"])
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
        assert isinstance(running.exception(), OSError | HTTPException), "the client sees its connection end"
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


MOMENTS: tuple[tuple[str, Callable[[Path], bool]], ...] = (
    ("at the very first", lambda folder: "Starting Okno" in printed(folder)),
    ("while the database is made", lambda folder: being_made(folder)),
    ("while the database starts", lambda folder: (folder / "postgres/cluster/postmaster.pid").exists()),
    ("before the tables are made", lambda folder: "✓ PostgreSQL" in printed(folder)),
    ("before the systems listen", lambda folder: "✓ Tables" in printed(folder)),
    ("before the API answers", lambda folder: "✓ Simulated systems" in printed(folder)),
)


def interrupt(
    starting: "subprocess.Popen[bytes]", folder: Path, moment: str, reached: Callable[[Path], bool]
) -> int:
    """Ctrl-C at that moment; gives the exit code."""
    wait_until(moment, lambda: reached(folder) or starting.poll() is not None, seconds=90, every=0.002)
    assert starting.poll() is None, f"{moment}:\n{printed(folder)}"
    starting.send_signal(signal.SIGINT)
    return starting.wait(60)


def being_made(folder: Path) -> bool:
    """Whether initdb has begun: wherever it works, it writes this file first."""
    return any((folder / "postgres").glob("*/PG_VERSION"))


def printed(folder: Path) -> str:
    return (folder / "up.log").read_text()


@pytest.mark.parametrize(("moment", "reached"), MOMENTS, ids=[moment for moment, _ in MOMENTS])
def test_ctrl_c_during_the_start_leaves_no_process(
    folder: Path, moment: str, reached: Callable[[Path], bool]
) -> None:
    starting = okno_up(folder, stacks.free_port())
    code = interrupt(starting, folder, moment, reached)
    assert "Traceback" not in printed(folder)
    assert printed(folder).endswith("Stopped.\n")
    assert code == 0
    left = processes_of(folder)
    assert left == [], [process.cmdline() for process in left]


def test_a_start_that_was_interrupted_again_and_again_comes_up_in_the_end(folder: Path) -> None:
    for moment, reached in MOMENTS:
        (folder / "up.log").unlink(missing_ok=True)
        starting = okno_up(folder, stacks.free_port())
        interrupt(starting, folder, moment, reached)
        # what is left over is the matter of the test above
        leave_nothing(folder)
    stacks.start(folder, employees=60).stop()
    assert processes_of(folder) == []


def test_a_first_start_that_was_cut_off_while_the_database_was_made_is_begun_anew(folder: Path) -> None:
    starting = okno_up(folder, stacks.free_port())
    wait_until("initdb runs", lambda: being_made(folder), seconds=60, every=0.002)
    leave_nothing(folder)  # like a power cut: all processes at once
    starting.wait(10)
    stacks.start(folder, employees=60).stop()


def test_after_the_supervisor_was_killed_its_children_end_and_the_next_start_keeps_the_data(
    deployments: Deployments, deployment: Deployment
) -> None:
    stack, token = deployment.stack, deployment.token("dmitry.orlov")
    employee = deployment.outsider(GROUP["group"])
    shown = preview(deployment, employee, "domain.add_to_group", GROUP)
    done = run(deployment, employee, "domain.add_to_group", GROUP, shown["previewToken"], str(uuid4()))
    assert done.outcome == "SUCCEEDED"
    children, postmaster = deployment.processes(), deployment.postmaster()
    assert set(children) == {"api", "worker", "serve", "postgres"}

    stack.process.kill()
    stack.process.wait()
    for name in ("api", "worker", "serve"):
        wait_until(f"{name} ends", lambda: _ended(children[name]), seconds=30)  # noqa: B023

    started = deployments.replace(stacks.start(stack.data_dir, employees=EMPLOYEES, port=stack.port))
    assert started.postmaster().pid == postmaster.pid, "the PostgreSQL that was left is adopted"
    assert post(started.stack, token, "{ me { login } }").json()["data"]["me"]["login"] == "dmitry.orlov"
    assert Domain(started.stack).has_member(GROUP["group"], employee)
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

    started = deployments.replace(stacks.start(stack.data_dir, employees=EMPLOYEES, port=stack.port))
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
