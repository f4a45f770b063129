"""Compiles SCIM filters to SQL over the company file. Every piece yields 0 or 1, never NULL; values travel as parameters."""

# ruff: noqa: S608 (names in the SQL are this package's own; what clients send travels as parameters)

from dataclasses import dataclass
from typing import Any

from okno.sandbox.records import fold
from okno.sandbox.scim.errors import invalid_filter
from okno.sandbox.scim.filter import All, Compare, Filter, Not, Present, Some, ValuePath
from okno.sandbox.scim.schema import Attribute, AttributePath, Found, ResourceSchema, normal_moment

Sql = tuple[str, list[Any]]
_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
# what stands in columns of its own: (column, folded already)
_COLUMNS = {
    "id": ("r.id", False),
    "externalid": ("r.external_id", False),
    "meta.created": ("r.created", False),
    "meta.lastmodified": ("r.modified", False),
}
# group membership lives in a table: (attribute, sub-attribute) -> rows of one resource
_MEMBERSHIP = {
    ("User", "groups"): (
        "directory_member m JOIN directory_group o ON o.position = m.group_position WHERE m.user = r.position",
        "json_extract(o.resource, '$.displayName')",
        "direct",
    ),
    ("Group", "members"): (
        "directory_member m JOIN directory_user o ON o.position = m.user WHERE m.group_position = r.position",
        "json_extract(o.resource, '$.displayName')",
        "User",
    ),
}


@dataclass(frozen=True, slots=True)
class _Operand:
    """An SQL expression that yields one value or NULL; `folded` when it is normalised for comparison without case."""

    sql: str
    attribute: Attribute
    folded: bool = False


def compile_filter(tree: Filter, schema: ResourceSchema) -> Sql:
    """A condition on alias `r` of directory_user or directory_group.

    Raises:
        ScimError: invalidFilter, for an unknown attribute or an operator that does not fit its type.
    """
    match tree:
        case All(terms):
            return _join(" AND ", [compile_filter(term, schema) for term in terms])
        case Some(terms):
            return _join(" OR ", [compile_filter(term, schema) for term in terms])
        case Not(term):
            sql, values = compile_filter(term, schema)
            return f"(NOT {sql})", values
        case ValuePath(path, term):
            return _value_path(path, term, schema)
        case Present(path) | Compare(path=path):
            found = _find(path, schema)
            if fast := _indexed(tree, found, schema):
                return fast
            return _leaf(tree, found, schema)


def sort_expression(path: AttributePath, schema: ResourceSchema) -> str:
    """What to order by: the value, the primary or first of several (RFC 7644, 3.4.2.3)."""
    found = _find(path, schema)
    if found.attribute.multi:
        leaf = (found.sub or found.attribute.sub.get("value") or found.attribute).name
        base = _json_path(found.extension, found.attribute.name)
        return (
            f"(SELECT fold(json_extract(e.value, '$.{leaf}')) FROM json_each(r.resource, '{base}') e "
            "ORDER BY json_extract(e.value, '$.primary') IS NOT 1 LIMIT 1)"
        )
    operand = _single(found, schema)
    return operand.sql if operand.folded or operand.attribute.case_exact else f"fold({operand.sql})"


def _find(path: AttributePath, schema: ResourceSchema) -> Found:
    found = schema.find(path)
    if found is None:
        raise invalid_filter(f"{schema.name} has no attribute {path}")
    return found


def _indexed(tree: Present | Compare, found: Found, schema: ResourceSchema) -> Sql | None:
    """The questions that clients ask all day, answered by an index."""
    if (
        not isinstance(tree, Compare)
        or not isinstance(tree.value, str)
        or schema.name != "User"
        or found.extension
    ):
        return None
    name = found.attribute.name
    if name == "userName":
        value = fold(tree.value)
        if tree.operator == "eq":
            return "(r.user_name = ?)", [value]
        if tree.operator == "sw" and value:
            return "(r.user_name >= ? AND r.user_name < ?)", [value, value + "\U0010ffff"]
        if tree.operator == "co":
            return "(instr(r.user_name, ?) > 0)", [value]
    if name == "emails" and tree.operator == "eq" and (found.sub is None or found.sub.name == "value"):
        return "(r.position IN (SELECT user FROM directory_email WHERE value = ?))", [fold(tree.value)]
    return None


def _leaf(tree: Present | Compare, found: Found, schema: ResourceSchema) -> Sql:
    if not found.attribute.multi:
        return _test(tree, _single(found, schema))
    if found.attribute.name == "schemas":
        return _exists(
            "json_each(r.resource, '$.schemas') e", _test(tree, _Operand("e.value", found.attribute))
        )
    leaf = found.sub or found.attribute.sub.get("value")
    if leaf is None:
        raise invalid_filter(f"{found.attribute.name} needs a sub-attribute to compare")
    return _some_value(found, schema, _test(tree, _item(found, leaf, schema)))


def _value_path(path: AttributePath, term: Filter, schema: ResourceSchema) -> Sql:
    found = _find(path, schema)
    if not found.attribute.sub or found.sub is not None:
        raise invalid_filter(f"{path} is not complex: brackets do not fit")

    def compile_inner(tree: Filter) -> Sql:
        match tree:
            case All(terms):
                return _join(" AND ", [compile_inner(each) for each in terms])
            case Some(terms):
                return _join(" OR ", [compile_inner(each) for each in terms])
            case Not(inner):
                sql, values = compile_inner(inner)
                return f"(NOT {sql})", values
            case ValuePath():
                raise invalid_filter("brackets cannot stand in brackets")
            case Present(inner_path) | Compare(path=inner_path):
                leaf = found.attribute.sub.get(inner_path.name.lower())
                if leaf is None or inner_path.sub is not None or inner_path.uri is not None:
                    raise invalid_filter(f"{found.attribute.name} has no sub-attribute {inner_path}")
                if found.attribute.multi:
                    return _test(tree, _item(found, leaf, schema))
                return _test(tree, _single(Found(found.extension, found.attribute, leaf), schema))

    inner = compile_inner(term)
    return _some_value(found, schema, inner) if found.attribute.multi else inner


