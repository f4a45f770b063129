"""Users and groups in the company file: one `Repository` for each resource type."""

# ruff: noqa: S608 (names in the SQL are this package's own; what clients send travels as parameters)

import sqlite3
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from okno.clock import Clock
from okno.sandbox.records import ENTERPRISE_SCHEMA, fold, moment
from okno.sandbox.scim.errors import ScimError, invalid_value
from okno.sandbox.scim.schema import ResourceSchema
from okno.sandbox.scim.sql import Sql
from okno.sandbox.store import transaction


@dataclass(frozen=True, slots=True)
class Record:
    """One stored resource, as it is in the file."""

    position: int
    id: str
    resource: Mapping[str, Any]
    created: str
    modified: str
    version: int

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'


@dataclass(frozen=True, slots=True)
class Query:
    """`start` counts from 1; `order` is an SQL expression or None for the order of creation."""

    condition: Sql | None
    order: str | None
    start: int
    count: int


_FIELDS = "r.position, r.id, r.resource, r.created, r.modified, r.version"


class Repository:
    """Reads and writes one resource type. Not for several processes at once."""

    def __init__(self, company: sqlite3.Connection, schema: ResourceSchema, clock: Clock) -> None:
        self.schema = schema
        self._company = company
        self._clock = clock
        self._users = schema.name == "User"
        self._table = "directory_user" if self._users else "directory_group"
        self._key = "user_name" if self._users else "display_name"
        self._positions: list[int] | None = None

    def get(self, identifier: str) -> Record:
        """
        Raises:
            ScimError: 404.
        """
        row = self._company.execute(
            f"SELECT {_FIELDS} FROM {self._table} r WHERE r.id = ?", (identifier,)
        ).fetchone()
        if row is None:
            raise ScimError(404, f"Resource {identifier[:64]} not found.")
        return _record(row)

    def search(self, query: Query) -> tuple[int, list[Record]]:
        """(how many there are in all, those of the page)."""
        if query.condition is None and query.order is None:
            positions = self._all()
        else:
            where, values = query.condition or ("1", [])
            order = f"{query.order}, r.position" if query.order else "r.position"
            # both parts are compiled from schema names, values are parameters
            statement = f"SELECT r.position FROM {self._table} r WHERE {where} ORDER BY {order}"
            try:
                positions = [row[0] for row in self._company.execute(statement, values)]
            except sqlite3.OperationalError as error:  # SQLite's own limits of depth and of parameters
                raise ScimError(400, "The filter is too complicated.", "tooMany") from error
        page = positions[query.start - 1 : query.start - 1 + query.count]
        marks = ",".join("?" * len(page))
        rows = self._company.execute(
            f"SELECT {_FIELDS} FROM {self._table} r WHERE r.position IN ({marks})", page
        )
        found = {row[0]: _record(row) for row in rows}
        return len(positions), [found[position] for position in page]

    def complete(self, record: Record, base: str, wants: Callable[[str], bool]) -> dict[str, Any]:
        """The resource as it is sent: with id, meta and what other resources say of it."""
        document = {"schemas": record.resource["schemas"], "id": record.id, **record.resource}
        if self._users:
            if wants("groups") and (groups := self._groups_of(record.position, base)):
                document["groups"] = groups
            manager = document.get(ENTERPRISE_SCHEMA, {}).get("manager")
            if manager:
                document[ENTERPRISE_SCHEMA] = {
                    **document[ENTERPRISE_SCHEMA],
                    "manager": self._manager(manager, base),
                }
        elif wants("members") and (members := self._members_of(record.position, base)):
            document["members"] = members
        document["meta"] = {
            "resourceType": self.schema.name,
            "created": record.created,
            "lastModified": record.modified,
            "version": record.etag,
            "location": f"{base}/{self.schema.endpoint}/{record.id}",
        }
        return document

    def editable(self, record: Record) -> dict[str, Any]:
        """What a PATCH works on: the resource, a group with its members."""
        document = dict(record.resource)
        if not self._users:
            document["members"] = [{"value": each["value"]} for each in self._members_of(record.position, "")]
        return document

    def create(self, body: Any) -> Record:
        """
        Raises:
            ScimError: 409 uniqueness, or what is wrong with the body.
        """
        resource = self.schema.clean(body)
        now = moment(self._clock.now())
        with transaction(self._company):
            last = self._company.execute(f"SELECT max(position) FROM {self._table}").fetchone()[0] or 0
            record = Record(last + 1, str(uuid.uuid4()), resource, now, now, 1)
            stored = self._split(record)
            self._unique(record)
            self._company.execute(
                f"INSERT INTO {self._table}(position, id, {self._key}, external_id, resource, created, modified, version) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
                (record.position, record.id, *stored, now, now),
            )
            self._link(record)
        self._positions = None
        return self.get(record.id)

    def update(self, record: Record, resource: dict[str, Any]) -> Record:
        """Stores a changed resource; the same content leaves version and time as they are.

        Raises:
            ScimError: 409 uniqueness; invalidValue for a member that does not exist.
        """
        before = self.editable(record)
        if _normal(before) == _normal(resource):
            return record
        changed = Record(
            record.position,
            record.id,
            resource,
            record.created,
            moment(self._clock.now()),
            record.version + 1,
        )
        with transaction(self._company):
            self._unique(changed)
            stored = self._split(changed)
            self._company.execute(
                f"UPDATE {self._table} SET {self._key} = ?, external_id = ?, resource = ?, modified = ?, version = ? "
                "WHERE position = ?",
                (*stored, changed.modified, changed.version, changed.position),
            )
            self._link(changed)
        return self.get(record.id)

    def delete(self, record: Record) -> None:
        with transaction(self._company):
            self._company.execute(f"DELETE FROM {self._table} WHERE position = ?", (record.position,))
            column = "user" if self._users else "group_position"
            self._company.execute(f"DELETE FROM directory_member WHERE {column} = ?", (record.position,))
            if self._users:
                self._company.execute("DELETE FROM directory_email WHERE user = ?", (record.position,))
        self._positions = None

    def _all(self) -> list[int]:
        if self._positions is None:
            rows = self._company.execute(f"SELECT position FROM {self._table} ORDER BY position")
            self._positions = [row[0] for row in rows]
        return self._positions

    def _split(self, record: Record) -> tuple[str, str | None, str]:
        """(folded key, external id, resource as text without members)."""
        name = "userName" if self._users else "displayName"
        resource = {key: value for key, value in record.resource.items() if key != "members"}
        return fold(record.resource[name]), record.resource.get("externalId"), orjson.dumps(resource).decode()

    def _unique(self, record: Record) -> None:
        if not self._users:
            return
        row = self._company.execute(
            "SELECT 1 FROM directory_user WHERE user_name = ? AND position <> ?",
            (fold(record.resource["userName"]), record.position),
        ).fetchone()
        if row is not None:
            raise ScimError(409, "userName is taken by another user.", "uniqueness")

    def _link(self, record: Record) -> None:
        """Brings the side tables in line with a stored resource."""
        if self._users:
            emails = {fold(each["value"]) for each in record.resource.get("emails", ()) if each.get("value")}
            self._company.execute("DELETE FROM directory_email WHERE user = ?", (record.position,))
            self._company.executemany(
                "INSERT INTO directory_email VALUES (?, ?)", [(e, record.position) for e in emails]
            )
            return
        wanted = set()
        for each in record.resource.get("members") or ():
            row = self._company.execute(
                "SELECT position FROM directory_user WHERE id = ?", (each.get("value"),)
            ).fetchone()
            if row is None:
                raise invalid_value("members.value names a user that does not exist.")
            wanted.add(row[0])
        rows = self._company.execute(
            "SELECT user FROM directory_member WHERE group_position = ?", (record.position,)
        )
        present = {row[0] for row in rows}
        self._company.executemany(
            "DELETE FROM directory_member WHERE group_position = ? AND user = ?",
            [(record.position, u) for u in present - wanted],
        )
        self._company.executemany(
            "INSERT INTO directory_member VALUES (?, ?)", [(record.position, u) for u in wanted - present]
        )

    def _groups_of(self, position: int, base: str) -> list[dict[str, str]]:
        rows = self._company.execute(
            "SELECT g.id, json_extract(g.resource, '$.displayName') FROM directory_member m "
            "JOIN directory_group g ON g.position = m.group_position WHERE m.user = ? ORDER BY g.position",
            (position,),
        )
        return [
            {"value": each, "$ref": f"{base}/Groups/{each}", "display": name, "type": "direct"}
            for each, name in rows
        ]

    def _members_of(self, position: int, base: str) -> list[dict[str, str]]:
        rows = self._company.execute(
            "SELECT u.id, json_extract(u.resource, '$.displayName') FROM directory_member m "
            "JOIN directory_user u ON u.position = m.user WHERE m.group_position = ? ORDER BY m.user",
            (position,),
        )
        return [
            {
                "value": each,
                "$ref": f"{base}/Users/{each}",
                "type": "User",
                **({"display": name} if name else {}),
            }
            for each, name in rows
        ]

    def _manager(self, manager: Mapping[str, Any], base: str) -> dict[str, Any]:
        result = {"value": manager.get("value"), "$ref": f"{base}/Users/{manager.get('value')}"}
        row = self._company.execute(
            "SELECT json_extract(resource, '$.displayName') FROM directory_user WHERE id = ?",
            (manager.get("value"),),
        ).fetchone()
        if row is not None and row[0]:
            result["displayName"] = row[0]
        return result


def _record(row: tuple[Any, ...]) -> Record:
    return Record(row[0], row[1], orjson.loads(row[2]), row[3], row[4], row[5])


def _normal(resource: Mapping[str, Any]) -> dict[str, Any]:
    """For comparison: members in any order, absent like empty."""
    result = {key: value for key, value in resource.items() if value not in (None, [], {})}
    if "members" in result:
        result["members"] = sorted(str(each.get("value")) for each in result["members"])
    return result
