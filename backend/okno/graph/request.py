"""Operations as they arrive: JSON of a body or of a query string, bounded and unambiguous before anything looks at it."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

import orjson

from okno.graph.errors import BadRequest
from okno.graph.limits import Limits
from okno.graph.server import Operation

# What ends a key. It may stand in a text as well, as \": does, so that this counts too many and never too few
_KEY_END = re.compile(rb'"[ \t\r\n]*:')
_INTEGERS = 2**63
_PARAMETERS = frozenset({"query", "documentId", "operationName", "variables", "extensions"})


def read_operations(body: bytes, limits: Limits) -> tuple[bool, list[Operation]]:
    """The operations of a body, and whether they came as a batch.

    Raises:
        BadRequest: it is no request of GraphQL, or exceeds a limit.
    """
    parsed = read_json(body, limits)
    if not isinstance(parsed, list):
        return False, [read_operation(parsed)]
    if not parsed:
        raise BadRequest("The batch is empty; it has at least one operation.")
    if len(parsed) > limits.batch:
        raise BadRequest.exceeds("batch", len(parsed), limits.batch, "The body")
    return True, [read_operation(each) for each in parsed]


def read_query_string(text: bytes, limits: Limits) -> Operation:
    """The operation of a GET request. Parameters that are none of GraphQL's are left alone.

    Raises:
        BadRequest: it is no request of GraphQL, or exceeds a limit.
    """
    if len(text) > limits.body_bytes:
        raise BadRequest.exceeds("body_bytes", len(text), limits.body_bytes, "The query string", status=414)
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except (UnicodeDecodeError, ValueError) as error:
        raise BadRequest("The query string is not UTF-8, or has more than 100 parameters.") from error
    parameters: dict[str, Any] = {}
    for name, value in pairs:
        if name not in _PARAMETERS:
            continue
        if name in parameters:
            raise BadRequest(f"The parameter {name} is given twice.")
        parameters[name] = value
    for name in ("variables", "extensions"):
        if given := parameters.pop(name, None):
            parameters[name] = read_json(given.encode(), limits, what=name)
    return read_operation(parameters)


def read_operation(parameters: Any) -> Operation:
    """The operation of one JSON object, over HTTP or in a message of a socket.

    Raises:
        BadRequest: a parameter is missing or of a wrong type.
    """
    if not isinstance(parameters, dict):
        raise BadRequest('The body has to be an object such as {"query": "…", "variables": {…}}.')
    query, document_id = parameters.get("query"), parameters.get("documentId")
    if document_id is not None:
        if not isinstance(document_id, str) or query is not None:
            raise BadRequest("Give either query or documentId; both are texts.")
    elif not isinstance(query, str) or not query.strip():
        raise BadRequest("query is missing; it has to be a text that is not empty.")
    name = parameters.get("operationName")
    if name is not None and not isinstance(name, str):
        raise BadRequest("operationName has to be a text or null.")
    for part in ("variables", "extensions"):
        if parameters.get(part) is not None and not isinstance(parameters[part], dict):
            raise BadRequest(f"{part} has to be an object or null.")
    return Operation(query, parameters.get("variables"), name or None, document_id=document_id)


def read_json(text: bytes, limits: Limits, *, what: str = "The body") -> Any:
    """JSON that means one thing to everybody who reads it.

    Refused are also keys that are given twice: of two readers in a row, say a router and Okno, one could see the first and
    the other the last value, and what was checked would not be what runs. So are numbers that a double would round (a text
    carries them), and the character U+0000, which PostgreSQL does not store.

    Raises:
        BadRequest: it is no such JSON, or exceeds `values` or `value_depth`.
    """
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"{what} is not JSON: {error.msg} ({place}).") from None
    is_small = len(text) <= 2 * limits.values and text.count(b"{") + text.count(b"[") <= limits.value_depth
    keys = _keys(parsed) if is_small and rb"\u0000" not in text else _measure(parsed, limits, what)
    if keys != _key_ends(text):
        json.loads(text, object_pairs_hook=_unique)
    return parsed


def _key_ends(text: bytes) -> int:
    """How often a text looks as if a key ended there: never less often than keys do. Most bodies are written without spaces."""
    if any(space in text for space in (b" :", b"\n:", b"\t:", b"\r:")):
        return sum(1 for _ in _KEY_END.finditer(text))
    return text.count(b'":')


def _keys(parsed: Any) -> int:
    """How many keys there are in JSON that is too short to exceed a limit: `_measure` for most requests, and faster."""
    keys = len(parsed) if type(parsed) is dict else 0
    if type(parsed) is dict or type(parsed) is list:
        for value in parsed.values() if type(parsed) is dict else parsed:
            kind = type(value)
            if kind is dict or kind is list:
                keys += _keys(value)
            elif kind is float:
                _require_exact(value)
    return keys


def _require_exact(value: float) -> None:
    if not -_INTEGERS <= value < _INTEGERS:
        raise BadRequest(f"The number {value} is one that JSON cannot carry exactly; send it as a text.")


def _measure(parsed: Any, limits: Limits, what: str) -> int:
    """How many keys there are. Reading ends at the first value that is too much."""
    keys = values = depth = 0
    level: list[Any] = [parsed]
    while level:
        below: list[Any] = []
        values += len(level)
        if values > limits.values:
            raise BadRequest.exceeds("values", values, limits.values, what)
        for value in level:
            kind = type(value)
            if kind is dict:
                keys += len(value)
                below += value.values()
                if any("\0" in key for key in value):
                    raise BadRequest(f"{what} holds the character U+0000.")
            elif kind is list:
                below += value
            elif kind is str:
                if "\0" in value:
                    raise BadRequest(f"{what} holds the character U+0000.")
            elif kind is float:
                _require_exact(value)
        if below:
            depth += 1
            if depth > limits.value_depth:
                raise BadRequest.exceeds("value_depth", depth, limits.value_depth, what)
        level = below
    return keys


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise BadRequest(f"The key {key[:50]!r} is given twice in one object.")
        seen.add(key)
