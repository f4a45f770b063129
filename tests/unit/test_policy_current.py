"""Hot reload: a changed folder comes into force as a whole or not at all, and either is recorded first."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from okno.audit.records import Event, Outcome
from okno.errors import Unavailable
from okno.policy.current import CurrentPolicy
from okno.policy.service import Outcome as Decided
from okno.policy.service import Policy, Problem, Rights

LEVELS = """level("Employee.id", "public");
level("Employee.email", "internal");
resource_of("Employee", "Employee");
structural("PageInfo");
role("support", "answers");
"""
RULES = """permit(p: Person, "read", _e: Employee, field, "x.support: support reads internal fields") if
    "support" in p.roles and level(field, "internal");
"""
MORE = """permit(_p: Person, "read", _e: Employee, field, "x.all: everybody reads public fields") if
    level(field, "public");
"""
SUPPORT = Rights(roles=frozenset({"support"}))


class Pages:
    """The journal, as far as it matters here."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.away = False
        self.refusals = 0

    async def record(self, event: Event) -> None:
        if self.away:
            self.refusals += 1
            raise Unavailable("The journal cannot be written.")
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        return [event.event_type for event in self.events]


class Stage:
    """A folder with a policy, and the process that has loaded it."""

    def __init__(self, folder: Path, check: Callable[[Policy], list[Problem]] = lambda policy: []) -> None:
        self.folder = folder / "policies"
        self.folder.mkdir()
        self.write("levels", LEVELS)
        self.write("rules", RULES)
        self.journal = Pages()
        self.current = CurrentPolicy(
            Policy.load(self.folder),
            self.folder,
            journal=cast(Any, self.journal),
            process="okno-test",
            check=check,
            poll_seconds=0.01,
        )

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.polar").write_text(text, encoding="utf-8")

    def outcome(self, field: str) -> Decided:
        return self.current.get().table(SUPPORT, "read", "Employee").decide(field).outcome


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_a_changed_file_comes_into_force_and_the_change_is_recorded(stage: Stage) -> None:
    old = stage.current.get()
    stage.write("rules", RULES + MORE)
    stage.write("more", "# nothing yet\n")

    assert await stage.current.reload()

    new = stage.current.get()
    assert stage.outcome("Employee.id") is Decided.ALLOW
    assert old.table(SUPPORT, "read", "Employee").decide("Employee.id").outcome is Decided.DENY
    (event,) = stage.journal.events
    assert event.event_type == "policy.loaded"
    assert event.policy_version == new.version != old.version
    assert event.detail == {
        "from": old.version,
        "to": new.version,
        "process": "okno-test",
        "files": {"added": ["policies/more.polar"], "changed": ["policies/rules.polar"]},
    }


async def test_an_unchanged_folder_changes_and_records_nothing(stage: Stage) -> None:
    old = stage.current.get()
    stage.write("rules", RULES)

    assert not await stage.current.reload()

    assert stage.current.get() is old
    assert stage.journal.events == []


async def test_a_broken_file_is_refused_whole_and_told_once(stage: Stage) -> None:
    old = stage.current.get()
    stage.write("rules", RULES + MORE)
    stage.write("worse", "\npermit(p: Person,\n")

    assert not await stage.current.reload()
    assert not await stage.current.reload()

    assert stage.current.get() is old
    (event,) = stage.journal.events
    assert (event.event_type, event.outcome, event.policy_version) == (
        "policy.refused",
        Outcome.FAILED,
        old.version,
    )
    assert all(problem.startswith("policies/worse.polar:2: ") for problem in event.detail["problems"])
    assert (event.detail["kept"], event.detail["problemCount"]) == (
        old.version,
        len(event.detail["problems"]),
    )


