"""The files of the deployment: the compose file against its schema, and what must never be in the repository."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def _tracked() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_the_compose_file_follows_the_compose_schema() -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            "docker-compose.yml",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_compose_schema_would_notice_a_mistake(tmp_path: Path) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    compose["services"]["api"]["prots"] = ["8000:8000"]
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(compose))
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            "docker-compose.yml",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "prots" in result.stdout


def test_compose_runs_postgres_api_and_worker_from_commands_that_exist() -> None:
    from okno.cli import main

    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {"postgres", "api", "worker"} <= set(services)
    for name, service in services.items():
        if "command" in service:
            program, command = service["command"]
            assert program == "okno", name
            assert command in main.commands, name


def test_only_the_migration_knows_the_owner_of_the_tables() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    knowing = {name for name, service in services.items() if "okno.owner.env" in str(service.get("env_file"))}
    assert knowing == {"migrate"}
    assert not re.search(r"^DATABASE_URL=", (ROOT / "okno.env.example").read_text(), re.MULTILINE)


def test_every_variable_of_the_environment_example_is_read_by_something() -> None:
    from okno.settings import ENVIRONMENT

    sources = "\n".join(file.read_text() for file in (ROOT / "config" / "sources").glob("*.yaml"))
    example = "".join((ROOT / name).read_text() for name in ("okno.env.example", "okno.owner.env.example"))
    for name in re.findall(r"^([A-Z_]+)=", example, re.MULTILINE):
        assert name in ENVIRONMENT or re.search(rf"\b{name}\b", sources) or f"env:{name}" in example, name


def test_the_image_is_in_production_unless_told_otherwise() -> None:
    environment = re.findall(r"^ENV (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert "OKNO_MODE=production" in " ".join(environment).split()


def test_many_fonts_are_not_taken_for_none(tmp_path: Path) -> None:
    """fc-list writes more than a pipe holds; the tools are shadowed, so that nothing is installed whatever comes out."""
    fc_list = "#!/bin/sh\necho 'NotoSans.ttf: Noto Sans'\nfor n in $(seq 3000); do echo 'Another-Font-With-A-Long-Name.ttf: Another'; done\n"
    for name, script in {"fc-list": fc_list, "id": "#!/bin/sh\necho 1000\n"}.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    result = subprocess.run(
        ["bash", str(ROOT / "tests" / "install-tools.sh")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "fonts" not in result.stderr, result.stderr


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_python_packages_are_pinned_with_hashes_and_without_addresses(name: str) -> None:
    lock = (ROOT / name).read_text()
    requirements = re.findall(r"^([a-z0-9][^\s=]*)==", lock, re.MULTILINE)
    assert len(requirements) > 40
    assert lock.count("--hash=sha256:") >= len(requirements)
    assert "://" not in lock


def test_what_runs_and_what_tests_agree_on_versions() -> None:
    runtime, development = (
        dict(re.findall(r"^([a-z0-9][^\s=]*)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert {name: development.get(name) for name in runtime} == runtime


def test_npm_packages_are_pinned_without_addresses() -> None:
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name and not entry.get("link")}
    assert len(packages) > 100
    assert [
        name for name, entry in packages.items() if "integrity" not in entry and not entry.get("inBundle")
    ] == []
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def test_no_text_file_is_generated_or_huge() -> None:
    heavy = [str(file.relative_to(ROOT)) for file in _tracked() if file.stat().st_size > 1_500_000]
    assert heavy == []
