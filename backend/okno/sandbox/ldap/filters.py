"""Compiles LDAP search filters to SQL. LDAP's three values (true, false, undefined) are SQL's: undefined is NULL."""

# ruff: noqa: S608 (names in the SQL are this package's own; what clients send travels as parameters)

import re
import unicodedata
from typing import Any

from ldaptor.protocols import pureldap

from okno.sandbox.ldap.errors import Code, LdapError
from okno.sandbox.ldap.schema import AttributeType, find_type, normal
from okno.sandbox.records import INDEXED

Sql = tuple[str, list[Any]]
_UNDEFINED: Sql = ("NULL", [])
_MAX_DEPTH = 40
_RULES = {  # matching rules of extensible filters, by name and by OID
    b"caseIgnoreMatch": "ignore", b"2.5.13.2": "ignore", b"caseExactMatch": "exact", b"2.5.13.5": "exact",
    b"distinguishedNameMatch": "dn", b"2.5.13.1": "dn",
}  # fmt: skip


def compile_filter(tree: Any, depth: int = 0) -> Sql:
    """A condition on alias `e` of domain_entry, of ldaptor's filter objects.

    Raises:
        LdapError: protocolError, for a filter that is nested too deep or of no known kind.
    """
    if depth > _MAX_DEPTH:
        raise LdapError(Code.PROTOCOL_ERROR, "the filter is nested too deep")
    if isinstance(tree, pureldap.LDAPFilter_and):
        return _join(" AND ", "1", [compile_filter(each, depth + 1) for each in tree])
    if isinstance(tree, pureldap.LDAPFilter_or):
        return _join(" OR ", "0", _alternatives(list(tree), depth + 1))
    if isinstance(tree, pureldap.LDAPFilter_not):
        sql, values = compile_filter(tree.value, depth + 1)
        return f"(NOT {sql})", values
    if isinstance(tree, pureldap.LDAPFilter_present):
        return _present(_text(tree.value))
    if isinstance(tree, pureldap.LDAPFilter_equalityMatch | pureldap.LDAPFilter_approxMatch):
        return _equal(_text(tree.attributeDesc.value), _text(tree.assertionValue.value))
    if isinstance(tree, pureldap.LDAPFilter_greaterOrEqual):
        return _ordered(_text(tree.attributeDesc.value), ">=", _text(tree.assertionValue.value))
    if isinstance(tree, pureldap.LDAPFilter_lessOrEqual):
        return _ordered(_text(tree.attributeDesc.value), "<=", _text(tree.assertionValue.value))
    if isinstance(tree, pureldap.LDAPFilter_substrings):
        return _substrings(_text(tree.type), tree.substrings)
    if isinstance(tree, pureldap.LDAPFilter_extensibleMatch):
        if tree.type is None or tree.dnAttributes is not None:
            return _UNDEFINED
        rule = _RULES.get(tree.matchingRule.value) if tree.matchingRule is not None else "same"
        return _UNDEFINED if rule is None else _equal(_text(tree.type.value), _text(tree.matchValue.value))
    raise LdapError(Code.PROTOCOL_ERROR, "unknown kind of filter")


def _alternatives(trees: list[Any], depth: int) -> list[Sql]:
    """What OR joins. Values of one indexed attribute are looked up together, as a server with that index does."""
    found: list[Sql] = []
    together: dict[str, list[str]] = {}
    for tree in trees:
        if type(tree) is pureldap.LDAPFilter_equalityMatch:
            attribute = find_type(_text(tree.attributeDesc.value))
            sql, values = _equal(_text(tree.attributeDesc.value), _text(tree.assertionValue.value))
            if attribute is not None and sql == _looked_up("= ?"):
                together.setdefault(values[0], []).append(values[1])
            else:
                found.append((sql, values))
        else:
            found.append(compile_filter(tree, depth))
    for name, wanted in together.items():
        found.append((_looked_up(f"IN ({','.join('?' * len(wanted))})"), [name, *wanted]))
    return found


def _looked_up(test: str) -> str:
    return f"e.id IN (SELECT entry FROM domain_value WHERE attribute = ? AND value {test})"


