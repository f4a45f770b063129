"""Usage in a real database: processes add up, an outage loses nothing, old days go."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
from structlog.testing import capture_logs

from okno.clock import ManualClock
from okno.errors import NotFound, Unavailable
from okno.settings import UsageSettings, load_settings
from okno.storage.engine import Database
from okno.storage.keyset import Window
from okno.usage.counts import Count, Counts, Key
from okno.usage.model import Asked, Client, Member, MemberKind, PrincipalKind, Uses
from okno.usage.service import Usage
from okno.worker import JOBS
from tests.conftest import Cloned

FIELDS = ("Employee.displayName", "Employee.login", "Employee.state", "Query.employee")
MEMBERS = (
    *(Member(name, MemberKind.FIELD) for name in FIELDS),
    Member("Employee.phone", MemberKind.FIELD, "Until 2027-03-01: use workPhone."),
    Member("Query.employee(id:)", MemberKind.ARGUMENT),
    Member("EmployeeState.WORKS", MemberKind.ENUM_VALUE),
)
REPORTS = Client("reports", "1.4", PrincipalKind.SERVICE, "reports-service")
OLD_REPORTS = REPORTS._replace(version="1.3")
WEB = Client("web", "", PrincipalKind.SESSION, "")


@dataclass(frozen=True)
class Document:
    key: bytes
    fields: frozenset[str]


NAMES = Document(b"names", frozenset({"Query.employee", "Query.employee(id:)", "Employee.displayName"}))
PHONES = Document(b"phones", frozenset({"Query.employee", "Query.employee(id:)", "Employee.phone"}))


def usage_of(db: Database, clock: ManualClock) -> Usage:
    return Usage(db, clock, MEMBERS)


def counted(found: Uses) -> dict[str, int]:
    return {use.member.coordinate: use.operations for use in found.items}


async def test_who_uses_what_is_told_by_coordinate_with_the_busiest_client_first(
    db: Database, clock: ManualClock
) -> None:
    usage = usage_of(db, clock)
    usage.note(WEB, NAMES)
    for _ in range(3):
        usage.note(REPORTS, NAMES)
    clock.advance(timedelta(seconds=30))
    usage.note(REPORTS, PHONES)
    await usage.flush()
    found = await usage.list_uses(Asked())
    assert counted(found) == {
        "Employee.displayName": 4,
        "Employee.login": 0,
        "Employee.phone": 1,
        "Employee.state": 0,
        "EmployeeState.WORKS": 0,
        "Query.employee": 5,
        "Query.employee(id:)": 5,
    }
    employee = next(use for use in found.items if use.member.coordinate == "Query.employee")
    assert [(each.client, each.operations) for each in employee.clients] == [(REPORTS, 4), (WEB, 1)]
    assert employee.last_seen_at == clock.now()
    assert found.recorded_since == clock.now().date()


async def test_flushes_of_two_processes_at_the_same_time_add_up(
    committed: Cloned, clock: ManualClock
) -> None:
    """Each has its own pool, the same rows in another order of arrival, and flushes while the other does."""
    second = Database.connect(committed.app_url, role=None)
    fields = [f"Employee.field{number}" for number in range(1_600)]
    documents = [
        Document(bytes([number]), frozenset(fields[number * 100 : number * 100 + 100]))
        for number in range(16)
    ]
    try:
        processes = [usage_of(committed.db, clock), usage_of(second, clock)]

        async def serve(usage: Usage, order: list[Document]) -> None:
            for _ in range(5):
                for document in order:
                    usage.note(REPORTS, document)
                await usage.flush()

        await asyncio.gather(serve(processes[0], documents), serve(processes[1], documents[::-1]))
        connection = await asyncpg.connect(committed.superuser_url)
        try:
            rows = await connection.fetch("SELECT coordinate, operations FROM usage_count")
        finally:
            await connection.close()
    finally:
        await second.dispose()
    assert {row["coordinate"]: row["operations"] for row in rows} == dict.fromkeys(fields, 10)


class Watched(Counts):
    """Tells when something could not be written."""

    def __init__(self) -> None:
        super().__init__()
        self.returned = asyncio.Event()

    def put_back(self, counted: Iterable[tuple[Key, Count]]) -> None:
        waiting = list(counted)
        super().put_back(waiting)
        if waiting:
            self.returned.set()


async def test_a_database_that_does_not_answer_keeps_the_counts(clock: ManualClock) -> None:
    unreachable = Database.connect("postgresql://okno@127.0.0.1:9/okno", role=None)
    counts = Counts()
    usage = Usage(unreachable, clock, MEMBERS, counts=counts)
    for _ in range(2):
        usage.note(REPORTS, NAMES)
        with pytest.raises(Unavailable):
            await usage.flush()
    with capture_logs() as logs:
        await usage.close()
    assert [(entry["code"], entry["held"]) for entry in logs] == [("UNAVAILABLE", 3)]
    assert {count.operations for count in counts.take().values()} == {2}
    await unreachable.dispose()


async def test_writing_goes_on_after_failures_and_the_stop_writes_what_is_left(
    committed: Cloned, clock: ManualClock
) -> None:
    counts = Watched()
    usage = Usage(committed.db, clock, MEMBERS, counts=counts, flush_seconds=0.01)
    superuser = await asyncpg.connect(committed.superuser_url)
    try:
        await superuser.execute("ALTER TABLE usage_count RENAME TO usage_away")
        usage.note(REPORTS, NAMES)
        with capture_logs():
            usage.start()
            for _ in range(2):
                counts.returned.clear()
                await counts.returned.wait()
        await superuser.execute("ALTER TABLE usage_away RENAME TO usage_count")
        usage.note(REPORTS, NAMES)
        await usage.close()
    finally:
        await superuser.close()
    assert counted(await usage.list_uses(Asked(("Employee.displayName",)))) == {"Employee.displayName": 2}


async def test_a_chunk_that_was_written_before_the_failure_is_not_written_again(
    committed: Cloned, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okno.usage.service._CHUNK", 1)
    usage = usage_of(committed.db, clock)
    usage.note(REPORTS, NAMES)
    superuser = await asyncpg.connect(committed.superuser_url)
    try:
        await superuser.execute(
            "ALTER TABLE usage_count ADD CONSTRAINT late CHECK (coordinate NOT LIKE 'Query%')"
        )
        with pytest.raises(Exception, match="late"):
            await usage.flush()
        await superuser.execute("ALTER TABLE usage_count DROP CONSTRAINT late")
    finally:
        await superuser.close()
    await usage.flush()
    assert set(
        counted(await usage.list_uses(Asked(("Employee.displayName", "Query.employee")))).values()
    ) == {1}


async def test_counts_of_too_many_clients_are_told_as_lost(db: Database, clock: ManualClock) -> None:
    usage = Usage(db, clock, MEMBERS, counts=Counts(rows=1))
    usage.note(REPORTS, NAMES)
    with capture_logs() as logs:
        await usage.close()
    assert [entry["rows"] for entry in logs if "not counted" in entry["event"]] == [2]


@pytest.fixture
async def used(db: Database, clock: ManualClock) -> Usage:
    """Three days: an old version of reports used the phone on the first, a new one names on the last."""
    usage = usage_of(db, clock)
    usage.note(OLD_REPORTS, PHONES)
    await usage.flush()
    clock.advance(timedelta(days=2))
    usage.note(REPORTS, NAMES)
    usage.note(WEB, NAMES)
    await usage.flush()
    return usage


async def test_only_the_days_asked_about_count(used: Usage) -> None:
    assert counted(await used.list_uses(Asked(("Employee.phone",), days=2))) == {"Employee.phone": 0}
    assert counted(await used.list_uses(Asked(("Employee.phone",), days=3))) == {"Employee.phone": 1}


async def test_what_nobody_used_and_what_is_deprecated_can_be_asked_for(used: Usage) -> None:
    unused = await used.list_uses(Asked(unused=True))
    assert set(counted(unused)) == {"Employee.login", "Employee.state", "EmployeeState.WORKS"}
    deprecated = await used.list_uses(Asked(deprecated=True))
    assert counted(deprecated) == {"Employee.phone": 1}
    assert deprecated.items[0].member.removal == date(2027, 3, 1)
    assert counted(await used.list_uses(Asked(deprecated=True, unused=True))) == {}


async def test_one_client_can_be_asked_for_with_and_without_its_version(used: Usage) -> None:
    assert set(counted(await used.list_uses(Asked(client="reports")))) == {
        "Employee.displayName",
        "Employee.phone",
        "Query.employee",
        "Query.employee(id:)",
    }
    old = await used.list_uses(Asked(client="reports/1.3"))
    assert counted(old) == {"Employee.phone": 1, "Query.employee": 1, "Query.employee(id:)": 1}
    assert counted(await used.list_uses(Asked(client="web", unused=True, deprecated=True))) == {
        "Employee.phone": 0
    }
    assert counted(await used.list_uses(Asked(client="nobody"))) == {}


async def test_a_type_stands_for_all_that_is_in_it_and_a_field_for_its_arguments(used: Usage) -> None:
    assert set(counted(await used.list_uses(Asked(("Query",))))) == {"Query.employee", "Query.employee(id:)"}
    assert set(counted(await used.list_uses(Asked(("Query.employee",))))) == {
        "Query.employee",
        "Query.employee(id:)",
    }
    assert set(counted(await used.list_uses(Asked(search="EMPLOYEE.d")))) == {"Employee.displayName"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Employee.displayname", "Employee.displayName"),
        ("Employe", "Employee"),
        ("Query.zzz", "Query.employee"),
        ("zzz", "Type.field"),
    ],
)
async def test_a_name_that_does_not_exist_is_an_error_with_the_nearest(
    used: Usage, name: str, hint: str
) -> None:
    with pytest.raises(NotFound, match=f"There is no {name} in the schema; .*{hint}"):
        await used.list_uses(Asked((name,)))


async def test_pages_go_forwards_and_backwards_and_know_their_ends(used: Usage) -> None:
    first = await used.list_uses(Asked(), Window(3))
    assert list(counted(first)) == ["Employee.displayName", "Employee.login", "Employee.phone"]
    assert (first.total, first.has_previous, first.has_next) == (7, False, True)
    second = await used.list_uses(Asked(), Window(10, after="Employee.phone"))
    assert list(counted(second)) == [
        "Employee.state",
        "EmployeeState.WORKS",
        "Query.employee",
        "Query.employee(id:)",
    ]
    assert (second.has_previous, second.has_next) == (True, False)
    back = await used.list_uses(Asked(), Window(2, before="Employee.state", backwards=True))
    assert list(counted(back)) == ["Employee.login", "Employee.phone"]
    assert (back.has_previous, back.has_next) == (True, True)


async def test_who_would_break_is_told_by_client(used: Usage) -> None:
    found = await used.list_broken(["Employee.phone", "Employee.displayName"], days=3)
    assert {each.client: each.operations for each in found.clients} == {
        OLD_REPORTS: {"Employee.phone": 1},
        REPORTS: {"Employee.displayName": 1},
        WEB: {"Employee.displayName": 1},
    }
    assert (await used.list_broken(["Employee.login"], days=3)).clients == []


async def test_what_the_schema_no_longer_has_is_known_by_its_use_or_by_the_schema_of_before(
    db: Database, used: Usage, clock: ManualClock
) -> None:
    later = Usage(db, clock, [member for member in MEMBERS if member.coordinate != "Employee.phone"])
    found = await later.list_broken(["Employee.phone"], days=3)
    assert [each.client for each in found.clients] == [OLD_REPORTS]
    with pytest.raises(NotFound, match=r"There is no Employee\.fax"):
        await later.list_broken(["Employee.fax"], days=3)
    assert (await later.list_broken(["Employee.fax"], days=3, known=["Employee.fax"])).clients == []


async def test_days_that_are_too_old_are_deleted_and_the_rest_stays(used: Usage, clock: ManualClock) -> None:
    assert await used.forget(keep_days=3) == 0
    assert await used.forget(keep_days=2) == 3
    found = await used.list_uses(Asked(days=30))
    assert found.recorded_since == clock.now().date()
    assert counted(found)["Employee.phone"] == 0
    assert counted(found)["Employee.displayName"] == 2


async def test_the_worker_keeps_as_many_days_as_the_settings_say(used: Usage) -> None:
    (job,) = [job for job in JOBS if "usage" in job.name]
    settings = load_settings({"OKNO_CONFIG_DIR": "nowhere"})
    await job.run(cast(Any, SimpleNamespace(usage=used, settings=settings)))
    assert counted(await used.list_uses(Asked(("Employee.phone",)))) == {"Employee.phone": 1}
    two_days = settings.model_copy(update={"usage": UsageSettings(keep_days=2)})
    await job.run(cast(Any, SimpleNamespace(usage=used, settings=two_days)))
    assert counted(await used.list_uses(Asked(("Employee.phone",)))) == {"Employee.phone": 0}
