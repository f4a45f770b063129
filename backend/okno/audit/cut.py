"""Retention: cuts off chains whose records are all older than the deployment keeps, so that it can be proven what was cut.

Only as the owner of the tables, so by the worker or at the command line. The order is: prove the chains, write the archive, record
the intent, sign the cut, remove, record the outcome. Stopped anywhere, it can be begun again.
"""

import asyncio
import gzip
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import structlog

from okno.audit import chain_store
from okno.audit.chain import instant, record_text, salted_digest
from okno.audit.checkpoint import Seals, Signer
from okno.audit.cuts import Cut, CutChain, heads_digest
from okno.audit.export.store import find_cursors
from okno.audit.keys import SealError
from okno.audit.records import SYSTEM, SubjectRef
from okno.audit.service import Journal
from okno.audit.verify import verify
from okno.clock import Clock
from okno.errors import Conflict, OknoError
from okno.storage.engine import Database

_log = structlog.get_logger("okno.audit")

# Records that are read at a time for the archive
_ROWS = 4_000


class NotWhole(OknoError):
    """What was to be cut off is not as it was written: it stays, for somebody to look at."""

    code = "NOT_WHOLE"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cut would remove, and what it has to leave: chain and why."""

    before: datetime
    chains: tuple[CutChain, ...]
    records: int
    kept: tuple[tuple[CutChain, str], ...]


async def plan_cut(db: Database, data_dir: Path, before: datetime, *, exports: Collection[str] = ()) -> Plan:
    """Looks for chains that can be cut off: old as a whole, closed, taken by every export, and needed by nothing that stays.

    Args:
        exports: the names of those that are configured; of another one nobody waits for what it has not taken.
    """
    heads, _ = await asyncio.to_thread(Seals(data_dir, Signer.load(data_dir)).read_heads)
    cut: list[chain_store.OldChain] = []
    kept: list[tuple[CutChain, str]] = []
    async with db.transaction() as session:
        taken = {name: await find_cursors(session, name) for name in sorted(exports)}
        for chain in await chain_store.list_old_chains(session, before):
            if missing := [name for name, seqs in taken.items() if seqs.get(chain.chain, -1) < chain.seq]:
                why = f"the export {missing[0]} has not taken all of it; see `okno audit exports`"
                kept.append((_cut_chain(chain), why))
            elif chain.has_open_commands:
                kept.append((_cut_chain(chain), "commands of it have not ended; resolve them first"))
            elif chain.chain in heads and not heads[chain.chain].ended:
                kept.append((_cut_chain(chain), "it is still open; a process may write to it"))
            else:
                cut.append(chain)
        # one that stays may be what another one tells of
        while erasing := await chain_store.list_erasing(session, [chain.chain for chain in cut]):
            why = "it tells of erasures of values whose records stay"
            kept += [(_cut_chain(chain), why) for chain in cut if chain.chain in erasing]
            cut = [chain for chain in cut if chain.chain not in erasing]
    return Plan(before, tuple(map(_cut_chain, cut)), sum(chain.seq + 1 for chain in cut), tuple(kept))


async def cut(
    journal: Journal,
    owner: Database,
    data_dir: Path,
    clock: Clock,
    before: datetime,
    *,
    archive: Path | None = None,
    exports: Collection[str] = (),
) -> Cut | None:
    """Cuts off what can be; None when there is nothing.

    Args:
        owner: connected as the owner of the tables.
        archive: the folder that gets a file with all that is cut off, proven before anything is removed.
        exports: see `plan_cut`.

    Raises:
        NotWhole: something of it was altered or is missing.
        Unavailable: the database does not answer, or the journal cannot be written.
    """
    plan = await plan_cut(owner, data_dir, before, exports=exports)
    if plan.kept:
        # nobody reads the worker's plan, and what stays for long stays for a reason that somebody has to mend
        _log.warning("audit.cut_leaves", chains=len(plan.kept), why=sorted({why for _, why in plan.kept}))
    if not plan.chains:
        return None
    report = await verify(owner, data_dir, chains=[each.chain for each in plan.chains])
    if not report.whole:
        found = report.findings[0]
        raise NotWhole(
            f"Nothing was cut off: {found.kind}, chain {found.chain}: {found.message}. `okno audit verify` tells all."
        )
    now = clock.now()
    kept: tuple[str, str] | None = None
    if archive is not None:
        kept = await write_archive(owner, plan.chains, archive / f"journal-{now:%Y%m%dT%H%M%S}.jsonl.gz")
    seals = Seals(data_dir, Signer.load(data_dir))
    detail = {
        "before": instant(before),
        "chains": len(plan.chains),
        "records": plan.records,
        "heads": heads_digest(plan.chains),
        "archive": None if kept is None else {"name": kept[0], "sha256": kept[1]},
    }
    async with journal.command(
        actor=SYSTEM,
        event_type="journal.cut",
        subject=SubjectRef("Journal", "records"),
        detail=detail,
        idempotency_key=None,
        policy_version=None,
        rule=None,
    ) as command:
        made = Cut(now, before, command.ref, plan.chains, plan.records, kept)
        digest = await asyncio.to_thread(seals.record_cut, made)
        async with owner.transaction() as session:
            removed = await chain_store.remove_chains(session, [each.chain for each in plan.chains])
        await asyncio.to_thread(seals.checkpoint, clock.now())
        command.succeeded({"removed": removed, "cut": digest})
    return made


async def write_archive(db: Database, chains: Sequence[CutChain], path: Path) -> tuple[str, str]:
    """Writes all records of the chains and their values, one JSON document a line; gives the file's name and SHA-256.

    Each line holds `record`, the very text that is hashed, `hash`, and `salt` and `value`, null where they were erased. The file
    is read again and proven before this returns.

    Raises:
        NotWhole: what was written is not what the chains end with.
        Conflict: there is such a file.
    """
    await asyncio.to_thread(path.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
    if await asyncio.to_thread(path.exists):
        raise Conflict(f"{path} exists; nothing was cut off")
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with (
        os.fdopen(descriptor, "wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6) as packed,
    ):
        for chain in chains:
            for first in range(0, chain.seq + 1, _ROWS):
                async with db.transaction() as session:
                    rows = await chain_store.read_part(
                        session, chain.chain, first, min(first + _ROWS - 1, chain.seq)
                    )
                await asyncio.to_thread(packed.write, b"".join(map(_archive_line, rows)))
        packed.close()
        file.flush()
        os.fsync(file.fileno())
    problems = await asyncio.to_thread(lambda: list(verify_archive(fresh, chains)))
    if problems:
        raise NotWhole(f"Nothing was cut off, since the archive is not whole: {problems[0]}")
    await asyncio.to_thread(os.replace, fresh, path)
    return path.name, await asyncio.to_thread(_file_digest, path)


def verify_archive(path: Path, chains: Sequence[CutChain]) -> Iterator[str]:
    """Recomputes what an archive holds and compares it with the chains of a cut; a sentence for each thing that is wrong."""
    wanted = {str(each.chain): each for each in chains}
    try:
        with gzip.open(path, "rb") as file:
            documents = (_checked(line) for line in file)
            for chain, of_chain in groupby(documents, key=lambda each: each.get("chain")):
                end = wanted.pop(str(chain), None)
                if end is None:
                    yield f"chain {chain} is not part of the cut"
                    continue
                yield from _verify_chain(str(chain), end, of_chain)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        yield f"{path.name} cannot be read: {type(error).__name__}"
        return
    for chain in wanted:
        yield f"chain {chain} is missing"


def find_cut(data_dir: Path, path: Path) -> Cut:
    """The signed cut that an archive belongs to, by the digest of the file.

    Raises:
        NotWhole: no cut names this file, or a signature does not fit.
    """
    try:
        claims = Seals(data_dir, Signer.load(data_dir)).read_claims()
    except SealError as error:
        raise NotWhole(f"a signed document {error}") from None
    digest = _file_digest(path)
    for each in claims.cuts:
        if each.archive is not None and each.archive[1] == digest:
            return each
    raise NotWhole(
        f"no signed cut names {path.name} with the SHA-256 {digest}: the file is another one, or was changed"
    )


def _verify_chain(chain: str, end: CutChain, lines: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    expected, previous = 0, "00" * 32
    for each in lines:
        if each["problem"]:
            yield f"record {each['seq']} of chain {chain} {each['problem']}"
        if each["seq"] != expected or each["prev_hash"] != previous:
            yield f"record {each['seq']} of chain {chain} does not follow the one before it"
        expected, previous = each["seq"] + 1, each["hash"]
    if expected != end.seq + 1 or previous != end.hash.hex():
        yield f"chain {chain} does not end as the cut says"


def _checked(line: bytes) -> Mapping[str, Any]:
    document = json.loads(line)
    record = json.loads(document["record"])
    problem = ""
    if hashlib.sha256(document["record"].encode()).hexdigest() != document["hash"]:
        problem = "is not what its hash says"
    elif document["value"] is not None:
        digest = salted_digest(bytes.fromhex(document["salt"]), document["value"])
        if digest.hex() != record["digest"]:
            problem = "has other values than its digest says"
    return {**record, "hash": document["hash"], "problem": problem}


def _archive_line(row: chain_store.Row) -> bytes:
    salt, value = row[19], row[20]
    document = {
        "record": record_text(*row[:18]),
        "hash": row[18].hex(),
        "salt": None if salt is None else salt.hex(),
        "value": value,
    }
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _cut_chain(chain: chain_store.ChainHead) -> CutChain:
    return CutChain(chain.chain, chain.seq, chain.hash)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