def _equal(description: str, value: str) -> Sql:
    attribute = find_type(description)
    if attribute is None:
        return _UNDEFINED
    try:
        wanted = normal(attribute.kind, value)
    except LdapError:  # the assertion is of another syntax: undefined (RFC 4511, 4.5.1.7)
        return _UNDEFINED
    if attribute.name == "memberOf":
        return (
            "e.id IN (SELECT m.entry FROM domain_member m WHERE m.group_entry = (SELECT g.id FROM domain_entry g WHERE g.ndn = ?))",
            [wanted],
        )
    if attribute.name == "member":
        return (
            "e.id IN (SELECT m.group_entry FROM domain_member m WHERE m.entry = (SELECT p.id FROM domain_entry p WHERE p.ndn = ?))",
            [wanted],
        )
    if attribute.name == "entryDN":
        return "e.ndn = ?", [wanted]
    return _some(attribute, "= ?", [_stored(attribute, wanted)])


def _ordered(description: str, sign: str, value: str) -> Sql:
    attribute = find_type(description)
    if attribute is None or attribute.kind not in ("time", "integer"):
        return _UNDEFINED  # the type has no ordering rule
    try:
        wanted = normal(attribute.kind, value)
    except LdapError:
        return _UNDEFINED
    if attribute.kind == "integer":
        return (
            f"EXISTS (SELECT 1 FROM json_each(e.attributes, '$.{attribute.name}') v WHERE CAST(v.value AS INTEGER) {sign} ?)",
            [int(wanted)],
        )
    # "Z" sorts behind digits and the point: without it 10:00:00 < 10:00:00.5
    bare = wanted.rstrip("Z").lower()
    return (
        f"EXISTS (SELECT 1 FROM json_each(e.attributes, '$.{attribute.name}') v WHERE rtrim(lower(v.value), 'z') {sign} ?)",
        [bare],
    )


def _substrings(description: str, parts: list[Any]) -> Sql:
    attribute = find_type(description)
    if attribute is None or attribute.kind not in ("ignore", "exact", "phone"):
        return _UNDEFINED
    pattern, initial = "", ""
    for part in parts:
        text = _text(part.value)
        wanted = normal(attribute.kind, text) if attribute.kind != "ignore" else _fold_part(text)
        escaped = re.sub(r"([%_\\])", r"\\\1", wanted)
        if isinstance(part, pureldap.LDAPFilter_substrings_initial):
            initial = wanted
            pattern = escaped
        else:
            pattern += "%" + escaped
    if not (parts and isinstance(parts[-1], pureldap.LDAPFilter_substrings_final)):
        pattern += "%"
    sql, values = _some(attribute, "LIKE ? ESCAPE '\\'", [pattern])
    if initial and attribute.name.lower() in INDEXED:  # the range is what the index can answer
        sql = "e.id IN (SELECT entry FROM domain_value WHERE attribute = ? AND value >= ? AND value < ? AND value LIKE ? ESCAPE '\\')"
        values = [attribute.name.lower(), initial, initial + "\U0010ffff", pattern]
    return sql, values


def _present(description: str) -> Sql:
    attribute = find_type(description)
    if attribute is None:
        return _UNDEFINED
    if attribute.name in ("objectClass", "entryDN", "structuralObjectClass", "hasSubordinates"):
        return "1", []
    if attribute.name == "memberOf":
        return "EXISTS (SELECT 1 FROM domain_member m WHERE m.entry = e.id)", []
    if attribute.name == "member":
        return "EXISTS (SELECT 1 FROM domain_member m WHERE m.group_entry = e.id)", []
    if attribute.name == "pwdAccountLockedTime":  # few have it: the index finds them at once
        return "e.id IN (SELECT entry FROM domain_value WHERE attribute = 'pwdaccountlockedtime')", []
    return f"(json_extract(e.attributes, '$.{attribute.name}') IS NOT NULL)", []


def _some(attribute: AttributeType, test: str, values: list[Any]) -> Sql:
    """Some value of the attribute passes the test; `test` and the name come from this module, never from a client."""
    if attribute.name.lower() in INDEXED:
        return _looked_up(test), [attribute.name.lower(), *values]
    left = {"exact": "v.value", "phone": "v.value", "time": "lower(ldap_time(v.value))"}.get(
        attribute.kind, "fold(v.value)"
    )
    return (
        f"EXISTS (SELECT 1 FROM json_each(e.attributes, '$.{attribute.name}') v WHERE {left} {test})",
        values,
    )


def _stored(attribute: AttributeType, wanted: str) -> str:
    """As the company file holds the value for comparison: everything folded, moments and booleans too."""
    return wanted if attribute.kind in ("exact", "phone") else wanted.lower()


def _fold_part(text: str) -> str:
    """Case and inner spaces are folded, outer spaces of a piece of text kept as one."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold())


def _join(word: str, empty: str, parts: list[Sql]) -> Sql:
    if not parts:
        return empty, []
    return "(" + word.join(sql for sql, _ in parts) + ")", [value for _, values in parts for value in values]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
