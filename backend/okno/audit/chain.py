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
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any
from uuid import UUID

from okno.audit.records import RecordRef
from okno.errors import InvalidInput

NO_HASH = bytes(32)  # prev_hash of a chain's first record


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


def new_chain_id(at: datetime) -> UUID:
    """A new chain's id: UUID version 7 (RFC 9562, section 5.7), so that ids stand in the order of their beginning.

    By it the tables are partitioned, which is why a place in a chain is unique in all of them.
    """
    milliseconds = int(at.timestamp() * 1000)
    random = secrets.randbits(74)
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & (1 << 62) - 1)


def first_chain_id(at: datetime) -> UUID:
    """The least id that a chain begun at this moment can have."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def begun_at(chain: UUID) -> datetime | None:
    """When the chain began, by its id; None for chains of before the ids told it."""
    return datetime.fromtimestamp((chain.int >> 80) / 1000, UTC) if chain.version == 7 else None


def new_salt() -> bytes:
    """16 random bytes, so that nobody finds an erased value by trying likely ones against its digest."""
    return secrets.token_bytes(16)


def salted_digest(salt: bytes, value: str) -> bytes:
    """SHA-256 over the salt and the canonical text."""
    return hashlib.sha256(salt + value.encode("ascii")).digest()


def record_text(
    chain: UUID, seq: int, at: datetime, event_type: str, phase: str, outcome: str | None, actor_id: UUID | None,
    actor_kind: str | None, subject_kind: str | None, subject_id: str | None, refers_chain: UUID | None,
    refers_seq: int | None, policy_version: str | None, rule: str | None, request_id: str | None, digest: bytes,
    prev_hash: bytes, team: str | None,
) -> str:  # fmt: skip
    """What is hashed of a record, in the order of the columns of its table.

    A record of an actor without a team has the form 1, which is that of all records of before the team was kept.
    """
    # written out instead of encoding a mapping: verification is mostly this, and so it takes a quarter of the time
    actor = "null" if actor_id is None else f'"{actor_id}"'
    refers = "null" if refers_chain is None else f'"{refers_chain}:{refers_seq}"'
    form, last = ("1", "}") if team is None else ("2", f',"team":{_quoted(team)}}}')
    return (
        f'{{"actor_id":{actor},"actor_kind":{_text(actor_kind)},"at":"{instant(at)}","chain":"{chain}",'
        f'"digest":"{digest.hex()}","event_type":{_quoted(event_type)},"format":{form},"outcome":{_text(outcome)},'
        f'"phase":{_quoted(phase)},"policy_version":{_text(policy_version)},"prev_hash":"{prev_hash.hex()}",'
        f'"refers":{refers},"request_id":{_text(request_id)},"rule":{_text(rule)},"seq":{seq},'
        f'"subject_id":{_text(subject_id)},"subject_kind":{_text(subject_kind)}{last}'
    )


def _text(value: str | None) -> str:
    return "null" if value is None else _quoted(value)


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
    team: str | None = None

    def text(self) -> str:
        """The canonical text that is hashed."""
        chain, seq = (None, None) if self.refers is None else (self.refers.chain, self.refers.seq)
        return record_text(
            self.chain, self.seq, self.at, self.event_type, self.phase, self.outcome, self.actor_id, self.actor_kind,
            self.subject_kind, self.subject_id, chain, seq, self.policy_version,
            self.rule, self.request_id, self.digest, self.prev_hash, self.team,
        )  # fmt: skip

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
