"""PATCH: RFC 7644, 3.5.2. Applies operations to a copy of a resource; nothing is changed when one of them fails."""

import copy
from collections.abc import Mapping
from typing import Any

from okno.sandbox.scim.errors import ScimError, invalid_path, invalid_value
from okno.sandbox.scim.filter import PatchPath, matches, parse_path
from okno.sandbox.scim.schema import Attribute, Found, ResourceSchema, clean_value

PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def apply_patch(resource: Mapping[str, Any], body: Any, schema: ResourceSchema) -> dict[str, Any]:
    """The resource after all operations of a PATCH body.

    Raises:
        ScimError: invalidSyntax, invalidPath, noTarget, mutability or invalidValue, naming the operation's fault.
    """
    if not isinstance(body, Mapping):
        raise ScimError(400, "The body must be a JSON object.", "invalidSyntax")
    fields = {str(key).lower(): value for key, value in body.items()}
    if PATCH_SCHEMA not in (fields.get("schemas") or []):
        raise ScimError(400, f"schemas must name {PATCH_SCHEMA}.", "invalidSyntax")
    operations = fields.get("operations")
    if not isinstance(operations, list) or not operations:
        raise ScimError(400, "Operations must be a list with at least one operation.", "invalidSyntax")
    result = copy.deepcopy(dict(resource))
    for raw in operations:
        if not isinstance(raw, Mapping):
            raise ScimError(400, "An operation must be an object.", "invalidSyntax")
        operation = {str(key).lower(): value for key, value in raw.items()}
        _apply(result, operation, schema)
    for attribute in schema.attributes.values():
        if attribute.required and result.get(attribute.name) in (None, ""):
            raise ScimError(400, f"{attribute.name} is required and cannot be removed.", "mutability")
    return result


def _apply(result: dict[str, Any], operation: Mapping[str, Any], schema: ResourceSchema) -> None:
    verb = operation.get("op")
    verb = verb.lower() if isinstance(verb, str) else ""
    if verb not in ("add", "remove", "replace"):
        raise ScimError(400, "op must be add, remove or replace.", "invalidSyntax")
    text = operation.get("path")
    if text is None:
        if verb == "remove":
            raise ScimError(400, "remove needs a path.", "noTarget")
        value = operation.get("value")
        if not isinstance(value, Mapping):
            raise invalid_value(f"{verb} without a path needs an object of attributes.")
        for key, inner in value.items():
            if key != "schemas":
                _apply(result, {"op": verb, "path": str(key), "value": inner}, schema)
        return
    if not isinstance(text, str):
        raise invalid_path("path must be a string.")
    extension = schema.extension_of(text)
    if extension is not None:
        _apply_extension(result, verb, extension, operation.get("value"), schema)
        return
    path = parse_path(text)
    found = schema.find(path.path)
    if found is None:
        raise invalid_path(f"{schema.name} has no attribute {path.path}.")
    for each in (found.attribute, found.leaf):
        if each.mutability == "readOnly":
            raise ScimError(400, f"{path.path} is read-only.", "mutability")
    holder = result
    if found.extension is not None:
        holder = result.setdefault(found.extension, {})
        if found.extension not in result["schemas"]:
            result["schemas"].append(found.extension)
    if path.condition is not None or (found.attribute.multi and found.sub is not None):
        _apply_to_values(holder, verb, path, found, operation.get("value"))
    else:
        _apply_to_attribute(holder, verb, found, operation.get("value"), str(path.path))
    if found.extension is not None and not result[found.extension]:
        del result[found.extension]
        result["schemas"].remove(found.extension)


def _apply_extension(
    result: dict[str, Any], verb: str, extension: str, value: Any, schema: ResourceSchema
) -> None:
    if verb == "remove":
        result.pop(extension, None)
        result["schemas"] = [each for each in result["schemas"] if each != extension]
        return
    if not isinstance(value, Mapping):
        raise invalid_value(f"{extension} must be an object.")
    for key, inner in value.items():
        _apply(result, {"op": verb, "path": f"{extension}:{key}", "value": inner}, schema)


def _apply_to_attribute(holder: dict[str, Any], verb: str, found: Found, value: Any, name: str) -> None:
    """The whole attribute, or a sub-attribute of a single complex one."""
    attribute = found.attribute
    if found.sub is not None:
        inner = dict(holder.get(attribute.name) or {})
        cleaned = None if verb == "remove" else clean_value(found.sub, value, name)
        _put(inner, found.sub.name, cleaned)
        _put(holder, attribute.name, inner or None)
        return
    if verb == "remove":
        holder.pop(attribute.name, None)
        return
    cleaned = clean_value(attribute, value, name)
    if attribute.multi and verb == "add":
        present: list[Any] = list(holder.get(attribute.name) or [])
        added = [each for each in cleaned or [] if each not in present]
        if any(isinstance(each, dict) and each.get("primary") is True for each in added):
            present = [
                {k: v for k, v in each.items() if k != "primary"} if isinstance(each, dict) else each
                for each in present
            ]
        cleaned = present + added
    elif attribute.type == "complex" and not attribute.multi and cleaned is not None:
        # both add and replace merge: "sub-attributes that are not given stay as they are"
        cleaned = {**(holder.get(attribute.name) or {}), **cleaned}
    _put(holder, attribute.name, cleaned or (cleaned if cleaned is False else None))


def _apply_to_values(holder: dict[str, Any], verb: str, path: PatchPath, found: Found, value: Any) -> None:
    """Those values of a multi-valued attribute that meet the brackets (all, where there are none)."""
    attribute = found.attribute
    if not attribute.sub:
        raise invalid_path(f"{attribute.name} is not complex: brackets do not fit.")
    values: list[Any] = list(holder.get(attribute.name) or [])
    chosen = [
        index
        for index, each in enumerate(values)
        if path.condition is None or matches(path.condition, each, attribute)
    ]
    if not chosen:
        if verb == "remove" and path.condition is None:
            return
        raise ScimError(400, f"No value of {attribute.name} meets the path.", "noTarget")
    if verb == "remove" and found.sub is None:
        _put(
            holder, attribute.name, [each for index, each in enumerate(values) if index not in chosen] or None
        )
        return
    for index in chosen:
        values[index] = _changed(values[index], verb, attribute, found.sub, value)
    if found.sub is not None and found.sub.name == "primary" and value is True:
        values = [
            {k: v for k, v in each.items() if k != "primary"} if index not in chosen else each
            for index, each in enumerate(values)
        ]
    _put(holder, attribute.name, values)


def _changed(item: Any, verb: str, attribute: Attribute, sub: Attribute | None, value: Any) -> dict[str, Any]:
    inner: dict[str, Any] = dict(item)
    if sub is not None:
        _put(
            inner,
            sub.name,
            None if verb == "remove" else clean_value(sub, value, f"{attribute.name}.{sub.name}"),
        )
        return inner
    cleaned = clean_value(attribute, value, attribute.name)
    if not cleaned:
        raise invalid_value(f"{attribute.name} needs a value.")
    return {**inner, **cleaned[0]} if verb == "add" else dict(cleaned[0])


def _put(holder: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        holder.pop(name, None)
    else:
        holder[name] = value
