"""JSON Lines: each record as one object on a line of its own, in the journal's own words."""

import json
from typing import Any

from okno.audit.chain import instant
from okno.audit.export.told import Exported


def line(exported: Exported) -> str:
    """One object in ASCII, so that it survives every encoding on its way; without a line break."""
    record = exported.record
    actor = {
        "id": record.actor_id and str(record.actor_id),
        "kind": record.actor_kind,
        "team": exported.team,
        "login": exported.actor_login,
        "name": exported.actor_name,
    }
    subject = {"kind": record.subject_kind, "id": record.subject_id, "label": exported.subject_label}
    told: dict[str, Any] = {
        "id": exported.id,
        "position": exported.position,
        "at": instant(record.at),
        "eventType": record.event_type,
        "title": exported.title,
        "phase": record.phase.value,
        "outcome": record.outcome and record.outcome.value,
        "actor": _known(actor),
        "subject": _known(subject),
        "detail": exported.detail,
        "detailOmitted": exported.short or None,
        "erased": record.erased or None,
        "refersTo": record.refers and str(record.refers),
        "policyVersion": record.policy_version,
        "rule": record.rule,
        "requestId": record.request_id,
        "chain": str(record.ref.chain),
        "seq": record.ref.seq,
        "digest": record.digest.hex(),
        "prevHash": record.prev_hash.hex(),
        "hash": record.hash.hex(),
    }
    return json.dumps(_known(told), separators=(",", ":"), default=str)


def _known(values: dict[str, Any]) -> dict[str, Any] | None:
    return {name: value for name, value in values.items() if value is not None} or None
