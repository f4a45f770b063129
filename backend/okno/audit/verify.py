"""Proves the journal: recomputes every chain and compares it with what was signed outside of the database.

Reads what was signed first and the table after it, so that a journal that is being written verifies as well. Long journals are
shared by several processes. Memory does not grow with the number of records.
"""

import asyncio
import itertools
import json
import multiprocessing
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from okno.audit import chain_store
from okno.audit.checkpoint import Seals
from okno.audit.cuts import Cut, heads_digest
from okno.audit.keys import SealError, Signer, Trail, key_id
from okno.audit.proof import (
    MOST_FINDINGS,
    ChainCheck,
    ChainClaims,
    Finding,
    Part,
    Report,
    Unproven,
    promises,
    row_hash,
)
from okno.audit.records import RecordRef
from okno.audit.signed import Claims, parse_checkpoint
from okno.errors import ConfigurationError
from okno.storage.engine import Database

__all__ = ["Finding", "Report", "verify"]

# Rows read at a time, and records of a chain that are checked together by one process
_BLOCK = 4_000
_PART = 50_000
# From so many records on other processes are worth the seconds of processor time that they take to start
_SHARED_FROM = 200_000


@dataclass(frozen=True, slots=True)
class Work:
    """What one process checks at a time: several short chains, or a part of a long one."""

    parts: tuple[Part, ...]
    claims: Mapping[UUID, ChainClaims]
    anything_signed: bool


@dataclass(slots=True)
class Checked:
    """What came of it. `erasures` are to be judged by whether the record that says so is vouched for."""

    report: Report
    erasures: list[tuple[RecordRef, RecordRef]]


async def verify(
    db: Database,
    data_dir: Path,
    *,
    since: datetime | None = None,
    chains: Iterable[UUID] | None = None,
    key: Ed25519PublicKey | None = None,
    checkpoints: Sequence[bytes] = (),
    processes: int | None = None,
) -> Report:
    """Checks the whole journal, or what was written since a moment, or some chains.

    Args:
        key: one of the journal's public keys, kept elsewhere: without it a trail of keys is believed that whoever can write the
            folder may have made.
        checkpoints: signed lines that were kept elsewhere, as in the second sink.
        processes: by default as many as there are processors, if it is worth it.

    Raises:
        Unavailable: the database does not answer.
    """
    report = Report(since=since)
    signed = await asyncio.to_thread(_read_signed, data_dir, report, key, checkpoints)
    claims = _chain_claims(signed, report) if signed else {}
    async with db.transaction() as session:
        heads = await chain_store.list_heads(session)
        firsts = None if since is None else await chain_store.first_since(session, since)
    wanted = set(heads) if chains is None else set(chains)
    report.chains = sum(chain in wanted for chain in heads)
    work = list(_share(heads, firsts, wanted, claims))
    erasures: list[tuple[RecordRef, RecordRef]] = []
    async for checked in _check_all(db, work, processes):
        report.merge(checked.report)
        erasures += checked.erasures
    for chain, claim in claims.items():
        if (chains is None or chain in wanted) and chain not in heads and claim.promised() > claim.cut_at():
            _missing_chain(chain, claim, report)
    await _judge_rest(db, data_dir, signed, claims, heads, wanted, erasures, report)
    if chains is None:
        await _check_cuts(db, report, claims)
    return report


def _missing_chain(chain: UUID, claim: ChainClaims, report: Report) -> None:
    first, last = claim.cut_at() + 1, claim.promised()
    what = "the whole chain is missing" if first == 0 else "all that was not cut off of the chain is missing"
    message = f"{what}: {last - first + 1} records were signed"
    report.add(Finding("missing tail", message, chain, first, last))


# What was signed


def _read_signed(
    data_dir: Path, report: Report, key: Ed25519PublicKey | None, checkpoints: Sequence[bytes]
) -> Claims | None:
    trail, signer = Trail.read(data_dir), None
    try:
        signer = Signer.load(data_dir)
    except ConfigurationError as error:
        kind = "key" if trail.keys else "nothing to compare with"
        report.add(Finding(kind, error.message))  # type: ignore[arg-type]
    if not trail.keys:
        if signer is None:
            return None
        trail = Trail.of_key(signer)
    for problem in trail.problems:
        report.add(Finding("key", problem))
    report.key = trail.last
    if key is not None and key_id(key) not in trail.keys:
        report.add(
            Finding("key", f"the key given, {key_id(key)}, is none of the journal's: its keys were replaced")
        )
    claims = Seals(data_dir, None, trail).read_claims()
    for problem in claims.problems:
        report.add(Finding("seal", problem))
    told = {checkpoint.number: checkpoint for checkpoint in claims.checkpoints}
    for line in checkpoints:
        try:
            outside = parse_checkpoint(trail, line)
        except SealError as error:
            report.add(Finding("seal", f"a checkpoint that was kept elsewhere {error}"))
            continue
        inside = told.get(outside.number)
        if (inside is not None and inside != outside) or outside.number > max(told, default=0):
            report.add(
                Finding(
                    "seal", f"checkpoint {outside.number}, which was kept elsewhere, is not among those here"
                )
            )
        claims.checkpoints.append(outside)
    report.cuts = list(claims.cuts)
    return claims


