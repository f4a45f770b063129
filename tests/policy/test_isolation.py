"""Every type, field, operation and page, for every team, role and scope: the committed tables against Oso itself.

Neither the tool that writes the tables nor the application's compiled decisions take part: the policy's files are read by an
Oso of this test's own, and the tables by `committed`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import yaml
from oso import Oso
from polar import Variable

from tests.policy import committed
from tests.policy.committed import (
    POLICIES,
    Employee,
    JournalRecord,
    Okno,
    OwnHistory,
    Person,
    Row,
    given,
    resource,
)

ROLES = Path(__file__).parents[2] / "config" / "roles"
ACTIONS: Mapping[type, tuple[str, ...]] = {
    Employee: ("read", "run", "mask", "match"),
    JournalRecord: ("read",),
    OwnHistory: ("read",),
    Okno: ("read", "write", "use"),
}
SESSION = ["session"]
AT_WORK = ["session", "working_hours"]
CONFIRMED = ["session", "working_hours", "second_factor"]
CONFIRMED_AT_NIGHT = ["session", "second_factor"]
TOKEN = ["token", "working_hours"]
WAYS = [SESSION, AT_WORK, CONFIRMED, CONFIRMED_AT_NIGHT, TOKEN]
# Those who are given the most: where they get nothing, nobody does
MOST = [CONFIRMED, TOKEN]
# no team serves Turkey alone
ABROAD = "TR"


@cache
def _teams() -> Mapping[str, Mapping[str, list[str]]]:
    teams = {}
    for file in sorted(ROLES.glob("*.yaml")):
        team = yaml.safe_load(file.read_text(encoding="utf-8"))
        countries = ["all"] if team["countries"] == "all" else team["countries"]
        teams[file.stem] = {"roles": team["roles"], "countries": countries}
    return teams


TEAMS = sorted(file.stem for file in ROLES.glob("*.yaml"))


class Files:
    """The policy's files, and an Oso that has read them."""

    def __init__(self) -> None:
        text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(POLICIES.glob("*.polar")))
        self.levels = dict(re.findall(r'^level\("([^"]+)", "([^"]+)"\);', text, re.M))
        self.resource_of = dict(re.findall(r'^resource_of\("([^"]+)", "([^"]+)"\);', text, re.M))
        self.masked = set(re.findall(r'^masked\("([^"]+)"', text, re.M))
        self.structural = re.findall(r'^structural\("([^"]+)"\);', text, re.M)
        self.roles = re.findall(r'^role\("([^"]+)"', text, re.M)
        self.scopes = re.findall(r'^scope\("([^"]+)"', text, re.M)
        facts = [f'part_of("{name}", "{name.partition(".")[0]}");' for name in self.levels]
        facts += [f'part_of("{name}.*", "{name}"); level("{name}.*", "public");' for name in self.structural]
        self._oso = Oso()
        for kind in (Person, Employee, JournalRecord, OwnHistory, Okno):
            self._oso.register_class(kind)  # type: ignore[no-untyped-call]
        self._oso.load_str("\n".join([text, *facts, "allow(_, _, _) if false;"]))

    def given(
        self, person: Person, row: Row, actions: Sequence[str] | None = None
    ) -> set[tuple[str, str, str]]:
        """(action, thing, rule) of all that the rules give, for a row of which everything is known."""
        found = set()
        for action in actions or ACTIONS[type(row)]:
            terms = ("permit", person, action, row, Variable("thing"), Variable("sentence"))
            answers = self._oso.query_rule(*terms)  # type: ignore[no-untyped-call]
            for answer in answers:
                thing = answer["bindings"]["thing"]
                assert isinstance(thing, str), f"{action}: a rule gives everything there is"
                if resource(action, thing, self.resource_of) != type(row).__name__:
                    continue
                if action == "mask" and thing not in self.masked:
                    continue
                found.add((action, thing, answer["bindings"]["sentence"].partition(":")[0]))
        return found


@cache
def _files() -> Files:
    return Files()


@cache
def _given(team: str, facts: tuple[str, ...], row: Row) -> frozenset[tuple[str, str, str]]:
    return frozenset(_files().given(_member(team, list(facts)), row))


def _member(team: str, facts: list[str]) -> Person:
    return Person(
        roles=list(_teams()[team]["roles"]),
        teams=[team],
        countries=list(_teams()[team]["countries"]),
        facts=facts,
    )


def _home(team: str) -> str:
    """A country that the team serves."""
    countries = _teams()[team]["countries"]
    return "RU" if countries == ["all"] else str(countries[0])


def _rows(team: str) -> list[Row]:
    home = Employee(country=_home(team))
    return [
        home,
        replace(home, country=ABROAD),
        replace(home, protected=True),
        replace(home, state="DISMISSED"),
        replace(home, id="my employee"),
        JournalRecord(),
        JournalRecord(actor_id="me"),
        JournalRecord(team=team),
        OwnHistory(),
        OwnHistory(subject_id="my employee"),
        OwnHistory(subject_id="my employee", team="security"),
        Okno(),
    ]


def test_there_is_a_table_for_each_team_role_and_scope_and_for_nothing_else() -> None:
    assert committed.names() == TEAMS
    assert len(TEAMS) == 15
    assert committed.names("roles") == sorted(_files().roles)
    assert committed.names("services") == sorted(_files().scopes)


@pytest.mark.parametrize("team", TEAMS)
def test_a_team_s_table_says_of_everything_what_oso_says(team: str) -> None:
    for row in _rows(team):
        for facts in WAYS if row == Employee(country=_home(team)) else MOST:
            expected = given(team, _member(team, facts), row, _files().resource_of)
            assert _given(team, tuple(facts), row) == expected, (team, row, facts)


