"""The chain: the canonical form of a record, its hash, and the salted digest of the values behind it.

The form is plain so that an auditor can recompute it without Okno: JSON, keys sorted, no spaces, ASCII only.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from okno.audit.records import RecordRef
from okno.errors import InvalidInput

FORMAT = 1
NO_HASH = bytes(32)  # prev_hash of a chain's first record

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def canonical(value: Any) -> str:
    """The one JSON text of a value. Equal values give equal texts whatever the order of their keys.

    ASCII only, so that the text survives every encoding on its way, lone surrogates and NUL included (as escapes).

    Raises:
        InvalidInput: the value holds something JSON has no form for, NaN and infinities included.
    """
    try:
        return json.dumps(
            value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"), default=_plain
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the journal cannot keep this detail: {_cause(error)}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _cause(error: Exception) -> str:
    # the text of other errors may quote the value, which may be personal
    return str(error) if str(error).endswith("has no JSON form") else type(error).__name__


def instant(at: datetime) -> str:
    """A moment as it stands in a record: UTC, microseconds, always with the same number of digits."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def new_salt() -> bytes:
    """16 random bytes, so that nobody finds an erased value by trying likely ones against its digest."""
    return secrets.token_bytes(16)


def salted_digest(salt: bytes, value: str) -> bytes:
    """SHA-256 over the salt and the canonical text."""
    return hashlib.sha256(salt + value.encode("ascii")).digest()


@dataclass(frozen=True, slots=True)
class Entry:
    """What the hash of a record covers: everything in its row but the hash itself."""

    chain: UUID
    seq: int
    at: datetime
    event_type: str
    phase: str
    outcome: str | None
    actor_id: UUID | None
    actor_kind: str | None
    subject_kind: str | None
    subject_id: str | None
    refers: RecordRef | None
    policy_version: str | None
    rule: str | None
    request_id: str | None
    digest: bytes
    prev_hash: bytes

    def text(self) -> str:
        """The canonical text that is hashed."""
        # the keys stand sorted here, which a test holds on to, and the encoder is made once: verification is mostly this
        return _encode(
            {
                "actor_id": None if self.actor_id is None else str(self.actor_id),
                "actor_kind": self.actor_kind,
                "at": instant(self.at),
                "chain": str(self.chain),
                "digest": self.digest.hex(),
                "event_type": self.event_type,
                "format": FORMAT,
                "outcome": self.outcome,
                "phase": self.phase,
                "policy_version": self.policy_version,
                "prev_hash": self.prev_hash.hex(),
                "refers": None if self.refers is None else str(self.refers),
                "request_id": self.request_id,
                "rule": self.rule,
                "seq": self.seq,
                "subject_id": self.subject_id,
                "subject_kind": self.subject_kind,
            }
        )

    def hash(self) -> bytes:
        """SHA-256 of the canonical text."""
        return hashlib.sha256(self.text().encode("ascii")).digest()

    def at_place(self, seq: int) -> "Entry":
        """The same record under another number, to recognise one that was moved."""
        return replace(self, seq=seq)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain. `seq` is -1 and `hash` is `NO_HASH` as long as the chain is only announced."""

    chain: UUID
    seq: int
    hash: bytes
    at: datetime
    ended: bool = False
