"""Checks one chain, record by record: recomputes every hash and compares it with its neighbours and with what was signed."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from okno.audit.chain import NO_HASH, Head, instant, record_text
from okno.audit.cuts import Cut, CutChain
from okno.audit.records import RecordRef

Kind = Literal[
    "altered", "gap", "reordered", "missing tail", "forged", "seal", "key", "cut", "nothing to compare with"
]

MOST_FINDINGS = 1000
_MOST_BROKEN = 64  # records of a chain compared with each other to recognise a swap


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written. `seq` to `until` are the records concerned, both included."""

    kind: Kind
    message: str
    chain: UUID | None = None
    seq: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Unproven:
    """Records behind the signed head of their chain: they fit, and nobody vouches for them."""

    chain: UUID
    seq: int
    until: int
    at: datetime  # of the first of them


@dataclass(slots=True)
class Report:
    """What verification found. `whole` is the verdict; lists are cut after a thousand, counts are not."""

    findings: list[Finding] = field(default_factory=list)
    found: int = 0
    erased: list[tuple[RecordRef, RecordRef]] = field(
        default_factory=list
    )  # (record, the record that says so)
    erased_count: int = 0
    records: int = 0
    chains: int = 0
    unproven: int = 0  # records behind the last signed head: not contradicted, and not vouched for
    unproven_parts: list[Unproven] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    checkpoint_at: datetime | None = None
    signed_at: datetime | None = None
    since: datetime | None = None
    key: str | None = None

    @property
    def whole(self) -> bool:
        return self.found == 0

    @property
    def proven_until(self) -> datetime | None:
        """The moment up to which each record is vouched for by a signature: what was written later may not be."""
        if self.signed_at is None:
            return None
        return min([self.signed_at, *(part.at for part in self.unproven_parts)])

    def add(self, finding: Finding) -> None:
        self.found += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    def add_erased(self, ref: RecordRef, by: RecordRef) -> None:
        self.erased_count += 1
        if len(self.erased) < MOST_FINDINGS:
            self.erased.append((ref, by))

    def merge(self, other: "Report") -> None:
        """Adds what another process found in other parts of the journal."""
        self.records += other.records
        self.found += other.found
        self.erased_count += other.erased_count
        self.findings += other.findings[: MOST_FINDINGS - len(self.findings)]
        self.erased += other.erased[: MOST_FINDINGS - len(self.erased)]

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "whole": self.whole,
            "records": self.records,
            "chains": self.chains,
            "since": _instant(self.since),
            "proven_until": _instant(self.proven_until),
            "complete_until": _instant(self.checkpoint_at),
            "newest_signature": _instant(self.signed_at),
            "key": self.key,
            "unproven": self.unproven,
            "unproven_records": [
                {"chain": str(each.chain), "seq": each.seq, "until": each.until, "at": instant(each.at)}
                for each in self.unproven_parts
            ],
            "cuts": [
                {
                    "at": instant(each.at),
                    "before": instant(each.before),
                    "chains": len(each.chains),
                    "records": each.records,
                    "record": str(each.record),
                    "archive": None if each.archive is None else each.archive[0],
                    "sha256": each.digest,
                }
                for each in self.cuts
            ],
            "erased": self.erased_count,
            "erasures": [{"record": str(ref), "by": str(by)} for ref, by in self.erased],
            "found": self.found,
            "findings": [
                {
                    "kind": each.kind,
                    "message": each.message,
                    "chain": None if each.chain is None else str(each.chain),
                    "seq": each.seq,
                    "until": each.until,
                }
                for each in self.findings
            ],
        }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else instant(at)


@dataclass(slots=True)
class ChainClaims:
    """What was signed about one chain: its head file, the highest head of all checkpoints, its end, and where it was cut."""

    head: Head | None = None
    checkpointed: Head | None = None
    last: Head | None = None
    cut: CutChain | None = None

    def promised(self) -> int:
        """The highest number that was signed; -1 when the chain was only announced."""
        return max((each.seq for each in self._all()), default=-1)

    def hashes(self) -> Iterator[tuple[int, bytes]]:
        yield from ((each.seq, each.hash) for each in self._all() if each.seq >= 0)

    def ended(self) -> bool:
        """Whether the end of the chain was signed, and nothing behind it was."""
        return any(each.ended and each.seq == self.promised() for each in self._all())

    def cut_at(self) -> int:
        """The number of the last record that was cut off; -1 when none was."""
        return -1 if self.cut is None else self.cut.seq

    def _all(self) -> Iterator["Head | CutHead"]:
        yield from (each for each in (self.head, self.checkpointed, self.last) if each is not None)
        if self.cut is not None:
            yield CutHead(self.cut.seq, self.cut.hash)


