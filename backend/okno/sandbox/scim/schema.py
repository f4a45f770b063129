"""Attributes of users and groups (schemas.json, RFC 7643): types, case, mutability; documents are checked against them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from okno.sandbox.records import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA
from okno.sandbox.scim.errors import ScimError, invalid_value


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; `sub` holds those of a complex one by lower-case name."""

    name: str
    type: str = "string"
    multi: bool = False
    case_exact: bool = False
    mutability: str = "readWrite"
    required: bool = False
    returned: str = "default"
    sub: Mapping[str, "Attribute"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AttributePath:
    """`urn:…:attribute.sub` as written; `uri` None means the core schema."""

    uri: str | None
    name: str
    sub: str | None = None

    def __str__(self) -> str:
        return (f"{self.uri}:" if self.uri else "") + self.name + (f".{self.sub}" if self.sub else "")


@dataclass(frozen=True, slots=True)
class Found:
    """What a path means: the attribute, its sub-attribute, and the extension it stands in (None: core)."""

    extension: str | None
    attribute: Attribute
    sub: Attribute | None

    @property
    def leaf(self) -> Attribute:
        return self.sub or self.attribute


@dataclass(frozen=True, slots=True)
class ResourceSchema:
    """A resource type: its endpoint, core schema and extensions."""

    name: str
    endpoint: str
    core: str
    attributes: Mapping[str, Attribute]
    extensions: Mapping[str, Mapping[str, Attribute]]

    def find(self, path: AttributePath) -> Found | None:
        """None when the schema does not know the path. Names are compared without case."""
        extension: str | None = None
        attributes = self.attributes
        if path.uri is not None and path.uri.lower() != self.core.lower():
            extension = next((uri for uri in self.extensions if uri.lower() == path.uri.lower()), None)
            if extension is None:
                return None
            attributes = self.extensions[extension]
        attribute = attributes.get(path.name.lower())
        if attribute is None:
            return None
        sub = None
        if path.sub is not None:
            sub = attribute.sub.get(path.sub.lower())
            if sub is None:
                return None
        return Found(extension, attribute, sub)

    def extension_of(self, text: str) -> str | None:
        """The extension that `text` names as a whole, else None."""
        return next((uri for uri in self.extensions if uri.lower() == text.lower()), None)

    def clean(self, raw: Any) -> dict[str, Any]:
        """A document with canonical names and checked types; what is read-only or unknown is left out (RFC 7644, 3.3).

        Raises:
            ScimError: a type is wrong, or a required attribute is missing (invalidValue), or it is no object (invalidSyntax).
        """
        if not isinstance(raw, Mapping):
            raise ScimError(400, "The body must be a JSON object.", "invalidSyntax")
        result: dict[str, Any] = {"schemas": [self.core]}
        for key, value in raw.items():
            extension = self.extension_of(str(key))
            if extension is not None:
                if not isinstance(value, Mapping):
                    raise invalid_value(f"{extension} must be an object.")
                inner = _clean_attributes(self.extensions[extension], value, f"{extension}:")
                if inner:
                    result[extension] = inner
                    result["schemas"].append(extension)
        result |= _clean_attributes(self.attributes, raw, "")
        for attribute in self.attributes.values():
            if attribute.required and result.get(attribute.name) in (None, ""):
                raise invalid_value(f"{attribute.name} is required.")
        return result


def clean_value(attribute: Attribute, value: Any, name: str) -> Any:
    """`value` checked against the type of `attribute`; None where it says "no value" (null, [], {}).

    Raises:
        ScimError: invalidValue, naming the attribute.
    """
    if value is None or value == []:
        return None
    if attribute.multi:
        items = value if isinstance(value, list) else [value]
        cleaned = [_clean_single(attribute, each, name) for each in items]
        cleaned = [each for each in cleaned if each is not None]
        if sum(isinstance(each, dict) and each.get("primary") is True for each in cleaned) > 1:
            raise invalid_value(f"{name} may have one primary value only.")
        return cleaned or None
    return _clean_single(attribute, value, name)


def _clean_single(attribute: Attribute, value: Any, name: str) -> Any:
    kind = attribute.type
    if kind == "complex":
        if isinstance(value, str) and "value" in attribute.sub:
            value = {"value": value}
        if not isinstance(value, Mapping):
            raise invalid_value(f"{name} must be an object.")
        return _clean_attributes(attribute.sub, value, f"{name}.") or None
    if kind == "boolean" and not isinstance(value, bool):
        raise invalid_value(f"{name} must be true or false.")
    if kind in ("string", "reference", "binary", "dateTime") and not isinstance(value, str):
        raise invalid_value(f"{name} must be a string.")
    return value


def _clean_attributes(
    attributes: Mapping[str, Attribute], raw: Mapping[str, Any], prefix: str
) -> dict[str, Any]:
    result = {}
    for key, value in raw.items():
        attribute = attributes.get(str(key).lower())
        if attribute is None or attribute.mutability == "readOnly":
            continue
        cleaned = clean_value(attribute, value, prefix + attribute.name)
        if cleaned is not None:
            result[attribute.name] = cleaned
    return result


def normal_moment(text: str) -> str | None:
    """A dateTime as this server stores it (UTC, seconds), or None when it is none."""
    if not re.match(r"\d{4}-\d\d-\d\dT", text):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is not None:
        at = at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def documents() -> list[dict[str, Any]]:
    """The schemas as `/Schemas` shows them, without meta."""
    loaded: list[dict[str, Any]] = orjson.loads(Path(__file__).with_name("schemas.json").read_bytes())
    return loaded


@cache
def resource_schemas() -> Mapping[str, ResourceSchema]:
    """By endpoint: Users, Groups."""
    by_id = {
        each["id"]: {a["name"].lower(): _attribute(a) for a in each["attributes"]} for each in documents()
    }
    meta = {
        name.lower(): Attribute(
            name, "dateTime" if name in ("created", "lastModified") else "string", False, True, "readOnly"
        )
        for name in ("resourceType", "created", "lastModified", "location", "version")
    }
    common = {
        "schemas": Attribute("schemas", "reference", True, True, "readOnly", returned="always"),
        "id": Attribute("id", "string", False, True, "readOnly", returned="always"),
        "externalid": Attribute("externalId", "string", False, True),
        "meta": Attribute("meta", "complex", False, False, "readOnly", sub=meta),
    }
    return {
        "Users": ResourceSchema(
            "User",
            "Users",
            USER_SCHEMA,
            {**by_id[USER_SCHEMA], **common},
            {ENTERPRISE_SCHEMA: by_id[ENTERPRISE_SCHEMA]},
        ),
        "Groups": ResourceSchema("Group", "Groups", GROUP_SCHEMA, {**by_id[GROUP_SCHEMA], **common}, {}),
    }


def _attribute(raw: Mapping[str, Any]) -> Attribute:
    return Attribute(
        raw["name"],
        raw["type"],
        raw["multiValued"],
        raw.get("caseExact", False),
        raw.get("mutability", "readWrite"),
        raw.get("required", False),
        raw.get("returned", "default"),
        {each["name"].lower(): _attribute(each) for each in raw.get("subAttributes", ())},
    )
