"""The `okno` command on a running deployment: what it prints, and one clear line where the input is wrong."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.chaos.deployment import DEPLOYMENTS, Deployment, assert_no_internals
from tests.stack import ROOT

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(300)]

DEMO_LOGINS = (
    "aigerim.sadykova",
    "anna.sorokina",
    "camila.duarte",
    "dmitry.orlov",
    "elena.kim",
    "galina.shchukina",
    "irina.volskaya",
    "kwame.mensah",
    "lucia.torres",
    "nina.ozhegova",
    "pavel.zaitsev",
    "roman.chizhov",
    "stepan.lykov",
    "timur.valiev",
    "vera.lis",
)


@pytest.fixture(scope="session")
def deployments() -> Iterator[None]:
    yield
    DEPLOYMENTS.close()


@pytest.fixture
def deployment(deployments: None) -> Deployment:
    return DEPLOYMENTS.shared()


def okno(deployment: Deployment, *arguments: str) -> str:
    """What a command prints that succeeds."""
    result = deployment.stack.okno(*arguments)
    assert_no_internals(result.stderr)
    return result.stdout


def refused(deployment: Deployment, *arguments: str) -> str:
    """The message of a command that fails: on the error stream, without a trace, and with an exit code."""
    result = deployment.stack.okno(*arguments, check=False)
    assert result.returncode in (1, 2), result.stdout
    assert_no_internals(result.stderr)
    assert "Error: " in result.stderr
    assert result.stdout == ""
    message = result.stderr.partition("Error: ")[2].strip()
    assert 0 < len(message.splitlines()) <= 2, result.stderr
    return message


def test_a_token_stands_on_the_last_line_of_its_own_stream(deployment: Deployment) -> None:
    result = deployment.stack.okno("token", "issue", "--as", "anna.sorokina", "--ttl", "1h")
    lines = result.stdout.strip().splitlines()
    assert len(lines) == 1, "a script may take all of the output"
    assert re.fullmatch(r"okno_[a-z]+_[A-Za-z0-9_-]{40,}", lines[-1])
    assert "anna.sorokina" in result.stderr
    assert lines[-1] not in result.stderr
    me = deployment.stack.graphql(lines[-1], "{ me { login roles } }")["data"]["me"]
    assert me["login"] == "anna.sorokina"
    assert set(me["roles"]) == {"support", "first_line", "domain_operator"}


def test_demo_people_are_listed_one_a_line_login_first(deployment: Deployment) -> None:
    lines = okno(deployment, "token", "people").splitlines()
    assert tuple(line.split()[0] for line in lines) == DEMO_LOGINS
    for line in lines:
        _, roles, team, name = line.split("\t")
        assert roles
        assert team
        assert name


def test_every_demo_person_can_be_acted_for(deployment: Deployment) -> None:
    for login in DEMO_LOGINS:
        answer = deployment.stack.graphql(deployment.token(login), "{ me { login teams { id } } }")
        assert answer["data"]["me"]["login"] == login
        assert answer["data"]["me"]["teams"]


def test_tokens_are_listed_and_never_shown_again(deployment: Deployment) -> None:
    issued = deployment.stack.okno(
        "token", "issue", "--service", "nightly", "--scope", "audit.read", "--ttl", "30m"
    )
    token = issued.stdout.strip()
    listed = okno(deployment, "token", "list")
    assert token not in listed
    assert re.search(r"\tservice\tnightly\taudit\.read\tuntil ", listed)
    dump = deployment.sql("SELECT identity_token::text AS row FROM identity_token")
    assert all(token not in row["row"] for row in dump)
    assert all(token not in row["value"] for row in deployment.sql("SELECT value FROM audit_value"))
    for log in (deployment.stack.data_dir / "logs").glob("*.log"):
        assert token not in log.read_text(errors="replace")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--as", "nobody.here", "--ttl", "1h"), ("nobody.here", "okno token people")),
        (("--as", "", "--ttl", "1h"), ("login",)),
        (("--as", "anna.sorokina"), ("--ttl",)),
        (("--as", "anna.sorokina", "--ttl", "forever"), ("forever", "1h")),
        (("--as", "anna.sorokina", "--ttl", "-1h"), ("-1h",)),
        (("--as", "anna.sorokina", "--ttl", "0s"), ("0",)),
        (("--as", "anna.sorokina", "--ttl", "999999d"), ()),
        (("--as", "anna.sorokina", "--team", "security", "--ttl", "1h"), ("security",)),
        (("--as", "anna.sorokina", "--service", "x", "--ttl", "1h"), ("--as", "--service")),
        (("--as", "anna.sorokina", "--scope", "employees.read", "--ttl", "1h"), ("--scope",)),
        (("--ttl", "1h"), ("--as", "--service")),
        (("--service", "reports", "--ttl", "1h"), ("scope",)),
        (("--service", "", "--scope", "employees.read", "--ttl", "1h"), ("name",)),
        (
            ("--service", "reports", "--scope", "employees.rule", "--ttl", "1h"),
            ("employees.rule", "employees.read"),
        ),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else None,
)
def test_a_token_that_cannot_be_issued_is_explained(
    deployment: Deployment, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    message = refused(deployment, "token", "issue", *arguments)
    for word in words:
        assert word in message, message


def test_revoking_what_is_no_token_is_explained(deployment: Deployment) -> None:
    assert "UUID" in refused(deployment, "token", "revoke", "x")
    unknown = "00000000-0000-4000-8000-000000000000"
    assert unknown in refused(deployment, "token", "revoke", unknown)


def test_the_policy_explains_a_denial_with_the_nearest_rule_its_line_and_what_is_missing(
    deployment: Deployment,
) -> None:
    said = okno(
        deployment,
        *("policy", "explain", "--as", "pavel.zaitsev", "--field", "HrSection.salary", "--of", "ivan.petrov"),
    )
    assert said.startswith("denied: pavel.zaitsev may not read HrSection.salary (secret) of ivan.petrov")
    place = re.search(r"where +(policies/\w+\.polar):(\d+)", said)
    assert place is not None, said
    rule = re.search(r"nearest +([\w.-]+): ", said)
    assert rule is not None, said
    lines = (ROOT / place[1]).read_text().splitlines()
    assert rule[1] in "".join(lines[int(place[2]) - 1 : int(place[2]) + 2]), "the line is that of the rule"
    assert 'missing    "hr_compensation"' in said


def test_the_policy_explains_a_permission_with_its_rule(deployment: Deployment) -> None:
    said = okno(
        deployment,
        *("policy", "explain", "--as", "anna.sorokina", "--operation", "domain.unlock", "--of", "100010"),
    )
    assert said.startswith("allowed: anna.sorokina may run domain.unlock")
    assert "domain.unlock-in-own-countries" in said
    other = okno(
        deployment,
        *(
            "policy",
            "explain",
            "--as",
            "anna.sorokina",
            "--operation",
            "domain.unlock",
            "--of",
            "amina.okafor",
        ),
    )
    assert other.startswith("denied: ")
    depends = okno(
        deployment,
        *("policy", "explain", "--as", "anna.sorokina", "--field", "DomainSection.locked", "--json"),
    )
    assert json.loads(depends)["as"] == "anna.sorokina"
    assert json.loads(depends)["policyVersion"]


def test_who_may_and_what_another_policy_would_decide_are_asked_of_the_running_database(
    deployment: Deployment,
) -> None:
    asked = json.loads(
        okno(deployment, "policy", "who", "--can", "domain.unlock", "--on", "ivan.petrov", "--json")
    )
    assert asked["databaseNotAsked"] is None
    assert {("anna.sorokina", "first-line-cis")} <= {
        (each["login"], each["team"]) for each in asked["people"]
    }
    replayed = json.loads(okno(deployment, "policy", "replay", "--since", "1d", "policies", "--json"))
    assert replayed["changed"] == []
    assert replayed["totals"]["same"] == replayed["decisions"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--as", "nobody.here", "--field", "HrSection.salary"), ("nobody.here", "okno token people")),
        (("--as", "pavel.zaitsev", "--field", "HrSection.nothing"), ("HrSection.nothing",)),
        (("--as", "pavel.zaitsev", "--field", "salary"), ("salary",)),
        (("--as", "pavel.zaitsev", "--field", "'; DROP"), ("DROP",)),
        (
            ("--as", "pavel.zaitsev", "--field", "HrSection.salary", "--of", "nobody.here"),
            ("nobody.here", "login"),
        ),
        (
            (
                *("--as", "pavel.zaitsev", "--field", "HrSection.salary"),
                *("--of", "00000000-0000-4000-8000-000000000000"),
            ),
            (),
        ),
        (("--as", "pavel.zaitsev"), ("--field", "--operation", "--page")),
        (("--as", "pavel.zaitsev", "--field", "HrSection.salary", "--page", "audit.read"), ("one of",)),
        (("--field", "HrSection.salary"), ("--as",)),
        (("--as", "pavel.zaitsev", "--operation", "domain.explode"), ("domain.explode",)),
        (("--as", "pavel.zaitsev", "--page", "nothing.read"), ("nothing.read",)),
    ],
    ids=lambda value: " ".join(value)[:70] if isinstance(value, tuple) else None,
)
def test_a_question_to_the_policy_that_makes_no_sense_is_explained(
    deployment: Deployment, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    message = refused(deployment, "policy", "explain", *arguments)
    for word in words:
        assert word in message, message


def test_the_checks_pass_on_what_is_shipped(deployment: Deployment) -> None:
    assert "every field and action is covered" in okno(deployment, "policy", "check")
    assert okno(deployment, "source", "check") == "directory\tok\ndomain\tok\nequipment\tok\nhr\tok\n"
    assert okno(deployment, "source", "check", "hr") == "hr\tok\n"
    assert okno(deployment, "check") == ""
    message = refused(deployment, "source", "check", "payroll")
    assert "payroll" in message
    assert "hr" in message


def test_the_journal_can_be_read_and_proved(deployment: Deployment) -> None:
    deployment.stack.okno("token", "issue", "--as", "vera.lis", "--ttl", "1h")
    tail = okno(deployment, "audit", "tail", "-n", "5").splitlines()
    assert len(tail) == 5
    assert any("Issued a token" in line and "vera.lis" in line for line in tail)
    assert [line[:20] for line in tail] == sorted(line[:20] for line in tail), "oldest first"
    assert "WHOLE: " in okno(deployment, "audit", "verify")
    report = json.loads(okno(deployment, "audit", "verify", "--json"))
    assert report["whole"] is True
    assert report["records"] > 0
    assert "0" in refused(deployment, "audit", "tail", "-n", "0")
    assert "many" in refused(deployment, "audit", "tail", "-n", "many")


def test_help_names_every_command_and_what_it_is_for(deployment: Deployment) -> None:
    text = okno(deployment, "--help")
    for command in (
        *(
            "api",
            "audit",
            "check",
            "migrate",
            "policy",
            "sandbox",
            "schema",
            "source",
            "token",
            "up",
            "worker",
        ),
    ):
        assert re.search(rf"^  {command} +\w", text, re.MULTILINE), command
    assert "--scope" in okno(deployment, "token", "issue", "--help")
    assert "launch" in refused(deployment, "launch")
    assert "--wrong" in refused(deployment, "--wrong")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "eighty"), ("PORT", "70000"), ("OKNO_MODE", "holiday"), ("OKNO_SANDBOX_EMPLOYEES", "-1")],
)
def test_a_wrong_setting_is_named_before_anything_is_done(
    deployment: Deployment, variable: str, value: str
) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "okno.cli", "up"],
        cwd=ROOT,
        env={**os.environ, **deployment.stack.environment, variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert f"environment variable {variable}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_without_data_is_explained(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    result = subprocess.run(
        [sys.executable, "-m", "okno.cli", "audit", "verify"],
        cwd=ROOT,
        env={**os.environ, "OKNO_DATA_DIR": str(empty)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "there is no data" in result.stderr
    assert "make run" in result.stderr
    assert "Traceback" not in result.stderr
