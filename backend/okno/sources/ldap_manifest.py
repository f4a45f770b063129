"""Manifests of kind `ldap`: what they may say, checked against LDAP's own grammar."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from ldap3.core.exceptions import LDAPExceptionError
from ldap3.operation.search import parse_filter
from ldap3.utils.dn import parse_dn
from pydantic import Field, field_validator, model_validator

from okno.sources.manifest import Operation, Part, ReadMany, Reference, SourceManifest, check_template
from okno.sources.template import Template, escape_dn, escape_filter

ENTRY_DN = "entry.dn"
# An assertion whose value is the key, as in (uid={login}).
_ASSERTION = re.compile(r"\([^()={}]+=\{[a-z_]+\}\)")
_MARK = "Q7xPlaceholderQ7x"


class LdapEndpoint(Part):
    """`url`: ldap://host:port or ldaps://host:port; certificates are verified, with `ca_file` beside the system's."""

    url: str | Reference
    ca_file: str | None = None


class LdapAuth(Part):
    """The simple bind."""

    bind_dn: str | Reference
    password: Reference


class LdapMany(ReadMany):
    """Several people are read by joining their filters with OR; `key` is the attribute that says whose an entry is."""

    key: str


class LdapRead(Part):
    """Where people are: `filter` finds one by the manifest's key, `list_filter` all of them.

    A record is {dn, attribute: [values]}; every attribute asked for is there, empty when the entry has none.
    Attributes named in `binary` come as base64. Listing asks for `list_attributes`, where given, instead of all.
    """

    base: str
    scope: Literal["base", "one", "subtree"] = "subtree"
    filter: str
    list_filter: str | None = None
    attributes: tuple[str, ...] = Field(min_length=1)
    list_attributes: tuple[str, ...] = ()
    binary: tuple[str, ...] = ()
    many: LdapMany | None = None
    page_size: int = Field(default=500, ge=1, le=10_000)

    @field_validator("base")
    @classmethod
    def _dn(cls, base: str) -> str:
        _check_dn(base)
        return base

    @field_validator("many")
    @classmethod
    def _readable(cls, many: LdapMany | None, info: Any) -> LdapMany | None:
        texts = set(info.data.get("attributes", ())) - set(info.data.get("binary", ()))
        if many is not None and texts and many.key not in texts:
            raise ValueError(
                f"key {many.key} is none of the attributes that are read as text; known: {', '.join(sorted(texts))}"
            )
        return many

    @field_validator("list_filter")
    @classmethod
    def _filter(cls, text: str | None) -> str | None:
        if text is not None:
            _parse(text)
        return text


class LdapChange(Part):
    """One change of a modify request: delete, add or replace one attribute, with these values (none: all of them)."""

    dn: str
    add: str | None = None
    delete: str | None = None
    replace: str | None = None
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(name is not None for name in (self.add, self.delete, self.replace)) != 1:
            raise ValueError("give exactly one of add, delete or replace, naming the attribute")
        if self.add is not None and not self.values:
            raise ValueError("add needs values")
        return self

    @property
    def verb(self) -> Literal["add", "delete", "replace"]:
        """What is done to the attribute."""
        return "add" if self.add is not None else "delete" if self.delete is not None else "replace"

    @property
    def attribute(self) -> str:
        """The attribute it is done to."""
        return self.add or self.delete or self.replace or ""


class LdapRequest(Part):
    """One modify request, which the server does whole or not at all; so all changes name the same entry."""

    modify: tuple[LdapChange, ...] = Field(min_length=1)

    @field_validator("modify")
    @classmethod
    def _same_entry(cls, changes: tuple[LdapChange, ...]) -> tuple[LdapChange, ...]:
        if len({change.dn for change in changes}) > 1:
            raise ValueError("all changes of one request name the same dn")
        return changes


class LdapOperation(Operation):
    """An operation in a directory server."""

    request: LdapRequest

    @model_validator(mode="after")
    def _templates(self) -> Self:
        inputs = {f"input.{name}" for name in self.input_names}
        for change in self.request.modify:
            target = check_template(change.dn, {ENTRY_DN, *inputs})
            if ENTRY_DN in target.names:
                if not target.is_single:
                    raise ValueError("{entry.dn} is a whole DN; it stands alone")
            else:
                # A value of an attribute is all that an input can be: escaped, it stays inside.
                components = _check_dn(target.render(dict.fromkeys(target.names, _MARK), escape_dn))
                if any(_MARK in name or (_MARK in value and value != _MARK) for name, value in components):
                    raise ValueError(
                        "in a dn an {input.…} is the whole value of a component, as in cn={input.group},ou=groups"
                    )
            for value in change.values:
                template = check_template(value, {ENTRY_DN, *inputs})
                if template.names and not template.is_single:
                    raise ValueError("a value is a literal or one placeholder")
        return self


class LdapManifest(SourceManifest):
    """A directory server."""

    KIND: ClassVar[str] = "ldap"
    kind: Literal["ldap"]
    endpoint: LdapEndpoint
    auth: LdapAuth
    read: LdapRead
    operations: tuple[LdapOperation, ...] = ()

    @model_validator(mode="after")
    def _filters(self) -> Self:
        if self.key == "dn":
            raise ValueError("key dn is not supported by kind ldap; read by login, email or personnel_number")
        template = check_template(self.read.filter, [self.key])
        if not template.names:
            raise ValueError(f"read.filter names nobody: write it as (uid={{{self.key}}})")
        parsed = _parse(template.render({self.key: _MARK}, escape_filter))
        for attribute, values in _assertions(parsed):
            if _MARK in attribute or any(_MARK in value and value != _MARK for value in values):
                raise ValueError(
                    f"in read.filter {{{self.key}}} is the whole value of an attribute, as in (uid={{{self.key}}})"
                )
        if self.index and self.read.list_filter is None:
            raise ValueError("index needs read.list_filter")
        return self

    @property
    def can_scan(self) -> bool:
        return self.read.list_filter is not None


def any_of(template: Template, keys: Sequence[str]) -> str:
    """The filter that finds all whom the template finds one by one.

    Where nothing is negated, the OR moves inwards to the one assertion that has the key: what is asked besides stands once
    in the filter then, and the server looks it up once.
    """
    (name, *others) = template.names
    whole = template.text
    assertion = _ASSERTION.search(whole)
    if others or assertion is None or "(!" in whole:
        return f"(|{''.join(template.render({name: key}, escape_filter) for key in keys)})"
    one = Template(assertion[0])
    inner = "".join(one.render({name: key}, escape_filter) for key in keys)
    return f"{whole[: assertion.start()]}(|{inner}){whole[assertion.end() :]}"


def _check_dn(dn: str) -> list[tuple[str, str]]:
    try:
        return [(name, value) for name, value, _ in parse_dn(dn)]
    except LDAPExceptionError as error:
        raise ValueError(f"not a DN: {dn}") from error


def _parse(text: str) -> Any:
    try:
        return parse_filter(text, None, False, False, None, False)  # type: ignore[no-untyped-call]
    except (LDAPExceptionError, IndexError, AttributeError) as error:
        raise ValueError(f"not an LDAP filter (RFC 4515): {text}") from error


def _assertions(node: Any) -> list[tuple[str, list[str]]]:
    found = []
    if node.assertion:
        values = [v for name, v in node.assertion.items() if name != "attr"]
        flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
        texts = [item.decode(errors="replace") if isinstance(item, bytes) else str(item) for item in flat]
        found.append((str(node.assertion["attr"]), texts))
    for child in node.elements or ():
        found += _assertions(child)
    return found
