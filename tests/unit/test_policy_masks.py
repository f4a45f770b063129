"""Masked reading: the forms, the decision between full and denied, exact search, and roles that exclude one another."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.policy.condition import FALSE, Compare
from okno.policy.masking import FORMS, HIDDEN, mask
from okno.policy.model import DENY, Alternative, Decision, Outcome, decide
from okno.policy.service import Policy, PolicyError, Rights

ME = UUID(int=10)
RU = Compare("country", "=", "RU")
OPEN = Compare("protected", "=", False)
FULL = Alternative("x.full", "reads it", None)
FULL_RU = Alternative("x.full-ru", "reads it in Russia", RU)
MASKED = Alternative("x.masked", "sees it masked", None)
MASKED_OPEN = Alternative("x.masked-open", "sees it masked", OPEN)

POLICY = """
level("HrSection.phone", "confidential");
level("HrSection.mail", "confidential");
level("HrSection.born", "confidential");
masked("HrSection.phone", "last-4");
masked("HrSection.mail", "domain");
resource_of("HrSection", "Employee");
role("hr", "…"); role("support", "…"); role("auditor", "…");
incompatible("hr", "auditor", "nobody audits own work");
permit(p: Person, "read", e: Employee, field, "x.read: the desk reads all in its countries") if
    "hr" in p.roles and e.country in p.countries and level(field, "confidential");
permit(p: Person, "mask", e: Employee, field, "x.mask: support sees masked whoever is not protected") if
    "support" in p.roles and e.protected = false and masked(field, _);
permit(p: Person, "mask", _e: Employee, "HrSection.born", "x.formless: support sees a date that has no form") if
    "support" in p.roles;
permit(p: Person, "match", e: Employee, "HrSection.phone", "x.match: support finds by the phone in its countries") if
    "support" in p.roles and e.country in p.countries;
permit(p: Person, "run", _e: Employee, "x.reset", "x.reset: support resets after a second factor in working hours") if
    "support" in p.roles and "second_factor" in p.facts and "working_hours" in p.facts;
