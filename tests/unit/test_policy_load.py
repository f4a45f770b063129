"""Loading policy files: what is refused, and that the refusal says where."""

from pathlib import Path

import pytest

from okno.policy.service import DENY, Outcome, Policy, PolicyError, Rights

SIGNED_IN = Rights(facts=frozenset({"session"}))
HEAD = """level("Employee.id", "public");
resource_of("Employee", "Employee");
"""


def _load(*lines: str) -> Policy:
    return Policy.from_sources([("policies/a.polar", HEAD + "\n".join(lines))], "test")


def _rule(condition: str, *, person: str = "_p", row: str = "_e") -> str:
    return f'permit({person}: Person, "run", {row}: Employee, "x.run", "x.run: a sentence") if {condition};'


@pytest.mark.parametrize(
    ("line", "code", "cause"),
    [
        ("permit(;", "syntax", "token"),
        (_rule('undefined_rule("x")'), "syntax", "undefined_rule"),
        (_rule('"a" in q.roles', person="p"), "syntax", "q"),
        ('permit(_p: Person, "run", _e: Employee, "x.run");', "no-sentence", "5 terms|id: sentence"),
        (
            'permit(_p: Person, "run", _e: Employee, "x.run", "a sentence without id");',
            "no-sentence",
            "rule.id",
        ),
        ('permit(_p: Person, "run", _e: Employee, "x.run", "x.run:");', "no-sentence", "rule.id"),
        ('permit(_p: Person, "run", _e: Employee, "x.run", _text);', "no-sentence", "rule.id"),
        (
            'permit(_p: Person, "fly", _e: Employee, "x.run", "x.run: s");',
            "bad-head",
            "read, write, run, use, mask, match",
        ),
        ('permit(_p: Person, _a, _e: Employee, "x.run", "x.run: s");', "bad-head", "second term"),
        ('permit(_p, "run", _e: Employee, "x.run", "x.run: s");', "bad-head", "p: Person"),
        ('permit(_p: Person, "run", _e, "x.run", "x.run: s");', "bad-head", "x: Class"),
        (
            'permit(_p: Person, "run", _e: Employee{state: "WORKS"}, "x.run", "x.run: s");',
            "bad-head",
            "x: Class",
        ),
        ('permit(_p: Person, "run", _e: Employee, _, "x.run: s");', "bad-head", "fourth term"),
        ('permit(_p: Person, "run", _e: Employee, _any, "x.run: s");', "cannot-compile", "which fields"),
        (_rule("e.salary = 1", row="e"), "unknown-attribute", "no attribute salary"),
        (_rule("e.manager.id = 1", row="e"), "unknown-attribute", "no attribute manager"),
        (_rule('"a" in p.rolls', person="p"), "unknown-attribute", "no attribute rolls"),
        (_rule("e.state > 3", row="e"), "cannot-compile", "only =, != and in"),
        (_rule("e.state = nil", row="e"), "cannot-compile", "nil"),
        (_rule("e.id = e.manager_id", row="e"), "cannot-compile", "one side must be"),
        (_rule('"a" in e.state', row="e"), "cannot-compile", "lists of the person"),
        (_rule('p.roles = ["a"]', person="p"), "cannot-compile", "one side must be"),
        (_rule('p.employee_id = "1"', person="p"), "cannot-compile", "one side must be"),
        (
            _rule("e.id != p.id", person="p", row="e"),
            "cannot-compile",
            "p.id is not compared with Employee.id",
        ),
        (_rule("not e.country in p.countries", person="p", row="e"), "cannot-compile", "negation"),
        (_rule('cut and e.country = "RU"', row="e"), "cannot-compile", "order of rules"),
        (_rule('forall(c in ["a"], e.country = c)', row="e"), "cannot-compile", "forall"),
        (_rule('e matches Employee and e.country = "RU"', row="e"), "cannot-compile", "matches"),
        (_rule('print("x")'), "cannot-compile", "output"),
        ('allow(_p, "read", _e);', "no-effect", "only permit rules"),
        ('part_of("Employee.id", "X");', "no-effect", "derived"),
        ('level("Employee.id", "internal");', "duplicate-fact", "a.polar:1"),
        ('structural("Employee");', "duplicate-fact", "a.polar:2"),
        ('level("Employee.name", "private");', "bad-fact", "public, internal"),
        ('level("PageInfo.*", "public");', "bad-fact", "structural"),
        ('level("Employee.name", lvl) if lvl = "public";', "bad-fact", "no condition"),
        ('resource_of("X", "Row");', "bad-fact", "resources are"),
        ("type permit(p: Person);", "syntax", "expected a rule"),
    ],
)
def test_what_is_wrong_is_refused_with_file_line_and_cause(line: str, code: str, cause: str) -> None:
    with pytest.raises(PolicyError, match=cause) as refused:
        _load("", line)

    problem = next(problem for problem in refused.value.problems if problem.code == code)
    assert (problem.file, problem.line) == ("policies/a.polar", 4)
    assert refused.value.code == "POLICY"
    assert "a.polar:4: " in refused.value.message


