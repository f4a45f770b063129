"""Texts with {placeholders}, and the escaping that keeps a value from changing the structure around it."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

import orjson

_PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[A-Za-z_][A-Za-z0-9_]*)?)\}")
# What may stand unescaped in an LDAP filter and in a DN: letters of ASCII, digits and what logins are made of.
_FILTER_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@_-")
_DN_SPECIAL = frozenset('"+,;<>\\=# \x7f') | {chr(code) for code in range(32)}


class TemplateError(ValueError):
    """A template is malformed, or a value cannot stand in it."""


class Template:
    """A parsed template. `names` are the placeholders in order."""

    __slots__ = ("_parts", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _PLACEHOLDER.split(text)  # literal, name, literal, name, … literal
        self.names = tuple(self._parts[1::2])
        if any(brace in literal for literal in self._parts[::2] for brace in "{}"):
            raise TemplateError(
                f"{text!r}: a brace is neither opened nor closed; placeholders look like {{login}} or {{input.group}}"
            )

    @property
    def is_single(self) -> bool:
        """Whether it is one placeholder and nothing else."""
        return len(self.names) == 1 and not self._parts[0] and not self._parts[2]

    def render(self, values: Mapping[str, str], escape: Callable[[str], str]) -> str:
        """The text with every value escaped.

        Raises:
            TemplateError: a value is missing or cannot be escaped.
        """
        parts = list(self._parts)
        for index, name in enumerate(self.names):
            if name not in values:
                raise TemplateError(f"no value for {{{name}}}")
            parts[2 * index + 1] = escape(values[name])
        return "".join(parts)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


def escape_filter(value: str) -> str:
    """A value inside an LDAP filter (RFC 4515, section 3): every byte that is not plainly harmless becomes \\XX."""
    return "".join(c if c in _FILTER_SAFE else "".join(f"\\{byte:02x}" for byte in c.encode()) for c in value)


def escape_dn(value: str) -> str:
    """An attribute value inside a DN (RFC 4514, section 2.4). Letters of other alphabets stay as they are.

    Raises:
        TemplateError: the value is empty, which no naming attribute may be.
    """
    if not value:
        raise TemplateError("an empty value cannot stand in a DN")
    return "".join(f"\\{ord(c):02x}" if c in _DN_SPECIAL else c for c in value)


def escape_segment(value: str) -> str:
    """One segment of a URL's path (RFC 3986).

    Raises:
        TemplateError: the value is empty, `.` or `..`, which would name another path.
    """
    if value in ("", ".", ".."):
        raise TemplateError("an empty or dotted value cannot stand in a path")
    return quote(value, safe="")


def escape_scim(value: str) -> str:
    """A value in a SCIM filter: a JSON string (RFC 7644, section 3.4.2.2)."""
    return orjson.dumps(value).decode()


def as_is(value: str) -> str:
    """For places without structure."""
    return value
