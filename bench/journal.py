"""The journal: pairs of intent and outcome a second, verification of a long journal, and the feed's look at all chains.

`python -m bench.run journal`, or `python -m bench.journal 1000000` for another number of records. PostgreSQL waits for its disk.
"""

import asyncio
import contextlib
import multiprocessing
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import psutil

from okno.audit import chain_store
from okno.audit.chain import NO_HASH, Head, canonical, new_chain_id, record_text, salted_digest
from okno.audit.checkpoint import Seals, Signer
from okno.audit.records import ActorRef, SubjectRef
from okno.audit.service import Journal
from okno.audit.verify import verify
from okno.clock import SystemClock
from okno.storage import migrate
from okno.storage.embedded import APP, DATABASE, SUPERUSER, EmbeddedPostgres
from okno.storage.engine import Database

RECORDS = 1_000_000
CHAINS = 1_000
PROCESSES = 4
AT_ONCE = 100
SECONDS = 6.0
_ANNA = ActorRef(UUID(int=7), "person", "anna.sorokina", "Anna Sorokina", "first-line-cis")
_IVAN = SubjectRef("Employee", UUID(int=42), "Ivan Petrov")


@contextlib.asynccontextmanager
async def _server() -> AsyncIterator[tuple[EmbeddedPostgres, Path]]:
    directory = Path(tempfile.mkdtemp(prefix="okno-journal-"))
    server = EmbeddedPostgres(directory / "postgres")
    try:
        server.start()
        await server.ensure_roles()
        await server.ensure_database(DATABASE)
        await migrate.upgrade(server.url(DATABASE))
        yield server, directory
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


_all_ready: list[Any] = []


def _get_ready(barrier: Any) -> None:
    _all_ready.append(barrier)


def _write(url: str, data_dir: str) -> tuple[int, float]:
    """Pairs that this process wrote, and its processor time for each in seconds."""

    async def run() -> tuple[int, float]:
        db = Database.connect(url, role=None, pool_size=2)
        journal = Journal(db, SystemClock(), Path(data_dir), process="bench")
        await journal.start()
        done = 0
        await asyncio.to_thread(_all_ready[0].wait)
        began, end = time.process_time(), time.monotonic() + SECONDS

        async def one() -> None:
            nonlocal done
            while time.monotonic() < end:
                async with journal.command(
                    actor=_ANNA,
                    event_type="operation.run",
                    subject=_IVAN,
                    detail={"operation": "domain.unlock", "input": {}},
                    idempotency_key=str(uuid4()),
                    policy_version="a1b2c3d4",
                    rule="people.first-line: the first line helps people of its countries",
                ) as command:
                    command.succeeded({"changes": 1})
                done += 1

        await asyncio.gather(*(one() for _ in range(AT_ONCE)))
        spent = time.process_time() - began
        await journal.close()
        await db.dispose()
        return done, spent / max(1, done)

    return asyncio.run(run())


async def pairs(server: EmbeddedPostgres, directory: Path, processes: int) -> tuple[float, float]:
    """Pairs a second of so many processes, and the processor time of a pair outside PostgreSQL."""
    loop, context = asyncio.get_running_loop(), multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, _get_ready, (barrier,)) as pool:
        url, data_dir = server.url(DATABASE, APP), str(directory)
        results = await asyncio.gather(
            *(loop.run_in_executor(pool, _write, url, data_dir) for _ in range(processes))
        )
    return sum(done for done, _ in results) / SECONDS, max(each for _, each in results)


