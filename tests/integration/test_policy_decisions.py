"""Recorded decisions in a real database: what several teams asked is decided again under another policy."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
from structlog.testing import capture_logs

from okno.clock import ManualClock
from okno.errors import Unavailable
from okno.policy.decisions import Decided, DecisionCounts, FactItems, Key, sample
from okno.policy.model import Rights
from okno.policy.recorded import RecordedDecisions
from okno.policy.replay import Replayed, Verdict, replay
from okno.policy.service import Policy
from okno.settings import DecisionsSettings
from okno.storage.engine import Database
from okno.worker import JOBS
from tests.api.world import AMINA_ID, IVAN_ID, MAXIM_ID, ROOT, Parts, World
from tests.conftest import Cloned

WEEK = timedelta(days=7)
TEAMS = ("anna.sorokina", "kwame.mensah", "elena.kim", "dmitry.orlov", "vera.lis")
LIST = """{ employees(first: 20) { edges { node {
    displayName login manager { email } hr { position personalPhone birthDate salary { currency } } domain { locked lastLogonAt } } } } }"""
CARD = "query ($id: ID!) { employee(id: $id) { workPhone hr { homeAddress } } }"
TRY = """mutation ($id: ID!) { operationPreview(
    input: {operation: "domain.unlock", employee: $id, idempotencyKey: "k"}) { errors { code } } }"""
# Kinds that may change together: the policy asks for the same attributes before and after
HR = 'person(p) and "hr_desk" in p.roles and reaches(p, e) and may_attend(p, e) and\n    part_of(field, "HrSection") and level(field, "confidential");'
SUPPORT = 'person(p) and "support" in p.roles and reaches(p, e) and may_attend(p, e) and\n    level(field, "internal");'
REVIEWER = '"security_reviewer" in p.roles and e.protected = false and'
CHANGES = {
    "the HR desk loses private data of people abroad": (
        HR,
        HR.replace("reaches(p, e) and", 'reaches(p, e) and e.country = "RU" and'),
    ),
    "support gains protected people": (SUPPORT, SUPPORT.replace(" and may_attend(p, e)", "")),
    "a reviewer loses those who left": (REVIEWER, f'{REVIEWER} e.state != "DISMISSED" and'),
}

Cell = tuple[Rights, str, str, FactItems, str]


@pytest.fixture(scope="module")
def parts() -> Parts:
    return Parts.load()


def recorder(db: Database, clock: ManualClock, counts: DecisionCounts | None = None) -> RecordedDecisions:
    return RecordedDecisions(db, clock, counts=counts)


async def work_of_a_day(world: World) -> None:
    """Every team lists everybody, opens cards and tries an operation."""
    for login in TEAMS:
        await world.ask(login, LIST)
        for employee in (IVAN_ID, AMINA_ID, MAXIM_ID):
            await world.ask(login, CARD, id=employee)
        await world.ask(login, TRY, id=MAXIM_ID)


def changed(old: str, new: str) -> Policy:
    texts = [
        (path.name, path.read_text(encoding="utf-8")) for path in sorted((ROOT / "policies").glob("*.polar"))
    ]
    assert sum(text.count(old) for _, text in texts) == 1
    return Policy.from_sources([(name, text.replace(old, new)) for name, text in texts], "changed")


def cells(recorded: Iterable[tuple[Decided, int]]) -> Counter[Cell]:
    """How often each thing was decided so, for each rights and row."""
    found: Counter[Cell] = Counter()
    for decided, number in recorded:
        for thing in decided.things:
            found[decided.rights, decided.action, thing, decided.facts, decided.outcome] += number
    return found


async def test_the_same_policy_would_decide_the_same(db: Database, clock: ManualClock, parts: Parts) -> None:
    world = World(parts, clock)
    await work_of_a_day(world)
    recorded = recorder(db, clock, world.decisions)
    await recorded.flush()

    found, oldest = await recorded.list_since(WEEK)
    replayed = replay(parts.policy, found)

    assert oldest == clock.now().replace(minute=0)
    assert {next(iter(each.rights.teams), None) for each, _ in found} >= {
        "first-line-cis",
        "first-line-africa",
        "hr-service-desk",
        "identity",
        "security",
    }
    assert {each.outcome for each, _ in found} == {"allow", "mask", "deny"}
    assert replayed.decisions == sum(cells(found).values()) > 300
    assert replayed.changed == ()


@pytest.mark.parametrize("name", CHANGES)
async def test_replay_names_exactly_the_decisions_that_the_changed_policy_makes_otherwise(
    db: Database, clock: ManualClock, parts: Parts, name: str
) -> None:
    world = World(parts, clock)
    await work_of_a_day(world)
    recorded = recorder(db, clock, world.decisions)
    await recorded.flush()
    policy = changed(*CHANGES[name])
    other = World(Parts(policy, parts.manifests, parts.graph, parts.teams), clock)
    await work_of_a_day(other)
    before, after = (
        (await recorded.list_since(WEEK))[0],
        [(key.decided, n) for key, n in other.decisions.take().items()],
    )
    expected = cells(before) - cells(after)

    replayed = replay(policy, before)

    named: Counter[Cell] = Counter()
    for each in replayed.changed:
        for thing in each.things:
            named[each.rights, each.action, thing, each.facts, each.before] += each.decisions // len(
                each.things
            )
    assert expected
    assert named == expected
    assert replayed.total(Verdict.UNKNOWN) == 0
    word = Verdict.GAINS if "gains" in name else Verdict.LOSES
    assert {each.verdict for each in replayed.changed} == {word}


async def test_a_denied_attempt_at_an_operation_is_among_the_decisions(
    db: Database, clock: ManualClock, parts: Parts
) -> None:
    world = World(parts, clock)
    await world.ask("anna.sorokina", TRY, id=MAXIM_ID)
    recorded = recorder(db, clock, world.decisions)
    await recorded.flush()
    (run,) = [each for each, _ in (await recorded.list_since(WEEK))[0] if each.action == "run"]
    assert (run.things, run.outcome, dict(run.facts)["protected"]) == (("domain.unlock",), "deny", True)


RIGHTS = Rights(teams=frozenset({"first-line"}), facts=frozenset({"session"}))


def kind(number: int) -> Decided:
    return Decided(
        "v", RIGHTS, "read", "Employee", ("Employee.a", "Employee.b"), "allow", (("country", str(number)),)
    )


def counted(clock: ManualClock, *numbers: int) -> DecisionCounts:
    counts = DecisionCounts(clock)
    hour = clock.now().replace(minute=0)
    counts.put_back((Key(hour, kind(number)), 1) for number in numbers)
    return counts


async def test_flushes_of_two_processes_at_the_same_time_add_up(
    committed: Cloned, clock: ManualClock
) -> None:
    second = Database.connect(committed.app_url, role=None)
    try:

        async def serve(db: Database, numbers: list[int]) -> None:
            for _ in range(4):
                await recorder(db, clock, counted(clock, *numbers)).flush()

        numbers = list(range(300))
        await asyncio.gather(serve(committed.db, numbers), serve(second, numbers[::-1]))
        found, _ = await recorder(committed.db, clock).list_since(WEEK)
    finally:
        await second.dispose()
    assert dict(found) == {kind(number): 8 for number in numbers}


async def test_a_database_that_does_not_answer_keeps_the_counts(clock: ManualClock) -> None:
    unreachable = Database.connect("postgresql://okno@127.0.0.1:9/okno", role=None)
    recorded = recorder(unreachable, clock, counted(clock, 1, 2))
    with pytest.raises(Unavailable):
        await recorded.flush()
    with capture_logs() as logs:
        await recorded.close()
    assert [(entry["code"], entry["held"]) for entry in logs] == [("UNAVAILABLE", 2)]
    await unreachable.dispose()


async def test_decisions_are_kept_by_the_hour_and_for_ninety_days(db: Database, clock: ManualClock) -> None:
    for hours in (1, 24 * 90, 1):
        await recorder(db, clock, counted(clock, 1)).flush()
        clock.advance(timedelta(hours=hours))
    recorded = recorder(db, clock)
    assert [number for _, number in (await recorded.list_since(timedelta(days=400)))[0]] == [3]
    assert [number for _, number in (await recorded.list_since(timedelta(hours=2)))[0]] == [1]

    (job,) = [job for job in JOBS if job.name == "delete old decisions"]
    with capture_logs() as logs:
        await job.run(
            cast(
                Any,
                SimpleNamespace(decisions=recorded, settings=SimpleNamespace(decisions=DecisionsSettings())),
            )
        )

    assert logs[0]["count"] == 2
    assert [number for _, number in (await recorded.list_since(timedelta(days=400)))[0]] == [1]


async def test_a_kind_of_decision_that_nobody_made_for_ninety_days_is_forgotten(
    committed: Cloned, clock: ManualClock
) -> None:
    recorded = recorder(committed.db, clock, counted(clock, 1))
    await recorded.flush()
    clock.advance(timedelta(days=91))
    assert await recorded.forget(keep_days=90) == 1
    connection = await asyncpg.connect(committed.superuser_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM policy_decided") == 0
    finally:
        await connection.close()


class Watched(DecisionCounts):
    """Tells when it was emptied."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.taken = asyncio.Event()

    def take(self) -> dict[Key, int]:
        found = super().take()
        if not found:  # the flush before has written all
            self.taken.set()
        return found


