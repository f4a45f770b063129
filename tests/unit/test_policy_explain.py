"""Explanations and the command line: the rule and its line, or the nearest rules and what they miss."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

import click
import pytest
from click.testing import CliRunner

from okno.errors import NotFound
from okno.policy.cli import Asker, SchemaNames, policy_commands
from okno.policy.service import Outcome, Policy, Rights

POLICIES = Path(__file__).parents[2] / "policies"
POLICY = Policy.load(POLICIES)
SELF = UUID("00000000-0000-4000-8000-00000000000a")
OPERATIONS = frozenset(answer.field or "" for answer in POLICY.symbolic("run", "Employee"))
ANNA = Rights(
    roles=frozenset({"support", "domain_operator"}),
    countries=frozenset({"RU", "KZ"}),
    facts=frozenset({"session"}),
)
IVAN = {"id": UUID(int=1), "country": "RU", "state": "WORKS", "protected": False}


def _line_of(text: str) -> str:
    for path in POLICIES.glob("*.polar"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if f'"{text}: ' in line:
                return f"policies/{path.name}:{number - 1}"  # the rule begins on the line before its text
    raise AssertionError(f"no rule {text}")


def test_an_allowed_field_names_the_rule_its_line_and_the_condition() -> None:
    found = POLICY.explain(ANNA, "read", "Employee", "Employee.email", IVAN, SELF)

    assert found.allowed is True
    assert found.level == "internal"
    assert found.rule is not None
    assert found.rule.id == "people.support"
    assert f"{found.rule.file}:{found.rule.line}" == _line_of("people.support")
    assert POLICY.rule_line("people.support") == (found.rule.file, found.rule.line)
    assert found.grants[0].condition == 'country in ("KZ", "RU") and protected = false'
    assert found.nearest == ()


def test_without_an_employee_a_conditional_field_depends() -> None:
    found = POLICY.explain(ANNA, "read", "Employee", "Employee.email")

    assert (found.allowed, found.outcome) == (None, Outcome.CONDITIONAL)


def test_what_depends_names_every_rule_that_may_allow() -> None:
    rights = replace(ANNA, roles=ANNA.roles | {"devices"})

    found = POLICY.explain(rights, "read", "Employee", "EquipmentItem.serial")

    assert {grant.rule.id for grant in found.grants} == {"people.support", "equipment.devices"}
    assert {grant.condition for grant in found.grants} == {'country in ("KZ", "RU") and protected = false'}


def test_a_denied_row_names_the_terms_that_fail() -> None:
    abroad = POLICY.explain(ANNA, "run", "Employee", "domain.unlock", {**IVAN, "country": "NG"}, SELF)
    oneself = POLICY.explain(ANNA, "run", "Employee", "domain.unlock", {**IVAN, "id": SELF}, SELF)
    unknown = POLICY.explain(ANNA, "run", "Employee", "domain.unlock", {"id": UUID(int=1)}, SELF)

    assert (abroad.allowed, abroad.rule) == (False, None)
    assert abroad.nearest[0].rule.id == "domain.unlock-in-own-countries"
    assert "country in the person's countries" in abroad.nearest[0].failed[0]
    assert oneself.nearest[0].failed == ("id != me",)
    assert any("protected = false" in term for near in unknown.nearest for term in near.failed)


def test_a_denied_field_names_the_role_that_is_missing() -> None:
    found = POLICY.explain(ANNA, "read", "Employee", "HrSection.salary", IVAN, SELF)

    assert (found.allowed, found.outcome, found.level) == (False, Outcome.DENY, "secret")
    assert [(near.rule.id, near.failed) for near in found.nearest] == [
        (
            "people.hr-secret",
            (
                '"hr_compensation" in the person\'s roles',
                "a time within the team's working hours (\"working_hours\" in the person's facts)",
                'a second factor proven lately ("second_factor" in the person\'s facts)',
            ),
        )
    ]


def test_what_no_rule_is_about_has_no_nearest_rule() -> None:
    found = POLICY.explain(ANNA, "run", "Employee", "domain.no_such", IVAN, SELF)

    assert (found.allowed, found.nearest) == (False, ())


def _commands(policy: Policy = POLICY, names: SchemaNames | None = None) -> click.Group:
    def load_rights(login: str, *, team: str | None = None, at: datetime | None = None) -> Asker:
        if login != "anna.sorokina":
            raise NotFound(f"No account has the login {login}.")
        return Asker(replace(ANNA, facts=frozenset()), actor_id=UUID(int=7), employee_id=SELF)

    def load_facts(employee: str) -> Mapping[str, object]:
        return {"ivan.petrov": IVAN, "anna.sorokina": {**IVAN, "id": SELF}}[employee]

    def schema_names() -> SchemaNames:
        return names or SchemaNames(
            fields=frozenset(POLICY.levels) | {f"{name}.x" for name in POLICY.structural},
            mutations=frozenset({"operationPreview", "operationRun"}),
            operations=OPERATIONS,
        )

    return policy_commands(
        load_policy=lambda: policy, load_rights=load_rights, load_facts=load_facts, schema_names=schema_names
    )


def _run(*arguments: str, group: click.Group | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(group or _commands(), list(arguments))
    return result.exit_code, result.output


def test_explain_prints_the_verdict_the_rule_and_its_line() -> None:
    code, output = _run(
        "explain", "--as", "anna.sorokina", "--field", "Employee.email", "--of", "ivan.petrov"
    )

    assert code == 0
    assert output.startswith("allowed: anna.sorokina may read Employee.email (internal) of ivan.petrov\n")
    assert "people.support: support reads internal fields" in output
    assert _line_of("people.support") in output


def test_explain_prints_what_is_missing_for_an_operation() -> None:
    code, output = _run(
        "explain", "--as", "anna.sorokina", "--operation", "domain.unlock", "--of", "anna.sorokina"
    )

    assert code == 0
    assert output.startswith("denied: anna.sorokina may not run domain.unlock of anna.sorokina\n")
    assert "missing    id != me" in output
    assert _line_of("domain.unlock-in-own-countries") in output


def test_explain_as_json_holds_the_same() -> None:
    code, output = _run("explain", "--as", "anna.sorokina", "--field", "HrSection.salary", "--json")

    answer = json.loads(output)
    assert code == 0
    assert answer["policyVersion"] == POLICY.version
    assert (answer["allowed"], answer["level"]) == (False, "secret")
    assert answer["nearest"][0]["id"] == "people.hr-secret"
    assert answer["nearest"][0]["failed"][0] == '"hr_compensation" in the person\'s roles'


@pytest.mark.parametrize(
    ("option", "name", "fix"),
    [
        ("--operation", "domain.explode", "domain.unlock"),
        ("--field", "Mutation.explode", "Mutation.operationRun"),
        ("--page", "nothing.read", "audit.read"),
    ],
)
def test_a_name_that_does_not_exist_is_an_error_not_a_denial(option: str, name: str, fix: str) -> None:
    names = SchemaNames(
        fields=frozenset(POLICY.levels),
        mutations=frozenset({"operationRun"}),
        operations=frozenset({"domain.unlock"}),
        pages=frozenset({"audit.read"}),
    )
    code, output = _run("explain", "--as", "anna.sorokina", option, name, group=_commands(names=names))

    assert code == 1
    assert name in output
    assert fix in output


def test_explain_knows_mutations_pages_and_journal_records() -> None:
    _, mutation = _run("explain", "--as", "anna.sorokina", "--field", "Mutation.operationRun")
    _, page = _run("explain", "--as", "anna.sorokina", "--page", "audit.read")
    _, record = _run("explain", "--as", "anna.sorokina", "--field", "AuditRecord.detail")

    assert mutation.startswith("allowed: anna.sorokina may write Mutation.operationRun")
    assert page.startswith("denied: anna.sorokina may not use audit.read")
    assert record.startswith("depends on the record: anna.sorokina may read AuditRecord.detail")
    assert "journal.own" in record
    assert "actor_id = me" in record


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (["--as", "nobody", "--field", "Employee.email"], 1, "No account has the login nobody."),
        (["--as", "anna.sorokina", "--field", "Employee.nickname"], 1, "has no level"),
        (["--as", "anna.sorokina"], 2, "Give one of"),
        (["--as", "anna.sorokina", "--field", "Employee.id", "--page", "audit.read"], 2, "Give one of"),
    ],
)
def test_explain_refuses_what_it_does_not_know(arguments: list[str], code: int, cause: str) -> None:
    exit_code, output = _run("explain", *arguments)

    assert exit_code == code
    assert cause in output
    assert "Traceback" not in output


def test_check_is_silent_about_a_policy_that_covers_its_schema() -> None:
    code, output = _run("check")

    assert (code, output) == (0, f"policy {POLICY.version}: every field and action is covered\n")


def test_check_prints_problems_with_file_and_line_and_fails() -> None:
    names = SchemaNames(
        fields=frozenset(POLICY.levels) | {f"{name}.x" for name in POLICY.structural} | {"Employee.shoeSize"},
        mutations=frozenset({"operationPreview", "operationRun"}),
        operations=OPERATIONS,
        pages=frozenset(
            {
                "people.search",
                "audit.read",
                "sources.read",
                "graphiql.use",
                "introspection.use",
                "schema.usage",
            }
        ),
    )
    code, output = _run("check", group=_commands(names=names))
    json_code, as_json = _run("check", "--json", group=_commands(names=names))

    assert code == json_code == 1
    assert "field Employee.shoeSize has no level" in output
    assert output.startswith("policies/levels.polar:")
    assert json.loads(as_json)["problems"][0]["code"] == "no-level"


def test_check_fails_with_the_line_of_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "a.polar").write_text('\npermit(_p: Person, "read";\n', encoding="utf-8")

    def broken() -> Policy:
        return Policy.load(tmp_path)

    group = policy_commands(
        load_policy=broken,
        load_rights=lambda login, *, team=None, at=None: Asker(ANNA, None, None),
        load_facts=lambda employee: IVAN,
        schema_names=lambda: SchemaNames(frozenset(), frozenset(), frozenset()),
    )
    code, output = _run("check", group=group)
    explain_code, explained = _run("explain", "--as", "a", "--field", "Employee.id", group=group)

    assert code == explain_code == 1
    assert f"{tmp_path.name}/a.polar:2: " in output
    assert f"{tmp_path.name}/a.polar:2: " in explained


@pytest.mark.parametrize(
    ("option", "allowed"), [("--second-factor", True), ("--no-second-factor", False)], ids=["with", "without"]
)
def test_it_is_explained_as_with_or_without_a_second_factor(option: str, allowed: bool) -> None:
    policy = Policy.from_sources(
        [
            (
                "all.polar",
                """role("support", "x"); resource_of("Employee", "Employee"); level("Employee.salary", "secret");
                permit(p: Person, "read", _e: Employee, "Employee.salary", "people.pay: who confirmed sees salaries") if
                    "support" in p.roles and "second_factor" in p.facts;""",
            )
        ],
        "v",
    )
    names = SchemaNames(frozenset({"Employee.salary"}), frozenset(), frozenset())
    code, output = _run(
        "explain",
        "--as",
        "anna.sorokina",
        "--field",
        "Employee.salary",
        option,
        "--json",
        group=_commands(policy, names),
    )
    assert code == 0
    assert json.loads(output)["allowed"] is allowed


def test_another_time_and_another_team_are_asked_of_whoever_knows_the_rights() -> None:
    asked: list[tuple[str | None, datetime | None]] = []

    def load_rights(login: str, *, team: str | None = None, at: datetime | None = None) -> Asker:
        asked.append((team, at))
        return Asker(ANNA, None, SELF)

    group = policy_commands(
        load_policy=lambda: POLICY,
        load_rights=load_rights,
        load_facts=lambda employee: IVAN,
        schema_names=lambda: SchemaNames(frozenset(), frozenset(), frozenset()),
    )
    arguments = ("explain", "--as", "anna.sorokina", "--field", "Employee.email")
    assert _run(*arguments, "--team", "night", "--at", "2026-11-23T03:00+03:00", group=group)[0] == 0
    assert asked == [("night", datetime.fromisoformat("2026-11-23T03:00+03:00"))]
    code, output = _run(*arguments, "--at", "2026-11-23T03:00", group=group)
    assert code == 2
    assert "is no time with a zone" in output
