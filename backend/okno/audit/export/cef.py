"""ArcSight Common Event Format, version 0 (Micro Focus, "Implementing ArcSight Common Event Format", revision 26)."""

import json
from importlib.metadata import version

from okno.audit.export.told import Exported
from okno.audit.records import Outcome

_LONGEST = 4000  # characters of a custom string; the specification's limit
_VERSION = version("okno")
_DENIALS = frozenset({"access.denied", "session.failed", "policy.refused"})


def line(exported: Exported) -> str:
    """One event; without a line break, since those in its values are written as the specification has it."""
    record = exported.record
    header = ("CEF:0", "Okno", "Okno", _VERSION, record.event_type, exported.title, str(_severity(exported)))
    detail = exported.detail
    fields: list[tuple[str, object]] = [
        ("rt", int(record.at.timestamp() * 1000)),
        ("act", record.phase.value),
        ("outcome", record.outcome and record.outcome.value),
        ("suid", record.actor_id and str(record.actor_id)),
        ("suser", exported.actor_login),
        ("spriv", record.actor_kind),
        ("duid", record.subject_id),
        ("duser", exported.subject_label),
        ("cat", record.subject_kind),
        # externalId takes 40 characters, and the id of a record may be longer
        *_custom("cs1", "recordId", exported.id),
        *_custom("cs2", "policyVersion", record.policy_version),
        *_custom("cs3", "rule", record.rule),
        *_custom("cs4", "hash", record.hash.hex()),
        *_custom(
            "cs5", "detail", None if detail is None else json.dumps(detail, ensure_ascii=False, default=str)
        ),
        *_custom("cs6", "refersTo", record.refers and str(record.refers)),
        *_custom("cn1", "position", exported.position),
        *_custom("cn2", "erased", 1 if record.erased else None),
        ("requestContext", record.request_id),
        ("sourceServiceName", exported.team),
        ("msg", exported.operation),
    ]
    extension = " ".join(f"{name}={_value(str(value))}" for name, value in fields if value is not None)
    return f"{'|'.join(map(_header, header))}|{extension}"


def _severity(exported: Exported) -> int:
    """0 to 10: what was refused or failed stands out, what is not known too."""
    record = exported.record
    if record.event_type in _DENIALS:
        return 6
    return {Outcome.FAILED: 5, Outcome.UNKNOWN: 7}.get(record.outcome, 3) if record.outcome else 3


def _custom(name: str, label: str, value: object) -> list[tuple[str, object]]:
    if value is None:
        return []
    return [(name, value if isinstance(value, int) else str(value)[:_LONGEST]), (f"{name}Label", label)]


def _header(text: str) -> str:
    """A pipe and a backslash are escaped; a header has no line breaks."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split("\n")).replace("\r", " ")


def _value(text: str) -> str:
    """A backslash and an equals sign are escaped, line breaks are written as \\n and \\r, and a pipe stays as it is."""
    text = text.replace("\\", "\\\\").replace("=", "\\=").replace("\r", "\\r").replace("\n", "\\n")
    # other signs that a receiver could take for the end of a line
    return "".join(each if each.isprintable() else " " for each in text)