def _chain_claims(signed: Claims, report: Report) -> dict[UUID, ChainClaims]:
    claims: dict[UUID, ChainClaims] = {}

    def of(chain: UUID) -> ChainClaims:
        return claims.setdefault(chain, ChainClaims())

    for checkpoint in signed.checkpoints:
        report.checkpoint_at = max(checkpoint.at, report.checkpoint_at or checkpoint.at)
        for head in checkpoint.heads.values():
            claim = of(head.chain)
            if claim.checkpointed is None or claim.checkpointed.seq <= head.seq:
                claim.checkpointed = head
    newest = signed.checkpoints[-1].heads if signed.checkpoints else {}
    for head in signed.ended.values():
        of(head.chain).last = head
        report.signed_at = max(head.at, report.signed_at or head.at)
    for cut in signed.cuts:
        for each in cut.chains:
            claim = of(each.chain)
            if claim.cut is None or claim.cut.seq <= each.seq:
                claim.cut = each
    for head in signed.heads.values():
        of(head.chain).head = head
        report.signed_at = max(head.at, report.signed_at or head.at)
    if not signed.heads and not signed.ended:
        report.add(Finding("nothing to compare with", "there is no signed head"))
    if report.checkpoint_at is None:
        report.add(Finding("nothing to compare with", "there is no signed checkpoint"))
    for chain, claim in claims.items():
        if claim.head is None and chain in newest and claim.last is None:
            report.add(
                Finding("seal", "the chain was signed in a checkpoint, and its signed head is gone", chain)
            )
        elif claim.head and any(
            claim.head.seq < each.seq for each in (claim.checkpointed, claim.last) if each
        ):
            report.add(Finding("seal", "the signed head is older than a checkpoint: it was put back", chain))
    return claims


# The records


def _share(
    heads: Mapping[UUID, chain_store.ChainHead],
    firsts: Mapping[UUID, int] | None,
    wanted: set[UUID],
    claims: Mapping[UUID, ChainClaims],
) -> Iterator[Work]:
    """Divides the journal into what one process checks at a time."""
    short: list[Part] = []
    count = 0
    for chain, head in heads.items():
        if chain not in wanted or (firsts is not None and chain not in firsts):
            continue
        first = 0 if firsts is None else max(0, firsts[chain] - 1)
        if first == 0 and head.seq < _BLOCK:
            short.append(Part(chain, 0, head.seq))
            count += head.seq + 1
            if count >= _BLOCK:
                yield _work(short, claims)
                short, count = [], 0
            continue
        for start in range(first, head.seq + 1, _PART):
            last = min(start + _PART, head.seq)
            if start and start == last and start != first:
                continue
            yield _work(
                [
                    Part(
                        chain,
                        start,
                        last,
                        is_start=start == 0,
                        is_end=last == head.seq,
                        judges_first=start == first,
                    )
                ],
                claims,
            )
    if short:
        yield _work(short, claims)


def _work(parts: Sequence[Part], claims: Mapping[UUID, ChainClaims]) -> Work:
    mine = {part.chain: claims[part.chain] for part in parts if part.chain in claims}
    return Work(tuple(parts), mine, bool(claims))


async def _check_all(db: Database, work: Sequence[Work], processes: int | None) -> AsyncIterator[Checked]:
    records = sum(part.last - part.first + 1 for each in work for part in each.parts)
    count = processes or (os.cpu_count() or 1 if records >= _SHARED_FROM else 1)
    count = min(count, len(work))
    if count <= 1 or db.address is None:
        for each in work:
            yield await check(db, each)
        return
    loop = asyncio.get_running_loop()
    # spawned: a fork would take over the connections of this process
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        lists = [work[number::count] for number in range(count)]
        for done in asyncio.as_completed(
            [loop.run_in_executor(pool, _in_process, db.address, each) for each in lists]
        ):
            for checked in await done:
                yield checked


def _in_process(address: tuple[str, str | None], work: Sequence[Work]) -> list[Checked]:
    async def run() -> list[Checked]:
        db = Database.connect(address[0], role=address[1], pool_size=2, application_name="okno-verify")
        try:
            return [await check(db, each) for each in work]
        finally:
            await db.dispose()

    return asyncio.run(run())


async def check(db: Database, work: Work) -> Checked:
    """Checks some records in this process."""
    checked = Checked(Report(), [])
    if len(work.parts) > 1 or (work.parts[0].last < _BLOCK and work.parts[0].is_start):
        await _check_short(db, work, checked)
    else:
        await _check_long(db, work, checked)
    return checked


async def _check_short(db: Database, work: Work, checked: Checked) -> None:
    parts = {part.chain: part for part in work.parts}
    async with db.transaction() as session:
        rows = await chain_store.read_chains(session, list(parts))
        for chain, of_chain in itertools.groupby(rows, key=lambda row: row[0]):
            part = parts[chain]
            one = ChainCheck(
                part, work.claims.get(chain), checked.report, anything_signed=work.anything_signed
            )
            # what was written after we began is not looked at
            one.check([row for row in of_chain if row[1] <= part.last])
            await _find_erasures(session, one, checked)
            one.end()


