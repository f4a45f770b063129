"""Syslog messages: RFC 5424, and the counting of octets by which a stream holds them apart (RFC 6587, section 3.4.1; RFC 5425)."""

import re
import socket
from datetime import UTC

from okno.audit.export.told import Exported
from okno.audit.records import Outcome

_FACILITY = 13  # "log audit", RFC 5424 section 6.2.1
_WARNING, _NOTICE = 4, 5
_REFUSALS = frozenset({"access.denied", "session.failed", "policy.refused"})
_BOM = b"\xef\xbb\xbf"
# The number that RFC 5612 keeps for examples; Okno has none of its own.
_ENTERPRISE = 32473


def message(exported: Exported, text: str, *, hostname: str) -> bytes:
    """One message. Its MSGID is the type of the event, its PROCID the chain, which is that of one process."""
    record = exported.record
    is_bad = record.event_type in _REFUSALS or record.outcome in (Outcome.FAILED, Outcome.UNKNOWN)
    priority = _FACILITY * 8 + (_WARNING if is_bad else _NOTICE)
    at = record.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    meta = f'[okno@{_ENTERPRISE} id="{exported.id}" seq="{record.ref.seq}"'
    if exported.position is not None:
        meta += f' position="{exported.position}"'
    meta += "]"
    if exported.position is not None:
        # RFC 5424 section 7.3.1: it begins anew at 1 behind 2147483647
        meta += f'[meta sequenceId="{(exported.position - 1) % 2147483647 + 1}"]'
    header = f"<{priority}>1 {at} {_name(hostname, 255)} okno {record.ref.chain} {_name(record.event_type, 32)} {meta} "
    # RFC 5424 section 6.4: without the mark it is not UTF-8
    mark = b"" if text.isascii() else _BOM
    return header.encode("ascii") + mark + text.encode("utf-8", "replace")


def framed(message_: bytes) -> bytes:
    """The message behind its length."""
    return b"%d %b" % (len(message_), message_)


def this_host() -> str:
    """The name of this machine as a message carries it."""
    return _name(socket.gethostname(), 255)


def _name(text: str, longest: int) -> str:
    """PRINTUSASCII; the nil value where nothing is left."""
    return re.sub(r"[^!-~]", "-", text)[:longest] or "-"
