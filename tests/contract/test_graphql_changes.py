"""Changes of the schema are graded against the newest release: what breaks a client is announced, or the check fails."""

import subprocess
from pathlib import Path

import pytest

from tests.contract.peers import find_program
from tests.stack import ROOT

SCRIPT = ROOT / "frontend" / "scripts" / "schema-changes.mjs"
RELEASED = """
directive @sensitivity(level: Level!) on FIELD_DEFINITION
directive @onQueries on QUERY
enum Level { PUBLIC SECRET }
type Query {
  people(first: Int! = 20, search: String): [Person!] @sensitivity(level: PUBLIC)
  animals: [String] @sensitivity(level: PUBLIC)
}
type Person @key(fields: "id") { id: ID! state: State }
enum State { WORKS LEFT }
input Wish { text: String }
"""
UNRELEASED = "# Changelog\n\n## Unreleased\n\n### Changed\n{}\n## 0.2.0\n- Breaking: `Query.animals` goes.\n"


class Repository:
    """A schema, its releases and its change log, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "releases").mkdir()
        self.release("0.2.0", RELEASED)
        self.change_log("")

    def release(self, version: str, sdl: str) -> None:
        (self._folder / "releases" / f"schema-{version}.graphql").write_text(sdl)

    def change_log(self, entries: str, template: str = UNRELEASED) -> None:
        (self._folder / "CHANGELOG.md").write_text(template.replace("{}", entries))

    def grade(self, sdl: str, today: str = "2026-11-23") -> subprocess.CompletedProcess[str]:
        """Runs the check on this schema."""
        (self._folder / "schema.graphql").write_text(sdl)
        names = {"schema": "schema.graphql", "releases": "releases", "changelog": "CHANGELOG.md"}
        options = [f"--{name}={self._folder / file}" for name, file in names.items()]
        command = [find_program("node", "nodejs"), str(SCRIPT), f"--today={today}", *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def assert_passes(self, sdl: str, today: str = "2026-11-23") -> str:
        """What it prints when the schema is as it should be."""
        done = self.grade(sdl, today)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def assert_fails(self, sdl: str) -> str:
        """What it complains of."""
        done = self.grade(sdl)
        assert done.returncode == 1, done.stdout
        return done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_what_is_new_passes_and_is_counted(repository: Repository) -> None:
    new = "name(short: Boolean! = true): String @cost(weight: 5)"
    said = repository.assert_passes(RELEASED.replace("state: State", f"state: State {new}"))
    assert said == "schema since 0.2.0: 4 changes, 0 breaking and announced, 0 dangerous\n"


@pytest.mark.parametrize(
    ("before", "after", "coordinate"),
    [
        pytest.param("animals: [String] @sensitivity(level: PUBLIC)", "", "Query.animals", id="field-gone"),
        pytest.param("state: State", "state: String", "Person.state", id="type-of-field-changed"),
        pytest.param("[Person!]", "Person", "Query.people", id="list-gone"),
        pytest.param(", search: String", "", "Query.people(search:)", id="argument-gone"),
        pytest.param("search: String", "search: String!", "Query.people(search:)", id="argument-required"),
        pytest.param("Int! = 20", "Int = null", "Query.people(first:)", id="default-gone"),
        pytest.param("WORKS LEFT", "WORKS", "State.LEFT", id="enum-value-gone"),
        pytest.param("text: String", "text: String!", "Wish.text", id="input-field-required"),
        pytest.param("input Wish { text: String }", "", "Wish", id="type-gone"),
        pytest.param('@key(fields: "id")', "", "Person", id="key-gone"),
        pytest.param('"id")', '"id state")', "Person", id="key-changed"),
        pytest.param("directive @onQueries on QUERY", "", "@onQueries", id="directive-of-documents-gone"),
    ],
)
def test_what_breaks_a_client_fails_until_the_change_log_names_it(
    repository: Repository, before: str, after: str, coordinate: str
) -> None:
    assert before in RELEASED
    changed = RELEASED.replace(before, after)
    complaint = repository.assert_fails(changed)
    assert "Breaking since 0.2.0" in complaint
    assert f"\n  {coordinate}: " in complaint
    assert 'CHANGELOG.md, section "Unreleased"' in complaint
    (suggested,) = [line.strip() for line in complaint.splitlines() if line.startswith("  - Breaking: ")]
    assert suggested.startswith(f"- Breaking: `{coordinate}` ")
    repository.change_log(f"- **Breaking:** it was needed,\n  so `{coordinate}` is another.\n")
    assert "breaking and announced" in repository.assert_passes(changed)


def test_an_entry_that_names_something_else_or_breaks_nothing_does_not_announce(
    repository: Repository,
) -> None:
    changed = RELEASED.replace(", search: String", "")
    for entry in (
        "- Breaking: `Query.people` is another.\n",
        "- Changed: `Query.people(search:)` is gone.\n",
    ):
        repository.change_log(entry)
        assert "Query.people(search:)" in repository.assert_fails(changed)


def test_what_an_older_section_announced_does_not_count(repository: Repository) -> None:
    without_animals = RELEASED.replace("animals: [String] @sensitivity(level: PUBLIC)", "")
    assert "Query.animals" in repository.assert_fails(without_animals)
    repository.change_log("", "# Changelog\n\n## 0.2.0\n- Breaking: `Query.animals` goes.\n")
    assert 'into a new section "## Unreleased"' in repository.assert_fails(without_animals)


def test_it_compares_with_the_newest_release_by_number(repository: Repository) -> None:
    repository.release("0.10.0", RELEASED.replace("animals: [String] @sensitivity(level: PUBLIC)", ""))
    assert "schema since 0.10.0: 3 changes, 0 breaking" in repository.assert_passes(RELEASED)


def test_what_is_dangerous_is_printed_and_passes(repository: Repository) -> None:
    changed = (
        RELEASED.replace("WORKS LEFT", "WORKS LEFT ILL")
        .replace("= 20", "= 50")
        .replace(
            "animals: [String] @sensitivity(level: PUBLIC)", "animals: [String] @sensitivity(level: SECRET)"
        )
        .replace("state: State", 'state: State @cost(weight: "5")')
        .replace("search: String", "search: String, deep: Boolean = null, wide: Boolean = true")
    )
    *dangers, _ = repository.assert_passes(changed).splitlines()
    assert sorted(dangers) == [
        "dangerous: @cost changed at Person.state",
        "dangerous: @sensitivity changed at Query.animals",
        "dangerous: Query.people(first:): Default value for argument 'first' on field 'Query.people' changed from '20' to '50'",
        "dangerous: Query.people(wide:): Argument 'wide: Boolean' (with default value) added to field 'Query.people'",
        "dangerous: State.ILL: Enum value 'ILL' was added to enum 'State'",
    ]


def test_directives_that_no_document_can_name_come_and_go(repository: Repository) -> None:
    definition = "directive @sensitivity(level: Level!) on FIELD_DEFINITION"
    assert "0 breaking" in repository.assert_passes(RELEASED.replace(definition, ""))


@pytest.mark.parametrize(
    "reason", ["Use people.", "Until soon: use people.", "Until 2027-02-30: use people.", "Until 2027-01-01:"]
)
def test_a_deprecation_says_until_when_and_what_instead(repository: Repository, reason: str) -> None:
    changed = RELEASED.replace("animals: [String]", f'animals: [String] @deprecated(reason: "{reason}")')
    complaint = repository.assert_fails(changed)
    assert "Query.animals is deprecated" in complaint
    assert 'Write it in the code as "Until <YYYY-MM-DD>: <what to use instead>".' in complaint


def test_every_place_of_a_deprecation_is_looked_at(repository: Repository) -> None:
    bare = "@deprecated"
    changed = (
        RELEASED.replace("search: String", f"search: String {bare}")
        .replace("LEFT", f"LEFT {bare}")
        .replace("text: String", f"text: String {bare}")
    )
    complaint = repository.assert_fails(changed)
    for coordinate in ("Query.people(search:)", "State.LEFT", "Wish.text"):
        assert f"  {coordinate} is deprecated" in complaint


def test_a_deprecation_whose_day_has_come_is_reported_and_not_an_error(repository: Repository) -> None:
    reason = '@deprecated(reason: "Until 2027-01-31: use people.")'
    changed = RELEASED.replace("animals: [String]", f"animals: [String] {reason}")
    assert "overdue" not in repository.assert_passes(changed, "2027-01-31")
    assert "overdue: Query.animals was kept until 2027-01-31" in repository.assert_passes(
        changed, "2027-02-01"
    )


def test_what_goes_before_the_day_it_was_promised_until_is_told_so(repository: Repository) -> None:
    reason = '@deprecated(reason: "Until 2027-01-31: use people.")'
    repository.release("0.3.0", RELEASED.replace("animals: [String]", f"animals: [String] {reason}"))
    complaint = repository.assert_fails(RELEASED.replace("animals: [String] @sensitivity(level: PUBLIC)", ""))
    assert "It was promised until 2027-01-31." in complaint


def test_without_a_release_there_is_nothing_to_grade_against(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "releases" / "schema-0.2.0.graphql").unlink()
    assert "holds no schema-<version>.graphql" in repository.assert_fails(RELEASED)