@pytest.mark.parametrize("role", sorted(_files().roles))
def test_a_role_s_table_says_of_everything_what_oso_says(role: str) -> None:
    person = Person(roles=[role], teams=["some-team"], countries=["RU"], facts=CONFIRMED)
    for row in (Employee(), Employee(country=ABROAD), JournalRecord(team="some-team"), Okno()):
        expected = given(f"roles/{role}", person, row, _files().resource_of)
        assert _files().given(person, row) == expected, (role, row)


@pytest.mark.parametrize("scope", sorted(_files().scopes))
def test_a_scope_s_table_says_of_everything_what_oso_says(scope: str) -> None:
    person = Person(scopes=[scope], facts=["token", "service"])
    for row in (Employee(), Employee(protected=True), JournalRecord(actor_id="me"), OwnHistory(), Okno()):
        assert _files().given(person, row) == given(f"services/{scope}", person, row, _files().resource_of)


def _things(found: frozenset[tuple[str, str, str]]) -> set[tuple[str, str]]:
    return {(action, thing) for action, thing, _ in found}


def _beyond_public(found: frozenset[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """Without what any colleague may know, and without being told of journal records, which decide for themselves."""
    return {
        (action, thing)
        for action, thing in _things(found)
        if (_files().levels.get(thing, "public"), action) != ("public", "read")
        and thing != "Subscription.auditRecordAdded"
    }


@pytest.mark.parametrize("team", TEAMS)
def test_of_other_countries_a_team_knows_what_any_colleague_knows_and_does_nothing(team: str) -> None:
    if _teams()[team]["countries"] == ["all"]:
        countries = {line.when for line in committed.table(team) if "e.country" in line.when}
        assert countries == set(), "a team of all countries has no border to keep"
        return
    for facts in MOST:
        found = _given(team, tuple(facts), Employee(country=ABROAD))
        assert _beyond_public(found) == set()


@pytest.mark.parametrize("team", TEAMS)
def test_of_another_team_s_work_a_team_learns_nothing_unless_it_reads_the_journal(team: str) -> None:
    reads_all = ("use", "audit.read") in _things(_given(team, tuple(CONFIRMED), Okno()))
    assert reads_all is (team == "security")
    for other in TEAMS:
        found = _given(team, tuple(CONFIRMED), JournalRecord(team=other))
        assert bool(found) is (reads_all or other == team), (team, other)


@pytest.mark.parametrize("team", TEAMS)
def test_nobody_operates_on_oneself_at_any_hour_by_any_way_of_signing_in(team: str) -> None:
    home = _home(team)
    for facts in WAYS:
        for protected in (False, True):
            row = Employee(id="my employee", country=home, protected=protected)
            assert _files().given(_member(team, facts), row, ("run",)) == set(), (team, facts)


@pytest.mark.parametrize("team", TEAMS)
def test_protected_people_are_known_to_executives_support_alone(team: str) -> None:
    found = _beyond_public(_given(team, tuple(CONFIRMED), Employee(country=_home(team), protected=True)))
    if team == "executives-support":
        assert ("run", "domain.unlock") in found
    else:
        assert found <= {("match", "Employee.workPhone")}, "a caller may be found by the whole number"


@pytest.mark.parametrize("team", TEAMS)
def test_what_is_secret_and_what_is_risky_takes_a_second_factor_at_the_keyboard(team: str) -> None:
    secret = {thing for thing, level in _files().levels.items() if level == "secret"}
    risky = {"domain.disable", "domain.enable"}
    home = Employee(country=_home(team))
    for facts in (SESSION, AT_WORK, TOKEN):
        found = {thing for _, thing in _things(_given(team, tuple(facts), home))}
        assert found & (secret | risky) == set(), (team, facts)
    at_night = {thing for _, thing in _things(_given(team, tuple(CONFIRMED_AT_NIGHT), home))}
    assert at_night & (secret | risky) == ({"domain.disable"} if team == "identity" else set())
    found = {thing for _, thing in _things(_given(team, tuple(CONFIRMED), home))}
    assert bool(found & secret) is (team == "hr-service-desk")
    assert found & risky == (risky if team == "identity" else set())


def test_no_two_teams_have_the_same_rights() -> None:
    tables = {team: frozenset(committed.table(team)) for team in TEAMS}
    assert len(set(tables.values())) == len(TEAMS)
    operations = {
        team: {line.thing for line in table if line.action == "run"} for team, table in tables.items()
    }
    assert {team: sorted(found) for team, found in operations.items() if found} == {
        "executives-support": ["domain.unlock"],
        "first-line-africa": ["domain.unlock"],
        "first-line-cis": ["domain.unlock"],
        "first-line-south-america": ["domain.unlock"],
        "identity": [
            "domain.add_to_group",
            "domain.disable",
            "domain.enable",
            "domain.remove_from_group",
            "domain.unlock",
        ],
        "network": ["domain.grant_vpn", "domain.revoke_vpn"],
        "software": ["domain.grant_application", "domain.revoke_application"],
    }


def test_everything_in_the_tables_is_something_that_exists() -> None:
    """A field, or all of a structural type; operations and pages are named by rules alone, which are checked elsewhere."""
    files = _files()
    known = set(files.levels) | {f"{name}.*" for name in files.structural}
    for name in [
        *TEAMS,
        *(f"roles/{role}" for role in files.roles),
        *(f"services/{s}" for s in files.scopes),
    ]:
        fields = {line.thing for line in committed.table(name) if line.action in ("read", "mask", "match")}
        assert fields - known == set(), name
