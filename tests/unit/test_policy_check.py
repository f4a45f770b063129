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
    'permit(_p: Person, "read", _o: Okno, field, "x.okno: everybody may do x.okno") if level(field, "public");',
    'permit(_p: Person, "read", _e: Employee, field, "x.public: everybody may do x.public") if level(field, "public");',  # 10
    'permit(p: Person, "read", _e: Employee, field, "x.internal: everybody may do x.internal") if "support" in p.roles and level(field, "internal");',
    'permit(p: Person, "run", _e: Employee, "domain.unlock", "x.unlock: everybody may do x.unlock") if "support" in p.roles;',
    'permit(p: Person, "write", _o: Okno, "Mutation.operationRun", "x.run: everybody may do x.run") if "session" in p.facts;',
    'permit(p: Person, "use", _o: Okno, "audit.read", "x.page: everybody may do x.page") if "support" in p.roles;',
]
FIELDS = {"Query.me", "Employee.id", "Employee.email", "PageInfo.hasNextPage", "PageInfo.endCursor"}


def _check(
    *more: str,
    fields: set[str] = FIELDS,
    mutations: tuple[str, ...] = ("Mutation.operationRun",),
    operations: tuple[str, ...] = ("domain.unlock",),
    pages: tuple[str, ...] | None = ("audit.read",),
    texts: tuple[str, ...] | None = None,
    roles_held: tuple[str, ...] | None = None,
    teams: tuple[str, ...] | None = None,
) -> list[Problem]:
    policy = Policy.from_sources([("policies/a.polar", "\n".join([*LINES, *more]))], "test")
    return policy.check(
        fields=fields,
        mutations=mutations,
        operations=operations,
        pages=pages,
        texts=texts,
        roles_held=roles_held,
        teams=teams,
    )


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
        (
            'permit(_p: Person, "run", _e: Employee, "domain.unlok", "x.typo: everybody may do x.typo");',
            "unknown-operation",
        ),
        (
            'permit(_p: Person, "write", _o: Okno, "Mutation.run", "x.typo: everybody may do x.typo");',
            "unknown-mutation",
        ),
        (
            'permit(_p: Person, "read", _e: Employee, "Employee.mail", "x.typo: everybody may do x.typo");',
            "unknown-field",
        ),
        (
            'permit(_p: Person, "use", _o: Okno, "audit.reed", "x.typo: everybody may do x.typo");',
            "unknown-page",
        ),
        (
            'permit(p: Person, "use", _o: Okno, "audit.read", "x.typo: everybody may do x.typo") if "suport" in p.roles;',
            "unknown-role",
        ),
        (
            'permit(p: Person, "use", _o: Okno, "audit.read", "x.typo: everybody may do x.typo") if "employees.reed" in p.scopes;',
            "unknown-scope",
        ),
        (
            'permit(p: Person, "use", _o: Okno, "audit.read", "x.typo: everybody may do x.typo") if "sesion" in p.facts;',
            "unknown-fact",
        ),
    ],
)
def test_names_that_exist_nowhere_are_found_at_their_line(line: str, code: str) -> None:
    assert _only(_check(line))[:2] == (15, code)


def test_names_that_a_condition_lists_are_checked_like_those_of_the_head() -> None:
    rule = 'permit(_p: Person, "run", _e: Employee, op, "x.typo: everybody may do x.typo") if op in ["domain.unlock", "domain.lok"];'
    line, code, message = _only(_check(rule))
    assert (line, code) == (15, "unknown-operation")
    assert "domain.lok" in message


def _unlock(condition: str) -> str:
    return f'permit(p: Person, "run", e: Employee, "domain.unlock", "x.more: also these may unlock accounts") if {condition};'


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ('"support" in p.roles and not "support" in p.roles and e.state = "WORKS"', "and not"),
        ('"session" in p.facts and e.state = "WORKS" and e.state = "DISMISSED"', "contradict one another"),
        ('"session" in p.facts and e.state in ["WORKS"] and e.state != "WORKS"', "contradict one another"),
        ('"session" in p.facts and e.id = p.employee_id and e.id != p.employee_id', "contradict one another"),
        ('"session" in p.facts and e.protected = "yes"', "protected is true or false"),
        ('"session" in p.facts and e.country = 7', "country is a text"),
        ('"session" in p.facts and e.id = "5f1c"', "the person's own only"),
        ('"session" in p.facts and e.country in []', "no field, name or fact satisfies it"),
        ('"session" in p.facts and e.country = "RU" and "a" = "b"', "no field, name or fact satisfies it"),
    ],
)
def test_a_condition_that_can_never_be_met_is_found_with_its_reason(condition: str, why: str) -> None:
    line, code, message = _only(_check(_unlock(condition)))

    assert (line, code) == (15, "unreachable")
    assert message.startswith("rule x.more can never hold: ")
    assert why in message


def test_one_way_that_can_never_be_met_does_not_make_a_rule_unreachable() -> None:
    assert (
        _check(_unlock('"session" in p.facts and (e.state = "WORKS" or "a" = "b") and e.country = "RU"'))
        == []
    )


