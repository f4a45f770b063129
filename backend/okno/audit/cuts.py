"""A cut: which chains were removed from the journal, up to which record each, and the hash of that record. Signed, and recorded."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from okno.audit.chain import canonical, instant
from okno.audit.keys import SealError
from okno.audit.records import RecordRef
from okno.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class CutChain:
    """The last record of a chain that was cut: the whole of it up to there is gone."""

    chain: UUID
    seq: int
    hash: bytes

    def document(self) -> dict[str, Any]:
        return {"chain": str(self.chain), "seq": self.seq, "hash": self.hash.hex()}


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut. `record` is the intent of the journal that says so; `digest` is the SHA-256 of the signed line.

    `before`: only chains were cut whose records are all older than that. `archive`: name and SHA-256 of the file that keeps them.
    """

    at: datetime
    before: datetime
    record: RecordRef
    chains: tuple[CutChain, ...]
    records: int
    archive: tuple[str, str] | None = None
    digest: str = ""

    def document(self, previous: str | None) -> dict[str, Any]:
        """What is signed."""
        return {
            "kind": "cut",
            "format": 1,
            "at": instant(self.at),
            "before": instant(self.before),
            "record": str(self.record),
            "records": self.records,
            "chains": [each.document() for each in self.chains],
            "archive": None if self.archive is None else {"name": self.archive[0], "sha256": self.archive[1]},
            "previous": previous,
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any], digest: str) -> "Cut":
        """The inverse of `document`.

        Raises:
            SealError: it has another form.
        """
        try:
            archive = document["archive"]
            return cls(
                datetime.fromisoformat(document["at"]),
                datetime.fromisoformat(document["before"]),
                RecordRef.parse(document["record"]),
                tuple(
                    CutChain(UUID(each["chain"]), int(each["seq"]), bytes.fromhex(each["hash"]))
                    for each in document["chains"]
                ),
                int(document["records"]),
                None if archive is None else (str(archive["name"]), str(archive["sha256"])),
                digest,
            )
        except (ValueError, KeyError, TypeError, InvalidInput):
            raise SealError("has not the form of a cut") from None


def heads_digest(chains: Sequence[CutChain]) -> str:
    """The SHA-256 over what was cut, in hex: by it the record of a cut and its signed line know each other."""
    return hashlib.sha256(canonical([each.document() for each in chains]).encode()).hexdigest()
