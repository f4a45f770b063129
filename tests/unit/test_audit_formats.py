"""The formats of exports, read back by parsers that are not ours: OCSF's schema, a CEF parser, the grammar of RFC 5424."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import pycef
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from okno.audit.export import ocsf
from okno.audit.export.formats import FORMATS, fitting
from okno.audit.export.syslog import framed, message
from okno.audit.export.told import Exported
from okno.audit.records import Outcome, Phase, Record, RecordRef
from okno.audit.registry import EVENT_TYPES

RECORD = Record(
    ref=RecordRef(UUID(int=17), 4_711_000_123),
    at=datetime(2026, 11, 2, 9, 0, 0, 123456, tzinfo=UTC),
    event_type="operation.run",
    phase=Phase.INTENT,
    outcome=None,
    actor_id=UUID(int=1),
    actor_kind="person",
    actor_login="anna.sorokina",
    actor_name="Анна Сорокина",
    subject_kind="Employee",
    subject_id=str(UUID(int=42)),
    subject_label="Иван Петров",
    detail={"operation": "domain.add_to_group", "input": {"group": "vpn"}},
    refers=None,
    policy_version="b3c1",
    rule="domain.administer",
    request_id="request-1",
    digest=b"d" * 32,
    prev_hash=b"p" * 32,
    hash=b"h" * 32,
    erased=False,
    team="identity",
)
ERASED = replace(RECORD, actor_login=None, actor_name=None, subject_label=None, detail=None, erased=True)
PERSONAL = ("anna.sorokina", "Сорокина", "Иван", "\\u0418", "\\u0421", "vpn")

# RFC 5424, section 6: written out from its grammar
SYSLOG = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) "
    rb"(?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<proc>[!-~]{1,128}) (?P<msgid>[!-~]{1,32}) "
    rb'(?P<sd>-|(?:\[[!#-<>-\\^-~]{1,32}(?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\])+)'
    rb"(?: (?P<msg>.*))?",
    re.DOTALL,
)
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40)
# what may stand in a value: what was typed by anybody, and half characters that a database keeps as escapes
wild = st.text(max_size=40) | st.sampled_from(
    ["a|b", "a=b", "\\", "\n\r\n", "x\\=y|z", 'q"]\\', "\ud800", "\x00", "end\\"]
)


@cache
def _validator(class_uid: int) -> Draft202012Validator:
    schema = _ocsf()
    return Draft202012Validator(schema.get_class_schema(schema.lookup_class_name_from_uid(class_uid)))


@cache
def _ocsf() -> OcsfJsonSchemaEmbedded:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version=ocsf.VERSION))


def _check_ocsf(event: Mapping[str, Any]) -> None:
    errors = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in _validator(event["class_uid"]).iter_errors(event)
    ]
    assert errors == []
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["category_uid"] == event["class_uid"] // 1000


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_every_type_of_event_is_a_valid_event_of_ocsf(event_type: str) -> None:
    for record in (
        replace(RECORD, event_type=event_type),
        replace(
            RECORD, event_type=event_type, actor_id=None, actor_kind=None, subject_kind=None, subject_id=None
        ),
        replace(ERASED, event_type=event_type),
        *(replace(RECORD, event_type=event_type, phase=Phase.OUTCOME, outcome=each) for each in Outcome),
    ):
        for personal in (False, True):
            _check_ocsf(json.loads(FORMATS["ocsf"](Exported(record, 7, personal))))


@pytest.mark.parametrize(
    ("event_type", "type_uid"),
    [
        ("session.started", 300201),
        ("session.failed", 300201),
        ("session.ended", 300202),
        ("token.issued", 300401),
        ("token.revoked", 300404),
        ("access.denied", 600399),
        ("sensitive.read", 600302),
        ("operation.run", 600303),
        ("journal.started", 600203),
    ],
)
def test_what_an_event_is_in_ocsf(event_type: str, type_uid: int) -> None:
    assert ocsf.event(Exported(replace(RECORD, event_type=event_type)))["type_uid"] == type_uid


def test_unlocking_an_account_is_an_account_change_of_the_employee() -> None:
    event = ocsf.event(Exported(replace(RECORD, detail={"operation": "domain.unlock"})))
    assert (event["type_uid"], event["user"]["uid"]) == (300112, str(UUID(int=42)))


def test_a_failed_sign_in_is_a_failure_of_medium_severity() -> None:
    event = ocsf.event(Exported(replace(RECORD, event_type="session.failed", phase=Phase.EVENT)))
    assert (event["status_id"], event["severity_id"]) == (2, 3)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_personal_values_go_out_only_where_the_export_says_so_and_erased_ones_never(name: str) -> None:
    write = FORMATS[name]
    told = write(Exported(RECORD, 1, personal=True))
    assert "anna.sorokina" in told
    for silent in (Exported(RECORD, 1, personal=False), Exported(ERASED, 1, personal=True)):
        assert not [value for value in PERSONAL if value in write(silent)]
    # whose they are, and which operation it was, is no secret of anybody
    assert str(UUID(int=42)) in write(Exported(RECORD))
    assert "domain.add_to_group" in write(Exported(RECORD))
    typed = replace(RECORD, detail={"operation": "anna.sorokina is = | \n", "code": ["ok", "no code"]})
    assert "sorokina" not in write(Exported(typed))
    assert "no code" not in write(Exported(typed))


@pytest.mark.parametrize("name", sorted(FORMATS))
@settings(max_examples=60, deadline=None)
@given(login=wild, label=wild, rule=wild, note=wild)
def test_whatever_was_typed_a_record_is_one_line_and_one_message(
    name: str, login: str, label: str, rule: str, note: str
) -> None:
    record = replace(
        RECORD, actor_login=login, subject_label=label, rule=rule, detail={"note": note, "bad\n=|": label}
    )
    line = FORMATS[name](Exported(record, 3, personal=True))
    assert len(line.encode("utf-8", "replace").splitlines()) == 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)
    packed = message(Exported(record, 3, personal=True), line, hostname="host name\n")
    found = SYSLOG.fullmatch(packed)
    assert found is not None
    assert (found["app"], found["msgid"], found["host"]) == (b"okno", b"operation.run", b"host-name-")
    assert int(found["pri"]) == 13 * 8 + 5
    said = found["msg"]
    if not said.isascii():
        assert said.startswith(b"\xef\xbb\xbf")
        said = said[3:]
    assert said.decode("utf-8") == line.encode("utf-8", "replace").decode()
    length, _, rest = framed(packed).partition(b" ")
    assert (int(length), rest) == (len(packed), packed)
    if name == "ocsf":
        _check_ocsf(json.loads(line))


@settings(max_examples=80, deadline=None)
@given(login=texts, label=texts, rule=texts)
def test_cef_says_what_was_said(login: str, label: str, rule: str) -> None:
    record = replace(RECORD, actor_login=login or "x", subject_label=label or "x", rule=rule or "x")
    header, fields = _read_cef(FORMATS["cef"](Exported(record, 3, personal=True)))
    assert header[:4] == ["CEF:0", "Okno", "Okno", header[3]]
    assert header[4:] == ["operation.run", "Ran an operation", "3"]
    assert fields["suser"] == _shown(record.actor_login)
    assert fields["duser"] == _shown(record.subject_label)
    assert (fields["cs3"], fields["cs3Label"]) == (_shown(record.rule), "rule")
    assert (fields["cs1"], fields["cn1"]) == (str(record.ref), "3")


def test_another_parser_of_cef_reads_the_same() -> None:
    record = replace(RECORD, rule="a = b | c", actor_login="back\\slash")
    found = pycef.parse(FORMATS["cef"](Exported(record, 3, personal=True)))
    assert found["DeviceEventClassID"] == "operation.run"
    assert found["DeviceVendor"] == "Okno"
    assert found["rule"] == "a \\= b | c"  # it leaves escapes of values as they are
    assert found["recordId"] == str(record.ref)
    assert found["suser"] == "back\\\\slash"
    assert found["rt"] == str(int(record.at.timestamp() * 1000))


def test_a_record_that_is_too_long_goes_out_without_its_detail_and_says_so() -> None:
    long = Exported(replace(RECORD, detail={"note": "x" * 9000}), 1, personal=True)
    for write in FORMATS.values():
        assert len(fitting(write, long, 7680).encode()) <= 7680
        assert len(fitting(write, long, None)) > 4000
    assert json.loads(fitting(FORMATS["jsonl"], long, 7680))["detailOmitted"] is True


def test_the_number_of_a_syslog_message_begins_anew_where_the_rfc_has_it() -> None:
    for position, number in ((1, 1), (2147483647, 2147483647), (2147483648, 1)):
        packed = message(Exported(RECORD, position), "x", hostname="h")
        assert f'[meta sequenceId="{number}"]'.encode() in packed


def _shown(text: str | None) -> str:
    """As the extension carries it: signs that end lines or cannot be printed are blanks, but for CR and LF."""
    return "".join(each if each.isprintable() or each in "\r\n" else " " for each in text or "").strip(" ")


def _read_cef(line: str) -> tuple[list[str], dict[str, str]]:
    """As the specification has it: seven headers between unescaped pipes, then pairs of key=value."""
    parts, rest = [], line
    for _ in range(7):
        found = re.match(r"((?:[^\\|]|\\[\\|])*)\|", rest)
        assert found is not None, rest
        parts.append(re.sub(r"\\([\\|])", r"\1", found[1]))
        rest = rest[found.end() :]
    keys = list(re.finditer(r"(?:^| )([A-Za-z0-9_]+)=", re.sub(r"\\[\\=rn]", "##", rest)))
    fields = {}
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        raw = rest[key.end() : following.start() if following else None]
        assert re.fullmatch(r"(?:[^\\=\r\n]|\\[\\=rn])*", raw), raw
        fields[key[1]] = re.sub(
            r"\\(.)", lambda escaped: {"n": "\n", "r": "\r"}.get(escaped[1], escaped[1]), raw
        ).strip(" ")
    return parts, fields
