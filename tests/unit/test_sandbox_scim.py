"""SCIM's filter grammar and PATCH, RFC 7644 by its own examples, and what is refused."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.sandbox.scim.errors import ScimError
from okno.sandbox.scim.filter import All, Compare, Not, Present, Some, ValuePath, parse_filter, parse_path
from okno.sandbox.scim.patch import PATCH_SCHEMA, apply_patch
from okno.sandbox.scim.projection import Projection
from okno.sandbox.scim.schema import AttributePath, resource_schemas
from okno.sandbox.scim.sql import compile_filter

USERS = resource_schemas()["Users"]
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "userName": "bjensen",
    "name": {"familyName": "Jensen", "givenName": "Barbara"},
    "active": True,
    "emails": [
        {"value": "b@example.com", "type": "work", "primary": True},
        {"value": "babs@example.org", "type": "home"},
    ],
}


def patch(*operations: dict[str, Any], user: dict[str, Any] | None = None) -> dict[str, Any]:
    return apply_patch(user or USER, {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}, USERS)


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "bjensen"',
        'name.familyName co "O\'Malley"',
        'userName sw "J"',
        'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"',
        "title pr",
        'meta.lastModified gt "2011-05-13T04:42:34Z"',
        'title pr and userType eq "Employee"',
        'title pr or userType eq "Intern"',
        'schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"',
        'userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")',
        'userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")',
        'userType eq "Employee" and (emails.type eq "work")',
        'userType eq "Employee" and emails[type eq "work" and value co "@example.com"]',
        'emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]',
        f'{ENTERPRISE}:manager.displayName eq "Ann"',
        "active eq true",
        "externalId eq null",
    ],
)
def test_every_filter_of_the_standard_is_understood(text: str) -> None:
    sql, values = compile_filter(parse_filter(text), USERS)
    assert sql.count("?") == len(values)


def test_and_binds_tighter_than_or_and_keywords_have_no_case() -> None:
    tree = parse_filter('title PR Or active EQ True aNd nickName eq "x"')
    title, active = Present(AttributePath(None, "title")), Compare(AttributePath(None, "active"), "eq", True)
    assert tree == Some((title, All((active, Compare(AttributePath(None, "nickName"), "eq", "x")))))
    assert parse_filter("not (title pr)") == Not(title)
    assert isinstance(parse_filter('emails[type eq "work"]'), ValuePath)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "userName",
        "userName eq",
        "userName is 3",
        'userName eq "a" and',
        '(userName eq "a"',
        'userName eq "a")',
        "userName eq 'a'",
        'emails[type eq "work"',
        'userName eq "a" userName',
        '"a" eq userName',
        "not title pr",
        "(" * 60 + "title pr" + ")" * 60,
        'userName eq "' + "a" * 9000 + '"',
    ],
)
def test_a_malformed_filter_is_refused_as_invalid_filter(text: str) -> None:
    with pytest.raises(ScimError) as caught:
        parse_filter(text)
    assert (caught.value.status, caught.value.scim_type) == (400, "invalidFilter")


@pytest.mark.parametrize("text", ['shoeSize eq "44"', 'active eq "yes"', "userName eq 3", 'active gt true', 'emails.shoe eq "x"',
                                  'userName[value eq "x"]', 'meta.created gt "yesterday"'])  # fmt: skip
def test_a_filter_that_does_not_fit_the_schema_is_refused(text: str) -> None:
    with pytest.raises(ScimError) as caught:
        compile_filter(parse_filter(text), USERS)
    assert caught.value.scim_type == "invalidFilter"


@given(st.text(max_size=40))
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    with contextlib.suppress(ScimError):
        parse_filter(text)


@given(st.text(max_size=40))
def test_a_value_never_becomes_part_of_the_sql(value: str) -> None:
    tree = parse_filter(f"nickName eq {json.dumps(value)} and emails.value co {json.dumps(value)}")
    same = parse_filter('nickName eq "x" and emails.value co "x"')
    assert compile_filter(tree, USERS)[0] == compile_filter(same, USERS)[0]


def test_replace_sets_a_value_and_leaves_the_rest() -> None:
    result = patch({"op": "Replace", "path": "name.givenName", "value": "Babs"})
    assert result["name"] == {"familyName": "Jensen", "givenName": "Babs"}
    assert USER["name"] == {"familyName": "Jensen", "givenName": "Barbara"}


def test_add_appends_to_several_values_and_moves_primary() -> None:
    result = patch({"op": "add", "path": "emails", "value": [{"value": "new@example.com", "primary": True}]})
    assert [each["value"] for each in result["emails"]] == [
        "b@example.com",
        "babs@example.org",
        "new@example.com",
    ]
    assert [each.get("primary", False) for each in result["emails"]] == [False, False, True]


def test_a_path_with_brackets_changes_only_the_values_that_meet_it() -> None:
    result = patch({"op": "replace", "path": 'emails[type eq "work"].value', "value": "w@example.com"})
    assert [each["value"] for each in result["emails"]] == ["w@example.com", "babs@example.org"]
    result = patch({"op": "remove", "path": 'emails[type eq "home" and value ew "example.org"]'})
    assert [each["value"] for each in result["emails"]] == ["b@example.com"]


def test_an_operation_without_path_merges_its_attributes() -> None:
    value = {"active": False, "nickName": "Babs", ENTERPRISE: {"department": "Tours"}}
    result = patch({"op": "replace", "value": value})
    assert result["active"] is False
    assert result["nickName"] == "Babs"
    assert result[ENTERPRISE] == {"department": "Tours"}
    assert ENTERPRISE in result["schemas"]


def test_an_extension_is_removed_as_a_whole() -> None:
    with_extension = patch({"op": "add", "path": f"{ENTERPRISE}:department", "value": "Tours"})
    result = patch({"op": "remove", "path": ENTERPRISE}, user=with_extension)
    assert result == USER


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "remove"}, "noTarget"),
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "replace", "path": "groups", "value": []}, "mutability"),
        ({"op": "replace", "path": "shoeSize", "value": "44"}, "invalidPath"),
        ({"op": "replace", "path": "emails[type eq", "value": "44"}, "invalidPath"),
        ({"op": "replace", "path": 'emails[type eq "other"].value', "value": "44"}, "noTarget"),
        ({"op": "replace", "path": "active", "value": "yes"}, "invalidValue"),
        ({"op": "replace", "path": "emails", "value": "yes"}, None),
        ({"op": "copy", "path": "active", "value": True}, "invalidSyntax"),
        ({"op": "add", "value": 5}, "invalidValue"),
    ],
)
def test_an_operation_that_cannot_be_done_says_why(operation: dict[str, Any], scim_type: str | None) -> None:
    if scim_type is None:
        assert patch(operation)["emails"] == [{"value": "yes"}]
        return
    with pytest.raises(ScimError) as caught:
        patch(operation)
    assert caught.value.scim_type == scim_type


def test_a_body_that_is_no_patch_is_refused() -> None:
    bodies: list[Any] = [
        None,
        [],
        {},
        {"schemas": [PATCH_SCHEMA]},
        {"schemas": [PATCH_SCHEMA], "Operations": ["x"]},
    ]
    for body in bodies:
        with pytest.raises(ScimError) as caught:
            apply_patch(USER, body, USERS)
        assert caught.value.scim_type == "invalidSyntax"


def test_projection_keeps_what_is_asked_and_what_is_always_returned() -> None:
    document = {"id": "1", **USER, ENTERPRISE: {"department": "Tours", "division": "Sales"}}
    shown = Projection.parse(f"USERNAME,emails.value,{ENTERPRISE}:department", None, USERS).apply(document)
    assert shown == {
        "id": "1",
        "schemas": USER["schemas"],
        "userName": "bjensen",
        "emails": [{"value": "b@example.com"}, {"value": "babs@example.org"}],
        ENTERPRISE: {"department": "Tours"},
    }
    shown = Projection.parse(None, ["emails", "name.givenName", "id", ENTERPRISE], USERS).apply(document)
    assert shown == {
        "id": "1",
        "schemas": USER["schemas"],
        "userName": "bjensen",
        "active": True,
        "name": {"familyName": "Jensen"},
    }


def test_path_parsing_understands_extensions() -> None:
    assert parse_path(f"{ENTERPRISE}:manager.value").path == AttributePath(ENTERPRISE, "manager", "value")
