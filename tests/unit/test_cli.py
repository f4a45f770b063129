"""The command line: every command loads, and a wrong deployment is one clear line, never a trace."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from okno.cli import GROUPS, SCHEMA_COMMANDS, main


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


def test_commands_on_an_empty_data_folder_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKNO_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    result = CliRunner().invoke(main, ["audit", "tail"])
    assert result.exit_code == 1
    assert "make run" in result.output
