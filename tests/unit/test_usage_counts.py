"""Counting what clients use: cheap, exact, and bounded whatever they send."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from okno.errors import InvalidInput
from okno.identity.model import Actor
from okno.policy.service import Rights
from okno.usage.clients import client_of
from okno.usage.counts import Count, Counts, Key, in_order
from okno.usage.model import Client, Member, MemberKind, PrincipalKind

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAY = NOON.date()
NAMES = frozenset({"Employee.displayName", "Query.employee", "Query.employee(id:)"})
STATES = frozenset({"Employee.state", "Query.employee", "Query.employee(id:)"})


def client(name: str = "reports", version: str = "1.4", principal: str = "reports-service") -> Client:
    return Client(name, version, PrincipalKind.SERVICE, principal)


def test_each_part_is_counted_once_an_operation_whichever_document_used_it() -> None:
    counts = Counts()
    for _ in range(3):
        counts.note(client(), b"names", NAMES, NOON)
    counts.note(client(), b"states", STATES, NOON + timedelta(seconds=5))
    taken = counts.take()
    assert {key.coordinate: count.operations for key, count in taken.items()} == {
        "Employee.displayName": 3,
        "Employee.state": 1,
        "Query.employee": 4,
        "Query.employee(id:)": 4,
    }
    assert taken[Key("Employee.displayName", DAY, client())].last_seen_at == NOON
    assert taken[Key("Query.employee", DAY, client())].last_seen_at == NOON + timedelta(seconds=5)
    assert counts.take() == {}


def test_clients_versions_and_holders_are_counted_apart() -> None:
    counts = Counts()
    for each in (client(), client(version="1.5"), client(principal="somebody-else")):
        counts.note(each, b"names", frozenset({"Employee.state"}), NOON)
    assert {key.client for key in counts.take()} == {
        client(),
        client(version="1.5"),
        client(principal="somebody-else"),
    }


def test_what_could_not_be_written_is_added_to_what_came_meanwhile() -> None:
    counts = Counts()
    counts.note(client(), b"names", NAMES, NOON)
    taken = in_order(counts.take())
    counts.note(client(), b"names", NAMES, NOON + timedelta(seconds=20))
    counts.put_back(taken)
    assert {count.operations for count in counts.take().values()} == {2}


def test_what_was_used_before_midnight_counts_for_the_day_before() -> None:
    counts = Counts()
    counts.note(client(), b"names", NAMES, NOON)
    counts.put_back(in_order(counts.take()))
    counts.note(client(), b"names", NAMES, NOON + timedelta(days=1))
    assert {(key.day, count.operations) for key, count in counts.take().items()} == {
        (DAY, 1),
        (DAY + timedelta(days=1), 1),
    }


def test_changing_documents_take_bounded_memory_and_lose_nothing() -> None:
    counts = Counts(documents=10)
    for number in range(10_000):
        counts.note(client(), number.to_bytes(4, "big"), NAMES, NOON)
        assert len(counts) <= 10 + len(NAMES)
    assert {count.operations for count in counts.take().values()} == {10_000}


def test_a_holder_who_gives_a_new_name_with_each_request_is_counted_under_one_name_in_the_end() -> None:
    counts = Counts(names=5)
    for number in range(1_000):
        counts.note(client(version=f"build-{number}"), b"names", NAMES, NOON)
        counts.note(client(principal="another", version="2"), b"names", NAMES, NOON)
    by_client: dict[Client, int] = {}
    for key, count in counts.take().items():
        by_client[key.client] = count.operations
    assert len(by_client) == 5 + 1 + 1
    assert by_client[client(name="*", version="")] == 995
    assert by_client[client(principal="another", version="2")] == 1_000


def test_on_another_day_a_holder_may_give_other_names() -> None:
    counts = Counts(names=1)
    counts.note(client(version="1"), b"names", NAMES, NOON)
    counts.note(client(version="2"), b"names", NAMES, NOON + timedelta(days=1))
    assert {key.client.version for key in counts.take()} == {"1", "2"}


def test_a_database_that_stays_away_fills_the_memory_up_to_its_bound_and_no_further() -> None:
    counts = Counts(rows=100)
    for number in range(200):
        counts.note(client(principal=f"service-{number}"), b"names", frozenset({"Employee.state"}), NOON)
    counts.put_back(in_order(counts.take()))
    assert len(counts) == 100
    assert counts.lost == 100
    counts.note(client(principal="service-0"), b"names", frozenset({"Employee.state"}), NOON)
    assert counts.take()[Key("Employee.state", DAY, client(principal="service-0"))] == Count(2, NOON)


def actor(kind: str, login: str) -> Actor:
    facts = {"session": {"session"}, "person": {"token"}, "service": {"token", "service"}}[kind]
    return Actor(
        id=UUID(int=1),
        kind="service" if kind == "service" else "person",
        login=login,
        display_name=login,
        employee_id=None,
        rights=Rights(facts=frozenset(facts)),
    )


@pytest.mark.parametrize(
    ("kind", "header", "expected"),
    [
        ("session", None, Client("web", "", PrincipalKind.SESSION, "")),
        ("session", "web/2026.11", Client("web", "2026.11", PrincipalKind.SESSION, "")),
        ("session", "payroll/1", Client("payroll", "1", PrincipalKind.SESSION, "anna.sorokina")),
        ("person", None, Client("anna.sorokina", "", PrincipalKind.PERSON, "anna.sorokina")),
        ("person", "web", Client("web", "", PrincipalKind.PERSON, "anna.sorokina")),
        ("service", None, Client("reports", "", PrincipalKind.SERVICE, "reports")),
        (
            "service",
            "reports-ui/1.4-rc_1",
            Client("reports-ui", "1.4-rc_1", PrincipalKind.SERVICE, "reports"),
        ),
    ],
)
def test_the_name_that_a_client_gives_stands_beside_who_vouches_for_it(
    kind: str, header: str | None, expected: Client
) -> None:
    assert client_of(actor(kind, "reports" if kind == "service" else "anna.sorokina"), header) == expected


@pytest.mark.parametrize(
    "header", ["", "/1", "a/", "a/b/c", "a b", "отчёты", "*", "a" * 65, "a/" + "1" * 65, "a\n"]
)
def test_a_name_of_another_form_is_refused_and_told_how_to_write_it(header: str) -> None:
    with pytest.raises(
        InvalidInput, match=r"X-Okno-Client has to be a name or name/version, such as reports/1\.4"
    ):
        client_of(actor("service", "reports"), header)


@pytest.mark.parametrize(
    ("reason", "day"),
    [
        ("Until 2027-03-01: use `state`.", date(2027, 3, 1)),
        ("Use `state` instead.", None),
        ("Deprecated in 2026-13-99, removed on 2027-03-01.", date(2027, 3, 1)),
        (None, None),
    ],
)
def test_the_day_of_removal_is_read_from_the_reason_of_a_deprecation(
    reason: str | None, day: date | None
) -> None:
    assert Member("Employee.state", MemberKind.FIELD, reason).removal == day
