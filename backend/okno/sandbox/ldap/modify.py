"""The modify operation (RFC 4511, 4.6): all changes of a request or none."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from okno.clock import Clock
from okno.sandbox.ldap.directory import Directory, Entry
from okno.sandbox.ldap.errors import Code, LdapError
from okno.sandbox.ldap.schema import CLASSES, AttributeType, find_type, normal, normal_dn
from okno.sandbox.records import generalized
from okno.sandbox.store import transaction

ADD, DELETE, REPLACE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Change:
    operation: int
    attribute: str
    values: Sequence[str]


def modify(
    company: sqlite3.Connection,
    directory: Directory,
    clock: Clock,
    bound: str,
    dn: str,
    changes: Sequence[Change],
) -> None:
    """Applies the changes to one entry.

    Deleting pwdAccountLockedTime also clears pwdFailureTime, as ppolicy does when an account is unlocked.

    Raises:
        LdapError: the first thing that is wrong; nothing was changed then.
    """
    entry = directory.get(dn)
    attributes = {name: list(values) for name, values in entry.attributes.items()}
    members = _Members(company, entry)
    for change in changes:
        attribute = _checked(change, entry)
        if attribute.name == "member":
            members.apply(change)
        else:
            _apply(attributes, attribute, change)
    _check_class(entry, attributes, members)
    if "pwdAccountLockedTime" in entry.attributes and "pwdAccountLockedTime" not in attributes:
        attributes.pop("pwdFailureTime", None)
    attributes["modifyTimestamp"] = [generalized(clock.now())]
    attributes["modifiersName"] = [bound]
    with transaction(company):
        directory.store(entry, attributes)
        members.store()


class _Members:
    """The members of a group, as changes go on; held as ids of entries."""

    def __init__(self, company: sqlite3.Connection, entry: Entry) -> None:
        self._company = company
        self._group = entry.id
        self._added: set[int] = set()
        self._removed: set[int] = set()

    def apply(self, change: Change) -> None:
        wanted = [self._resolve(value, change.operation) for value in change.values]
        if len(set(wanted)) != len(wanted):
            raise LdapError(Code.ATTRIBUTE_OR_VALUE_EXISTS, "member: value provided more than once")
        if change.operation == ADD:
            for each in wanted:
                if self._holds(each):
                    raise LdapError(
                        Code.ATTRIBUTE_OR_VALUE_EXISTS, "modify/add: member: value already exists"
                    )
                self._put(each)
        elif change.operation == DELETE and change.values:
            for each in wanted:
                if not self._holds(each):
                    raise LdapError(Code.NO_SUCH_ATTRIBUTE, "modify/delete: member: no such value")
                self._drop(each)
        else:  # all of them go, then those of a replace come
            rows = self._company.execute(
                "SELECT entry FROM domain_member WHERE group_entry = ?", (self._group,)
            )
            for each in {row[0] for row in rows} | self._added:
                self._drop(each)
            for each in wanted:
                self._put(each)

    def count(self) -> int:
        row = self._company.execute(
            "SELECT count(*) FROM domain_member WHERE group_entry = ?", (self._group,)
        ).fetchone()
        return int(row[0]) + len(self._added) - len(self._removed)

    def store(self) -> None:
        self._company.executemany(
            "DELETE FROM domain_member WHERE group_entry = ? AND entry = ?",
            [(self._group, each) for each in self._removed],
        )
        self._company.executemany(
            "INSERT INTO domain_member VALUES (?, ?)", [(self._group, each) for each in self._added]
        )

    def _resolve(self, value: str, operation: int) -> int:
        try:
            dn = normal_dn(value)
        except LdapError as error:
            raise LdapError(Code.INVALID_ATTRIBUTE_SYNTAX, "member: value #0 invalid per syntax") from error
        row = self._company.execute("SELECT id FROM domain_entry WHERE ndn = ?", (dn,)).fetchone()
        if row is not None:
            return int(row[0])
        if operation == DELETE:
            raise LdapError(Code.NO_SUCH_ATTRIBUTE, "modify/delete: member: no such value")
        # memberOf overlay with memberof-dangling error
        raise LdapError(Code.CONSTRAINT_VIOLATION, "adding non-existing object as group member")

    def _in_file(self, entry: int) -> bool:
        row = self._company.execute(
            "SELECT 1 FROM domain_member WHERE group_entry = ? AND entry = ?", (self._group, entry)
        )
        return row.fetchone() is not None

    def _holds(self, entry: int) -> bool:
        return entry in self._added or (entry not in self._removed and self._in_file(entry))

    def _put(self, entry: int) -> None:
        if entry in self._removed:
            self._removed.discard(entry)
        else:
            self._added.add(entry)

    def _drop(self, entry: int) -> None:
        if entry in self._added:
            self._added.discard(entry)
        else:
            self._removed.add(entry)


def _checked(change: Change, entry: Entry) -> AttributeType:
    if change.operation not in (ADD, DELETE, REPLACE):
        raise LdapError(Code.PROTOCOL_ERROR, "unrecognized modify operation")
    attribute = find_type(change.attribute)
    if attribute is None:
        raise LdapError(Code.UNDEFINED_ATTRIBUTE_TYPE, f"{change.attribute[:64]}: attribute type undefined")
    if attribute.fixed:
        raise LdapError(Code.CONSTRAINT_VIOLATION, f"{attribute.name}: no user modification allowed")
    if change.operation == ADD and not change.values:
        raise LdapError(Code.PROTOCOL_ERROR, "modify/add operation requires values")
    structural = entry.attributes["objectClass"][-1]
    if structural not in CLASSES:
        raise LdapError(Code.UNWILLING_TO_PERFORM, f"entries of class {structural} are not changed here")
    must, may = CLASSES[structural]
    if not attribute.operational and attribute.name not in must | may:
        raise LdapError(Code.OBJECT_CLASS_VIOLATION, f"attribute '{attribute.name}' not allowed")
    return attribute


def _apply(attributes: dict[str, list[str]], attribute: AttributeType, change: Change) -> None:
    name = attribute.name
    held = attributes.get(name, [])
    keys = [normal(attribute.kind, value) for value in held]
    wanted = [normal(attribute.kind, value) for value in change.values]
    if any(not value for value in change.values):
        raise LdapError(Code.INVALID_ATTRIBUTE_SYNTAX, f"{name}: value #0 invalid per syntax")
    if len(set(wanted)) != len(wanted):
        raise LdapError(Code.ATTRIBUTE_OR_VALUE_EXISTS, f"{name}: value provided more than once")
    if change.operation == ADD:
        if set(wanted) & set(keys):
            raise LdapError(Code.ATTRIBUTE_OR_VALUE_EXISTS, f"modify/add: {name}: value already exists")
        result = [*held, *change.values]
    elif change.operation == REPLACE:
        result = list(change.values)
    else:
        if not held:
            raise LdapError(Code.NO_SUCH_ATTRIBUTE, f"modify/delete: {name}: no such attribute")
        if set(wanted) - set(keys):
            raise LdapError(Code.NO_SUCH_ATTRIBUTE, f"modify/delete: {name}: no such value")
        result = [value for value, key in zip(held, keys, strict=True) if wanted and key not in wanted]
    if attribute.single and len(result) > 1:
        raise LdapError(Code.CONSTRAINT_VIOLATION, f"{name}: multiple values provided")
    if result:
        attributes[name] = result
    else:
        attributes.pop(name, None)


def _check_class(entry: Entry, attributes: dict[str, list[str]], members: _Members) -> None:
    structural = entry.attributes["objectClass"][-1]
    if attributes.get("objectClass") != entry.attributes["objectClass"]:
        raise LdapError(Code.OBJECT_CLASS_VIOLATION, "object classes of an entry do not change")
    must, _ = CLASSES[structural]
    for name in sorted(must):
        if (members.count() == 0) if name == "member" else not attributes.get(name):
            raise LdapError(
                Code.OBJECT_CLASS_VIOLATION, f"object class '{structural}' requires attribute '{name}'"
            )
    naming, _, value = entry.dn.partition(",")[0].partition("=")
    attribute = find_type(naming)
    if attribute is not None and normal(attribute.kind, value) not in [
        normal(attribute.kind, each) for each in attributes.get(attribute.name, ())
    ]:
        raise LdapError(
            Code.NAMING_VIOLATION, f"value of naming attribute '{naming}' is not present in entry"
        )
