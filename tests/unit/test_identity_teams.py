"""The files of teams: the shipped ones are right, wrong ones are told all at once."""

from pathlib import Path

import pytest

from okno.errors import ConfigurationError
from okno.identity.model import employee_uuid
from okno.identity.teams import Teams
from okno.policy.service import Incompatible
from okno.sandbox.company import FIXED_PEOPLE

ROLES = Path(__file__).resolve().parents[2] / "config" / "roles"
WIDGETS = ("person-summary", "domain-account", "directory", "equipment", "local-time")

TEAM = """
id: mail
title: {en: Mail, ru: Почта}
roles: [support]
countries: all
groups: [okno-mail]
card: [directory]
"""


def test_the_shipped_teams_load_and_compose_their_cards_of_known_widgets() -> None:
    teams = Teams.load(ROLES, known_widgets=WIDGETS)
    assert [team.id for team in teams] == [
        "analytics",
        "badges",
        "certificates",
        "devices",
        "executives-support",
        "first-line-africa",
        "first-line-cis",
        "first-line-south-america",
        "hr-service-desk",
        "identity",
        "mail",
        "marketing",
        "network",
        "security",
        "software",
    ]


def test_the_demo_people_are_people_of_the_generated_company() -> None:
    employees = {person.login: person for person in FIXED_PEOPLE}
    demo = Teams.load(ROLES).list_demo_people()
    assert {team.id for person in demo for team in person.teams} == {team.id for team in Teams.load(ROLES)}
    for person in demo:
        employee = employees[person.login]
        assert (person.personnel_number, person.display_name) == (
            employee.personnel_number,
            employee.latin_name,
        )


def test_the_teams_differ_in_what_they_are_given_and_show() -> None:
    teams = list(Teams.load(ROLES))
    assert len({tuple(team.card) for team in teams}) >= 9
    assert len({(*team.roles, *team.countries) for team in teams}) == len(teams)
    assert all(team.hours is not None for team in teams)


def test_rights_carry_the_team_its_roles_and_its_countries_only() -> None:
    team = Teams.load(ROLES).find("first-line-africa")
    assert team is not None
    rights = team.rights({"session"})
    assert rights.roles == {"support", "first_line", "domain_operator"}
    assert rights.countries == {"NG", "GH", "CI", "MZ", "KE"}
    assert rights.teams == {"first-line-africa"}
    assert rights.facts == {"session"}
    assert rights.scopes == frozenset()


def test_a_team_of_all_countries_says_so_in_one_word(tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_text(TEAM, encoding="utf-8")
    (team,) = Teams.load(tmp_path)
    assert team.rights(()).countries == {"all"}


def test_groups_of_the_provider_make_one_a_member_of_each_team_that_names_them() -> None:
    teams = Teams.load(ROLES)
    assert teams.of_groups(["okno-security", "staff", "okno-first-line-cis"]) == (
        "first-line-cis",
        "security",
    )
    assert teams.of_groups(["staff"]) == ()


def test_all_problems_of_all_files_are_told_at_once_with_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_text(
        TEAM.replace("roles: [support]", "roles: []").replace("countries: all", "countries: [Russia]")
        + "owner: me\n",
        encoding="utf-8",
    )
    (tmp_path / "network.yaml").write_text(TEAM.replace("[support]", "[suport]"), encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("id: [", encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        Teams.load(tmp_path, known_roles={"support"}, known_widgets={"person-summary"})
    message = error.value.message
    assert f"{tmp_path / 'mail.yaml'}, key roles: " in message
    assert f"{tmp_path / 'mail.yaml'}, key countries.0: " in message
    assert f"{tmp_path / 'mail.yaml'}, key owner: " in message
    assert (
        f"{tmp_path / 'network.yaml'}, key id: is mail; it has to be the name of the file, network" in message
    )
    assert f"{tmp_path / 'network.yaml'}, key roles: suport is not known; known are support" in message
    assert f"{tmp_path / 'network.yaml'}, key card: directory is not known" in message
    assert f"{tmp_path / 'broken.yaml'}: cannot be read as YAML" in message


def test_a_key_that_stands_twice_is_an_error_and_not_the_last_one_wins(tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_text(TEAM + "roles: [auditor]\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="key roles stands twice"):
        Teams.load(tmp_path)


def test_a_value_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_text(
        TEAM.replace("[directory]", "[directory, directory]"), encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"key card: .*directory stands twice"):
        Teams.load(tmp_path)


def test_a_demo_login_cannot_mean_two_people(tmp_path: Path) -> None:
    member = 'members:\n  - {{login: {login}, display_name: {name}, personnel_number: "{number}"}}\n'
    (tmp_path / "mail.yaml").write_text(
        TEAM + member.format(login="a.b", name="A B", number=1), encoding="utf-8"
    )
    network = TEAM.replace("id: mail", "id: network")
    (tmp_path / "network.yaml").write_text(
        network + member.format(login="a.b", name="B", number=1), encoding="utf-8"
    )
    with pytest.raises(
        ConfigurationError, match=r"network\.yaml, key members: a\.b is described otherwise in .*mail"
    ):
        Teams.load(tmp_path)
    (tmp_path / "network.yaml").write_text(
        network + member.format(login="c.d", name="C", number=1), encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"c\.d has the personnel number of a\.b"):
        Teams.load(tmp_path)


def test_a_demo_person_of_two_teams_is_one_person(tmp_path: Path) -> None:
    member = 'members:\n  - {login: a.b, display_name: A B, personnel_number: "1"}\n'
    (tmp_path / "mail.yaml").write_text(TEAM + member, encoding="utf-8")
    (tmp_path / "network.yaml").write_text(TEAM.replace("id: mail", "id: network") + member, encoding="utf-8")
    (person,) = Teams.load(tmp_path).list_demo_people()
    assert [team.id for team in person.teams] == ["mail", "network"]
    assert person.employee_id == employee_uuid("1")


DUTIES = [
    Incompatible(frozenset({"auditor", "operator"}), "who reads does not do", "policies/roles.polar", 7)
]


def test_a_team_cannot_hold_roles_that_are_to_be_separate(tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_text(TEAM.replace("[support]", "[auditor, operator]"), encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        Teams.load(tmp_path, incompatible=DUTIES)
    assert (
        f"{tmp_path / 'mail.yaml'}, key roles: auditor and operator do not go together: who reads does not do "
        "(policies/roles.polar:7)"
    ) in error.value.message


def test_a_demo_person_cannot_collect_roles_that_are_to_be_separate_from_several_teams(
    tmp_path: Path,
) -> None:
    member = 'members:\n  - {login: a.b, display_name: A B, personnel_number: "1"}\n'
    (tmp_path / "mail.yaml").write_text(TEAM.replace("[support]", "[auditor]") + member, encoding="utf-8")
    network = TEAM.replace("id: mail", "id: network").replace("[support]", "[operator]")
    (tmp_path / "network.yaml").write_text(network + member, encoding="utf-8")
    assert len(list(Teams.load(tmp_path))) == 2
    with pytest.raises(
        ConfigurationError, match=r"members of mail, network: a\.b is in all of them, and auditor"
    ):
        Teams.load(tmp_path, incompatible=DUTIES)


def test_a_folder_without_teams_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no team"):
        Teams.load(tmp_path)


def test_the_id_of_an_employee_never_changes() -> None:
    assert str(employee_uuid("100001")) == "d72a294f-d087-5ffd-a809-84af5e038f7e"
