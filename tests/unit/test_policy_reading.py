"""Reading rules: what each asks of person and row, in whatever order it is written, and what has no compiled form."""

import pytest

from okno.policy.condition import ME, Compare
from okno.policy.requirement import NEVER, Either, Every, InPersons, PersonHas, Requirement, every
from okno.policy.service import Outcome, Policy, PolicyError, Rights

SUPPORT = PersonHas("roles", "support")
RU = Compare("country", "=", "RU")
OWN = Compare("id", "=", ME)
HELPERS = """
rank("support", 1);
rank("devices", 2);
rank("devices", true);
near(_p: Person, e: Employee) if e.country = "RU";
near(p: Person, e: Employee) if e.id = p.employee_id;
ranked(p: Person, level) if rank(role, level) and role in p.roles;
late(p: Person) if role in p.roles and rank(role, 1);
loops(p: Person) if loops(p);
of_record(_p: Person, r: JournalRecord) if r.team = "x";
"""


def _policy(condition: str, helpers: str = HELPERS) -> Policy:
    rule = f'permit(p: Person, "run", e: Employee, "x.run", "x.run: a rule") if both(p, e) and {condition};'
    return Policy.from_sources([("a.polar", f"{helpers}both(_p: Person, _e: Employee);\n{rule}")], "test")


def _asks(condition: str) -> Requirement:
    found = [reading.requirement for reading in _policy(condition).readings["run", "Employee"]]
    return found[0] if found else NEVER


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        ('"support" in p.roles', SUPPORT),
        ('not "support" in p.roles', PersonHas("roles", "support", negated=True)),
        ("e.country in p.countries", InPersons("country", "countries")),
        ('"RU" = e.country', RU),
        ('e.country == "RU"', RU),
        ("p.employee_id = e.id", OWN),
        ("e.id != p.employee_id", Compare("id", "!=", ME)),
        ('e.country in ["RU"]', RU),
        ('e.country in ["RU", "KZ", "RU"]', Compare("country", "in", ("KZ", "RU"))),
        ('not e.country in ["RU", "KZ"]', Every((Compare("country", "!=", "RU"), Compare("country", "!=", "KZ")))),
        ('not (e.country = "RU" and e.id = p.employee_id)', Either((Compare("country", "!=", "RU"), Compare("id", "!=", ME)))),
        ('not (e.country = "RU" or e.id = p.employee_id)', Every((Compare("country", "!=", "RU"), Compare("id", "!=", ME)))),
        ('not (not (e.country = "RU"))', RU),
        ("near(p, e)", Either((RU, OWN))),
        ('near(p, e) and near(p, e) and "support" in p.roles', Every((Either((RU, OWN)), SUPPORT))),
        ("ranked(p, 1)", SUPPORT),
        ("ranked(p, true)", PersonHas("roles", "devices")),
        ("late(p)", SUPPORT),
        ('country = "RU" and e.country = country', RU),
        ('e.country = country and country = "RU"', RU),
        ('country := "RU" and country = e.country', RU),
        ('country = e.country and country in p.countries', InPersons("country", "countries")),
        ('c != "KZ" and c in ["RU", "KZ"] and e.country = c', RU),
        ('several = ["RU", "KZ"] and e.country in several', Compare("country", "in", ("KZ", "RU"))),
        ("of_record(p, e)", NEVER),
        ('"a" = "b"', NEVER),
        ("1 = true", NEVER),
        ('("a" in ["b"] or e.country = "RU")', RU),
        ('true and e.country = "RU"', RU),
        ('false and e.country = "RU"', NEVER),
        ('e.country = "a\\"b\\\\"', Compare("country", "=", 'a"b\\')),
    ],
)  # fmt: skip
def test_a_condition_asks_the_same_however_it_is_written(condition: str, asked: Requirement) -> None:
    assert every([_asks(condition)]) == asked


@pytest.mark.parametrize(
    ("condition", "cause"),
    [
        ("loops(p)", "loops calls itself"),
        ('role in p.roles and role != "devices"', "role stands for nothing in particular"),
        ('e.country = c and c != other and other != "x"', "other stands for nothing in particular"),
        ("e.country = 1.5", "whole numbers"),
        ("e.country in [p.id]", "a list is made of constants"),
        ('e.country = ["RU"]', 'a list is asked with "in"'),
        ('e.country = "\\d"', "escape"),
        ("e.country.upper = 1", "only attributes are asked"),
        ('x = e and x.country = "RU"', "say in the head what x is"),
        ("e = p", "one side must be"),
        ("e.country in e.office", "lists of the person"),
        ("1 in p.roles", "lists of the person"),
        ("p.id in p.roles", "lists of the person"),
        ("e.id = p.roles", "p.roles is not compared"),
        ("named(e.country)", "not known to be one"),
        ("kind(p)", "class String in a rule's head"),
    ],
)
def test_what_has_no_compiled_form_is_refused_where_the_rule_stands(condition: str, cause: str) -> None:
    helpers = HELPERS + "named(_x: Employee);\nkind(_x: String);\n"

    with pytest.raises(PolicyError, match=cause) as refused:
        _policy(condition, helpers)

    assert refused.value.line == helpers.count("\n") + 2


def test_a_rule_is_read_once_for_the_fields_that_it_treats_alike() -> None:
    policy = Policy.from_sources(
        [
            (
                "a.polar",
                'resource_of("A", "Employee"); level("A.x", "public"); level("A.y", "public"); level("A.z", "internal");'
                'permit(p: Person, "read", e: Employee, field, "x.some: reads") if'
                '  (level(field, "public") and e.country = "RU") or (level(field, "internal") and "support" in p.roles)'
                '  or (field = "A.y" and e.country = "KZ");',
            )
        ],
        "test",
    )

    asked = {reading.fields: reading.requirement for reading in policy.readings["read", "Employee"]}

    assert asked == {
        ("A.<public>",): RU,
        ("A.y",): Either((RU, Compare("country", "=", "KZ"))),
        ("A.<internal>",): SUPPORT,
    }
    table = policy.table(Rights(), "read", "Employee")
    assert [table.decide(f"A.{name}").outcome for name in "xyz"] == [
        Outcome.CONDITIONAL,
        Outcome.CONDITIONAL,
        Outcome.DENY,
    ]