async def test_writing_goes_on_by_itself_and_the_stop_writes_the_rest(
    committed: Cloned, clock: ManualClock
) -> None:
    counts = Watched(clock)
    counts.put_back(counted(clock, 1).take().items())
    recorded = RecordedDecisions(committed.db, clock, counts=counts, flush_seconds=0.01)
    recorded.start()
    await asyncio.wait_for(counts.taken.wait(), 10)
    assert [number for _, number in (await recorded.list_since(WEEK))[0]] == [1]
    counts.put_back([(Key(clock.now().replace(minute=0), kind(2)), 5)])
    await recorded.close()
    assert {number for _, number in (await recorded.list_since(WEEK))[0]} == {1, 5}


async def test_more_kinds_than_can_be_held_are_told_as_lost(db: Database, clock: ManualClock) -> None:
    counts = DecisionCounts(clock, rows=1)
    counts.put_back((Key(clock.now().replace(minute=0), kind(number)), 2) for number in range(3))
    with capture_logs() as logs:
        await recorder(db, clock, counts).close()
    assert [entry["decisions"] for entry in logs] == [4]


def test_of_a_list_longer_than_any_page_some_rows_stand_for_all() -> None:
    assert sample(range(100)) == (range(100), 1)
    rows, weight = sample(range(1_000))
    assert len(rows) * weight == 1_000
    assert len(rows) == 50


def test_nothing_recorded_replays_to_nothing() -> None:
    policy = Policy.from_sources([("a.polar", 'role("x", "y");')], "v")
    assert replay(policy, []) == Replayed(0, (), ())