async def _check_long(db: Database, work: Work, checked: Checked) -> None:
    (part,) = work.parts
    one = ChainCheck(part, work.claims.get(part.chain), checked.report, anything_signed=work.anything_signed)
    blocks = [
        (start, min(start + _BLOCK - 1, part.last)) for start in range(part.first, part.last + 1, _BLOCK)
    ]

    async def read(block: tuple[int, int]) -> list[chain_store.Row]:
        async with db.transaction() as session:
            return await chain_store.read_part(session, part.chain, *block)

    coming = asyncio.create_task(read(blocks[0]))
    try:
        for number in range(len(blocks)):
            rows = await coming
            if number + 1 < len(blocks):
                # the server reads the next block while this one is checked
                coming = asyncio.create_task(read(blocks[number + 1]))
                await asyncio.sleep(0)
            one.check(rows)
            if one.missing_values:
                async with db.transaction() as session:
                    await _find_erasures(session, one, checked)
    finally:
        coming.cancel()
    one.end()


async def _find_erasures(session: object, one: ChainCheck, checked: Checked) -> None:
    missing, one.missing_values = one.missing_values, []
    if not missing:
        return
    refs = [RecordRef(one.id, seq) for seq in missing]
    found = await chain_store.find_erasures(session, refs)  # type: ignore[arg-type]
    for ref in refs:
        if ref in found:
            checked.erasures.append((ref, found[ref]))
        else:
            one.accuse_of_missing_values(
                ref.seq, "its values are gone, and no record says that they were erased"
            )


# What can be judged only when all has been read


async def _judge_rest(
    db: Database,
    data_dir: Path,
    signed: Claims | None,
    claims: Mapping[UUID, ChainClaims],
    heads: Mapping[UUID, chain_store.ChainHead],
    wanted: set[UUID],
    erasures: Sequence[tuple[RecordRef, RecordRef]],
    report: Report,
) -> None:
    """Records behind the heads that were read in the beginning: a journal that is written has signed them by now."""
    promised = promises(claims)
    behind = {
        chain for chain in wanted & set(heads) if chain in promised and heads[chain].seq > promised[chain]
    }
    behind |= {by.chain for _, by in erasures if by.seq > promised.get(by.chain, -1)}
    if behind and signed is not None:
        again = await asyncio.to_thread(Seals(data_dir, None, signed.trail).read_claims)
        for chain in behind:
            head = again.heads.get(chain) or again.ended.get(chain)
            if head is None or head.seq <= promised.get(chain, -1):
                continue
            if await _follows(db, chain, promised.get(chain, -1), head.seq, head.hash):
                promised[chain] = head.seq
    report.unproven = 0
    for chain in behind & wanted & set(heads):
        last, first = heads[chain].seq, promised[chain] + 1
        if chain in promised and first <= last and not claims[chain].ended():
            report.unproven += last - first + 1
            async with db.transaction() as session:
                rows = await chain_store.read_part(session, chain, first, first)
            report.unproven_parts.append(
                Unproven(chain, first, last, rows[0][2] if rows else heads[chain].at)
            )
    for ref, by in erasures:
        if by.seq <= promised.get(by.chain, -1):
            report.add_erased(ref, by)
        else:
            why = f"its values are gone, and nobody vouches for record {by}, which says that they were erased"
            report.add(
                Finding("altered", f"record {ref.seq} was altered: {why}", ref.chain, ref.seq, ref.seq)
            )


async def _follows(db: Database, chain: UUID, first: int, last: int, signed: bytes) -> bool:
    """Whether the records from a signed one to one that was signed since are a chain."""
    previous: bytes | None = None
    async with db.transaction() as session:
        for start in range(max(0, first), last + 1, _BLOCK):
            for row in await chain_store.read_part(session, chain, start, min(start + _BLOCK - 1, last)):
                if row_hash(row) != row[18] or (previous is not None and row[16] != previous):
                    return False
                previous = row[18]
    return previous == signed


async def _check_cuts(db: Database, report: Report, claims: Mapping[UUID, ChainClaims]) -> None:
    """Each signed cut stands in the journal as well, unless that record was cut off by a later one."""
    for cut in report.cuts[-MOST_FINDINGS:]:
        claim = claims.get(cut.record.chain)
        if claim is not None and cut.record.seq <= claim.cut_at():
            continue
        async with db.transaction() as session:
            rows = await chain_store.read_part(session, cut.record.chain, cut.record.seq, cut.record.seq)
        if not rows or rows[0][3] != "journal.cut" or not _tells(rows[0][20], cut):
            message = (
                f"the cut of {cut.at:%Y-%m-%d %H:%M} is signed, and record {cut.record} does not tell of it"
            )
            report.add(Finding("cut", message, cut.record.chain, cut.record.seq, cut.record.seq))


def _tells(value: str | None, cut: Cut) -> bool:
    try:
        detail = json.loads(value or "{}").get("detail", {})
    except ValueError:
        return False
    return bool(detail.get("heads") == heads_digest(cut.chains))
