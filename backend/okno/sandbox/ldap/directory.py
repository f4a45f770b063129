"""Entries of the domain in the company file: search, compare, who may bind. Changes are in modify.py."""

# ruff: noqa: S608 (names in the SQL are this package's own; what clients send travels as parameters)

import hmac
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from okno.clock import Clock
from okno.sandbox.ldap.errors import Code, LdapError
from okno.sandbox.ldap.filters import compile_filter
from okno.sandbox.ldap.schema import find_type, index_form, normal, normal_dn
from okno.sandbox.records import INDEXED, MAX_FAILURES, generalized, generalized_exact
from okno.sandbox.store import transaction

BASE, ONE, SUBTREE = 0, 1, 2
_INDEXED = frozenset(INDEXED)
Attributes = list[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored entry. `attributes` is without what is computed."""

    id: int
    dn: str
    parent: int | None
    attributes: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Page:
    """Where a paged search goes on: after the entry `after`; `size` 0 means all."""

    size: int
    after: int


class Directory:
    """One naming context. `service_dn` with `service_password` may do everything, people bind with `people_password`, if any."""

    def __init__(
        self,
        company: sqlite3.Connection,
        clock: Clock,
        service_dn: str,
        service_password: str,
        people_password: str | None = None,
    ) -> None:
        self._company = company
        self._clock = clock
        self._service_dn = normal_dn(service_dn)
        self._service_password = service_password
        self._people_password = people_password
        company.create_function("ldap_time", 1, _time_or_null, deterministic=True)
        self._shown: dict[tuple[str, ...], tuple[tuple[str, ...] | None, frozenset[str], bool]] = {}

    def is_service(self, bound: str | None) -> bool:
        return bound is not None and bound == self._service_dn

    def find(self, dn: str) -> Entry | None:
        row = self._company.execute(
            "SELECT id, dn, parent, attributes FROM domain_entry WHERE ndn = ?", (normal_dn(dn),)
        ).fetchone()
        return _entry(row) if row is not None else None

    def get(self, dn: str) -> Entry:
        """
        Raises:
            LdapError: noSuchObject, with the nearest entry above that exists; invalidDNSyntax.
        """
        found = self.find(dn)
        if found is not None:
            return found
        parent = normal_dn(dn)
        while "," in parent:
            parent = parent.partition(",")[2]
            if (above := self.find(parent)) is not None:
                raise LdapError(Code.NO_SUCH_OBJECT, matched=above.dn)
        raise LdapError(Code.NO_SUCH_OBJECT)

    def bind(self, dn: str, password: str) -> str:
        """The normal DN of who signed in, keeping the password policy's books.

        Raises:
            LdapError: invalidCredentials, whatever was wrong; unwillingToPerform for a DN without a password.
        """
        if not password:
            raise LdapError(
                Code.UNWILLING_TO_PERFORM, "unauthenticated bind (DN with no password) disallowed"
            )
        name = normal_dn(dn)
        if name == self._service_dn:
            if hmac.compare_digest(password.encode(), self._service_password.encode()):
                return name
            raise LdapError(Code.INVALID_CREDENTIALS)
        entry = self.find(dn)
        if entry is None or "uid" not in entry.attributes or "pwdAccountLockedTime" in entry.attributes:
            raise LdapError(Code.INVALID_CREDENTIALS)
        right = self._people_password is not None and hmac.compare_digest(
            password.encode(), self._people_password.encode()
        )
        now = self._clock.now()
        attributes = dict(entry.attributes)
        if right:
            attributes.pop("pwdFailureTime", None)
            attributes["pwdLastSuccess"] = [generalized(now)]
        else:
            failures = attributes.get("pwdFailureTime", [])
            at = now
            while generalized_exact(at) in failures:
                at += timedelta(microseconds=1)
            attributes["pwdFailureTime"] = [*failures, generalized_exact(at)]
            if len(attributes["pwdFailureTime"]) >= MAX_FAILURES:
                attributes["pwdAccountLockedTime"] = [generalized(now)]
        with transaction(self._company):
            self.store(entry, attributes)
        if not right:
            raise LdapError(Code.INVALID_CREDENTIALS)
        return name

    def store(self, entry: Entry, attributes: dict[str, list[str]]) -> None:
        """Writes an entry's stored attributes and their index; within a transaction of the caller."""
        self._company.execute(
            "UPDATE domain_entry SET attributes = ? WHERE id = ?",
            (orjson.dumps(attributes).decode(), entry.id),
        )
        for name in entry.attributes.keys() | attributes.keys():
            lower = name.lower()
            if lower in _INDEXED and entry.attributes.get(name) != attributes.get(name):
                self._company.executemany(
                    "DELETE FROM domain_value WHERE attribute = ? AND value = ? AND entry = ?",
                    [(lower, index_form(name, value), entry.id) for value in entry.attributes.get(name, ())],
                )
                self._company.executemany(
                    "INSERT OR IGNORE INTO domain_value VALUES (?, ?, ?)",
                    [(lower, index_form(name, value), entry.id) for value in attributes.get(name, ())],
                )

    def search(self, base: str, scope: int, tree: Any, page: Page | None, limit: int) -> Iterator[Entry]:
        """Matching entries by id, at most `limit` + 1 of them, so that the caller sees when there are more.

        Raises:
            LdapError: noSuchObject, or the filter is wrong.
        """
        root = self.get(base)
        condition, values = compile_filter(tree)
        # unary plus keeps SQLite from walking all children of ou=people where the filter has an index
        within, place = {
            BASE: ("+e.id = ?", [root.id]),
            ONE: ("+e.parent = ?", [root.id]),
            SUBTREE: ("1", [])
            if root.parent is None
            else ("(+e.id = ? OR +e.parent = ?)", [root.id, root.id]),
        }[scope]
        if scope == BASE:
            within = "e.id = ?"
        cursor = self._company.execute(
            "SELECT e.id, e.dn, e.parent, e.attributes FROM domain_entry e "
            f"WHERE e.id > ? AND {within} AND {condition} ORDER BY e.id LIMIT ?",
            [page.after if page else 0, *place, *values, limit + 1],
        )
        return map(_entry, cursor)

    def compare(self, dn: str, description: str, value: str) -> bool:
        """
        Raises:
            LdapError: noSuchObject, undefinedAttributeType, noSuchAttribute, invalidAttributeSyntax.
        """
        entry = self.get(dn)
        attribute = find_type(description)
        if attribute is None:
            raise LdapError(Code.UNDEFINED_ATTRIBUTE_TYPE, f"{description[:64]}: attribute type undefined")
        wanted = normal(attribute.kind, value)
        held = dict(self.shown(entry, (attribute.name,))).get(attribute.name)
        if not held:
            raise LdapError(Code.NO_SUCH_ATTRIBUTE)
        return any(normal(attribute.kind, each) == wanted for each in held)

    def shown(self, entry: Entry, requested: tuple[str, ...]) -> Attributes:
        """The attributes of an answer: all user attributes for () or "*", operational ones for "+" or by name, none for "1.1"."""
        names, lowers, operational = self._selection(requested)
        result: Attributes = []
        for name, values in entry.attributes.items():
            if names is None:
                kind = find_type(name)
                if name.lower() not in lowers and (kind is None or (kind.operational and not operational)):
                    continue
            elif name.lower() not in lowers and not (
                operational and (kind := find_type(name)) and kind.operational
            ):
                continue
            result.append((name, values))
        for name in ("member", "memberOf", "entryDN", "structuralObjectClass", "hasSubordinates"):
            user = name == "member"
            if name.lower() in lowers or (user and names is None) or (operational and not user):
                values = self._computed(entry, name)
                if values:
                    result.append((name, values))
        return result

    def _selection(self, requested: tuple[str, ...]) -> tuple[tuple[str, ...] | None, frozenset[str], bool]:
        """(None for all user attributes, lower-case names, whether all operational ones); remembered for each list."""
        known = self._shown.get(requested)
        if known is None:
            every = not requested or "*" in requested
            types = [found for name in requested if (found := find_type(name)) is not None]
            known = (
                (None if every else requested),
                frozenset(each.name.lower() for each in types),
                "+" in requested,
            )
            if len(self._shown) < 1000:
                self._shown[requested] = known
        return known

    def _computed(self, entry: Entry, name: str) -> list[str]:
        if name == "memberOf":
            return self._linked("m.group_entry", "m.entry", entry.id)
        if name == "member":
            return self._linked("m.entry", "m.group_entry", entry.id)
        if name == "entryDN":
            return [entry.dn]
        if name == "structuralObjectClass":
            return [entry.attributes["objectClass"][-1]]
        row = self._company.execute(
            "SELECT 1 FROM domain_entry WHERE parent = ? LIMIT 1", (entry.id,)
        ).fetchone()
        return ["TRUE" if row else "FALSE"]

    def _linked(self, other: str, own: str, entry_id: int) -> list[str]:
        rows = self._company.execute(
            f"SELECT o.dn FROM domain_member m JOIN domain_entry o ON o.id = {other} WHERE {own} = ? ORDER BY o.id",
            (entry_id,),
        )
        return [row[0] for row in rows]


def cookie_of(after: int) -> bytes:
    return struct.pack(">Q", after)


def after_cookie(cookie: bytes) -> int:
    """
    Raises:
        LdapError: unwillingToPerform, for a cookie that this server did not give out.
    """
    if not cookie:
        return 0
    if len(cookie) != 8:
        raise LdapError(Code.UNWILLING_TO_PERFORM, "paged results cookie is invalid")
    after: int = struct.unpack(">Q", cookie)[0]
    return min(after, 2**62)


def _time_or_null(value: str) -> str | None:
    try:
        return normal("time", value)
    except LdapError:
        return None


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry(row[0], row[1], row[2], orjson.loads(row[3]))