def test_a_negated_rule_is_refused_also_in_parentheses() -> None:
    helper = "near(p: Person, e: Employee) if e.country in p.countries;"
    for condition in ("not near(p, e)", 'not (e.state = "WORKS" and near(p, e))'):
        with pytest.raises(PolicyError, match="negation of a rule is not compiled"):
            _load(helper, _rule(condition, person="p", row="e"))

    assert _load(helper, _rule('not (e.state = "WORKS") and near(p, e)', person="p", row="e"))


def test_a_rule_id_is_used_once() -> None:
    rule = 'permit(_p: Person, "run", _e: Employee, "x.run", "x.run: s");'

    with pytest.raises(
        PolicyError, match=r"a\.polar:4: rule id x\.run is used twice, first at policies/a\.polar:3"
    ):
        _load(rule, rule)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(PolicyError) as refused:
        _load('level("Employee.x", "private");', 'permit(_p: Person, "run", _e: Employee, "x.run", "no id");')

    assert [(problem.line, problem.code) for problem in refused.value.problems] == [
        (3, "bad-fact"),
        (4, "no-sentence"),
    ]


def test_a_folder_is_refused_whole_when_one_file_is_broken(tmp_path: Path) -> None:
    (tmp_path / "good.polar").write_text(HEAD, encoding="utf-8")
    (tmp_path / "worse.polar").write_text("# a comment\n\npermit(p: Person,\n  if;\n", encoding="utf-8")

    with pytest.raises(PolicyError) as refused:
        Policy.load(tmp_path)

    assert (refused.value.file, refused.value.line) == (f"{tmp_path.name}/worse.polar", 4)


def test_a_folder_without_policy_and_a_file_that_is_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="without policy nothing is allowed"):
        Policy.load(tmp_path)

    (tmp_path / "a.polar").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyError, match="cannot be read"):
        Policy.load(tmp_path)


def test_an_inline_test_that_fails_stops_the_policy() -> None:
    assert _load('?= level("Employee.id", "public");')
    with pytest.raises(PolicyError, match=r"a\.polar:3: .*[Ii]nline query"):
        _load('?= level("Employee.id", "secret");')


def test_the_version_follows_from_the_files_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "one" / "policies", tmp_path / "two" / "policies"
    for folder in (first, second):
        folder.mkdir(parents=True)
        (folder / "a.polar").write_text(HEAD, encoding="utf-8")
    assert Policy.load(first).version == Policy.load(second).version

    (second / "a.polar").write_text(HEAD + "# a word\n", encoding="utf-8")
    assert Policy.load(first).version != Policy.load(second).version


def test_loading_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    _load(_rule('"a" in p.roles', person="p"))

    assert capfd.readouterr() == ("", "")


def test_equal_rights_share_a_table_and_what_is_not_covered_is_denied() -> None:
    policy = _load('permit(_p: Person, "read", _e: Employee, "Employee.id", "x.id: s");')

    table = policy.table(SIGNED_IN, "read", "Employee")

    assert policy.table(Rights(facts=frozenset({"session"})), "read", "Employee") is table
    assert table.decide("Employee.id").outcome is Outcome.ALLOW
    assert table.decide("Employee.email") is DENY
    assert not policy.table(SIGNED_IN, "run", "Employee").fields
    with pytest.raises(PolicyError, match="no action fly"):
        policy.table(SIGNED_IN, "fly", "Employee")


def test_a_rule_for_one_resource_gives_nothing_of_another() -> None:
    policy = _load(
        'resource_of("Query", "Okno");',
        'level("Query.me", "public");',
        'permit(_p: Person, "read", _e: Employee, field, "x.all: s") if level(field, "public");',
    )

    assert list(policy.table(SIGNED_IN, "read", "Employee")) == ["Employee.id"]
    assert list(policy.table(SIGNED_IN, "read", "Okno")) == []


def test_rights_of_a_rule_spelled_by_name_do_not_leak_to_fields_like_it() -> None:
    policy = _load(
        'level("Employee.email", "internal");',
        'level("Employee.phone", "internal");',
        'permit(_p: Person, "read", _e: Employee, field, "x.one: s") if level(field, "internal") and field != "Employee.phone";',
        'permit(_p: Person, "run", _e: Employee, "x.run", "x.run: s");',
    )

    assert list(policy.table(SIGNED_IN, "read", "Employee")) == ["Employee.email"]


def test_a_literal_that_looks_like_the_placeholder_of_oneself_is_a_mere_string() -> None:
    policy = _load(_rule('e.id != "own:employee_id" and e.id != p.employee_id', person="p", row="e"))

    decision = policy.table(SIGNED_IN, "run", "Employee").decide("x.run")

    assert decision.outcome is Outcome.CONDITIONAL
    assert decision.allows({"id": "someone"}, None) is None