def _processor_seconds() -> float:
    """Processor time of this process and of those it started that have ended, PostgreSQL not among them."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _rows(count: int, chain: UUID, at: datetime) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """A chain as Okno writes it: rows of records and of values."""
    previous, value, salt = NO_HASH, "", b""
    for seq in range(count):
        first, last = seq == 0, seq == count - 1
        kind = "journal.started" if first else "journal.stopped" if last else "operation.run"
        phase = "event" if first or last else "intent" if seq % 2 else "outcome"
        outcome = "succeeded" if phase == "outcome" else None
        if seq % 50 == 0:
            salt = secrets.token_bytes(16)
            value = canonical(
                {"detail": {"operation": "domain.unlock", "n": seq}, "actor": {"login": "anna"}}
            )
        refers = (chain, seq - 1) if phase == "outcome" else (None, None)
        row = (
            chain, seq, at + timedelta(milliseconds=seq), kind, phase, outcome, _ANNA.id, "person", "Employee", str(_IVAN.id),
            *refers, "a1b2c3d4", "people.first-line: the first line helps people", f"request-{seq}",
            salted_digest(salt, value), previous, _ANNA.team,
        )  # fmt: skip
        previous = salted_digest(record_text(*row).encode(), "")
        yield (*row, previous), (chain, seq, salt, value)


async def fill(server: EmbeddedPostgres, directory: Path, records: int, chains: int) -> None:
    """Writes a journal past the application: one chain with half of the records, the rest in short ones."""
    signer = Signer.load_or_create(directory)
    seals = Seals(directory, signer)
    seals.prepare()
    connection = await asyncpg.connect(server.url(DATABASE, SUPERUSER))
    names = [
        "chain_id", "seq", "at", "event_type", "phase", "outcome", "actor_id", "actor_kind", "subject_kind", "subject_id",
        "refers_chain_id", "refers_seq", "policy_version", "rule", "request_id", "digest", "prev_hash", "team", "hash",
    ]  # fmt: skip
    now = datetime.now(UTC)
    short = max(2, records // 2 // max(1, chains - 1))
    for number in range(chains):
        at = now - timedelta(seconds=chains - number)
        chain = new_chain_id(at)
        made = list(_rows(records - short * (chains - 1) if number == 0 else short, chain, at))
        await connection.copy_records_to_table(
            "audit_record", records=[row for row, _ in made], columns=names
        )
        await connection.copy_records_to_table("audit_value", records=[row for _, row in made])
        seals.write_head(Head(chain, made[-1][0][1], made[-1][0][18], now, ended=True))
    seals.checkpoint(now)
    await connection.execute("ANALYZE audit_record, audit_value")
    await connection.close()


async def measure(records: int = RECORDS) -> None:
    """Prints what it measures."""
    async with _server() as (server, directory):
        for processes in (1, PROCESSES):
            rate, spent = await pairs(server, directory, processes)
            print(
                f"   {rate:8,.0f} pairs/s   {processes} processes, {AT_ONCE} at once in each; {spent * 1e6:,.0f} µs of"
                " processor time for a pair outside PostgreSQL",
                flush=True,
            )
    async with _server() as (server, directory):
        began = time.perf_counter()
        await fill(server, directory, records, CHAINS)
        print(
            f"   {records:,} records in {CHAINS:,} chains made in {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        db = Database.connect(server.url(DATABASE, APP), role=None)
        for processes in (1, os.cpu_count() or 1):
            began, spent = time.perf_counter(), _processor_seconds()
            report = await verify(db, directory, processes=processes)
            seconds, spent = time.perf_counter() - began, _processor_seconds() - spent
            assert report.whole, report.findings[:3]
            print(
                f"   {seconds:8.1f} s   verified with {processes} processes: {spent / records * 1e6:.1f} µs of processor time a record,"
                f" {psutil.Process().memory_info().rss / 1e6:.0f} MB; aim: 1,000,000 below 60 s"
            )
        async with db.transaction() as session:
            for title, begun_after in (
                ("at all chains", UUID(int=0)),
                ("at new chains", new_chain_id(datetime.now(UTC))),
            ):
                times = []
                for _ in range(5):
                    began = time.perf_counter()
                    await chain_store.list_heads(session, begun_after=begun_after)
                    times.append(time.perf_counter() - began)
                print(f"   {sorted(times)[2] * 1e3:8.1f} ms   the feed's look {title}")
        await db.dispose()


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS))
