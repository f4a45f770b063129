"""`check`: each way in which policy files and a schema can disagree, with the line to mend."""

import pytest

from okno.policy.service import Policy, Problem

LINES = [
    'level("Query.me", "public");',  # 1
    'level("Employee.id", "public");',
    'level("Employee.email", "internal");',
    'resource_of("Query", "Okno");',
    'resource_of("Employee", "Employee");',  # 5
    'structural("PageInfo");',
    'role("support", "answers");',
    'scope("employees.read", "reads");',
    'permit(_p: Person, "read", _o: Okno, field, "x.okno: s") if level(field, "public");',
    'permit(_p: Person, "read", _e: Employee, field, "x.public: s") if level(field, "public");',  # 10
    'permit(p: Person, "read", _e: Employee, field, "x.internal: s") if "support" in p.roles and level(field, "internal");',
    'permit(p: Person, "run", _e: Employee, "domain.unlock", "x.unlock: s") if "support" in p.roles;',
    'permit(p: Person, "write", _o: Okno, "Mutation.operationRun", "x.run: s") if "session" in p.facts;',
    'permit(p: Person, "use", _o: Okno, "audit.read", "x.page: s") if "support" in p.roles;',
]
FIELDS = {"Query.me", "Employee.id", "Employee.email", "PageInfo.hasNextPage", "PageInfo.endCursor"}


def _check(
    *more: str,
    fields: set[str] = FIELDS,
    mutations: tuple[str, ...] = ("Mutation.operationRun",),
    operations: tuple[str, ...] = ("domain.unlock",),
    pages: tuple[str, ...] | None = ("audit.read",),
) -> list[Problem]:
    policy = Policy.from_sources([("policies/a.polar", "\n".join([*LINES, *more]))], "test")
    return policy.check(fields=fields, mutations=mutations, operations=operations, pages=pages)


def _only(problems: list[Problem]) -> tuple[int, str, str]:
    (problem,) = problems
    assert problem.file == "policies/a.polar"
    assert str(problem) == f"policies/a.polar:{problem.line}: {problem.message} [{problem.code}]"
    return problem.line, problem.code, problem.message


def test_a_policy_that_covers_its_schema_has_no_problem() -> None:
    assert _check() == []
    assert _check(fields=FIELDS | {"Mutation.operationRun"}, mutations=("operationRun",), pages=None) == []


def test_a_field_without_level_is_found_at_its_type() -> None:
    line, code, message = _only(_check(fields=FIELDS | {"Employee.phone"}))
    assert (line, code) == (5, "no-level")
    assert 'add level("Employee.phone", …)' in message


def test_a_new_type_is_found_once_however_many_fields_it_has() -> None:
    line, code, message = _only(_check(fields=FIELDS | {"Badge.id", "Badge.number"}))
    assert (line, code) == (1, "undeclared-type")
    assert 'resource_of("Badge", …) or structural("Badge")' in message


def test_a_field_that_no_rule_covers_is_found_at_its_level() -> None:
    found = _only(_check('level("Employee.salary", "secret");', fields=FIELDS | {"Employee.salary"}))
    assert found[:2] == (15, "no-rule")
    assert "Employee.salary (secret) is covered by no rule" in found[2]


def test_a_rule_for_another_resource_does_not_cover_a_field() -> None:
    more = ('resource_of("AuditRecord", "JournalRecord");', 'level("AuditRecord.id", "public");')
    assert _only(_check(*more, fields=FIELDS | {"AuditRecord.id"}))[:2] == (16, "no-rule")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"mutations": ("operationRun", "operationUndo")}, "mutation Mutation.operationUndo"),
        ({"operations": ("domain.unlock", "domain.lock")}, "operation domain.lock"),
        ({"pages": ("audit.read", "sources.read")}, "page sources.read"),
    ],
)
def test_mutations_operations_and_pages_without_rule_are_found(
    arguments: dict[str, tuple[str, ...]], name: str
) -> None:
    _line, code, message = _only(_check(**arguments))  # type: ignore[arg-type]
    assert code == "no-rule"
    assert message.startswith(f"{name} is covered by no rule")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('level("Employee.nickname", "public");', "unknown-field"),
        ('resource_of("Ghost", "Employee");', "unknown-type"),
        ('structural("Ghost");', "unknown-type"),
        ('permit(_p: Person, "run", _e: Employee, "domain.unlok", "x.typo: s");', "unknown-operation"),
        ('permit(_p: Person, "write", _o: Okno, "Mutation.run", "x.typo: s");', "unknown-mutation"),
        ('permit(_p: Person, "read", _e: Employee, "Employee.mail", "x.typo: s");', "unknown-field"),
        ('permit(_p: Person, "use", _o: Okno, "audit.reed", "x.typo: s");', "unknown-page"),
        (
            'permit(p: Person, "use", _o: Okno, "audit.read", "x.typo: s") if "suport" in p.roles;',
            "unknown-role",
        ),
        (
            'permit(p: Person, "use", _o: Okno, "audit.read", "x.typo: s") if "employees.reed" in p.scopes;',
            "unknown-scope",
        ),
        (
            'permit(p: Person, "use", _o: Okno, "audit.read", "x.typo: s") if "sesion" in p.facts;',
            "unknown-fact",
        ),
    ],
)
def test_names_that_exist_nowhere_are_found_at_their_line(line: str, code: str) -> None:
    assert _only(_check(line))[:2] == (15, code)


def test_names_that_a_condition_lists_are_checked_like_those_of_the_head() -> None:
    rule = (
        'permit(_p: Person, "run", _e: Employee, op, "x.typo: s") if op in ["domain.unlock", "domain.lok"];'
    )
    line, code, message = _only(_check(rule))
    assert (line, code) == (15, "unknown-operation")
    assert "domain.lok" in message
