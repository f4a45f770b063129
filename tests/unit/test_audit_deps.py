"""`make audit-deps`: what it finds, and that it says so when it could not look."""

import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import audit_deps
from tests.audit_deps import FOUND, NOT_LOOKED, OLDEST_DAYS, Report, check_licences, is_allowed

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 23, tzinfo=UTC)


class World:
    """The tools that it asks."""

    def __init__(self) -> None:
        self.pip_audit = json.dumps({"dependencies": [{"name": "aiohttp", "version": "3.14.5", "vulns": []}]})
        self.npm = json.dumps({"vulnerabilities": {}})
        self.renewed = NOW - timedelta(days=3)
        self.said = ""

    def run(self, command: Sequence[str], directory: Path) -> "subprocess.CompletedProcess[str]":
        if command[0] == "git":
            out = str(int(self.renewed.timestamp()))
        else:
            out = self.npm if command[0] == "npm" else self.pip_audit
        return subprocess.CompletedProcess(command, 0, out, self.said)


def test_what_okno_stands_on_has_licences_that_may_be_used() -> None:
    report = audit_deps.audit(ROOT, World().run, NOW)
    assert report.found == []
    assert (report.not_looked, report.code) == ([], 0)
    assert any(line.startswith("Python licences: MIT") for line in report.said)


def test_a_known_vulnerability_is_told_with_its_fix_and_fails() -> None:
    world = World()
    vulnerable = {"name": "aiohttp", "version": "3.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.2"]}]}
    world.pip_audit = json.dumps({"dependencies": [vulnerable]})
    found = {"range": "<4", "severity": "high", "fixAvailable": True}
    world.npm = json.dumps({"vulnerabilities": {"left-pad": found}})
    report = audit_deps.audit(ROOT, world.run, NOW)
    assert report.code == FOUND
    assert "Python: aiohttp 3.1: PYSEC-1, mended in 3.2" in report.found
    assert "npm: left-pad <4: high, a mended version is there" in report.found


@pytest.mark.parametrize("out", ["", "Traceback", "{}", '{"message": "405 at https://x.example/y"}'])
def test_without_an_advisory_source_it_says_that_it_could_not_look_and_fails(out: str) -> None:
    world = World()
    world.pip_audit = world.npm = out
    world.said = "ConnectionError: https://x.example is not reachable"
    report = audit_deps.audit(ROOT, world.run, NOW)
    assert report.code == NOT_LOOKED
    assert len(report.not_looked) == 4
    assert all("could not look" in line and "x.example" not in line for line in report.not_looked)


def test_a_package_that_was_passed_over_was_not_looked_at() -> None:
    """pip-audit itself says "No known vulnerabilities found" and ends well when its source knows none of the packages."""
    world = World()
    skipped = {"name": "aiohttp", "skip_reason": "Dependency not found and could not be audited"}
    world.pip_audit = json.dumps({"dependencies": [skipped, {"name": "attrs", "version": "1", "vulns": []}]})
    report = audit_deps.audit(ROOT, world.run, NOW)
    assert report.code == NOT_LOOKED
    (line,) = report.not_looked
    assert "1 of 2 packages could not be looked up" in line


def test_old_locks_are_told() -> None:
    world = World()
    world.renewed = NOW - timedelta(days=OLDEST_DAYS + 1)
    report = audit_deps.audit(ROOT, world.run, NOW)
    assert report.code == FOUND
    assert any(line.startswith("requirements.lock is 121 days old") for line in report.found)


def test_licences_are_read_as_packages_write_them() -> None:
    for text in (
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-2.0 OR (MIT)",
        "Apache-2.0 AND MIT",
        "MPL-2.0 AND (Apache-2.0 OR MIT)",
        "OSI Approved / MIT License",
        "Mozilla Public License 2.0 (MPL 2.0)",
    ):
        assert is_allowed(text), text
    for text in ("", "GPL-3.0", "MIT AND GPL-3.0", "MIT AND (GPL-3.0 OR AGPL-3.0)", "SEE LICENSE IN EULA"):
        assert not is_allowed(text), text
    report = Report()
    check_licences(
        report, "npm", iter([("good", "MIT"), ("bad", "AGPL-3.0"), ("known", "")]), known=("known",)
    )
    assert report.found == ["npm: bad has the licence AGPL-3.0, which is not among the allowed"]
