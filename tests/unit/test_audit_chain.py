"""The canonical form and the hash: what an auditor recomputes has to be one text, whatever was recorded."""

import hashlib
import json
import math
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.audit.chain import NO_HASH, Entry, canonical, instant, salted_digest
from okno.audit.drafts import draft, intent
from okno.audit.records import ActorRef, Event, Phase, RecordRef, SubjectRef
from okno.audit.registry import EVENT_TYPES, event_type, require
from okno.errors import ConfigurationError, InvalidInput

_text = st.text(st.characters())  # lone surrogates and NUL included
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)
_NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
_ANNA = ActorRef(UUID(int=7), "person", "anna.sorokina", "Анна Сорокина")


def _entry() -> Entry:
    return Entry(
        chain=UUID(int=1),
        seq=3,
        at=_NOON,
        event_type="operation.run",
        phase="outcome",
        outcome="succeeded",
        actor_id=UUID(int=7),
        actor_kind="person",
        subject_kind="Employee",
        subject_id="42",
        refers=RecordRef(UUID(int=1), 2),
        policy_version="v1",
        rule="people.first-line",
        request_id="r1",
        digest=salted_digest(b"salt", "{}"),
        prev_hash=NO_HASH,
    )


@given(_values)
def test_the_canonical_text_holds_the_value_in_ascii_and_canonising_it_again_changes_nothing(
    value: Any,
) -> None:
    text = canonical(value)
    assert text.isascii()
    assert "\x00" not in text
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@given(st.dictionaries(_text, st.integers(), min_size=2), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: dict[str, int], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert canonical(dict(items)) == canonical(value)


@given(_values, _values)
def test_different_values_have_different_texts(one: Any, other: Any) -> None:
    # 1 == 1.0 == True in Python and not in JSON, so values are compared by a form that tells them apart
    assert (canonical(one) == canonical(other)) == (repr(_sorted(one)) == repr(_sorted(other)))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _sorted(inner)) for key, inner in value.items()), "object"
    return [_sorted(inner) for inner in value] if isinstance(value, list) else value


def test_what_the_domains_speak_of_has_a_form() -> None:
    moscow = datetime(2026, 11, 2, 15, 0, tzinfo=timezone(timedelta(hours=3)))
    given_value = {
        "at": moscow,
        "day": date(2026, 11, 2),
        "id": UUID(int=1),
        "sum": Decimal("1.10"),
        "fields": {"b", "a"},
    }
    assert json.loads(canonical(given_value)) == {
        "at": "2026-11-02T12:00:00.000000+00:00",
        "day": "2026-11-02",
        "id": "00000000-0000-0000-0000-000000000001",
        "sum": "1.10",
        "fields": ["a", "b"],
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, b"bytes", object(), {("a", "b"): 1}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="the journal cannot keep this detail"):
        canonical({"value": value})


def test_a_refusal_never_quotes_the_value() -> None:
    loop: dict[str, Any] = {"secret": "hunter2"}
    loop["loop"] = loop
    with pytest.raises(InvalidInput) as refused:
        canonical(loop)
    assert "hunter2" not in refused.value.message


def test_the_hash_is_that_of_the_documented_text() -> None:
    entry = _entry()
    assert entry.hash() == hashlib.sha256(entry.text().encode()).digest()
    document = json.loads(entry.text())
    assert canonical(document) == entry.text()
    assert document["prev_hash"] == "00" * 32
    assert document["refers"] == "00000000-0000-0000-0000-000000000001:2"


def test_the_hash_covers_every_field() -> None:
    other: dict[str, Any] = {
        "chain": UUID(int=2),
        "seq": 4,
        "at": _NOON + timedelta(microseconds=1),
        "refers": None,
        "actor_id": None,
        "digest": b"x" * 32,
        "prev_hash": b"y" * 32,
    }
    hashes = {_entry().hash()}
    for field in fields(Entry):
        hashes.add(replace(_entry(), **{field.name: other.get(field.name, "other")}).hash())
    assert len(hashes) == 1 + len(fields(Entry))


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_has_one_form_whatever_its_zone(at: datetime) -> None:
    assert len(instant(at)) == 32
    assert datetime.fromisoformat(instant(at)) == at


@given(st.uuids(), st.integers(min_value=0, max_value=2**59))
def test_a_place_reads_back_from_its_text(chain: UUID, seq: int) -> None:
    assert RecordRef.parse(str(RecordRef(chain, seq))) == RecordRef(chain, seq)


@pytest.mark.parametrize(
    "text",
    ["", ":", "x:1", f"{UUID(int=1)}:", f"{UUID(int=1)}:-1", f"{UUID(int=1)}:²", f"{UUID(int=1)}:{10**19}"],
)
def test_a_text_that_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        RecordRef.parse(text)


@pytest.mark.parametrize("bad", ["\x00", "\ud800", "x" * 501])
def test_what_the_database_would_refuse_is_refused_before_it_can_fail_a_batch(bad: str) -> None:
    for event in (
        Event("access.denied", _ANNA, SubjectRef("Employee", bad)),
        Event("access.denied", _ANNA, rule=bad),
        Event("access.denied", _ANNA, request_id=bad),
        Event("access.denied", _ANNA, policy_version=bad),
    ):
        with pytest.raises(InvalidInput):
            draft(event, phase=Phase.EVENT, at=_NOON)
    with pytest.raises(InvalidInput, match="idempotency"):
        intent(Event("operation.run", _ANNA), actor=_ANNA, key=bad, given={}, at=_NOON)


def test_names_and_details_stay_out_of_the_chain() -> None:
    event = Event(
        "sensitive.read", _ANNA, SubjectRef("Employee", UUID(int=9), "Иван Петров"), {"fields": ["salary"]}
    )
    made = draft(event, phase=Phase.EVENT, at=_NOON)
    chained = [made.actor_id, made.actor_kind, made.subject_kind, made.subject_id, made.rule, made.request_id]
    assert chained == [UUID(int=7), "person", "Employee", str(UUID(int=9)), None, None]
    assert json.loads(made.value) == {
        "actor": {"login": "anna.sorokina", "name": "Анна Сорокина"},
        "subject": {"label": "Иван Петров"},
        "detail": {"fields": ["salary"]},
    }


def test_every_event_type_has_its_sentence_in_both_languages() -> None:
    for kind in EVENT_TYPES.values():
        assert set(kind.sentence) == {"en", "ru"}
        assert kind.id.count(".") == 1


def test_an_unregistered_event_type_stops_the_start() -> None:
    require(["operation.run", "session.started"])
    with pytest.raises(ConfigurationError, match=r"badge\.printed, door\.opened"):
        require(["door.opened", "operation.run", "badge.printed"])
    with pytest.raises(ConfigurationError, match=r"door\.opened"):
        event_type("door.opened")
