"""Values of sections, scalars and ids."""

from datetime import UTC, date, datetime
from typing import Any, cast

import pytest
from graphql import GraphQLError, GraphQLObjectType

from okno.errors import InvalidInput
from okno.graph.ids import employee_id, parse_employee_id, parse_id
from okno.graph.scalars import SCALARS
from okno.graph.schema import build_schema
from okno.graph.sections import SectionValue, build_sections, item_type_name
from okno.identity.model import employee_uuid
from okno.scalars import Int64
from okno.sources.api import SectionMeta
from okno.sources.manifest import SourceManifest

TITLE = {"en": "Equipment", "ru": "Техника"}


def scalar(kind: object) -> Any:
    return SCALARS[kind]


def test_objects_and_money_of_a_section_carry_the_facts_of_their_employee() -> None:
    part = {"name": "serial", "type": "string", "path": "serial", "title": TITLE}
    fields = [
        {"name": "items", "type": "objects", "path": "rows", "title": TITLE, "items": [part]},
        {"name": "price", "type": "money", "path": "price", "title": TITLE},
        {"name": "tags", "type": "strings", "path": "tags", "title": TITLE},
    ]
    manifest = SourceManifest.model_validate(
        {
            "id": "equipment",
            "kind": "sql",
            "title": TITLE,
            "key": "login",
            "section": {"field": "equipment", "type": "EquipmentSection", "fields": fields},
        }
    )
    spec = build_sections({"equipment": manifest})["equipment"]
    meta = SectionMeta.denied("equipment", TITLE)
    facts = {"id": employee_uuid("1")}
    data = {"items": [{"serial": "S1"}], "price": {"minorUnits": 5, "currency": "RUB"}, "tags": None}
    value = spec.value(meta, data, facts, "ivan")
    assert value.meta is meta
    assert value.value_items[0].value_serial == "S1"
    assert value.value_items[0].facts is facts
    assert value.value_price.minor_units == 5
    assert value.value_price.facts is facts
    assert value.value_tags is None
    assert spec.value(meta, None, facts, "ivan").value_items is None
    assert spec.value(meta, {**data, "items": None}, facts, "ivan").value_items is None


@pytest.mark.parametrize("name", ["facts", "data", "subjectLabel", "class", "async", "none", "id"])
def test_a_manifest_names_its_fields_as_it_likes(name: str) -> None:
    field = {"name": name, "type": "string", "path": "a", "title": TITLE}
    section = {"field": "badges", "type": "BadgesSection", "fields": [field]}
    manifest = SourceManifest.model_validate(
        {"id": "badges", "kind": "rest", "title": TITLE, "key": "login", "section": section}
    )
    graph = build_schema({"badges": manifest})
    meta = SectionMeta.denied("badges", TITLE)
    value = graph.sections["badges"].value(meta, {name: "its own"}, {"country": "RU"}, "ivan")
    badges = graph.core.type_map["BadgesSection"]
    assert isinstance(badges, GraphQLObjectType)
    resolve = badges.fields[name].resolve
    assert resolve is not None
    assert resolve(value, cast(Any, None)) == "its own"


def test_a_section_value_is_no_awaitable() -> None:
    value = SectionValue({}, {}, "")
    assert not hasattr(value, "__await__")
    assert value.value_anything is None


@pytest.mark.parametrize(
    ("section", "field", "expected"),
    [
        ("EquipmentSection", "items", "EquipmentItem"),
        ("PkiSection", "certificates", "PkiCertificatesItem"),
    ],
)
def test_lists_of_objects_name_their_items(section: str, field: str, expected: str) -> None:
    assert item_type_name(section, field) == expected


def test_int64_is_a_whole_number_of_64_bits() -> None:
    for good in (0, -(2**63), 2**63 - 1):
        assert scalar(Int64).serialize(good) == good
    for wrong in (2**63, -(2**63) - 1, 1.5, "1", True, None):
        with pytest.raises(GraphQLError):
            scalar(Int64).parse_value(wrong)


def test_times_have_an_offset_and_days_have_none() -> None:
    moment = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    assert scalar(datetime).serialize(moment) == "2026-11-02T09:00:00+00:00"
    assert scalar(datetime).parse_value("2026-11-02T09:00:00Z") == moment
    assert scalar(date).serialize(date(2026, 11, 2)) == "2026-11-02"
    assert scalar(date).parse_value("2026-11-02") == date(2026, 11, 2)
    for wrong in ("2026-11-02T09:00:00", "now", 7, None):
        with pytest.raises(GraphQLError):
            scalar(datetime).parse_value(wrong)
    for wrong in ("2026-13-02", 7, None):
        with pytest.raises(GraphQLError):
            scalar(date).parse_value(wrong)
    for kind, value in ((datetime, datetime(2026, 11, 2)), (datetime, "now"), (date, moment), (date, "now")):  # noqa: DTZ001
        with pytest.raises(GraphQLError):
            scalar(kind).serialize(value)


def test_ids_are_read_back_and_others_refused() -> None:
    person_id = employee_uuid("100001")
    assert parse_employee_id(employee_id(person_id)) == person_id
    assert parse_id(employee_id(person_id)) == ("Employee", str(person_id))
    for wrong in ("", "x", "RW1wbG95ZWU=", "RW1wbG95ZWU6eA==", "QXVkaXRSZWNvcmQ6MQ==", "\x00", "я"):
        with pytest.raises(InvalidInput):
            parse_employee_id(wrong)
