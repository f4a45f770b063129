"""Policies that read one way and could be decided another: each is refused, or decided as Oso decides it."""

from uuid import UUID

import pytest

from okno.policy.service import Outcome, Policy, PolicyError, Rights

ROW = {
    "id": UUID(int=1),
    "country": "RU",
    "department": "IT",
    "office": "HQ",
    "state": "WORKS",
    "protected": True,
    "manager_id": UUID(int=2),
}
RIGHTS = Rights(roles=frozenset({"support"}), facts=frozenset({"session"}))
FIELDS = ("Employee.city", "HrSection.address", "HrSection.bonus", "HrSection.salary")
HEAD = """
level("Employee.city", "internal"); level("HrSection.address", "confidential");
level("HrSection.bonus", "secret"); level("HrSection.salary", "secret");
resource_of("Employee", "Employee"); resource_of("HrSection", "Employee");
role("support", "helps"); role("devices", "hands out");
rank("support", 1); rank("devices", 2);
serves("RU", "KZ", "HQ"); serves("KZ", "KZ", "Almaty");
asked(_p: Person, _e: Employee, _field);
a_nil(nil: Employee);
named(x, _p) if x := "support";
early(p: Person) if not role = "devices" and role in ["support"] and role in p.roles;
early_too(p: Person) if not (role = "devices" and other = "x") and rank(role, 1) and other in ["y"] and role in p.roles;
loops(x) if loops(x);
loops("secret");
"""


def _rule(condition: str) -> str:
    return f'permit(p: Person, "read", e: Employee, field, "x.read: reads") if asked(p, e, field) and {condition};'


def _policy(rules: str) -> Policy:
    return Policy.from_sources([("a.polar", HEAD + rules)], "test")


def _decided(policy: Policy) -> dict[str, tuple[bool, bool]]:
    """For each field what is decided, and what Oso says."""
    table = policy.table(RIGHTS, "read", "Employee")
    return {
        name: (
            table.decide(name).allows(ROW, None) is not None,
            policy.permits(RIGHTS, "read", "Employee", name, ROW, own_id=None),
        )
        for name in FIELDS
    }


@pytest.mark.parametrize(
    ("condition", "cause"),
    [
        ("part_of(field, Employee)", "Employee is not a variable"),
        ('rank("support", inf) and level(field, "secret")', "inf is not a variable"),
        ('rank("support", nan) and level(field, "secret")', "nan is not a variable"),
        ('a_nil(e) and level(field, "secret")', "nil is not a variable"),
        ('e.protected = true and e.protected = 1 and level(field, "secret")', "compared with 1"),
        ('e.protected in [true, 1] and level(field, "secret")', "compared with 1"),
        ('named("support", p) and level(field, "secret")', "this name is given already"),
        ('level(field, x) and x := "secret"', "this name is given already"),
        ('early(p) and level(field, "secret")', "not … role"),
        ('early_too(p) and level(field, "secret")', "not … role"),
        ('x in [false] and x != 0 and level(field, "secret")', "a number is not compared"),
        ("loops(x) and level(field, x)", "calls itself"),
        (
            'permit(p, "read", e, "Employee.city", "x.read: reads") and level(field, "secret")',
            "is not asked",
        ),
    ],
)
def test_what_oso_would_take_otherwise_than_it_looks_is_refused(condition: str, cause: str) -> None:
    with pytest.raises(PolicyError, match=cause):
        _policy(_rule(condition))


@pytest.mark.parametrize(
    ("head", "condition"),
    [
        ('x: Person, "read", x: Employee, field', 'level(field, "internal")'),
        ('_p: Person, "read", e: Employee, e', 'level(e, "internal")'),
    ],
)
def test_a_name_that_stands_for_two_terms_of_a_head_is_refused(head: str, condition: str) -> None:
    with pytest.raises(PolicyError, match="twice in the head"):
        _policy(f'permit({head}, "x.read: reads") if {condition};')


def test_a_variable_that_stands_twice_in_a_fact_is_one_and_the_same() -> None:
    policy = _policy(_rule('serves(country, country, e.office) and level(field, "secret")'))

    assert set(_decided(policy).values()) == {(False, False)}


def test_a_string_in_the_shape_of_a_group_of_fields_names_no_field() -> None:
    policy = _policy(_rule('field in ["HrSection.<secret>", "Employee.<internal>\'", "<structural>"]'))

    assert set(_decided(policy).values()) == {(False, False)}
    assert policy.table(RIGHTS, "read", "Employee").decide("HrSection.salary").outcome is Outcome.DENY


def test_a_field_that_any_fact_names_is_told_apart_from_its_like() -> None:
    rules = 'scope("HrSection.salary", "named by mistake");\n'
    policy = _policy(rules + _rule('level(field, "secret") and scope(closed, _) and field != closed'))

    assert _decided(policy) == {
        name: (name == "HrSection.bonus", name == "HrSection.bonus") for name in FIELDS
    }


def test_a_comment_ends_with_its_line_however_lines_end() -> None:
    policy = _policy("# who reads what\r" + _rule('level(field, "internal")'))

    assert _decided(policy)["Employee.city"] == (True, True)


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\xa0", "\u2028", "\ufeff"])
def test_a_space_that_oso_takes_for_a_part_of_a_name_is_refused(space: str) -> None:
    with pytest.raises(PolicyError, match="expected"):
        _policy(f'{space}rank("support", 3);\n' + _rule('rank("support", 3) and level(field, "secret")'))
    with pytest.raises(PolicyError):
        _policy(_rule(f'not e.country{space} = "KZ" and level(field, "secret")'))


def test_a_level_whose_parenthesis_is_not_closed_is_refused() -> None:
    with pytest.raises(PolicyError, match="expected a rule, a fact or a test"):
        _policy('level("Employee.phone", "internal";\n' + _rule('level(field, "internal")'))


def test_a_fact_with_an_escape_that_is_not_known_refuses_the_rule_that_asks_for_it() -> None:
    with pytest.raises(PolicyError, match="escape"):
        _policy('word("a\\qb");\n' + _rule('word(x) and x != "y" and level(field, "secret")'))
