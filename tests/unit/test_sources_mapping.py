"""Records become typed values; a wrong type is an error that names the field and the type and never the value."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.sources.errors import SourceError
from okno.sources.mapping import Mapper, parse_generalized_time
from okno.sources.registry import KINDS
from okno.sources.rest import RestManifest

TITLE = {"en": "x", "ru": "x"}


def mapper(*fields: dict[str, Any], textual: bool = False, index: dict[str, str] | None = None) -> Mapper:
    manifest = RestManifest.model_validate(
        {
            "id": "demo",
            "kind": "rest",
            "title": TITLE,
            "endpoint": {"url": "http://h"},
            "key": "login",
            "read": {
                "one": {"path": "/{login}"},
                "list": {"path": "/", "records": "items", "cursor": "c", "next": "next", "size": "n"},
            },
            "section": {
                "field": "demo",
                "type": "DemoSection",
                "fields": [{"title": TITLE, **field} for field in fields],
            },
            "index": index or {},
        }
    )
    return Mapper(manifest, textual=textual)


def read(kind: str, value: Any, *, textual: bool = False) -> Any:
    return mapper({"name": "f", "type": kind, "path": "v"}, textual=textual).section({"v": value})["f"]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "ж", "ж"),
        ("int", 5, 5),
        ("bool", False, False),
        ("datetime", "2026-11-02T12:00:00+03:00", datetime(2026, 11, 2, 9, tzinfo=UTC)),
        ("datetime", "2026-11-02T09:00:00Z", datetime(2026, 11, 2, 9, tzinfo=UTC)),
        ("date", "2026-11-02", date(2026, 11, 2)),
        ("date", date(2026, 11, 2), date(2026, 11, 2)),
        ("money", {"minorUnits": 100, "currency": "RUB", "more": 1}, {"minorUnits": 100, "currency": "RUB"}),
        ("money", {"minorUnits": None, "currency": None}, None),
        ("strings", ["a", "b"], ["a", "b"]),
        ("string", None, None),
        ("strings", None, None),
    ],
)
def test_a_value_of_the_declared_type_is_taken(kind: str, value: Any, expected: Any) -> None:
    assert read(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected", "got"),
    [
        ("string", 5, "string", "int"),
        ("int", "5", "int", "string"),
        ("int", True, "int", "bool"),
        ("int", 5.0, "int", "float"),
        ("bool", "true", "bool", "string"),
        ("bool", 1, "bool", "int"),
        ("datetime", "2026-11-02T12:00:00", "datetime", "a time without an offset"),
        ("datetime", "SECRET", "datetime", "other text"),
        ("datetime", 1700000000, "datetime", "int"),
        ("date", "2026-13-01", "date", "other text"),
        ("date", datetime(2026, 1, 1, tzinfo=UTC), "date", "datetime"),
        ("money", 100, "money", "int"),
        ("money", {"minorUnits": 1.5, "currency": "RUB"}, "money", "another object"),
        ("money", {"minorUnits": 1, "currency": "rub"}, "money", "another object"),
        ("strings", "SECRET", "list of strings", "string"),
        ("strings", ["a", 1], "list of strings", "another list"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name_and_type(
    kind: str, value: Any, expected: str, got: str
) -> None:
    with pytest.raises(SourceError) as caught:
        read(kind, value)
    assert caught.value.code == "BAD_ANSWER"
    assert caught.value.message.startswith(f"demo: field f: expected {expected}")
    assert caught.value.message.endswith(f"got {got}")
    assert "SECRET" not in caught.value.message


def test_a_path_that_does_not_fit_the_record_is_a_bad_answer() -> None:
    with pytest.raises(SourceError, match="field f: expected int, got a record that the path does not fit"):
        mapper({"name": "f", "type": "int", "path": "length(v)"}).section({"v": 5})


def test_lists_of_objects_are_read_item_by_item_and_a_wrong_item_is_named() -> None:
    items = [{"name": "issuedOn", "type": "date", "path": "d", "title": TITLE}]
    demo = mapper({"name": "items", "type": "objects", "path": "rows", "items": items})
    assert demo.section({"rows": [{"d": "2026-01-01"}, {}]}) == {
        "items": [{"issuedOn": date(2026, 1, 1)}, {"issuedOn": None}]
    }
    with pytest.raises(SourceError, match=r"field items\[\]\.issuedOn: expected date"):
        demo.section({"rows": [{"d": 5}]})
    with pytest.raises(SourceError, match="field items: expected list of objects, got another list"):
        demo.section({"rows": ["x"]})


def test_protocols_of_text_carry_numbers_booleans_and_times_in_text() -> None:
    assert read("int", "-5", textual=True) == -5
    assert read("bool", "TRUE", textual=True) is True
    assert read("datetime", "20261102120000+0300", textual=True) == datetime(2026, 11, 2, 9, tzinfo=UTC)
    for kind, value in (("int", "5x"), ("bool", "yes"), ("datetime", "000001010000Z"), ("datetime", 5)):
        with pytest.raises(SourceError, match=f"field f: expected {kind}"):
            read(kind, value, textual=True)
    assert KINDS["ldap"].textual


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20261102090000Z", datetime(2026, 11, 2, 9, tzinfo=UTC)),
        ("20261102090000.5Z", datetime(2026, 11, 2, 9, 0, 0, 500000, tzinfo=UTC)),
        ("20261102090000,123456Z", datetime(2026, 11, 2, 9, 0, 0, 123456, tzinfo=UTC)),
        ("202611020930Z", datetime(2026, 11, 2, 9, 30, tzinfo=UTC)),
        ("2026110209.5Z", datetime(2026, 11, 2, 9, 30, tzinfo=UTC)),
        ("20261102043000-0430", datetime(2026, 11, 2, 9, tzinfo=UTC)),
        ("20261102120000+03", datetime(2026, 11, 2, 9, tzinfo=UTC)),
        ("20261102090000", None),
        ("20261302090000Z", None),
        ("000001010000Z", None),
        ("00010101000000+0300", None),
        ("٢٠٢٦1102090000Z", None),
    ],
)
def test_generalized_time_is_read_as_the_standard_says(text: str, expected: datetime | None) -> None:
    assert parse_generalized_time(text) == expected


@given(st.text(max_size=30) | st.from_regex(r"\A\d{10,14}(\.\d+)?(Z|[+-]\d{4})\Z"))
def test_no_text_makes_reading_a_time_fail(text: str) -> None:
    moment = parse_generalized_time(text)
    assert moment is None or moment.tzinfo is UTC


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.sampled_from(["string", "int", "bool", "datetime", "date", "money", "strings"]),
    json_values,
    st.booleans(),
)
def test_whatever_a_system_sends_is_a_typed_value_or_a_named_error(
    kind: str, value: Any, textual: bool
) -> None:
    told = None
    try:
        read(kind, value, textual=textual)
    except SourceError as error:
        told = (error.code, error.message.split(":")[1])
    assert told in (None, ("BAD_ANSWER", " field f"))


def test_columns_of_the_index_are_typed_too() -> None:
    demo = mapper({"name": "f", "type": "string", "path": "v"}, index={"login": "l", "protected": "p"})
    assert demo.index_row({"l": "a", "p": True}) == {"login": "a", "protected": True}
    assert demo.index_row({}) == {"login": None, "protected": None}
    with pytest.raises(SourceError, match=r"field index\.protected: expected bool, got string"):
        demo.index_row({"l": "a", "p": "yes"})
