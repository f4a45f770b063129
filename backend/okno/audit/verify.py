"""Proves the journal: recomputes every chain from its first record and compares it with what was signed outside.

Reads the signed heads first and the table after them, so that a journal that is being written verifies as well. Memory
does not grow with the number of records.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from okno.audit import store
from okno.audit.chain import NO_HASH, Entry, Head, instant, salted_digest
from okno.audit.checkpoint import Checkpoint, Seals, Signer
from okno.audit.records import RecordRef
from okno.errors import ConfigurationError
from okno.storage.engine import Database

Kind = Literal["altered", "gap", "reordered", "missing tail", "foreign", "seal", "nothing to compare with"]

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
    checkpoint_at: datetime | None = None
    signed_at: datetime | None = None

    @property
    def whole(self) -> bool:
        return self.found == 0

    def add(self, finding: Finding) -> None:
        self.found += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "whole": self.whole,
            "records": self.records,
            "chains": self.chains,
            "complete_until": None if self.checkpoint_at is None else instant(self.checkpoint_at),
            "newest_signature": None if self.signed_at is None else instant(self.signed_at),
            "unproven": self.unproven,
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


@dataclass(slots=True)
class _Claims:
    """What was signed about one chain: its head file, and the highest head of all checkpoints."""

    head: Head | None = None
    checkpointed: Head | None = None

    def promised(self) -> int:
        return max(each.seq for each in (self.head, self.checkpointed) if each is not None)

    def hashes(self) -> Iterator[Head]:
        yield from (each for each in (self.head, self.checkpointed) if each is not None and each.seq >= 0)

    def ended(self) -> bool:
        return any(each.ended for each in (self.head, self.checkpointed) if each is not None)


async def verify(db: Database, data_dir: Path) -> Report:
    """Checks the whole journal.

    Raises:
        Unavailable: the database does not answer.
    """
    report = Report()
    claims = await asyncio.to_thread(_read_claims, data_dir, report)
    chain: _Chain | None = None
    seen: set[UUID] = set()
    async with db.transaction() as session:
        async for rows in store.stream_chains(session):
            for row in rows:
                if chain is None or row.entry.chain != chain.id:
                    if chain is not None:
                        chain.end()
                    seen.add(row.entry.chain)
                    chain = _Chain(
                        row.entry.chain, claims.get(row.entry.chain), report, anything_signed=bool(claims)
                    )
                chain.check(row)
    if chain is not None:
        chain.end()
    report.chains = len(seen)
    for chain_id, claim in claims.items():
        if chain_id not in seen and claim.promised() >= 0:
            report.add(
                Finding(
                    "missing tail",
                    f"the whole chain is missing: {claim.promised() + 1} records were signed",
                    chain_id,
                    0,
                    claim.promised(),
                )
            )
    return report


def _read_claims(data_dir: Path, report: Report) -> dict[UUID, _Claims]:
    claims: dict[UUID, _Claims] = {}
    try:
        seals = Seals(data_dir, Signer.load(data_dir))
    except ConfigurationError as error:
        report.add(Finding("nothing to compare with", error.message))
        return claims
    # checkpoints first: a head that is written meanwhile is then newer than its checkpoint, never older
    for checkpoint in seals.read_checkpoints():
        if not isinstance(checkpoint, Checkpoint):
            report.add(Finding("seal", checkpoint))
            continue
        report.checkpoint_at = max(checkpoint.at, report.checkpoint_at or checkpoint.at)
        for head in checkpoint.heads.values():
            claim = claims.setdefault(head.chain, _Claims())
            if claim.checkpointed is None or claim.checkpointed.seq <= head.seq:
                claim.checkpointed = head
    heads, problems = seals.read_heads()
    for problem in problems:
        report.add(Finding("seal", problem))
    for head in heads.values():
        claims.setdefault(head.chain, _Claims()).head = head
        report.signed_at = max(head.at, report.signed_at or head.at)
    if not heads:
        report.add(Finding("nothing to compare with", "there is no signed head"))
    if report.checkpoint_at is None:
        report.add(Finding("nothing to compare with", "there is no signed checkpoint"))
    for chain_id, claim in claims.items():
        if claim.head is None:
            report.add(
                Finding("seal", "the chain was signed in a checkpoint, and its signed head is gone", chain_id)
            )
        elif claim.checkpointed is not None and claim.head.seq < claim.checkpointed.seq:
            report.add(
                Finding("seal", "the signed head is older than a checkpoint: it was put back", chain_id)
            )
    return claims


@dataclass(frozen=True, slots=True)
class _Broken:
    entry: Entry
    hash: bytes


class _Chain:
    """Checks one chain, record by record."""

    def __init__(
        self, chain_id: UUID, claims: _Claims | None, report: Report, *, anything_signed: bool
    ) -> None:
        self.id = chain_id
        self._report = report
        self._claims = claims
        self._signed: dict[int, set[bytes]] = {}
        for head in claims.hashes() if claims else ():
            self._signed.setdefault(head.seq, set()).add(head.hash)
        self._expected = 0
        self._previous: bytes | None = NO_HASH  # None: not known, so the link to it cannot be judged
        self._broken: list[_Broken] = []
        self._accused: set[int] = set()
        if claims is None and anything_signed:
            report.add(Finding("foreign", "no signed head and no checkpoint knows this chain", chain_id))

    def check(self, row: store.Stored) -> None:
        """Takes the next record of the table."""
        entry, report = row.entry, self._report
        report.records += 1
        if self._claims is not None and entry.seq > self._claims.promised():
            report.unproven += 1
        if entry.seq > self._expected:
            until = entry.seq - 1
            report.add(
                Finding("gap", _numbers(self._expected, until, "missing"), self.id, self._expected, until)
            )
            self._previous = None
        elif entry.seq < self._expected:
            report.add(
                Finding("reordered", f"number {entry.seq} stands twice", self.id, entry.seq, entry.seq)
            )
        if entry.hash() != row.hash:
            self._broken.append(_Broken(entry, row.hash))
            if len(self._broken) >= _MOST_BROKEN:
                self._tell_broken()
            self._previous = None
        else:
            self._check_value(row)
            if self._previous is not None and entry.prev_hash != self._previous:
                # this record is what its own hash says, so the one before it was changed, and its hash made to fit
                self._accuse(entry.seq - 1 if entry.seq else 0)
            for signed in self._signed.get(entry.seq, ()):
                if signed != row.hash:
                    self._accuse(entry.seq, "it is not the record that was signed")
            self._previous = row.hash
        self._expected = entry.seq + 1

    def end(self) -> None:
        """There are no more records of this chain."""
        self._tell_broken()
        if self._claims is None:
            return
        last, promised = self._expected - 1, self._claims.promised()
        if last < promised:
            self._report.add(
                Finding(
                    "missing tail",
                    _numbers(last + 1, promised, "missing at the end"),
                    self.id,
                    last + 1,
                    promised,
                )
            )
        elif self._claims.ended() and last > promised:
            self._report.add(
                Finding(
                    "foreign",
                    _numbers(promised + 1, last, "behind the signed end of the chain"),
                    self.id,
                    promised + 1,
                    last,
                )
            )

    def _check_value(self, row: store.Stored) -> None:
        ref = RecordRef(self.id, row.entry.seq)
        if row.salt is None or row.value is None:
            if row.erased_by is None:
                self._accuse(ref.seq, "its values are gone, and no record says that they were erased")
                return
            self._report.erased_count += 1
            if len(self._report.erased) < MOST_FINDINGS:
                self._report.erased.append((ref, row.erased_by))
        elif not row.value.isascii() or salted_digest(row.salt, row.value) != row.entry.digest:
            self._accuse(ref.seq, "its values are not those of its digest")

    def _accuse(self, seq: int, why: str = "the record behind it does not fit it") -> None:
        if seq not in self._accused:  # one finding a record, in however many ways it shows
            if len(self._accused) < MOST_FINDINGS:
                self._accused.add(seq)
            self._report.add(Finding("altered", f"record {seq} was altered: {why}", self.id, seq, seq))

    def _tell_broken(self) -> None:
        """Tells moved records from changed ones: a moved one has the right hash for the number of another broken one."""
        numbers = [each.entry.seq for each in self._broken] if self._report.found < MOST_FINDINGS else []
        for each in self._broken:
            seq = each.entry.seq
            came_from = next(
                (other for other in numbers if each.entry.at_place(other).hash() == each.hash), None
            )
            if came_from is None:
                self._accuse(seq, "its hash does not fit its content")
            else:
                self._report.add(
                    Finding("reordered", f"record {came_from} stands at number {seq}", self.id, seq, seq)
                )
        self._broken.clear()


def _numbers(first: int, last: int, what: str) -> str:
    return f"record {first} is {what}" if first == last else f"records {first} to {last} are {what}"
