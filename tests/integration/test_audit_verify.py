"""Verification names what an attacker with all rights in the database has done, and proves nothing without its seals."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from click.testing import CliRunner

from okno.audit.chain import NO_HASH, Entry, salted_digest
from okno.audit.checkpoint import Seals, Signer
from okno.audit.cli import _tail, audit_commands, record_line
from okno.audit.records import ActorRef, Event, RecordRef, SubjectRef
from okno.audit.service import Journal
from okno.audit.verify import Finding, Report, verify
from okno.clock import ManualClock
from okno.storage.engine import Database
from tests.conftest import Cloned
from tests.integration.audit_stage import ANNA, IVAN, open_journal, superuser, unlock


@dataclass(frozen=True)
class Written:
    """Two chains: ten records (0 genesis, 9 the end) that were closed, and four that are still being written."""

    closed: UUID
    open: UUID
    journal: Journal
    attacker: "asyncpg.Connection[Any]"
    data_dir: Path

    async def findings(self) -> list[tuple[str, UUID | None, int | None, int | None]]:
        report = await self.journal.verify()
        assert report.whole == (not report.findings)
        return [(each.kind, each.chain, each.seq, each.until) for each in report.findings]


@pytest.fixture
async def written(committed: Cloned, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Written]:
    async with open_journal(committed.db, clock, tmp_path) as first:
        for number in range(4):
            async with first.command(**unlock()) as command:
                command.succeeded({"number": number})
            clock.advance(timedelta(seconds=1))
    async with open_journal(committed.db, clock, tmp_path) as second, superuser(committed) as attacker:
        for _ in range(2):
            ref = await second.record(Event("sensitive.read", ANNA, IVAN, {"fields": ["salary"]}))
        yield Written(command.ref.chain, ref.chain, second, attacker, tmp_path)


async def test_an_untouched_journal_is_whole_also_while_it_is_written(
    written: Written, clock: ManualClock
) -> None:
    report = await written.journal.verify()
    assert (report.whole, report.records, report.chains, report.unproven) == (True, 13, 2, 0)
    assert report.checkpoint_at == report.signed_at == clock.now()


@pytest.mark.parametrize(
    "change",
    [
        "event_type = 'session.ended'",
        "at = at + interval '1 microsecond'",
        "actor_id = NULL",
        "subject_id = 'other'",
        "rule = NULL",
        "policy_version = 'v2'",
        "request_id = 'r'",
        "digest = sha256('x')",
        "hash = sha256('x')",
        "prev_hash = sha256('x')",
        "refers_seq = 1, refers_chain_id = chain_id",
    ],
)
async def test_an_altered_record_is_named(written: Written, change: str) -> None:
    await written.attacker.execute(
        f"UPDATE audit_record SET {change} WHERE chain_id = $1 AND seq = 3", written.closed
    )
    assert await written.findings() == [("altered", written.closed, 3, 3)]


@pytest.mark.parametrize(
    "change", ["value = replace(value, 'domain', 'romain')", "salt = sha256('x')", "value = 'é'"]
)
async def test_an_altered_value_is_named(written: Written, change: str) -> None:
    await written.attacker.execute(
        f"UPDATE audit_value SET {change} WHERE chain_id = $1 AND seq = 3", written.closed
    )
    assert await written.findings() == [("altered", written.closed, 3, 3)]


@pytest.mark.parametrize("seq", [3, 9])
async def test_a_record_altered_together_with_its_hash_is_named(written: Written, seq: int) -> None:
    await _rewrite(written, [seq])
    assert await written.findings() == [("altered", written.closed, seq, seq)]


async def test_a_chain_rewritten_from_some_record_on_is_not_what_was_signed(written: Written) -> None:
    await _rewrite(written, range(3, 10))
    assert await written.findings() == [("altered", written.closed, 9, 9)]


async def test_removed_records_in_the_middle_are_a_gap(written: Written) -> None:
    await written.attacker.execute(
        "DELETE FROM audit_record WHERE chain_id = $1 AND seq IN (2, 3, 6)", written.closed
    )
    assert await written.findings() == [("gap", written.closed, 2, 3), ("gap", written.closed, 6, 6)]


async def test_a_removed_beginning_is_a_gap(written: Written) -> None:
    await written.attacker.execute("DELETE FROM audit_record WHERE chain_id = $1 AND seq = 0", written.closed)
    assert await written.findings() == [("gap", written.closed, 0, 0)]


async def test_a_removed_end_is_a_missing_tail(written: Written) -> None:
    await written.attacker.execute("DELETE FROM audit_record WHERE chain_id = $1 AND seq > 7", written.closed)
    assert await written.findings() == [("missing tail", written.closed, 8, 9)]


async def test_a_removed_end_of_an_open_chain_is_a_missing_tail(written: Written) -> None:
    await written.attacker.execute("DELETE FROM audit_record WHERE chain_id = $1 AND seq = 2", written.open)
    assert await written.findings() == [("missing tail", written.open, 2, 2)]


async def test_a_removed_chain_is_missing_as_a_whole(written: Written) -> None:
    await written.attacker.execute("DELETE FROM audit_record WHERE chain_id = $1", written.closed)
    assert await written.findings() == [("missing tail", written.closed, 0, 9)]


async def test_a_removed_chain_is_missed_even_when_its_head_is_removed_with_it(
    written: Written, clock: ManualClock
) -> None:
    await asyncio.to_thread(Seals(written.data_dir, Signer.load(written.data_dir)).checkpoint, clock.now())
    await written.attacker.execute("DELETE FROM audit_record WHERE chain_id = $1", written.open)
    (written.data_dir / "audit" / "heads" / f"{written.open}.json").unlink()
    assert await written.findings() == [
        ("seal", written.open, None, None),
        ("missing tail", written.open, 0, 2),
    ]


@pytest.mark.parametrize("change", ["removed", "emptied", "changed"])
async def test_the_end_of_a_closed_chain_cannot_be_taken_out_of_the_proof(
    written: Written, change: str
) -> None:
    await written.attacker.execute("DELETE FROM audit_record WHERE chain_id = $1", written.closed)
    ended = written.data_dir / "audit" / "ended.jsonl"
    text = ended.read_text()
    if change == "removed":
        ended.unlink()
    else:
        ended.write_text("" if change == "emptied" else text.replace('"seq":9', '"seq":0'))
    assert [(kind, chain) for kind, chain, _, _ in await written.findings()] == [("seal", None)]


async def test_swapped_records_are_told_as_reordered(written: Written) -> None:
    await written.attacker.execute(
        "UPDATE audit_record SET seq = CASE seq WHEN 3 THEN -1 ELSE -2 END WHERE chain_id = $1 AND seq IN (3, 5)",
        written.closed,
    )
    await written.attacker.execute(
        "UPDATE audit_record SET seq = CASE seq WHEN -1 THEN 5 ELSE 3 END WHERE chain_id = $1 AND seq < 0",
        written.closed,
    )
    assert await written.findings() == [
        ("reordered", written.closed, 3, 3),
        ("reordered", written.closed, 5, 5),
    ]


async def test_an_emptied_table_misses_every_chain(written: Written) -> None:
    await written.attacker.execute("TRUNCATE audit_record, audit_value, audit_command")
    found = await written.findings()
    assert sorted(found, key=repr) == sorted(
        [("missing tail", written.closed, 0, 9), ("missing tail", written.open, 0, 2)], key=repr
    )


async def test_a_chain_that_nobody_announced_is_forged(written: Written) -> None:
    await written.attacker.execute(
        "UPDATE audit_record SET chain_id = $1 WHERE chain_id = $2", UUID(int=5), written.closed
    )
    kinds = {(kind, chain) for kind, chain, _, _ in await written.findings()}
    assert {("forged", UUID(int=5)), ("missing tail", written.closed)} <= kinds


async def test_a_record_added_behind_the_end_is_forged_and_behind_an_open_head_unproven(
    written: Written,
) -> None:
    for chain in (written.closed, written.open):
        last = await written.attacker.fetchrow(
            "SELECT seq, hash FROM audit_record WHERE chain_id = $1 ORDER BY seq DESC LIMIT 1", chain
        )
        assert last is not None
        await _insert(written, chain, last["seq"] + 1, last["hash"])
    assert await written.findings() == [("forged", written.closed, 10, 10)]
    report = await written.journal.verify()
    assert report.unproven == 1
    assert [(part.chain, part.seq, part.until) for part in report.unproven_parts] == [(written.open, 3, 3)]
    assert report.proven_until == report.unproven_parts[0].at


async def test_erased_values_are_told_with_the_record_that_erased_them(written: Written) -> None:
    target = RecordRef(written.closed, 3)
    (by,) = await written.journal.erase([target], actor=ANNA, reason="asked for by the person")
    report = await written.journal.verify()
    assert report.whole
    assert (report.erased, report.erased_count) == ([(target, by)], 1)
    record = await written.journal.get_record(target)
    assert record.erased
    assert (record.detail, record.actor_login, record.subject_label) == (None, None, None)
    assert record.actor_id == ANNA.id


async def test_erasing_an_intent_erases_what_the_command_repeats(written: Written) -> None:
    async with written.journal.command(**unlock(idempotency_key="k")) as command:
        command.succeeded({"phone": "+7 900 000-00-00"})
    await written.journal.erase([command.ref], actor=ANNA, reason="asked for by the person")
    row = await written.attacker.fetchrow(
        "SELECT result, input_salt FROM audit_command WHERE idempotency_key = 'k'"
    )
    assert row is not None
    assert tuple(row) == (None, b"")


async def test_values_removed_without_a_record_of_it_are_an_alteration(written: Written) -> None:
    await written.attacker.execute("DELETE FROM audit_value WHERE chain_id = $1 AND seq = 3", written.closed)
    assert await written.findings() == [("altered", written.closed, 3, 3)]


@pytest.mark.parametrize(
    ("removed", "kind", "messages"),
    [
        (["keys/audit.pem"], "key", ["cannot be read"]),
        (["keys/audit.pem", "audit/keys.jsonl"], "nothing to compare with", ["cannot be read"]),
        (["audit/keys.jsonl"], "seal", ["is not that of the last checkpoint"]),
        (["audit/heads/*.json"], "seal", ["its signed head is gone"]),
        (["audit/checkpoints.jsonl"], "nothing to compare with", ["no signed checkpoint"]),
        (["audit/**/*.json*"], "nothing to compare with", ["no signed head", "no signed checkpoint"]),
    ],
)
async def test_nothing_is_proven_when_there_is_nothing_to_compare_with(
    written: Written, clock: ManualClock, removed: list[str], kind: str, messages: list[str]
) -> None:
    await asyncio.to_thread(Seals(written.data_dir, Signer.load(written.data_dir)).checkpoint, clock.now())
    for path in [path for pattern in removed for path in list(written.data_dir.glob(pattern))]:
        path.unlink()
    report = await written.journal.verify()
    assert not report.whole
    assert kind in {each.kind for each in report.findings}
    for message in messages:
        assert any(message in each.message for each in report.findings)


async def test_an_empty_journal_without_seals_is_not_called_whole(committed: Cloned, tmp_path: Path) -> None:
    report = await verify(committed.db, tmp_path)
    assert [each.kind for each in report.findings] == ["nothing to compare with"]
    assert os.listdir(tmp_path) == []


async def test_a_head_that_was_put_back_is_noticed_by_the_checkpoint(
    written: Written, clock: ManualClock
) -> None:
    head = written.data_dir / "audit" / "heads" / f"{written.open}.json"
    early = head.read_bytes()
    await written.journal.record(Event("session.ended", ANNA))
    await written.journal.close()
    await written.attacker.execute("DELETE FROM audit_record WHERE chain_id = $1 AND seq > 2", written.open)
    head.write_bytes(early)
    assert await written.findings() == [
        ("seal", written.open, None, None),
        ("missing tail", written.open, 3, 4),
    ]


async def test_a_forged_head_is_no_proof(written: Written) -> None:
    head = written.data_dir / "audit" / "heads" / f"{written.open}.json"
    head.write_text(head.read_text().replace('"seq":2', '"seq":1'))
    assert ("seal", None, None, None) in await written.findings()


async def test_memory_and_output_stay_bounded_when_everything_is_altered(
    committed: Cloned, written: Written
) -> None:
    await written.attacker.execute(
        "INSERT INTO audit_record SELECT chain_id, g, at, event_type, phase, outcome, actor_id, actor_kind, subject_kind,"
        " subject_id, refers_chain_id, refers_seq, policy_version, rule, request_id, digest, prev_hash, hash"
        " FROM audit_record, generate_series(100, 3100) g WHERE chain_id = $1 AND seq = 3",
        written.closed,
    )
    report = await verify(committed.db, written.data_dir)
    assert report.found > 3000
    assert len(report.findings) == 1000


def test_the_commands_prove_and_read_the_journal(journal_of_a_day: "Day") -> None:
    runner, group = CliRunner(), audit_commands(journal_of_a_day.connect, lambda: journal_of_a_day.data_dir)
    whole = runner.invoke(group, ["verify"])
    assert whole.exit_code == 0, whole.output
    assert "WHOLE: no chain is missing up to 2026-11-02T09:00:00" in whole.output
    assert "erased  values of record" in whole.output
    report = json.loads(runner.invoke(group, ["verify", "--json"]).output)
    assert (report["whole"], report["records"], report["erased"], report["findings"]) == (True, 6, 1, [])

    lines = runner.invoke(group, ["tail", "-n", "4"]).output.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(
        "2026-11-02 09:00:00Z  anna.sorokina  Ran an operation  [intent]  Employee Иван Петров  {"
    )
    assert "[outcome: succeeded]  Employee" in lines[1]
    assert "(values erased)" in lines[1]

    (journal_of_a_day.data_dir / "keys" / "audit.pem").unlink()
    unproven = runner.invoke(group, ["verify"])
    assert unproven.exit_code == 1
    assert "KEY  the journal's key" in unproven.output
    assert "NOT WHOLE: 1 findings" in unproven.output


async def test_tail_follows_every_process(
    committed: Cloned, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr("okno.audit.cli.click.echo", printed.put_nowait)
    monkeypatch.setattr("okno.audit.cli._POLL_SECONDS", 0.01)
    day = Day(committed.app_url, tmp_path)
    async with open_journal(committed.db, clock, tmp_path) as one:
        following = asyncio.create_task(_tail(day.connect, 5, follow=True))
        assert "Began a chain" in await printed.get()
        async with open_journal(committed.db, clock, tmp_path) as other:
            assert "Began a chain" in await printed.get()
            clock.set_wall(clock.now() - timedelta(seconds=5))  # the processes' clocks differ a little
            for journal, sentence in ((one, "Signed in"), (other, "Signed out"), (one, "Signed in")):
                kind = "session.started" if sentence == "Signed in" else "session.ended"
                await journal.record(Event(kind, ANNA))
                assert sentence in await printed.get()
        assert "Closed a chain" in await printed.get()
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        assert printed.empty()


async def test_a_line_cannot_move_the_cursor_of_a_terminal(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        mallory = ActorRef(UUID(int=9), "person", "\x1b[2J\u202emallory", "M")
        await journal.record(
            Event("session.failed", mallory, SubjectRef("Login", "x", "a\nb"), {"text": "\x9b1m"})
        )
        line = record_line((await journal.tail(1))[0])
    assert line.isprintable()
    assert "mallory" in line


async def test_a_report_says_what_it_found() -> None:
    report = Report()
    report.add(Finding("gap", "record 3 is missing", UUID(int=1), 3, 3))
    assert report.document()["findings"] == [
        {"kind": "gap", "message": "record 3 is missing", "chain": str(UUID(int=1)), "seq": 3, "until": 3}
    ]


@dataclass(frozen=True)
class Day:
    """A journal on disk and the way to its database, for commands that make loops of their own."""

    url: str = field(repr=False)
    data_dir: Path

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Database]:
        database = Database.connect(self.url, role=None)
        try:
            yield database
        finally:
            await database.dispose()


@pytest.fixture
async def journal_of_a_day(committed: Cloned, clock: ManualClock, tmp_path: Path) -> Day:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        await journal.record(Event("session.started", ANNA))
        async with journal.command(**unlock()) as command:
            command.succeeded()
        await journal.erase([RecordRef(command.ref.chain, 3)], actor=ANNA, reason="asked for")
    return Day(committed.app_url, tmp_path)


async def _rewrite(written: Written, seqs: Any) -> None:
    """Alters the first of these records and makes the hashes of all of them fit, as one who knows the form would."""
    previous = None
    for seq in seqs:
        row = await written.attacker.fetchrow(
            "SELECT * FROM audit_record WHERE chain_id = $1 AND seq = $2", written.closed, seq
        )
        assert row is not None
        entry = Entry(
            row["chain_id"],
            row["seq"],
            row["at"],
            row["event_type"],
            row["phase"],
            row["outcome"],
            row["actor_id"],
            row["actor_kind"],
            row["subject_kind"],
            row["subject_id"],
            None if row["refers_seq"] is None else RecordRef(row["refers_chain_id"], row["refers_seq"]),
            row["policy_version"],
            "forged" if previous is None else row["rule"],
            row["request_id"],
            row["digest"],
            row["prev_hash"] if previous is None else previous,
        )
        previous = entry.hash()
        await written.attacker.execute(
            "UPDATE audit_record SET rule = $3, prev_hash = $4, hash = $5 WHERE chain_id = $1 AND seq = $2",
            written.closed,
            seq,
            entry.rule,
            entry.prev_hash,
            previous,
        )


async def _insert(written: Written, chain: UUID, seq: int, previous: bytes) -> None:
    at = await written.attacker.fetchval("SELECT max(at) FROM audit_record")
    digest = salted_digest(b"salt", "{}")
    entry = Entry(
        chain,
        seq,
        at,
        "session.started",
        "event",
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        digest,
        previous or NO_HASH,
    )
    await written.attacker.execute(
        "INSERT INTO audit_record (chain_id, seq, at, event_type, phase, digest, prev_hash, hash)"
        " VALUES ($1, $2, $3, 'session.started', 'event', $4, $5, $6)",
        chain,
        seq,
        at,
        digest,
        entry.prev_hash,
        entry.hash(),
    )
    await written.attacker.execute("INSERT INTO audit_value VALUES ($1, $2, 'salt', '{}')", chain, seq)