async def test_what_was_refused_is_taken_once_it_is_mended_and_told_again_if_it_breaks_again(
    stage: Stage,
) -> None:
    stage.write("worse", "permit(;")
    await stage.current.reload()
    stage.write("worse", MORE)
    await stage.current.reload()
    stage.write("worse", "permit(;")
    await stage.current.reload()

    assert stage.journal.types == ["policy.refused", "policy.loaded", "policy.refused"]
    assert stage.outcome("Employee.id") is Decided.ALLOW


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"Employee.email", "internal"', '"Employee.email", "public"', "levels.polar:2: level(\"Employee.email\") changes from internal to public"),
        ('structural("PageInfo");', 'structural("PageInfo"); structural("Money");', "structural(\"Money\") changes from absent to present"),
        ('structural("PageInfo");', "", "structural(\"PageInfo\") changes from present to absent"),
        ('"Employee", "Employee"', '"Employee", "Okno"', "resource_of(\"Employee\") changes from Employee to Okno"),
        ('role("s', 'masked("Employee.email", "domain"); role("s', "masked(\"Employee.email\") changes from nothing to domain"),
        ('level("Employee.email", "internal");', "", "level(\"Employee.email\") changes from internal to nothing"),
    ],
)  # fmt: skip
async def test_what_the_running_schema_carries_does_not_change_under_it(
    stage: Stage, before: str, after: str, told: str
) -> None:
    old = stage.current.get()
    assert before in LEVELS
    stage.write("levels", LEVELS.replace(before, after, 1))

    assert not await stage.current.reload()

    assert stage.current.get() is old
    (event,) = stage.journal.events
    assert event.event_type == "policy.refused"
    assert any(told in problem for problem in event.detail["problems"])
    assert all("restart to change sensitivity" in problem for problem in event.detail["problems"])


async def test_what_does_not_fit_the_running_schema_is_refused(tmp_path: Path) -> None:
    problem = Problem("policies/rules.polar", 1, "no-rule", "field Employee.id is covered by no rule")
    stage = Stage(tmp_path, check=lambda policy: [] if "x.all" in policy.rules else [problem])
    old = stage.current.get()
    stage.write("rules", RULES + "# a word\n")

    assert not await stage.current.reload()
    assert stage.current.get() is old
    assert stage.journal.events[0].detail["problems"] == [str(problem)]

    stage.write("rules", RULES + MORE)
    assert await stage.current.reload()


async def test_without_a_record_nothing_changes_until_there_is_one(stage: Stage) -> None:
    old = stage.current.get()
    stage.write("rules", MORE)
    stage.journal.away = True

    with pytest.raises(Unavailable):
        await stage.current.reload()
    assert stage.current.get() is old

    stage.journal.away = False
    assert await stage.current.reload()
    assert stage.outcome("Employee.email") is Decided.DENY


async def test_tables_in_use_are_made_before_the_change_comes_into_force(stage: Stage) -> None:
    stage.outcome("Employee.email")
    stage.write("rules", RULES + MORE)

    await stage.current.reload()

    assert list(stage.current.get()._tables) == [(SUPPORT, "read", "Employee")]


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def test_the_watcher_takes_what_came_to_rest_and_goes_on_when_the_journal_was_away(
    stage: Stage,
) -> None:
    await stage.current.start()
    try:
        assert stage.journal.types == ["policy.loaded"]
        assert stage.journal.events[0].detail == {
            "from": None,
            "to": stage.current.get().version,
            "process": "okno-test",
        }
        stage.journal.away = True
        stage.write("rules", RULES + MORE)
        await _until(lambda: stage.journal.refusals > 1)
        assert "x.all" not in stage.current.get().rules
        stage.journal.away = False
        await _until(lambda: "x.all" in stage.current.get().rules)

        stage.write("rules", RULES)
        await _until(lambda: "x.all" not in stage.current.get().rules)
        (stage.folder / "rules.polar").unlink()
        (stage.folder / "levels.polar").unlink()
        await _until(lambda: stage.journal.types[-1] == "policy.refused")
        assert stage.outcome("Employee.email") is Decided.ALLOW
    finally:
        await stage.current.close()


async def test_a_process_that_is_asked_looks_even_if_sizes_and_times_are_as_before(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.current._poll_seconds = 60
    await stage.current.start()
    try:
        stage.write("rules", RULES + MORE)
        stage.current.ask_to_look()
        await _until(lambda: "x.all" in stage.current.get().rules)
    finally:
        await stage.current.close()
