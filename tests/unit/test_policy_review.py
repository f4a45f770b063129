"""`okno policy test`, `who`, `matrix`, `diff` and `replay` on a small policy: what a reviewer reads, and the exit codes."""

import json
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner

from okno.errors import NotFound
from okno.policy.decisions import Decided, FactItems
from okno.policy.deployment import Deployment, Members
from okno.policy.matrix import Access, Given, access, matrix
from okno.policy.model import Outcome, Rights
from okno.policy.names import Holder, HolderKind, Member, SchemaNames
from okno.policy.recorded import RecordedDecisions
from okno.policy.review_cli import add_review_commands
from okno.policy.service import Policy

POLICY = """
role("support", "answers people of the team's countries");
role("pay", "sees salaries");
scope("employees.read", "names");
resource_of("Employee", "Employee");
level("Employee.name", "public");
level("Employee.phone", "internal");
level("Employee.salary", "secret");
masked("Employee.phone", "last-4");

person(p: Person) if "session" in p.facts;
person(p: Person) if "token" in p.facts and not "service" in p.facts;
reaches(p: Person, _e: Employee) if "all" in p.countries;
reaches(p: Person, e: Employee) if e.country in p.countries;

permit(p: Person, "read", _e: Employee, field, "people.public: everybody reads names") if
    person(p) and level(field, "public");
permit(p: Person, "read", e: Employee, field, "people.support: support reads internal fields") if
    person(p) and "support" in p.roles and reaches(p, e) and e.protected = false and level(field, "internal");
permit(p: Person, "mask", _e: Employee, "Employee.phone", "people.caller: support recognises a caller") if
    person(p) and "support" in p.roles;
permit(p: Person, "read", e: Employee, "Employee.salary", "people.pay: pay sees salaries") if
    person(p) and "pay" in p.roles and reaches(p, e) and "second_factor" in p.facts;
permit(p: Person, "read", _e: Employee, "Employee.name", "people.tools: tools read names") if
    "service" in p.facts and "employees.read" in p.scopes;
permit(p: Person, "run", e: Employee, "domain.unlock", "domain.unlock: support unlocks accounts") if
    person(p) and "support" in p.roles and reaches(p, e) and e.id != p.employee_id;
"""
CASES = """
actors:
  support: {roles: [support], countries: [RU], facts: [session]}
rows:
  in RU: {resource: Employee, country: RU, protected: false}
  in NG: {resource: Employee, country: NG, protected: false}
cases:
  - {as: support, read: [Employee.name, Employee.phone], of: in RU, rule: people.support}
  - {as: support, run: [domain.unlock], of: in NG, deny: true}
"""
NAMES = SchemaNames(
    fields=frozenset({"Employee.name", "Employee.phone", "Employee.salary"}),
    mutations=frozenset(),
    operations=frozenset({"domain.unlock"}),
    pages=frozenset(),
)
SUPPORT = Rights(
    roles=frozenset({"support"}), teams=frozenset({"first-line"}), countries=frozenset({"RU", "KZ"})
)
PAY = Rights(roles=frozenset({"pay"}), teams=frozenset({"salaries"}), countries=frozenset({"all"}))
TEAMS = [
    Holder(HolderKind.TEAM, "first-line", SUPPORT, "First line"),
    Holder(HolderKind.TEAM, "salaries", PAY, "Salaries"),
]
ANNA, IVAN = UUID(int=5), UUID(int=6)
PEOPLE = {
    "ivan": {"id": IVAN, "country": "RU", "protected": False},
    "amina": {"id": UUID(int=7), "country": "NG", "protected": False},
    "anna": {"id": ANNA, "country": "KZ", "protected": True},
}
SESSION = frozenset({"session"})


