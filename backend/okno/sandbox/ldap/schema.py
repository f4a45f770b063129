"""Attribute types and object classes of this directory, and how their values compare (RFC 4517, 4519, ppolicy)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from okno.sandbox.ldap.errors import Code, LdapError
from okno.sandbox.records import DISABLED, fold

Kind = Literal["ignore", "exact", "dn", "time", "phone", "integer", "boolean"]


@dataclass(frozen=True, slots=True)
class AttributeType:
    """`operational` ones are returned only when asked by name or "+"; `fixed` ones no client may change."""

    name: str
    kind: Kind = "ignore"
    single: bool = False
    operational: bool = False
    fixed: bool = False


_TYPES = (
    *(
        AttributeType(name)
        for name in ("cn", "sn", "givenName", "uid", "mail", "title", "ou", "o", "l", "dc", "description")
    ),
    *(
        AttributeType(name)
        for name in ("departmentNumber", "physicalDeliveryOfficeName", "employeeType", "street", "roomNumber")
    ),
    AttributeType("objectClass"),
    AttributeType("displayName", single=True),
    AttributeType("employeeNumber", single=True),
    AttributeType("preferredLanguage", single=True),
    AttributeType("telephoneNumber", "phone"),
    AttributeType("mobile", "phone"),
    AttributeType("manager", "dn"),
    AttributeType("member", "dn"),
    AttributeType("pwdAttribute"),
    AttributeType("pwdLockout", "boolean", single=True),
    AttributeType("pwdLockoutDuration", "integer", single=True),
    AttributeType("pwdMaxFailure", "integer", single=True),
    AttributeType("pwdMaxAge", "integer", single=True),
    AttributeType("pwdAccountLockedTime", "time", single=True, operational=True),
    AttributeType("pwdEndTime", "time", single=True, operational=True),
    AttributeType("pwdReset", "boolean", single=True, operational=True),
    AttributeType("pwdChangedTime", "time", single=True, operational=True, fixed=True),
    AttributeType("pwdFailureTime", "time", operational=True, fixed=True),
    AttributeType("pwdLastSuccess", "time", single=True, operational=True, fixed=True),
    AttributeType("memberOf", "dn", operational=True, fixed=True),
    AttributeType("entryUUID", single=True, operational=True, fixed=True),
    AttributeType("entryDN", "dn", single=True, operational=True, fixed=True),
    AttributeType("structuralObjectClass", single=True, operational=True, fixed=True),
    AttributeType("hasSubordinates", "boolean", single=True, operational=True, fixed=True),
    AttributeType("createTimestamp", "time", single=True, operational=True, fixed=True),
    AttributeType("modifyTimestamp", "time", single=True, operational=True, fixed=True),
    AttributeType("creatorsName", "dn", single=True, operational=True, fixed=True),
    AttributeType("modifiersName", "dn", single=True, operational=True, fixed=True),
)
_ALIASES = {
    "commonname": "cn", "surname": "sn", "gn": "givenname", "userid": "uid", "rfc822mailbox": "mail", "localityname": "l",
    "organizationalunitname": "ou", "organizationname": "o", "domaincomponent": "dc", "streetaddress": "street",
    "mobiletelephonenumber": "mobile",
}  # fmt: skip
_BY_NAME: Mapping[str, AttributeType] = {each.name.lower(): each for each in _TYPES}

# structural class -> (must, may)
CLASSES: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "inetOrgPerson": (
        frozenset({"cn", "sn", "objectClass"}),
        frozenset({"givenName", "uid", "mail", "title", "ou", "o", "l", "description", "departmentNumber", "employeeType", "street",
                   "physicalDeliveryOfficeName", "roomNumber", "displayName", "employeeNumber", "preferredLanguage",
                   "telephoneNumber", "mobile", "manager"}),
    ),
    "groupOfNames": (frozenset({"cn", "member", "objectClass"}), frozenset({"description", "o", "ou"})),
}  # fmt: skip

_TIME = re.compile(r"(\d{10})(\d\d)?(\d\d)?(?:[.,](\d+))?Z")


def find_type(description: str) -> AttributeType | None:
    """The type of an attribute description; None for unknown names and for options (;lang-ru), which nothing here has."""
    lower = description.lower()
    return _BY_NAME.get(_ALIASES.get(lower, lower))


def normal(kind: Kind, value: str) -> str:
    """What two values of one kind are compared by.

    Raises:
        LdapError: invalidAttributeSyntax, for a value that is none of this kind.
    """
    if kind == "exact":
        return value
    if kind == "phone":
        return re.sub(r"[\s-]", "", value)
    if kind == "dn":
        return normal_dn(value)
    if kind == "time":
        if value == DISABLED:  # ppolicy knows it in this spelling only
            return value
        match = _TIME.fullmatch(value)
        if match is None:
            raise LdapError(Code.INVALID_ATTRIBUTE_SYNTAX, "value is no generalizedTime")
        hour, minute, second, fraction = match.groups()
        fraction = (fraction or "").rstrip("0")
        return f"{hour}{minute or '00'}{second or '00'}" + (f".{fraction}" if fraction else "") + "Z"
    if kind == "integer":
        if not re.fullmatch(r"-?\d+", value):
            raise LdapError(Code.INVALID_ATTRIBUTE_SYNTAX, "value is no integer")
        return str(int(value))
    if kind == "boolean":
        if value.upper() not in ("TRUE", "FALSE"):
            raise LdapError(Code.INVALID_ATTRIBUTE_SYNTAX, "value is no boolean")
        return value.upper()
    return fold(value)


def index_form(name: str, value: str) -> str:
    """How the company file holds a value for comparison."""
    attribute = find_type(name)
    return fold(value) if attribute is None else normal(attribute.kind, value).lower()


def normal_dn(dn: str) -> str:
    """A DN (RFC 4514) in the one form that the company file stores for comparison.

    Raises:
        LdapError: invalidDNSyntax.
    """
    if not dn.strip():
        return ""
    parts = []
    for rdn in _split(dn, ",;"):
        pairs = []
        for pair in _split(rdn, "+"):
            name, sign, value = pair.partition("=")
            name = name.strip().lower()
            if not sign or not re.fullmatch(r"[a-z][a-z0-9-]*|[0-9.]+", name):
                raise LdapError(Code.INVALID_DN_SYNTAX, "invalid DN")
            pairs.append(f"{_ALIASES.get(name, name)}={_escape(fold(_unescape(value.strip())))}")
        parts.append("+".join(sorted(pairs)))
    return ",".join(parts)


def _split(text: str, separators: str) -> list[str]:
    """Splits at separators that no backslash and no quotes protect."""
    parts, current, position, quoted = [], "", 0, False
    while position < len(text):
        letter = text[position]
        if letter == "\\":
            current += text[position : position + 2]
            position += 2
            continue
        if letter == '"':
            quoted = not quoted
        if letter in separators and not quoted:
            parts.append(current)
            current = ""
        else:
            current += letter
        position += 1
    return [*parts, current]


def _unescape(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    data = bytearray()
    position = 0
    while position < len(value):
        if value[position] == "\\":
            pair = value[position + 1 : position + 3]
            if re.fullmatch(r"[0-9A-Fa-f]{2}", pair):
                data.append(int(pair, 16))
                position += 3
                continue
            if not pair:
                raise LdapError(Code.INVALID_DN_SYNTAX, "invalid DN")
            data += pair[0].encode()
            position += 2
            continue
        data += value[position].encode()
        position += 1
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise LdapError(Code.INVALID_DN_SYNTAX, "invalid DN") from error


def _escape(value: str) -> str:
    return re.sub(r'([,+"\\<>;=])', r"\\\1", value)
