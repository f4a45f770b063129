"""JMESPath as manifests use it: the standard language plus `rdn(dn)`, the value of a DN's first component."""

from typing import Any

import jmespath
from jmespath import functions
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult


class PathError(Exception):
    """An expression is wrong, or does not fit the record it is applied to."""


class _Functions(functions.Functions):
    @functions.signature({"types": ["string"]})
    def _func_rdn(self, dn: str) -> str:
        return rdn_value(dn)


_OPTIONS = jmespath.Options(custom_functions=_Functions())


class Path:
    """A compiled expression."""

    __slots__ = ("_compiled", "_key", "expression")

    def __init__(self, expression: str) -> None:
        self.expression = expression
        try:
            self._compiled: ParsedResult = jmespath.compile(expression)
        except JMESPathError as error:
            raise PathError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from error
        tree: Any = self._compiled.parsed
        if unknown := sorted(_functions_of(tree) - _Functions.FUNCTION_TABLE.keys()):
            raise PathError(f"unknown function {', '.join(unknown)}")
        # A bare name is most of all expressions; a dictionary look-up is ten times faster than the interpreter.
        self._key: str | None = tree["value"] if tree["type"] == "field" else None

    def search(self, record: Any) -> Any:
        """What the expression finds in the record; None where it finds nothing.

        Raises:
            PathError: a function was applied to a value of the wrong type.
        """
        if self._key is not None and type(record) is dict:
            return record.get(self._key)
        try:
            return self._compiled.search(record, options=_OPTIONS)
        except JMESPathError as error:
            raise PathError(f"{self.expression}: {type(error).__name__}") from error


def rdn_value(dn: str) -> str:
    """The value of the first component of a DN, unescaped (RFC 4514): `cn=a\\,b,ou=groups` → `a,b`."""
    _, equals, rest = dn.partition("=")
    if not equals:
        return dn
    value = bytearray()
    position = 0
    while position < len(rest):
        character = rest[position]
        if character in ",+":
            break
        if character == "\\" and position + 1 < len(rest):
            pair = rest[position + 1 : position + 3]
            if len(pair) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in pair):
                value += bytes.fromhex(pair)
                position += 3
                continue
            position += 1
            character = rest[position]
        value += character.encode()
        position += 1
    return value.decode(errors="replace")


def _functions_of(node: dict[str, Any]) -> set[str]:
    found = {node["value"]} if node["type"] == "function_expression" else set()
    for child in node.get("children", ()):
        if isinstance(child, dict):
            found |= _functions_of(child)
    return found