@dataclass
class Company:
    """A folder of policies with its teams, and what was decided in it."""

    folder: Path
    recorded: list[tuple[Decided, int]] = field(default_factory=list)
    unasked: str | None = None

    def write(self, text: str) -> None:
        (self.folder / "all.polar").write_text(text)

    def proposal(self, old: str, new: str) -> str:
        """A copy of the folder with one text changed."""
        assert old in POLICY
        folder = self.folder.parent / "proposal"
        folder.mkdir(exist_ok=True)
        (folder / "all.polar").write_text(POLICY.replace(old, new))
        return str(folder)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of a command."""
        result = CliRunner().invoke(self._group(), list(arguments))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result.exit_code, result.output

    def json(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.run(*arguments, "--json")[1])

    def _group(self) -> click.Group:
        group = click.Group("policy")
        members = (
            Member("first-line", "anna", "Anna", "config", ANNA),
            Member("salaries", "petr", "Petr", "database", UUID(int=9)),
        )
        add_review_commands(
            group,
            Deployment(
                policies_dir=lambda: self.folder,
                load_policy=lambda: Policy.load(self.folder),
                schema_names=lambda: NAMES,
                load_teams=_teams,
                load_members=lambda: Members(members, self.unasked),
                load_facts=_facts,
                open_recorded=self._open_recorded,
            ),
        )
        return group

    @asynccontextmanager
    async def _open_recorded(self) -> AsyncIterator[RecordedDecisions]:
        recorded = self.recorded

        class Recorded:
            async def list_since(self, period: timedelta) -> Any:
                return recorded, datetime(2026, 11, 1, tzinfo=UTC) if recorded else None

        yield cast(RecordedDecisions, Recorded())


def _teams(directory: Path | None) -> Sequence[Holder]:
    return TEAMS if directory is None else TEAMS[:1]


def _facts(employee: str) -> Mapping[str, object]:
    if employee not in PEOPLE:
        raise NotFound(f"no employee {employee}")
    return PEOPLE[employee]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    found = Company(tmp_path / "policies")
    (found.folder / "tests").mkdir(parents=True)
    found.write(POLICY)
    (found.folder / "tests" / "matrix.yaml").write_text(
        CASES.replace("read: [Employee.name, Employee.phone]", "read: [Employee.phone]")
    )
    return found


# test and the committed tables


def test_committed_tables_are_written_once_and_then_hold(company: Company) -> None:
    code, output = company.run("matrix", "--update")
    assert code == 0
    assert "6 tables, 6 written, 0 removed" in output
    assert "6 tables, 0 written, 0 removed" in company.run("matrix", "--update")[1]
    code, output = company.run("test")
    assert code == 0
    assert [line.split()[:3] for line in output.splitlines()] == [
        ["cases", "2", "2"],
        ["access", "tables", "6"],
    ]


def test_a_table_says_what_a_team_may_beyond_everybody_one_thing_a_line(company: Company) -> None:
    company.run("matrix", "--update")
    text = (company.folder / "tests" / "access" / "first-line.yaml").read_text()
    assert text.endswith(
        """\
roles: [support]
countries: [KZ, RU]
may:
  read:
    people.support:
      - when: 'e.country in ["KZ", "RU"] and e.protected = false'
        things:
          - Employee.phone
  run:
    domain.unlock:
      - when: 'e.country in ["KZ", "RU"] and e.id != p.employee_id'
        things:
          - domain.unlock
  mask:
    people.caller:
      - when: always
        things:
          - Employee.phone