def _some_value(found: Found, schema: ResourceSchema, condition: Sql) -> Sql:
    """Some value of a multi-valued attribute meets the condition, which speaks of alias `e` or `o`."""
    membership = _MEMBERSHIP.get((schema.name, found.attribute.name))
    if membership is not None:
        sql, values = condition
        return f"EXISTS (SELECT 1 FROM {membership[0]} AND {sql})", values
    return _exists(
        f"json_each(r.resource, '{_json_path(found.extension, found.attribute.name)}') e", condition
    )


def _item(found: Found, leaf: Attribute, schema: ResourceSchema) -> _Operand:
    """A sub-attribute of one value of a multi-valued attribute."""
    membership = _MEMBERSHIP.get((schema.name, found.attribute.name))
    if membership is None:
        return _Operand(f"json_extract(e.value, '$.\"{leaf.name}\"')", leaf)
    if leaf.name == "value":
        return _Operand("o.id", Attribute("value", case_exact=True))
    if leaf.name == "display":
        return _Operand(membership[1], leaf)
    if leaf.name == "type":
        return _Operand(f"'{membership[2]}'", leaf)
    raise invalid_filter(f"{found.attribute.name}.{leaf.name} cannot be searched")


def _single(found: Found, schema: ResourceSchema) -> _Operand:
    attribute, leaf = found.attribute, found.leaf
    if attribute.type == "complex" and found.sub is None:
        if attribute.name == "manager":
            leaf = attribute.sub["value"]
        return _Operand(
            f"json_extract(r.resource, '{_json_path(found.extension, attribute.name, leaf if leaf is not attribute else None)}')",
            leaf,
        )
    key = attribute.name.lower() + (f".{found.sub.name.lower()}" if found.sub else "")
    if found.extension is None and key in _COLUMNS:
        return _Operand(_COLUMNS[key][0], leaf)
    if key == "username":
        return _Operand("r.user_name", leaf, folded=True)
    if key == "displayname" and schema.name == "Group":
        return _Operand("r.display_name", leaf, folded=True)
    if key == "meta.resourcetype":
        return _Operand(f"'{schema.name}'", leaf)
    if key == "meta.version":
        return _Operand("('W/\"' || r.version || '\"')", leaf)
    if key == "manager.displayname":
        inner = _json_path(found.extension, "manager", attribute.sub["value"])
        return _Operand(
            "(SELECT json_extract(b.resource, '$.displayName') FROM directory_user b "
            f"WHERE b.id = json_extract(r.resource, '{inner}'))",
            leaf,
        )
    return _Operand(
        f"json_extract(r.resource, '{_json_path(found.extension, attribute.name, found.sub)}')", leaf
    )


def _test(tree: Filter, operand: _Operand) -> Sql:
    if isinstance(tree, Present):
        return f"(COALESCE({operand.sql}, '') <> '')", []
    assert isinstance(tree, Compare)
    operator, wanted, leaf = tree.operator, tree.value, operand.attribute
    if operator == "ne":
        sql, values = _test(Compare(tree.path, "eq", wanted), operand)
        return f"(NOT {sql})", values
    if wanted is None:
        if operator != "eq":
            raise invalid_filter(f"{operator} does not compare with null")
        return f"(({operand.sql}) IS NULL)", []
    if leaf.type == "boolean":
        if not isinstance(wanted, bool) or operator != "eq":
            raise invalid_filter(f"{leaf.name} is compared by eq and ne with true or false")
        return f"(COALESCE({operand.sql}, 0) = ?)", [int(wanted)]
    if not isinstance(wanted, str):
        raise invalid_filter(f"{leaf.name} is compared with a string")
    if leaf.type == "dateTime":
        moment = normal_moment(wanted)
        if moment is None:
            raise invalid_filter(f"{leaf.name} is compared with a dateTime, like 2026-11-02T09:00:00Z")
        wanted = moment
    value, left = wanted, operand.sql
    if not leaf.case_exact and leaf.type != "dateTime":
        value = fold(wanted)
        left = operand.sql if operand.folded else f"fold({operand.sql})"
    if operator == "eq":
        return f"({left} IS ?)", [value]
    if operator == "co":
        return f"(COALESCE(instr({left}, ?), 0) > 0)", [value]
    if operator == "sw":
        return f"(COALESCE(substr({left}, 1, length(?)) = ?, 0))", [value, value]
    if operator == "ew":
        return (
            f"(COALESCE(length({left}) >= length(?) AND substr({left}, length({left}) - length(?) + 1) = ?, 0))",
            [value] * 3,
        )
    return f"(COALESCE({left} {_SIGNS[operator]} ?, 0))", [value]


def _exists(rows: str, condition: Sql) -> Sql:
    sql, values = condition
    return f"EXISTS (SELECT 1 FROM {rows} WHERE {sql})", values


def _join(word: str, parts: list[Sql]) -> Sql:
    return "(" + word.join(sql for sql, _ in parts) + ")", [value for _, values in parts for value in values]


def _json_path(extension: str | None, name: str, sub: Attribute | None = None) -> str:
    """A SQLite JSON path of schema names (never of what a client typed)."""
    path = "$" + (f'."{extension}"' if extension else "") + f'."{name}"'
    return path + (f'."{sub.name}"' if sub else "")