"""
SUPPORT = Rights(roles=frozenset({"support"}), countries=frozenset({"RU"}))
BOTH = Rights(roles=frozenset({"support", "hr"}), countries=frozenset({"RU"}))
ROW = {"id": UUID(int=1), "country": "RU", "protected": False}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.from_sources([("policies/a.polar", POLICY)], "test")


@pytest.mark.parametrize(
    ("form", "text", "shown"),
    [
        ("last-4", "+7 905 123-45-67", "•••• 4567"),
        ("last-4", "12345678", "•••• 5678"),
        ("last-4", "1234567", HIDDEN),
        ("last-4", "", HIDDEN),
        ("first-letter", "Иванов", "И•••"),
        ("first-letter", "  Óscar", "Ó•••"),
        ("first-letter", "É", HIDDEN),
        ("first-letter", "X", HIDDEN),
        ("first-letter", " ", HIDDEN),
        ("first-letter", "+7", HIDDEN),
        ("domain", "anna.sorokina@example.com", "•••@example.com"),
        ("domain", '"a@b"@example.com', "•••@example.com"),
        ("domain", "@example.com", HIDDEN),
        ("domain", "nobody", HIDDEN),
        ("hidden", "anything at all", HIDDEN),
    ],
)
def test_a_form_shows_no_more_than_it_says(form: str, text: str, shown: str) -> None:
    assert mask(form)(text) == shown


@given(st.sampled_from(sorted(FORMS)), st.text(max_size=30))
def test_a_form_never_tells_the_text_nor_its_length(form: str, text: str) -> None:
    shown = mask(form)(text)

    assert text in shown[:0] + HIDDEN or shown != text
    assert "••" in shown
    assert shown.count("•") in (3, 4) or "•" in text
    if form == "last-4":
        assert len(shown) in (len(HIDDEN), len(HIDDEN) + 5)


def test_an_unknown_form_hides() -> None:
    assert mask("no-such")("secret") == mask(None)("secret") == HIDDEN


@pytest.mark.parametrize(
    ("alternatives", "masks", "outcome"),
    [
        ((), (), Outcome.DENY),
        ((FULL,), (MASKED,), Outcome.ALLOW),
        ((FULL_RU,), (MASKED,), Outcome.CONDITIONAL),
        ((), (MASKED,), Outcome.MASK),
        ((), (MASKED_OPEN, MASKED), Outcome.MASK),
        ((), (MASKED_OPEN,), Outcome.CONDITIONAL),
    ],
)
def test_read_beats_mask_and_mask_beats_deny(
    alternatives: tuple[Alternative, ...], masks: tuple[Alternative, ...], outcome: Outcome
) -> None:
    decision = decide(alternatives, masks)

    assert decision.outcome is outcome
    if outcome is Outcome.DENY:
        assert decision is DENY
    if outcome is Outcome.ALLOW:
        assert decision.masks == ()
        assert decision.mask(ROW, ME) is None


def test_who_knows_no_masks_takes_a_masked_field_for_denied() -> None:
    for decision in (decide((), (MASKED,)), decide((), (MASKED_OPEN,))):
        assert decision.alternatives == ()
        assert decision.allows(ROW, ME) is None
        assert decision.for_person(ME)(ROW) is None
        assert decision.condition == FALSE


def test_each_row_is_read_masked_or_denied_by_its_own_facts() -> None:
    decision = decide((FULL_RU,), (MASKED_OPEN,))
    abroad = {**ROW, "country": "KZ"}

    assert decision.allows(ROW, ME) is FULL_RU
    assert decision.allows(abroad, ME) is None
    assert decision.mask(abroad, ME) is MASKED_OPEN
    assert decision.mask_for_person(ME)({**abroad, "protected": True}) is None
    assert decision.mask_for_person(ME)(None) is None
    assert (decision.condition, decision.mask_condition) == (RU, OPEN)
    assert decide((FULL_RU,), (MASKED,)).mask_condition is None
    assert decide((), (MASKED,)).mask_for_person(ME)(None) is None


def test_a_policy_masks_the_fields_that_have_a_form_and_no_others(policy: Policy) -> None:
    table = policy.table(SUPPORT, "read", "Employee")

    assert list(table) == ["HrSection.mail", "HrSection.phone"]
    decision = table.decide("HrSection.phone")
    assert (decision.outcome, decision.alternatives) == (Outcome.CONDITIONAL, ())
    assert [each.rule_id for each in decision.masks] == ["x.mask"]
    assert policy.mask_of("HrSection.phone")("+7 905 123-45-67") == "•••• 4567"
    assert policy.mask_of("HrSection.mail")("anna@example.com") == "•••@example.com"
    assert policy.mask_of("HrSection.born")("1990-01-01") == HIDDEN
    assert policy.masked == {"HrSection.phone": "last-4", "HrSection.mail": "domain"}


def test_who_may_read_some_rows_sees_the_others_masked(policy: Policy) -> None:
    decision = policy.table(BOTH, "read", "Employee").decide("HrSection.phone")
    row = {**ROW, "country": "KZ"}

    assert decision.allows(ROW, ME)
    assert decision.allows(row, ME) is None
    assert decision.mask(row, ME)
    assert policy.table(BOTH, "read", "Employee").decide("HrSection.born").mask(row, ME) is None


def test_exact_search_is_a_right_of_its_own(policy: Policy) -> None:
    table = policy.table(SUPPORT, "match", "Employee")

    assert list(table) == ["HrSection.phone"]
    assert table.decide("HrSection.phone").allows(ROW, ME)
    assert table.decide("HrSection.phone").allows({**ROW, "country": "KZ"}, ME) is None
    assert table.decide("HrSection.mail") is DENY


def test_an_explanation_says_by_which_rule_and_in_which_form_a_field_is_masked(policy: Policy) -> None:
    found = policy.explain(SUPPORT, "read", "Employee", "HrSection.phone", ROW, ME)

    assert (found.allowed, found.masked, found.form) == (False, True, "last-4")
    assert [grant.rule.id for grant in found.masks] == ["x.mask"]
    assert [near.failed for near in found.nearest] == [('"hr" in the person\'s roles',)]
    assert found.nearest_masks == ()
    assert policy.explain(SUPPORT, "read", "Employee", "HrSection.phone").masked is None


def test_an_explanation_says_why_a_field_is_not_even_masked(policy: Policy) -> None:
    found = policy.explain(SUPPORT, "read", "Employee", "HrSection.phone", {**ROW, "protected": True}, ME)

    assert (found.allowed, found.masked) == (False, False)
    assert [(near.rule.id, near.failed) for near in found.nearest_masks] == [
        ("x.mask", ("protected = false",))
    ]
    answer = found.as_json()
    assert (answer["masked"], answer["form"], answer["masks"]) == (False, "last-4", [])


def test_an_explanation_of_exact_search_names_the_condition_that_failed(policy: Policy) -> None:
    found = policy.explain(SUPPORT, "match", "Employee", "HrSection.phone", {**ROW, "country": "BR"}, ME)

    assert (found.allowed, found.level) == (False, "confidential")
    assert [near.failed for near in found.nearest] == [("country in the person's countries",)]


def test_a_fact_that_alone_is_missing_is_told(policy: Policy) -> None:
    def missing(*facts: str) -> str | None:
        rights = Rights(roles=frozenset({"support"}), facts=frozenset(facts))
        return policy.explain(rights, "run", "Employee", "x.reset", ROW, ME).missing

    assert missing("working_hours") == "second_factor"
    assert missing("second_factor") == "working_hours"
    assert missing() is None, "two are missing"
    assert missing("second_factor", "working_hours") is None
    found = policy.explain(SUPPORT, "run", "Employee", "x.reset", ROW, ME)
    assert found.nearest[0].failed == (
        'a second factor proven lately ("second_factor" in the person\'s facts)',
        "a time within the team's working hours (\"working_hours\" in the person's facts)",
    )


def test_incompatible_roles_are_told_with_why_and_where(policy: Policy) -> None:
    (pair,) = policy.incompatible

    assert pair.roles == {"hr", "auditor"}
    assert (pair.why, pair.file, pair.line) == ("nobody audits own work", "policies/a.polar", 9)


@pytest.mark.parametrize(
    ("line", "code", "cause"),
    [
        ('masked("HrSection.phone", "half");', "bad-fact", "masks are last-4, first-letter, domain, hidden"),
        ('masked("HrSection.phone", "hidden");', "duplicate-fact", "declared twice"),
        ('masked("HrSection.*", "hidden");', "bad-fact", "expected"),
        ('incompatible("hr", "hr", "why");', "bad-fact", "two different roles"),
        ('incompatible("hr", "support", " ");', "bad-fact", "why one person must not hold both"),
        ('incompatible("auditor", "hr", "again");', "duplicate-fact", "a.polar:9"),
        ('incompatible("hr", "support");', "bad-fact", "takes 3"),
    ],
)
def test_a_wrong_fact_is_refused_with_its_line(line: str, code: str, cause: str) -> None:
    with pytest.raises(PolicyError, match=cause) as refused:
        Policy.from_sources([("policies/a.polar", POLICY + line)], "test")

    assert [(each.line, each.code) for each in refused.value.problems] == [(POLICY.count("\n") + 1, code)]


def test_decisions_of_equal_rules_are_equal() -> None:
    assert Decision(Outcome.MASK, (), (MASKED,)) == decide((), (MASKED,))
