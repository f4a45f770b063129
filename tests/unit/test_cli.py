"""The command line: every command loads, and a wrong deployment is one clear line, never a trace."""

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from click.testing import CliRunner

from okno.cli import GROUPS, SCHEMA_COMMANDS, main
from okno.errors import ConfigurationError
from okno.storage.engine import driver_url
from tests.stack import ROOT


def test_help_lists_every_command_and_group() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in [*main.commands, *GROUPS]:
        assert f"\n  {name}" in result.output


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_group_loads_and_has_commands(group: str) -> None:
    result = CliRunner().invoke(main, [group, "--help"])
    assert result.exit_code == 0, result.output
    assert "Commands:" in result.output


@pytest.mark.parametrize("command", ["print", "check", *sorted(SCHEMA_COMMANDS)])
def test_every_command_about_the_schema_loads_and_is_listed(command: str) -> None:
    assert f"\n  {command}" in CliRunner().invoke(main, ["schema", "--help"]).output
    result = CliRunner().invoke(main, ["schema", command, "--help"])
    assert result.exit_code == 0, result.output
    assert f"schema {command}" in result.output


def test_an_unknown_command_is_named() -> None:
    result = CliRunner().invoke(main, ["polcy"])
    assert result.exit_code == 2
    assert "polcy" in result.output


def test_wrong_settings_are_one_error_that_names_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "okno.toml").write_text("[htp]\n")
    monkeypatch.setenv("OKNO_CONFIG_DIR", str(tmp_path))
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 1
    assert "key htp" in result.output
    assert "Traceback" not in result.output


PASSWORD = "planted-d4tabase-password"
ADDRESSES = {
    "nobody answers": f"postgresql://okno:{PASSWORD}@127.0.0.1:9/okno",
    "a port that is none": f"postgresql://okno:{PASSWORD}@127.0.0.1:port/okno",
    "an @ and a colon in the password": f"postgresql://okno:x@y:{PASSWORD}@127.0.0.1:9/okno",
    "another database": f"mysql://okno:{PASSWORD}@127.0.0.1:9/okno",
}


@pytest.mark.parametrize(
    "address", ["a port that is none", "an @ and a colon in the password", "another database"]
)
def test_no_wrong_address_of_the_database_is_repeated(address: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as refused:
        driver_url(ADDRESSES[address])
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("command", "address"),
    [
        ("migrate", "nobody answers"),
        ("migrate", "an @ and a colon in the password"),
        ("api", "nobody answers"),
    ],
)
def test_no_error_of_a_process_tells_the_password_of_the_database(
    command: str, address: str, tmp_path: Path
) -> None:
    """Nothing listens on port 9. A process of its own: what it logs counts, and what Python writes when it ends."""
    names = ("HR", "DIRECTORY")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OKNO_")},
        **{f"OKNO_{name}_URL": "http://127.0.0.1:9" for name in names},
        **{f"OKNO_{name}_TOKEN": "unused" for name in names},
        "OKNO_DOMAIN_URL": "ldap://127.0.0.1:9",
        "OKNO_DOMAIN_BIND_DN": "cn=okno",
        "OKNO_DOMAIN_PASSWORD": "unused",
        "OKNO_EQUIPMENT_URL": "postgresql://127.0.0.1:9/equipment",
        "OKNO_LOG_LEVEL": "DEBUG",
        "OKNO_DATA_DIR": str(tmp_path),
        "DATABASE_URL": ADDRESSES[address],
    }
    done = subprocess.run(
        [sys.executable, "-m", "okno.cli", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "database" in said.lower()
    assert PASSWORD not in said
    assert "Traceback" not in said


def test_commands_on_an_empty_data_folder_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKNO_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    result = CliRunner().invoke(main, ["audit", "tail"])
    assert result.exit_code == 1
    assert "make run" in result.output