@dataclass(frozen=True, slots=True)
class CutHead:
    """A cut as a claim: the record it names was there with this hash."""

    seq: int
    hash: bytes
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Records of a chain that one process checks: from `first` to `last`, both included.

    `is_start`: nothing of the chain stands before it. `is_end`: nothing behind it. A part that is no start begins with the last
    record of the one before it, which is looked at again for the link only, unless `judges_first`.
    """

    chain: UUID
    first: int
    last: int
    is_start: bool = True
    is_end: bool = True
    judges_first: bool = False


class ChainCheck:
    """Takes the rows of one part, in their order."""

    def __init__(
        self, part: Part, claims: ChainClaims | None, report: Report, *, anything_signed: bool
    ) -> None:
        self.id = part.chain
        self.missing_values: list[int] = []
        self._part = part
        self._report = report
        self._claims = claims
        self._promised = claims.promised() if claims else -1
        self._signed: dict[int, set[bytes]] = {}
        for seq, signed in claims.hashes() if claims else ():
            self._signed.setdefault(seq, set()).add(signed)
        self._expected = part.first
        self._previous: bytes | None = NO_HASH if part.is_start and part.first == 0 else None
        self._again = not part.is_start and not part.judges_first
        self._broken: list[Row] = []
        self._accused: set[int] = set()
        if claims is None and anything_signed and (part.is_start or part.judges_first):
            report.add(Finding("forged", "no signed head and no checkpoint knows this chain", part.chain))

    def check(self, rows: Sequence["Row"]) -> None:
        """Takes the next rows."""
        sha256, text = hashlib.sha256, record_text
        signed = self._signed
        expected, previous = self._expected, self._previous
        report = self._report
        for row in rows:
            seq = row[1]
            if seq != expected or self._again:
                self._expected, self._previous = expected, previous
                self._out_of_step(row)
                expected, previous = self._expected, self._previous
                if self._again:
                    self._again = False
                    if seq == expected:
                        if sha256(text(*row[:18]).encode()).digest() == row[18]:
                            previous = row[18]
                        expected = seq + 1
                        continue
            stored = row[18]
            report.records += 1
            if sha256(text(*row[:18]).encode()).digest() != stored:
                self._broken.append(row)
                if len(self._broken) >= _MOST_BROKEN:
                    self._tell_broken()
                previous = None
            else:
                salt, value = row[19], row[20]
                if salt is None or value is None:
                    self.missing_values.append(seq)
                elif not value.isascii() or sha256(salt + value.encode()).digest() != row[15]:
                    self._accuse(seq, "its values are not those of its digest")
                if previous is not None and row[16] != previous:
                    # this record is what its own hash says, so the one before it was changed, and its hash made to fit
                    self._accuse(seq - 1 if seq else 0)
                if seq in signed and signed[seq] != {stored}:
                    self._accuse(seq, "it is not the record that was signed")
                previous = stored
            expected = seq + 1
        self._expected, self._previous = expected, previous

    def end(self) -> None:
        """There are no more rows of this part."""
        self._tell_broken()
        if not self._part.is_end:
            # the first one is for the part before this one to miss
            self._gap(self._expected + (1 if self._again else 0), self._part.last)
            return
        if self._claims is None:
            return
        last, promised = self._expected - 1, self._promised
        if last < promised:
            first = last + 1
            self._report.add(
                Finding(
                    "missing tail", numbers(first, promised, "missing at the end"), self.id, first, promised
                )
            )
        elif self._claims.ended() and last > promised:
            first = promised + 1
            self._report.add(
                Finding(
                    "forged", numbers(first, last, "behind the signed end of the chain"), self.id, first, last
                )
            )

    def accuse_of_missing_values(self, seq: int, why: str) -> None:
        """The values of this record are gone, and nothing that counts says that they were erased."""
        self._accuse(seq, why)

    def _out_of_step(self, row: "Row") -> None:
        seq, cut = row[1], self._claims.cut if self._claims else None
        if seq > self._expected and self._part.is_start and self._expected == 0 and cut is not None:
            # what stands before it was cut off: it has to go on from there, or it lies in what is being cut off
            self._expected, self._previous = (cut.seq + 1, cut.hash) if seq > cut.seq else (seq, None)
        if seq > self._expected:
            self._gap(self._expected + (1 if self._again else 0), seq - 1)
            self._previous, self._again = None, False
        elif seq < self._expected:
            self._report.add(Finding("reordered", f"number {seq} stands twice", self.id, seq, seq))

    def _gap(self, first: int, last: int) -> None:
        if first <= last:
            self._report.add(Finding("gap", numbers(first, last, "missing"), self.id, first, last))

    def _accuse(self, seq: int, why: str = "the record behind it does not fit it") -> None:
        if seq not in self._accused:  # one finding a record, in however many ways it shows
            if len(self._accused) < MOST_FINDINGS:
                self._accused.add(seq)
            self._report.add(Finding("altered", f"record {seq} was altered: {why}", self.id, seq, seq))

    def _tell_broken(self) -> None:
        """Tells moved records from changed ones: a moved one has the right hash for the number of another broken one."""
        numbers_ = [row[1] for row in self._broken] if self._report.found < MOST_FINDINGS else []
        for row in self._broken:
            seq = row[1]
            came_from = next((other for other in numbers_ if _hash_at(row, other) == row[18]), None)
            if came_from is None:
                self._accuse(seq, "its hash does not fit its content")
            else:
                self._report.add(
                    Finding("reordered", f"record {came_from} stands at number {seq}", self.id, seq, seq)
                )
        self._broken.clear()


Row = Sequence[Any]


def row_hash(row: Row) -> bytes:
    """The hash of a row by its content."""
    return hashlib.sha256(record_text(*row[:18]).encode()).digest()


def _hash_at(row: Row, seq: int) -> bytes:
    return hashlib.sha256(record_text(row[0], seq, *row[2:18]).encode()).digest()


def numbers(first: int, last: int, what: str) -> str:
    """`what` of a record or of a row of them, as the beginning of a sentence."""
    return f"record {first} is {what}" if first == last else f"records {first} to {last} are {what}"


def promises(claims: Mapping[UUID, ChainClaims]) -> dict[UUID, int]:
    """The highest number that was signed of each chain."""
    return {chain: each.promised() for chain, each in claims.items()}