"""
    )
    assert "Employee.name" not in text, "everybody reads it, which is said once"


def test_a_change_of_rights_is_told_as_a_difference_and_fails(company: Company, tmp_path: Path) -> None:
    company.run("matrix", "--update")
    company.write(POLICY.replace(" and e.protected = false", ""))
    code, output = company.run("test", "--junit", str(tmp_path / "junit.xml"))
    assert code == 1
    assert "FAILED  access tables: team first-line (access/first-line.yaml)" in output
    assert "  wider       read Employee.phone" in output
    assert '         was  e.country in ["KZ", "RU"] and e.protected = false [people.support]' in output
    assert '         now  e.country in ["KZ", "RU"] [people.support]' in output
    suites = {each.get("name"): each for each in ElementTree.parse(tmp_path / "junit.xml").getroot()}  # noqa: S314 -- its own
    assert suites["okno policy: access tables"].get("failures") == "2", "the team and the role"
    assert suites["okno policy: cases"].get("failures") == "0"
    answer = company.json("test")
    assert (answer["passed"], answer["failed"]) == (6, 2)


def test_a_case_that_does_not_hold_says_what_was_expected_and_what_was_found(company: Company) -> None:
    company.run("matrix", "--update")
    company.write(POLICY.replace('"all" in p.countries;', '"support" in p.roles;'))
    code, output = company.run("test")
    assert code == 1
    assert "FAILED  cases: support run domain.unlock of in NG" in output
    assert "  expected a denial, found allowed by domain.unlock" in output


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("of: in RU,", "of: in BR,", "there is no row in BR"),
        ("as: support, run", "as: nobody, run", "there is no actor nobody"),
    ],
    ids=["row", "actor"],
)
def test_a_case_about_what_is_not_there_fails(company: Company, old: str, new: str, told: str) -> None:
    company.run("matrix", "--update")
    cases = company.folder / "tests" / "matrix.yaml"
    cases.write_text(cases.read_text().replace(old, new))
    code, output = company.run("test")
    assert code == 1
    assert told in output


def test_without_tables_it_is_said_how_to_write_them(company: Company) -> None:
    code, output = company.run("test")
    assert code == 1
    assert "write them with `okno policy matrix --update`" in output


def test_a_table_of_a_team_that_is_gone_fails_until_it_is_removed(company: Company) -> None:
    company.run("matrix", "--update")
    folder = company.folder / "tests" / "access"
    (folder / "closed.yaml").write_text((folder / "first-line.yaml").read_text())
    assert "team closed" in company.run("test")[1]
    assert "removed  " in company.run("matrix", "--update")[1]
    assert company.run("test")[0] == 0


# matrix


def test_the_matrix_marks_what_is_allowed_conditional_and_masked(company: Company) -> None:
    lines = company.run("matrix")[1].splitlines()
    rows = {line.split(maxsplit=1)[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    head = [line.split()[1:3] for line in lines[:6]]
    assert head[:3] == [["everybody", "whoever"], ["team", "first-line"], ["team", "salaries"]]
    assert rows["Employee.name"] == ["+", "+", "+", "+", "+", "+"]
    assert rows["Employee.phone"] == [".", "?", ".", ".", "?", "."]
    assert rows["Employee.salary"] == [".", ".", "?", "?", ".", "."]
    assert rows["domain.unlock"] == [".", "?", ".", ".", "?", "."]


def test_one_team_alone_is_shown_with_its_conditions(company: Company) -> None:
    output = company.run("matrix", "--team", "salaries", "--type", "Employee")[1]
    assert "  always [people.public]\n    Employee.name\n" in output
    assert '  "second_factor" in p.facts [people.pay]\n    Employee.salary\n' in output


def test_the_matrix_as_csv_and_markdown_and_json(company: Company) -> None:
    filters = ("--role", "support", "--thing", "domain.unlock")
    condition = '(""all"" in p.countries or e.country in p.countries) and e.id != p.employee_id'
    assert company.run("matrix", *filters, "--format", "csv")[1].splitlines() == [
        "kind,name,action,thing,outcome,rule,when",
        f'role,support,run,domain.unlock,conditional,domain.unlock,"{condition}"',
    ]
    assert "| run | `domain.unlock` | ? |" in company.run("matrix", *filters, "--format", "markdown")[1]
    (table,) = company.json("matrix", *filters)
    assert (table["kind"], table["name"]) == ("role", "support")
    (line,) = table["may"]
    assert line["given"] == [{"rule": "domain.unlock", "when": condition.replace('""', '"')}]


@pytest.mark.parametrize("option", ["--team", "--role", "--type", "--thing"])
def test_a_filter_by_what_does_not_exist_is_an_error(company: Company, option: str) -> None:
    code, output = company.run("matrix", option, "nonsense")
    assert code == 1
    assert "nonsense" in output


def test_the_matrix_of_a_team_is_what_the_compiled_tables_decide() -> None:
    policy = Policy.from_sources([("all.polar", POLICY)], "test")
    for holder in TEAMS:
        for facts in (SESSION, SESSION | {"second_factor"}):
            rights = Rights(holder.rights.roles, holder.rights.teams, holder.rights.countries, facts)
            exact = {(each.action, each.thing): each for each in access(policy, NAMES, rights)}
            for each in matrix(policy, NAMES, holder):
                found = exact[each.action, each.thing]
                if "second_factor" not in str(each.condition) or "second_factor" in facts:
                    assert found.rules == each.rules
                else:
                    assert found.outcome is Outcome.DENY


def test_an_access_names_all_its_rules_and_joins_their_conditions() -> None:
    both = Access("read", "x", Outcome.CONDITIONAL, (Given("a.one", "e.x = 1"), Given("a.two", "e.y = 2")))
    assert both.rules == ("a.one", "a.two")
    assert both.condition == "(e.x = 1) or (e.y = 2)"
    assert Access("read", "x", Outcome.ALLOW, (Given("a.one", None),)).condition is None


# who


def test_who_may_is_told_by_team_role_and_person(company: Company) -> None:
    code, output = company.run("who", "--can", "domain.unlock")
    assert code == 0
    assert output.splitlines()[0] == "who may run domain.unlock"
    assert (
        '  first-line  in full  [domain.unlock]  if e.country in ["KZ", "RU"] and e.id != p.employee_id'
        in output
    )
    assert (
        '  support  in full  [domain.unlock]  if ("all" in p.countries or e.country in p.countries) and e.id'
        in output
    )
    assert "  anna  Anna  first-line  config  as the team" in output
    assert "salaries" not in output


def test_on_an_employee_only_what_the_request_decides_is_left(company: Company) -> None:
    assert (
        "  first-line  masked  [people.caller]"
        in company.run("who", "--sees", "Employee.phone", "--on", "amina")[1]
    )
    seen = company.json("who", "--sees", "Employee.phone", "--on", "ivan")
    (team,) = [each for each in seen["holders"] if each["kind"] == "team"]
    assert team["ways"] == [{"manner": "full", "rules": ["people.support"], "when": "always"}]
    salaries = company.json("who", "--sees", "Employee.salary", "--on", "amina")
    assert [each["login"] for each in salaries["people"]] == ["petr"]
    assert salaries["people"][0]["ways"][0]["when"] == '"second_factor" in p.facts'


def test_nobody_may_do_to_oneself_what_may_not_be_done_to_oneself(company: Company) -> None:
    answer = company.json("who", "--can", "domain.unlock", "--on", "anna")
    assert [each["name"] for each in answer["holders"] if each["kind"] == "team"] == ["first-line"]
    assert answer["people"] == []
    assert "  nobody" in company.run("who", "--can", "domain.unlock", "--on", "anna")[1]


def test_that_the_database_was_not_asked_is_said(company: Company) -> None:
    company.unasked = "it does not answer"
    assert "the database was not asked: it does not answer" in company.run("who", "--can", "domain.unlock")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("who",), 2, "Give either --can OPERATION or --sees TYPE.FIELD"),
        (("who", "--can", "domain.fly"), 1, "there is no operation domain.fly"),
        (("who", "--sees", "Employee.shoes"), 1, "there is no field Employee.shoes"),
        (("who", "--can", "domain.unlock", "--on", "nobody"), 1, "no employee nobody"),
        (("diff", "nowhere", "."), 1, "there is no folder nowhere"),
        (("diff", "--", "-x:y", "."), 1, "there is no folder -x:y"),
        (("replay", "--since", "x", "."), 2, "such as 7d or 12h"),
        (("matrix", "--update", "--team", "first-line"), 2, "--update writes all tables"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_answered_says_why(
    company: Company, arguments: tuple[str, ...], code: int, told: str
) -> None:
    found, output = company.run(*arguments)
    assert found == code
    assert told in output


# diff


def test_nothing_changes_between_equal_policies(company: Company) -> None:
    code, output = company.run("diff", str(company.folder), str(company.folder), "--exit-code")
    assert code == 0
    assert "nobody gains or loses anything" in output


def test_a_difference_says_who_gains_and_who_loses_under_which_condition(company: Company) -> None:
    new = company.proposal(
        '"second_factor" in p.facts;', 'e.protected = false and "second_factor" in p.facts;'
    )
    code, output = company.run("diff", str(company.folder), new, "--exit-code")
    assert code == 1
    assert "narrower    read Employee.salary\n       who  team salaries\n" in output
    assert '       now  "second_factor" in p.facts and e.protected = false [people.pay]' in output
    assert output.splitlines()[-1] == "2 of teams, roles and scopes: 2 narrower"


@pytest.mark.parametrize(
    ("old", "new", "kind", "who"),
    [
        (
            '"Employee.phone", "people.caller',
            '"Employee.phone2", "people.caller',
            "loses",
            {"first-line", "support"},
        ),
        (
            '"pay" in p.roles and reaches(p, e)',
            '"pay" in p.roles and e.country = "RU"',
            "narrower",
            {"salaries"},
        ),
        (" and e.id != p.employee_id", "", "wider", {"first-line", "support"}),
        ('"domain.unlock: support', '"domain.open: support', "other rule", {"first-line", "support"}),
        (
            '"support" in p.roles and reaches(p, e) and e.id',
            '"pay" in p.roles and reaches(p, e) and e.id',
            "gains",
            {"salaries", "pay"},
        ),
    ],
    ids=["loses", "narrower", "wider", "other rule", "gains"],
)
def test_each_kind_of_change_is_told_by_its_name(
    company: Company, old: str, new: str, kind: str, who: set[str]
) -> None:
    changes = company.json("diff", str(company.folder), company.proposal(old, new))["changes"]
    assert who <= {each["name"] for each in changes if each["change"] == kind}


def test_what_changes_of_levels_and_masks_is_listed(company: Company) -> None:
    new = company.proposal('level("Employee.phone", "internal")', 'level("Employee.phone", "public")')
    output = company.run("diff", str(company.folder), new)[1]
    assert "level  Employee.phone  internal → public" in output
    assert "gains       read Employee.phone\n       who  everybody; service" not in output
    assert "gains       read Employee.phone\n       who  everybody\n" in output


def test_a_new_team_is_told_by_what_it_may_beyond_everybody(company: Company, tmp_path: Path) -> None:
    (tmp_path / "old-roles").mkdir()
    same = str(company.folder)
    output = company.run("diff", same, same, "--old-teams", str(tmp_path / "old-roles"))[1]
    assert "team  salaries  - → Salaries" in output
    assert "gains       read Employee.salary\n       who  team salaries\n" in output
    assert "Employee.name" not in output


def test_a_folder_of_a_git_revision_can_be_compared(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = company.folder.parent
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@y"]
    for arguments in (["init", "-q"], ["add", "policies"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    company.write(POLICY.replace(" and e.id != p.employee_id", ""))
    monkeypatch.chdir(root)
    output = company.run("diff", "HEAD:policies", "policies")[1]
    assert "wider       run domain.unlock" in output
    code, output = company.run("diff", "HEAD:nothing", "policies")
    assert code == 1
    assert "git has no HEAD:nothing" in output


# replay

RU: FactItems = (("country", "RU"), ("id", "other"), ("protected", False))
PROTECTED: FactItems = (("country", "RU"), ("id", "other"), ("protected", True))
HELD = Rights(SUPPORT.roles, SUPPORT.teams, SUPPORT.countries, SESSION)


def _decided(things: tuple[str, ...], outcome: str, facts: FactItems, action: str = "read") -> Decided:
    return Decided("v1", HELD, action, "Employee", things, outcome, facts)


RECORDED = [
    (_decided(("Employee.name", "Employee.phone"), "allow", RU), 10),
    (_decided(("Employee.phone",), "mask", PROTECTED), 3),
    (_decided(("domain.unlock",), "allow", RU, "run"), 2),
]


def test_the_same_policy_changes_no_recorded_decision(company: Company) -> None:
    company.recorded = list(RECORDED)
    code, output = company.run("replay", str(company.folder), "--exit-code")
    assert code == 0
    assert "25 decisions of the versions v1, recorded since 2026-11-01 00:00Z" in output
    assert "25 same, 0 gains, 0 loses, 0 cannot be told" in output


def test_a_changed_policy_names_exactly_the_decisions_that_would_be_others(company: Company) -> None:
    company.recorded = list(RECORDED)
    new = company.proposal(" and e.protected = false", "")
    code, output = company.run("replay", new, "--exit-code")
    assert code == 1
    (line,) = [line for line in output.splitlines() if line.startswith("gains")]
    assert line.split("  ") == [
        "gains",
        "3",
        "read Employee.phone",
        "mask → allow",
        "first-line (session)",
        "country RU, id other, protected true",
    ]
    assert "22 same, 3 gains, 0 loses, 0 cannot be told" in output


def test_a_policy_that_asks_what_was_not_recorded_is_said_to_be_unknown(company: Company) -> None:
    company.recorded = list(RECORDED)
    new = company.proposal("reaches(p, e) and e.id != p.employee_id", 'reaches(p, e) and e.office = "HQ"')
    answer = company.json("replay", new)
    assert answer["totals"] == {"same": 23, "gains": 0, "loses": 0, "cannot be told": 2}
    (changed,) = answer["changed"]
    assert changed["missing"] == ["office"]
    assert changed["after"] is None


def test_what_cannot_hold_whatever_was_not_recorded_is_a_denial(company: Company) -> None:
    company.recorded = [(_decided(("domain.unlock",), "allow", RU, "run"), 2)]
    new = company.proposal("reaches(p, e) and e.id != p.employee_id", 'e.country = "NG" and e.office = "HQ"')
    answer = company.json("replay", new)
    assert answer["totals"]["loses"] == 2


def test_nothing_recorded_is_said(company: Company) -> None:
    assert "nothing is recorded yet" in company.run("replay", str(company.folder))[1]
