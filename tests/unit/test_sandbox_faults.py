"""Faults as they are told over the control port and on the command line; addresses; names in LDAP."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from okno.errors import ConfigurationError, InvalidInput
from okno.sandbox.cli import sandbox
from okno.sandbox.faults import FaultBoard, Faults
from okno.sandbox.ldap import ber
from okno.sandbox.ldap.errors import LdapError
from okno.sandbox.ldap.schema import normal_dn
from okno.sandbox.proxy import Upstream
from okno.sandbox.serve import Secrets


def test_faults_are_read_and_shown() -> None:
    faults = Faults.parse({"latency_seconds": 2, "outage": True, "for_seconds": None})
    assert faults.as_dict() == {"latency_seconds": 2, "outage": True}
    assert Faults.parse({}) == Faults()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"latency": 2}, "latency"),
        ({"latency_seconds": "2s"}, "latency_seconds"),
        ({"latency_seconds": -1}, "latency_seconds"),
        ({"error_rate": 30}, "error_rate"),
        ({"error_rate": True}, "error_rate"),
        ({"outage": 1}, "outage"),
        ([], None),
    ],
)
def test_a_wrong_fault_is_refused_by_name(raw: Any, field: str | None) -> None:
    with pytest.raises(InvalidInput) as caught:
        Faults.parse(raw)
    assert caught.value.field == field


async def test_the_error_rate_strikes_in_its_share() -> None:
    board = FaultBoard("hr")
    board.set(Faults(error_rate=0.3))
    struck = sum([await board.arrived() for _ in range(1000)])
    assert 240 < struck < 360


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OKNO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OKNO_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path


def test_generate_makes_the_company_once(folder: Path) -> None:
    first = CliRunner().invoke(sandbox, ["generate", "--employees", "50"])
    assert first.exit_code == 0, first.output
    assert "generated: 50 people" in first.output
    again = CliRunner().invoke(sandbox, ["generate", "--employees", "50"])
    assert "already there" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hr"], "at least one fault"),
        (["hr", "--clear", "--hang"], "at least one fault"),
        (["hr", "--latency", "soon"], "no duration"),
        (["hr", "--errors", "130%"], "outside 0%"),
        (["hr", "--errors", "many"], "no share"),
        (["tax", "--hang"], "not one of"),
        (["hr", "--latency", "2s"], "the sandbox does not run"),
    ],
)
def test_fault_explains_what_is_wrong(folder: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(sandbox, ["fault", *arguments])
    assert result.exit_code != 0
    assert message in result.output


def test_serve_names_the_secrets_it_misses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OKNO_HR_TOKEN", raising=False)
    monkeypatch.delenv("OKNO_DOMAIN_PASSWORD", raising=False)
    result = CliRunner().invoke(sandbox, ["serve"])
    assert result.exit_code == 1
    assert "OKNO_HR_TOKEN" in result.output


def test_secrets_do_not_show_in_their_representation() -> None:
    environment = {"OKNO_HR_TOKEN": "tok1", "OKNO_DIRECTORY_TOKEN": "tok2", "OKNO_DOMAIN_PASSWORD": "tok3"}
    assert "tok" not in repr(Secrets.of_environment(environment))
    with pytest.raises(ConfigurationError, match="OKNO_DIRECTORY_TOKEN, OKNO_DOMAIN_PASSWORD"):
        Secrets.of_environment({"OKNO_HR_TOKEN": "tok1"})


@pytest.mark.parametrize(
    ("text", "upstream"),
    [
        ("postgresql://u:p@10.0.0.1:6543/db", Upstream(None, "10.0.0.1", 6543)),
        ("postgresql://u:p@/db?host=/run/pg&port=6000", Upstream("/run/pg/.s.PGSQL.6000")),
        ("postgresql://u@localhost/db?host=%2Frun%2Fpg", Upstream("/run/pg/.s.PGSQL.5432")),
        ("127.0.0.1:5433", Upstream(None, "127.0.0.1", 5433)),
        ("/run/pg/.s.PGSQL.5432", Upstream("/run/pg/.s.PGSQL.5432")),
    ],
)
def test_the_address_of_the_database_is_read_in_every_form(text: str, upstream: Upstream) -> None:
    assert Upstream.parse(text) == upstream


def test_a_wrong_address_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Upstream.parse("postgresql://u:secret@host:port/db")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("uid=ivan.petrov,ou=people,dc=okno,dc=example", "UID = Ivan.Petrov , OU=People,DC=okno, dc=EXAMPLE"),
        (r"cn=a\,b,dc=x", 'cn="A,b",dc=x'),
        (r"cn=\c3\a9,dc=x", "CN=É,dc=x"),
        ("cn=a+uid=b,dc=x", "uid=b+cn=a,dc=x"),
        ("commonName=a", "cn=a"),
    ],
)
def test_names_that_mean_the_same_entry_compare_equal(one: str, other: str) -> None:
    assert normal_dn(one) == normal_dn(other)


@pytest.mark.parametrize("dn", ["ivan", "=x", "cn=a,b", "cn=\\", "1a=x", "cn=\\ff"])
def test_a_name_that_is_none_is_refused(dn: str) -> None:
    with pytest.raises(LdapError):
        normal_dn(dn)


@given(st.binary(max_size=300))
def test_ber_answers_are_measured_as_they_are_written(content: bytes) -> None:
    message = ber.tlv(0x30, content)
    assert ber.whole_message(message + b"rest") == len(message)
    assert ber.whole_message(message[:-1]) is None or not content
    assert ber.paged_value(ber.tlv(0x30, ber.integer(len(content)) + ber.octets(content[:100]))) == (
        len(content),
        content[:100],
    )
