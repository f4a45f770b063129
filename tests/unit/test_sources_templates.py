"""Nothing typed can change the structure of a filter, a DN, a path or a statement."""

from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.dn import parse_dn
from yarl import URL

from okno.sources.paths import rdn_value
from okno.sources.sql import Statement
from okno.sources.template import (
    Template,
    TemplateError,
    as_is,
    escape_dn,
    escape_filter,
    escape_scim,
    escape_segment,
)
from tests.contract.peers.manifests import manifest_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    "()*\\|&!=,+<>;#\"' \x00a1ж.", max_size=20
)
FILTER = Template("(&(objectClass=inetOrgPerson)(employeeNumber={key}))")
DN = Template("cn={input.group},ou=groups,dc=okno,dc=example")


def shape(node: Any) -> Any:
    """A filter without its values."""
    attribute = node.assertion["attr"] if node.assertion else None
    return (node.tag, attribute, [shape(child) for child in node.elements or ()])


@given(texts)
@example("*")
@example(")(uid=*")
@example("\\2a")
@example("")
def test_a_value_stays_one_value_of_an_ldap_filter(value: str) -> None:
    text = FILTER.render({"key": value}, escape_filter)
    harmless = FILTER.render({"key": "x"}, escape_filter)
    tree = parse_filter(text, None, False, False, None, False)  # type: ignore[no-untyped-call]
    assert shape(tree) == shape(parse_filter(harmless, None, False, False, None, False))  # type: ignore[no-untyped-call]
    sent = compile_filter(tree.elements[0])  # type: ignore[no-untyped-call]
    assert bytes(sent["and"][1]["equalityMatch"]["assertionValue"]) == value.encode()


@given(texts.filter(bool))
@example("x,ou=people")
@example("x+cn=y")
@example(" lead")
@example("trail ")
@example("#hex")
@example("\\2c")
def test_a_value_stays_one_value_of_a_dn(value: str) -> None:
    dn = DN.render({"input.group": value}, escape_dn)
    components = parse_dn(dn, escape=False)
    assert [(name, rest) for name, rest, _ in components[1:]] == [
        ("ou", "groups"),
        ("dc", "okno"),
        ("dc", "example"),
    ]
    assert components[0][0] == "cn"
    assert rdn_value(dn) == value


def test_an_empty_value_does_not_make_a_dn() -> None:
    with pytest.raises(TemplateError):
        DN.render({"input.group": ""}, escape_dn)


@given(texts)
@example("..")
@example("a/b")
@example("a?b#c")
@example("%2e%2e")
def test_a_value_stays_one_segment_of_a_path(value: str) -> None:
    template = Template("/v1/employees/{personnel_number}")
    try:
        path = template.render({"personnel_number": value}, escape_segment)
    except TemplateError:
        assert value in ("", ".", "..")
        return
    url = URL("http://hr.example:8080" + path, encoded=True)
    assert (url.host, url.port, url.raw_query_string, url.raw_fragment) == ("hr.example", 8080, "", "")
    assert url.raw_path.split("/")[:3] == ["", "v1", "employees"]
    assert [unquote(part) for part in url.raw_path.split("/")[3:]] == [value]


@given(texts)
def test_a_value_stays_one_string_of_a_scim_filter(value: str) -> None:
    text = Template("externalId eq {key}").render({"key": value}, escape_scim)
    assert orjson.loads(text.removeprefix("externalId eq ")) == value


@given(texts)
def test_a_value_never_enters_the_text_of_a_statement(value: str) -> None:
    manifest: Any = manifest_of("equipment")
    statement = Statement(manifest.read.one)
    before = statement.sql
    assert statement.arguments({"personnel_number": value}) == [value]
    assert statement.sql == before
    assert "$1" in before
    assert ":" not in before


@given(texts)
def test_a_value_that_looks_like_a_placeholder_is_not_filled_again(value: str) -> None:
    template = Template("{a}-{b}")
    assert template.render({"a": "{b}", "b": value}, as_is) == "{b}-" + value


def test_a_placeholder_without_a_value_is_an_error_and_not_an_empty_text() -> None:
    with pytest.raises(TemplateError, match=r"no value for \{a\}"):
        Template("{a}").render({}, as_is)


@pytest.mark.parametrize("dn", ["cn=a\\,b,ou=x", "cn=a\\2cb,ou=x", "CN=a\\2Cb+uid=1,ou=x"])
def test_the_first_value_of_a_dn_is_read_with_either_escape(dn: str) -> None:
    assert rdn_value(dn) == "a,b"


@given(st.text(max_size=60))
def test_reading_a_dn_never_fails(dn: str) -> None:
    assert isinstance(rdn_value(dn), str)
