"""The sandbox's own faults, seen through the sources; and the command that checks the connections."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from okno.clock import SystemClock
from okno.sources.service import Sources, State
from tests.contract.peers import IVAN, Peer
from tests.contract.peers.fixtures import SIMULATORS
from tests.contract.peers.manifests import DIRECTORY, manifest_of, with_changes
from tests.contract.peers.simulators import RunningSandbox

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("faults", "codes"),
    [
        ({"outage": True}, {"UNREACHABLE"}),
        ({"hang": True}, {"TIMEOUT"}),
        ({"error_rate": 1}, {"UNREACHABLE"}),
        ({"garbage": True}, {"BAD_ANSWER", "UNREACHABLE", "TIMEOUT"}),
        ({"half": True}, {"BAD_ANSWER", "UNREACHABLE"}),
        ({"slow_drip": True}, {"TIMEOUT"}),
        ({"latency_seconds": 5}, {"TIMEOUT"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("peer", SIMULATORS, indirect=True)
async def test_each_fault_is_a_section_within_the_deadline_and_ends_with_the_fault(
    peer: Peer,
    simulators: RunningSandbox,
    faults: dict[str, Any],
    codes: set[str],
) -> None:
    manifest = with_changes(
        manifest_of(peer.source),
        deadline_seconds=0.5,
        cache_seconds=0,
        breaker={"failures": 1000, "open_seconds": 1},
    )
    sources = Sources({peer.source: manifest}, SystemClock(), peer.environment)
    try:
        good = await sources.read(peer.source, IVAN)
        assert good.state is State.OK
        simulators.do(simulators.sandbox.fault(peer.source, **faults))
        try:
            clock = SystemClock()
            began = clock.monotonic()
            result = await sources.read(peer.source, IVAN)
            took = clock.monotonic() - began
        finally:
            simulators.do(simulators.sandbox.clear(peer.source))
        assert took < 0.5 + 0.5
        assert (result.state, result.data) == (State.STALE, good.data)
        assert result.error is not None
        assert result.error.code in codes
        async with asyncio.timeout(10):
            while (await sources.read(peer.source, IVAN)).state is not State.OK:
                continue
    finally:
        await sources.close()


def okno(*arguments: str, environment: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "okno.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "OKNO_CONFIG_DIR": str(DIRECTORY.parent), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_source_check_asks_every_system_and_names_the_one_that_is_down(
    simulators: RunningSandbox,
    tmp_path: Path,
) -> None:
    environment = {**simulators.sandbox.environment(), "OKNO_DATA_DIR": str(tmp_path)}
    whole = okno("source", "check", environment=environment)
    assert whole.returncode == 0, whole.stderr
    assert [line.split("\t") for line in whole.stdout.splitlines()] == [
        [source, "ok"] for source in ("directory", "domain", "equipment", "hr")
    ]
    simulators.do(simulators.sandbox.fault("hr", outage=True))
    try:
        broken = okno("source", "check", environment=environment)
        other = okno("source", "check", "domain", environment=environment)
    finally:
        simulators.do(simulators.sandbox.clear("hr"))
    assert broken.returncode == 1
    assert "hr\tUNREACHABLE" in broken.stdout
    assert (other.returncode, other.stdout) == (0, "domain\tok\n")


def test_source_list_needs_no_system(tmp_path: Path) -> None:
    listed = okno("source", "list", environment={"OKNO_DATA_DIR": str(tmp_path)})
    assert listed.returncode == 0, listed.stderr
    assert (
        "domain\tldap\tDomain\tdomain.unlock, domain.add_to_group, domain.remove_from_group, domain.disable, domain.enable, "
        "domain.grant_vpn, domain.revoke_vpn, domain.grant_application, domain.revoke_application"
        in listed.stdout.splitlines()
    )


def test_source_check_tells_every_mistake_of_the_manifests(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "sources"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text("id: a\nkind: rest\n")
    (folder / "b.yaml").write_text("id: b\nkind: fax\n")
    checked = okno(
        "source",
        "check",
        environment={"OKNO_CONFIG_DIR": str(tmp_path / "config"), "OKNO_DATA_DIR": str(tmp_path)},
    )
    assert checked.returncode == 1
    assert "a.yaml:1: section: required key is missing" in checked.stderr
    assert "b.yaml:2: kind: the kind is one of" in checked.stderr
    assert "Traceback" not in checked.stderr
    unknown = okno("source", "check", "fax", environment={"OKNO_DATA_DIR": str(tmp_path)})
    assert (unknown.returncode, "no source fax" in unknown.stderr) == (1, True)