def test_a_role_that_no_team_holds_and_a_team_that_is_none_are_found() -> None:
    of_nobody = _unlock('"night_shift" in p.roles and e.country = "RU"')
    of_ghosts = _unlock('"ghosts" in p.teams and e.country = "RU"')
    role = 'role("night_shift", "answers at night");'

    (one,) = _check(of_nobody, role, roles_held=("support",))
    (other,) = _check(of_ghosts, roles_held=("support",), teams=("first-line",))

    assert (one.line, one.code) == (15, "unreachable")
    assert "no team holds the role night_shift" in one.message
    assert (other.line, other.code) == (15, "unreachable")
    assert "no team is called ghosts" in other.message
    assert _check(of_nobody, role, roles_held=("support", "night_shift")) == []


@pytest.mark.parametrize(
    "condition",
    [
        '"support" in p.roles and e.protected = false',
        '"support" in p.roles and e.country = "RU"',
        '"support" in p.roles and (e.country = "RU" or e.id = p.employee_id)',
    ],
)
def test_a_rule_that_an_earlier_one_always_covers_is_found(condition: str) -> None:
    line, code, message = _only(_check(_unlock(condition)))

    assert (line, code) == (15, "covered")
    assert "rule x.more gives nothing that x.unlock does not give already" in message


def test_a_rule_that_gives_more_in_one_way_is_not_covered() -> None:
    assert _check(_unlock('("support" in p.roles and e.country = "RU") or "session" in p.facts')) == []


def test_a_choice_of_fewer_values_is_covered_by_one_of_more() -> None:
    wider = _unlock('"session" in p.facts and e.country in ["RU", "KZ"] and e.state != "DISMISSED"')
    narrower = wider.replace("x.more: also", "x.narrow: only").replace('["RU", "KZ"]', '["KZ"]')
    narrower = narrower.replace('e.state != "DISMISSED"', 'e.state = "WORKS"')

    (problem,) = _check(wider, narrower)

    assert (problem.line, problem.code) == (16, "covered")


def test_a_mask_of_what_is_read_in_full_anyway_is_covered() -> None:
    masked = 'masked("Employee.email", "domain");'
    mask = 'permit(p: Person, "mask", _e: Employee, "Employee.email", "x.mask: {} sees it masked") if {};'

    (problem,) = _check(masked, mask.format("support", '"support" in p.roles'))

    assert (problem.line, problem.code) == (16, "covered")
    assert "x.internal" in problem.message
    assert _check(masked, mask.format("who signed in", '"session" in p.facts')) == []


def test_two_rules_with_the_same_words_and_a_rule_without_sentence_are_found() -> None:
    same = 'permit(_p: Person, "use", _o: Okno, "audit.read", "x.same: Everybody  may do x.page") if "session" in _p.facts;'
    mute = same.replace("x.same: Everybody  may do x.page", "x.mute: do it")

    (one,) = _check(same)
    (other,) = _check(mute)

    assert (one.line, one.code) == (15, "same-sentence")
    assert "in the words of x.page" in one.message
    assert (other.line, other.code) == (15, "no-sentence")


MASK = 'permit(p: Person, "mask", _e: Employee, field, "x.mask: who signed in sees it masked") if "session" in p.facts'


@pytest.mark.parametrize(
    ("lines", "place", "code", "fix"),
    [
        ([f'{MASK} and level(field, "internal");'], 15, "no-mask", 'add masked("Employee.email", …)'),
        (['masked("Employee.email", "domain");'], 15, "no-rule", "add a rule for the action mask"),
        (['masked("Employee.mail", "domain");'], 15, "unknown-field", "the schema has no such field"),
        (
            [
                'permit(p: Person, "match", _e: Employee, "Employee.id", "x.match: who signed in finds by id") if "session" in p.facts;'
            ],
            15,
            "not-a-text",
            "which is no text",
        ),
        (
            [
                'permit(p: Person, "match", _e: Employee, "Employee.mail", "x.match: who signed in finds by it") if "session" in p.facts;'
            ],
            15,
            "unknown-field",
            "Employee.mail, which does not exist",
        ),
        (
            ['incompatible("support", "auditor", "nobody audits own work");'],
            15,
            "unknown-role",
            'add role("auditor", …)',
        ),
    ],
)
def test_masks_matches_and_incompatible_roles_are_checked(
    lines: list[str], place: int, code: str, fix: str
) -> None:
    line, found, message = _only(_check(*lines, texts=("Employee.email",)))

    assert (line, found) == (place, code)
    assert fix in message


def test_a_mask_with_its_form_and_its_rule_has_no_problem() -> None:
    assert (
        _check(
            'masked("Employee.email", "domain");', f"{MASK} and masked(field, _);", texts=("Employee.email",)
        )
        == []
    )


def test_what_is_no_text_cannot_be_masked() -> None:
    line, code, message = _only(
        _check('masked("Employee.email", "domain");', f"{MASK} and masked(field, _);", texts=())
    )

    assert (line, code) == (15, "not-a-text")
    assert "only a String or a list of them can be" in message
