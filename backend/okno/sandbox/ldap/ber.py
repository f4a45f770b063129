"""LDAP answers as bytes. Requests are decoded by ldaptor; its encoder is too slow for pages of a thousand entries."""

from collections.abc import Iterable, Sequence

BIND, SEARCH_ENTRY, SEARCH_DONE, MODIFY, ADD, DELETE, MODIFY_DN, COMPARE, EXTENDED = (
    0x61, 0x64, 0x65, 0x67, 0x69, 0x6B, 0x6D, 0x6F, 0x78,
)  # fmt: skip
NOTICE_OF_DISCONNECTION = b"1.3.6.1.4.1.1466.20036"


def tlv(tag: int, content: bytes) -> bytes:
    """One element: tag, length, content."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content


def integer(value: int, tag: int = 0x02) -> bytes:
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    return tlv(0x04, value)


def message(message_id: int, operation: bytes, controls: bytes = b"") -> bytes:
    return tlv(0x30, integer(message_id) + operation + (tlv(0xA0, controls) if controls else b""))


def result(tag: int, code: int, text: str = "", matched: str = "", extra: bytes = b"") -> bytes:
    """An LDAPResult under the tag of its operation."""
    return tlv(tag, integer(code, 0x0A) + octets(matched.encode()) + octets(text.encode()) + extra)


def entry(dn: str, attributes: Iterable[tuple[str, Sequence[str]]]) -> bytes:
    """A SearchResultEntry."""
    parts = b"".join(
        tlv(0x30, octets(name.encode()) + tlv(0x31, b"".join(octets(value.encode()) for value in values)))
        for name, values in attributes
    )
    return tlv(SEARCH_ENTRY, octets(dn.encode()) + tlv(0x30, parts))


def control(oid: str, value: bytes) -> bytes:
    return tlv(0x30, octets(oid.encode()) + octets(value))


def whole_message(buffer: bytes | bytearray) -> int | None:
    """Length of the first message of `buffer`, None while it is not whole.

    Raises:
        ValueError: what stands there is no LDAP message.
    """
    if len(buffer) < 2:
        return None
    if buffer[0] != 0x30:
        raise ValueError("an LDAP message starts with a SEQUENCE")
    length = buffer[1]
    if length < 0x80:
        return length + 2 if len(buffer) >= length + 2 else None
    size = length & 0x7F
    if not 1 <= size <= 4:
        raise ValueError("the length of an LDAP message has one to four octets")
    if len(buffer) < 2 + size:
        return None
    total = 2 + size + int.from_bytes(buffer[2 : 2 + size], "big")
    if total > 4 * 1024 * 1024:
        raise ValueError("an LDAP message has at most 4 MiB")
    return total if len(buffer) >= total else None


def paged_value(value: bytes) -> tuple[int, bytes]:
    """(size, cookie) of a paged results control, RFC 2696.

    Raises:
        ValueError: it is malformed.
    """
    try:
        if value[0] != 0x30 or value[2] != 0x02:
            raise ValueError("no SEQUENCE of an INTEGER")
        size_length = value[3]
        size = int.from_bytes(value[4 : 4 + size_length], "big", signed=True)
        rest = value[4 + size_length :]
        if rest[0] != 0x04 or len(rest) != 2 + rest[1]:
            raise ValueError("no cookie")
        return size, bytes(rest[2:])
    except IndexError as error:
        raise ValueError("cut off") from error


def paged_control(cookie: bytes) -> bytes:
    return control(PAGED, tlv(0x30, integer(0) + octets(cookie)))


PAGED = "1.2.840.113556.1.4.319"
