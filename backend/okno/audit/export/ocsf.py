"""Open Cybersecurity Schema Framework, version 1.8: which class an event is of, and its attributes.

https://schema.ocsf.io/1.8.0; required attributes, and enumerations by their numbers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from okno.audit.export.told import Exported
from okno.audit.records import Outcome, Phase

VERSION = "1.8.0"
_PRODUCT = {"name": "Okno", "vendor_name": "Okno", "version": version("okno"), "uid": "okno"}
_OTHER = 99


@dataclass(frozen=True, slots=True)
class OcsfClass:
    """A class of events. `uid` begins with its category."""

    uid: int
    name: str

    @property
    def category(self) -> int:
        return self.uid // 1000


ACCOUNT_CHANGE = OcsfClass(3001, "account_change")
AUTHENTICATION = OcsfClass(3002, "authentication")
ENTITY_MANAGEMENT = OcsfClass(3004, "entity_management")
APPLICATION_LIFECYCLE = OcsfClass(6002, "application_lifecycle")
API_ACTIVITY = OcsfClass(6003, "api_activity")

# event type -> class, activity. What is not here is activity of the API, of a kind that OCSF has no number for.
_KINDS: Mapping[str, tuple[OcsfClass, int]] = {
    "session.started": (AUTHENTICATION, 1),
    "session.failed": (AUTHENTICATION, 1),
    "session.ended": (AUTHENTICATION, 2),
    "token.issued": (ENTITY_MANAGEMENT, 1),
    "token.revoked": (ENTITY_MANAGEMENT, 4),
    "policy.loaded": (ENTITY_MANAGEMENT, 3),
    "policy.refused": (ENTITY_MANAGEMENT, 3),
    "journal.erased": (ENTITY_MANAGEMENT, 4),
    "journal.exported": (API_ACTIVITY, 2),
    "sensitive.read": (API_ACTIVITY, 2),
    "operation.preview": (API_ACTIVITY, 2),
    "operation.run": (API_ACTIVITY, 3),
    "journal.started": (APPLICATION_LIFECYCLE, 3),
    "journal.stopped": (APPLICATION_LIFECYCLE, 4),
    "journal.interrupted": (APPLICATION_LIFECYCLE, _OTHER),
}
# Operations that OCSF has an activity of accounts for, whichever system they belong to: by the last part of their id.
_OF_ACCOUNTS = {"enable": 2, "reset_password": 4, "disable": 5, "lock": 9, "unlock": 12}
_STATUS = {Outcome.SUCCEEDED: (1, "Success"), Outcome.FAILED: (2, "Failure"), Outcome.UNKNOWN: (0, "Unknown")}
_REFUSALS = frozenset({"access.denied", "session.failed", "policy.refused"})
_USER_TYPES = {"person": 1, "system": 3, "service": 4}


def line(exported: Exported) -> str:
    """One event as JSON in ASCII; without a line break."""
    return json.dumps(event(exported), separators=(",", ":"), default=str)


def event(exported: Exported) -> dict[str, Any]:
    """The event as plain values."""
    record = exported.record
    kind, activity = kind_of(exported)
    status_id, status = (
        _STATUS[record.outcome]
        if record.outcome is not None
        else ((2, "Failure") if record.event_type in _REFUSALS else (_OTHER, record.phase.value))
    )
    made: dict[str, Any] = {
        "activity_id": activity,
        "category_uid": kind.category,
        "class_uid": kind.uid,
        "type_uid": kind.uid * 100 + activity,
        "time": int(record.at.timestamp() * 1000),
        "timezone_offset": 0,
        "severity_id": _severity(exported),
        "status_id": status_id,
        "status": status,
        "message": exported.title,
        "metadata": _metadata(exported),
        "unmapped": _unmapped(exported),
    }
    if activity == _OTHER:
        made["activity_name"] = exported.title
    user, subject = _user(exported), _subject(exported)
    if kind is AUTHENTICATION:
        # a failed sign-in is one of somebody who is not known
        made |= {"user": user, "service": {"name": "Okno"}, "is_remote": True}
    elif kind is ACCOUNT_CHANGE:
        made |= {"user": {"type_id": 1, **subject}, "actor": {"user": user}}
    elif kind is ENTITY_MANAGEMENT:
        made |= {
            "entity": {
                **subject,
                "type": record.subject_kind or record.event_type.partition(".")[0],
                "type_id": _OTHER,
            }
        }
        made |= {"actor": {"user": user}}
    elif kind is APPLICATION_LIFECYCLE:
        made |= {"app": _PRODUCT}
    else:
        made |= {
            "actor": {"user": user},
            "api": {"operation": exported.operation or record.event_type, "service": {"name": "Okno"}},
            # whence a request came is not in the journal; the attribute is required
            "src_endpoint": {"svc_name": "okno"},
        }
        if record.request_id:
            made["api"]["request"] = {"uid": record.request_id}
        if record.subject_id is not None:
            made["resources"] = [{**subject, "type": record.subject_kind or "Object"}]
    return made


def kind_of(exported: Exported) -> tuple[OcsfClass, int]:
    """The class and the activity of an event."""
    if exported.record.event_type == "operation.run" and (operation := exported.operation):
        activity = _OF_ACCOUNTS.get(operation.rpartition(".")[2])
        if activity is not None and exported.record.subject_kind == "Employee":
            return ACCOUNT_CHANGE, activity
    return _KINDS.get(exported.record.event_type, (API_ACTIVITY, _OTHER))


def _severity(exported: Exported) -> int:
    """1 informational, 2 low, 3 medium."""
    record = exported.record
    if record.event_type in _REFUSALS or record.outcome is Outcome.UNKNOWN:
        return 3
    return 2 if record.outcome is Outcome.FAILED else 1


def _metadata(exported: Exported) -> dict[str, Any]:
    record = exported.record
    made = {
        "version": VERSION,
        "product": _PRODUCT,
        "uid": exported.id,
        "event_code": record.event_type,
        "log_name": "journal",
        "logged_time": int(record.at.timestamp() * 1000),
        "original_time": record.at.isoformat(),
        "sequence": exported.position,
        "correlation_uid": str(record.refers or record.ref) if record.phase is not Phase.EVENT else None,
    }
    return {name: value for name, value in made.items() if value is not None}


def _user(exported: Exported) -> dict[str, Any]:
    record = exported.record
    if record.actor_id is None:
        return {"name": "unknown", "type_id": 0}
    made: dict[str, Any] = {
        "uid": str(record.actor_id),
        "type_id": _USER_TYPES.get(record.actor_kind or "", 0),
    }
    if exported.actor_login is not None:
        made["name"] = exported.actor_login
    if exported.actor_name is not None:
        made["display_name"] = exported.actor_name
    if exported.team is not None:
        made["groups"] = [{"name": exported.team}]
    return made


def _subject(exported: Exported) -> dict[str, Any]:
    record = exported.record
    if record.subject_id is None:
        return {"name": record.policy_version or "journal"}
    made = {"uid": record.subject_id}
    if exported.subject_label is not None:
        made["name"] = exported.subject_label
    return made


def _unmapped(exported: Exported) -> dict[str, Any]:
    """What OCSF has no attribute for: the place in the chain, by which a record is proven, and the detail."""
    record = exported.record
    made = {
        "phase": record.phase.value,
        "chain": str(record.ref.chain),
        "seq": record.ref.seq,
        "hash": record.hash.hex(),
        "prev_hash": record.prev_hash.hex(),
        "rule": record.rule,
        "policy_version": record.policy_version,
        "detail": exported.detail,
        "detail_omitted": exported.short or None,
        "erased": record.erased or None,
    }
    return {name: value for name, value in made.items() if value is not None}
