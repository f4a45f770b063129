"""What keeps the journal provable for years: months as tables, the cut of old records, changes of the key, dead processes."""

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from alembic import command as alembic_command
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from okno.audit import verify as verifying
from okno.audit.chain import NO_HASH, Entry, Head, begun_at, new_chain_id, salted_digest
from okno.audit.checkpoint import Seals, Signer
from okno.audit.cli import audit_commands
from okno.audit.cut import NotWhole, cut, find_cut, plan_cut, verify_archive
from okno.audit.export.service import Export, Exporter
from okno.audit.export.sinks import FileSink
from okno.audit.keeping_cli import Keeping, add_keeping_commands
from okno.audit.keys import Trail, prepare_rotation
from okno.audit.proof import Part
from okno.audit.records import Event, RecordRef
from okno.audit.service import Journal
from okno.audit.verify import verify
from okno.clock import ManualClock
from okno.errors import ConfigurationError, Conflict, NotFound, Unavailable
from okno.storage import migrate
from okno.storage.embedded import EmbeddedPostgres
from okno.storage.engine import Database
from tests.conftest import Cloned
from tests.integration.audit_stage import ANNA, IVAN, Line, open_journal, superuser, unlock

READ = Event("sensitive.read", ANNA, IVAN, {"fields": ["salary"]})


@pytest.fixture
async def owner(committed: Cloned) -> AsyncIterator[Database]:
    db = Database.connect(committed.owner_url, role=None, pool_size=2)
    yield db
    await db.dispose()


async def _write_chain(committed: Cloned, clock: ManualClock, data_dir: Path, records: int = 2) -> UUID:
    """A chain that was closed: its start, some records, its end."""
    async with open_journal(committed.db, clock, data_dir) as journal:
        refs = [await journal.record(READ) for _ in range(records)]
    return refs[0].chain


async def _findings(
    committed: Cloned, data_dir: Path, **options: Any
) -> list[tuple[str, UUID | None, int | None]]:
    report = await verify(committed.db, data_dir, **options)
    return [(each.kind, each.chain, each.seq) for each in report.findings]


# Months as tables


async def test_each_chain_lies_in_its_month_and_what_has_no_month_in_the_default_table(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    this_month = await _write_chain(committed, ManualClock(datetime.now(UTC)), tmp_path)
    long_ago = await _write_chain(committed, ManualClock(datetime(2019, 1, 5, tzinfo=UTC)), tmp_path)
    async with superuser(committed) as admin:
        tables = {
            row[0]: row[1]
            for row in await admin.fetch(
                "SELECT DISTINCT chain_id, tableoid::regclass::text FROM audit_record"
            )
        }
    assert tables[this_month] == f"audit_record_p{datetime.now(UTC):%Y%m}"
    assert tables[long_ago] == "audit_record_default"
    assert (await verify(committed.db, tmp_path)).whole


async def test_months_are_made_ahead_and_records_are_written_when_they_were_not(
    committed: Cloned, tmp_path: Path
) -> None:
    clock = ManualClock(datetime(2031, 3, 31, 23, 59, tzinfo=UTC))
    async with open_journal(committed.db, clock, tmp_path) as journal:
        late = await journal.record(READ)
        made = await journal.add_partitions(3)
        # the month that has records already stays where they are
        assert made == [
            f"audit_{kind}_p2031{month}" for month in ("04", "05") for kind in ("record", "value")
        ]
        assert await journal.add_partitions(3) == []
        clock.advance(timedelta(minutes=2))
        journal._writer().nudge()
        early = await journal.record(READ)
    assert late.chain != early.chain, "a new month begins a new chain"
    async with superuser(committed) as admin:
        where = "SELECT tableoid::regclass::text FROM audit_record WHERE chain_id = $1 LIMIT 1"
        assert await admin.fetchval(where, late.chain) == "audit_record_default"
        assert await admin.fetchval(where, early.chain) == "audit_record_p203104"
        ended = "SELECT event_type FROM audit_record WHERE chain_id = $1 ORDER BY seq DESC LIMIT 1"
        assert await admin.fetchval(ended, late.chain) == "journal.stopped"
    assert (await verify(committed.db, tmp_path)).whole


def test_the_id_of_a_chain_tells_when_it_began() -> None:
    at = datetime(2026, 11, 2, 9, 0, 0, 123000, tzinfo=UTC)
    chains = [new_chain_id(at + timedelta(milliseconds=number)) for number in range(3)]
    assert chains == sorted(chains)
    assert [begun_at(chain) for chain in chains] == [
        at + timedelta(milliseconds=number) for number in range(3)
    ]
    assert chains[0].version == 7
    assert begun_at(uuid4()) is None


async def test_a_journal_of_before_the_months_is_taken_over_whole_and_its_running_version_goes_on(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    name = "okno_before_months"
    await postgres.ensure_database(name)

    def upgrade(connection: Any, revision: str) -> None:
        settings = migrate.config()
        settings.attributes["connection"] = connection
        alembic_command.upgrade(settings, revision)

    await migrate._run(postgres.url(name), lambda connection: upgrade(connection, "0007"))
    chain, seals = uuid4(), Seals(tmp_path, Signer.load_or_create(tmp_path))
    seals.prepare()
    connection = await asyncpg.connect(postgres.url(name, "postgres"))
    try:
        head = await _insert_as_before(connection, chain, 0, 3, NO_HASH)
        await migrate.upgrade(postgres.url(name))
        head = await _insert_as_before(connection, chain, 3, 5, head)
        # how the running version finds out about a commit in doubt
        taken = await connection.fetch(
            "INSERT INTO audit_record SELECT * FROM audit_record WHERE chain_id = $1 AND seq = 4"
            " ON CONFLICT (chain_id, seq) DO NOTHING RETURNING seq",
            chain,
        )
        assert taken == []
        seals.write_head(Head(chain, 4, head, datetime.now(UTC)))
        seals.checkpoint(datetime.now(UTC))
        db = Database.connect(postgres.url(name, "okno_app"), role=None)
        report = await verify(db, tmp_path)
        await db.dispose()
        assert (report.findings, report.records) == ([], 5)
    finally:
        await connection.close()
        admin = await asyncpg.connect(postgres.url("postgres", "postgres"))
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


async def _insert_as_before(connection: Any, chain: UUID, first: int, end: int, previous: bytes) -> bytes:
    for seq in range(first, end):
        entry = Entry(
            chain, seq, datetime(2026, 10, 1, tzinfo=UTC), "session.started", "event", None, None, None, None, None, None,
            None, None, None, salted_digest(b"salt", "{}"), previous,
        )  # fmt: skip
        previous = entry.hash()
        await connection.execute(
            "INSERT INTO audit_record (chain_id, seq, at, event_type, phase, digest, prev_hash, hash)"
            " VALUES ($1, $2, $3, 'session.started', 'event', $4, $5, $6)",
            chain, seq, entry.at, entry.digest, entry.prev_hash, previous,
        )  # fmt: skip
        await connection.execute("INSERT INTO audit_value VALUES ($1, $2, 'salt', '{}')", chain, seq)
    return previous


async def test_the_role_of_the_application_cannot_change_remove_or_detach_records(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    await _write_chain(committed, clock, tmp_path)
    application = await asyncpg.connect(committed.app_url)
    try:
        tables = [
            row[0]
            for row in await application.fetch(
                "SELECT relname FROM pg_class WHERE relname ~ '^audit_(record|value)' AND relkind IN ('r', 'p')"
            )
        ]
        assert len(tables) >= 8, tables
        records = [table for table in tables if table.startswith("audit_record")]
        statements = [f"UPDATE {table} SET event_type = 'x'" for table in records]
        statements += [f"DELETE FROM {table}" for table in (*records, *tables[len(tables) :])]
        statements += [f"DELETE FROM {table}" for table in tables if table not in ("audit_value", *records)]
        statements += [f"UPDATE {table} SET seq = 1" for table in tables]
        for table in tables:
            statements += [f"TRUNCATE {table}", f"DROP TABLE {table}", f"ALTER TABLE {table} RENAME TO gone"]
        for table in tables:
            parent = "audit_record" if table in records else "audit_value"
            if table != parent:
                statements += [
                    f"ALTER TABLE {parent} DETACH PARTITION {table}",
                    f"INSERT INTO {table} SELECT * FROM {parent}",
                    f"SELECT * FROM {table}",
                ]
        statements += [
            "CREATE TABLE mine PARTITION OF audit_record FOR VALUES FROM"
            " ('00000000-0000-0000-0000-000000000000') TO ('00000000-0000-0000-0000-000000000001')",
            "ALTER FUNCTION audit_add_partitions RENAME TO mine",
            "CREATE OR REPLACE FUNCTION audit_add_partitions(date, integer) RETURNS SETOF text LANGUAGE sql AS ''",
            "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ]
        for statement in statements:
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSchemaNameError)):
                await application.execute(statement)
        with pytest.raises(asyncpg.RaiseError):
            await application.fetch("SELECT audit_add_partitions('2026-01-01', 1000)")
    finally:
        await application.close()
    assert (await verify(committed.db, tmp_path)).whole


# The cut


async def test_old_chains_are_cut_off_and_verification_says_so(
    committed: Cloned, owner: Database, tmp_path: Path
) -> None:
    clock = ManualClock(datetime(2026, 1, 10, tzinfo=UTC))
    old = [await _write_chain(committed, clock, tmp_path) for _ in range(3)]
    clock.advance(timedelta(days=200))
    young = await _write_chain(committed, clock, tmp_path)
    async with open_journal(committed.db, clock, tmp_path) as journal:
        before = clock.now() - timedelta(days=100)
        done = await cut(journal, owner, tmp_path, clock, before, archive=tmp_path / "kept")
        assert done is not None
        assert {each.chain for each in done.chains} == set(old)
        assert await cut(journal, owner, tmp_path, clock, before) is None
        report = await journal.verify()
        assert (report.findings, report.records) == ([], 4 + 3)
        assert [(len(each.chains), each.records) for each in report.cuts] == [(3, 12)]
        archive = tmp_path / "kept" / str(done.archive and done.archive[0])
        assert list(verify_archive(archive, find_cut(tmp_path, archive).chains)) == []
    async with superuser(committed) as attacker:
        # nobody can say that more was cut off than was, nor bring back another past
        await attacker.execute("DELETE FROM audit_record WHERE chain_id = $1", young)
        assert await _findings(committed, tmp_path) == [("missing tail", young, 0)]
        cuts = tmp_path / "audit" / "cuts.jsonl"
        line = cuts.read_text()
        cuts.write_text(line.replace(str(old[0]), str(young)))
        kinds = {kind for kind, _, _ in await _findings(committed, tmp_path)}
        assert {"seal", "missing tail"} <= kinds
        cuts.unlink()
        found = await _findings(committed, tmp_path)
        assert {("missing tail", chain, 0) for chain in old} <= set(found)
        assert ("seal", None, None) in found
    unpacked = gzip.decompress(archive.read_bytes())
    archive.write_bytes(gzip.compress(unpacked.replace(b"salary", b"office", 1)))
    with pytest.raises(NotWhole, match="no signed cut names"):
        find_cut(tmp_path, archive)
    assert [each.split(" of ")[0] for each in verify_archive(archive, done.chains)] == ["record 1"]


async def test_what_an_export_has_not_taken_stays_and_the_plan_says_so(
    committed: Cloned, owner: Database, tmp_path: Path
) -> None:
    clock = ManualClock(datetime(2026, 1, 10, tzinfo=UTC))
    old = await _write_chain(committed, clock, tmp_path)
    clock.advance(timedelta(days=200))
    async with open_journal(committed.db, clock, tmp_path) as journal:
        before = clock.now() - timedelta(days=100)
        sink = FileSink(tmp_path / "out.jsonl", max_bytes=1_000_000, keep=1)
        exporter = Exporter(
            Export("siem", "jsonl", "file:out.jsonl", sink, batch=2), committed.db, journal, clock
        )
        for sent in range(2):
            plan = await plan_cut(owner, tmp_path, before, exports=["siem"])
            assert plan.chains == (), f"{2 * sent} of 4 are sent"
            ((chain, why),) = plan.kept
            assert chain.chain == old
            assert why.startswith("the export siem has not taken all of it")
            assert await cut(journal, owner, tmp_path, clock, before, exports=["siem"]) is None
            assert await exporter.step() == 2
        assert await cut(journal, owner, tmp_path, clock, before, exports=["siem"]) is not None


async def test_a_whole_month_is_cut_off_as_a_table_and_the_rest_of_the_journal_goes_on(
    committed: Cloned, owner: Database, tmp_path: Path
) -> None:
    clock = ManualClock(datetime.now(UTC))
    await _write_chain(committed, clock, tmp_path)
    month = f"audit_record_p{clock.now():%Y%m}"
    clock.advance(timedelta(days=120))
    async with open_journal(committed.db, clock, tmp_path) as journal, superuser(committed) as admin:
        assert await admin.fetchval("SELECT to_regclass($1) IS NOT NULL", month)
        assert await cut(journal, owner, tmp_path, clock, clock.now() - timedelta(days=60)) is not None
        assert await admin.fetchval("SELECT to_regclass($1) IS NULL", month)
        await journal.record(READ)
        assert (await journal.verify()).whole


async def test_what_is_not_whole_is_not_cut_off(committed: Cloned, owner: Database, tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 10, tzinfo=UTC))
    old = await _write_chain(committed, clock, tmp_path)
    clock.advance(timedelta(days=200))
    async with superuser(committed) as attacker, open_journal(committed.db, clock, tmp_path) as journal:
        await attacker.execute("UPDATE audit_record SET rule = 'other' WHERE chain_id = $1 AND seq = 1", old)
        with pytest.raises(NotWhole, match="altered"):
            await cut(journal, owner, tmp_path, clock, clock.now() - timedelta(days=100))
        assert await attacker.fetchval("SELECT count(*) FROM audit_record WHERE chain_id = $1", old) == 4


async def test_open_chains_open_commands_and_needed_erasures_stay(
    committed: Cloned, owner: Database, tmp_path: Path
) -> None:
    clock = ManualClock(datetime(2026, 1, 10, tzinfo=UTC))
    async with open_journal(committed.db, clock, tmp_path) as still_open:
        young = ManualClock(datetime(2026, 7, 1, tzinfo=UTC))
        kept = await _write_chain(committed, young, tmp_path)
        async with (
            open_journal(committed.db, clock, tmp_path) as journal,
            journal.command(**unlock()) as command,
        ):
            command.unknown("TIMEOUT", "nobody knows")
        async with open_journal(committed.db, clock, tmp_path) as journal:
            (erasing,) = await journal.erase([RecordRef(kept, 1)], actor=ANNA, reason="asked for")
        async with open_journal(committed.db, clock, tmp_path) as journal:
            (of_erasing,) = await journal.erase([erasing], actor=ANNA, reason="it stays, so does this")
        cuttable = await _write_chain(committed, clock, tmp_path)
        plan = await plan_cut(owner, tmp_path, datetime(2026, 6, 1, tzinfo=UTC))
        assert [each.chain for each in plan.chains] == [cuttable]
        assert {chain.chain: why.split()[0] for chain, why in plan.kept} == {
            still_open._writer().chain: "it",
            command.ref.chain: "commands",
            erasing.chain: "it",
            of_erasing.chain: "it",
        }


async def test_only_the_owner_can_cut(committed: Cloned, tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 10, tzinfo=UTC))
    await _write_chain(committed, clock, tmp_path)
    clock.advance(timedelta(days=200))
    async with open_journal(committed.db, clock, tmp_path) as journal:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await cut(journal, committed.db, tmp_path, clock, clock.now() - timedelta(days=100))
        report = await journal.verify()
        # the cut was announced and did not take place: what it names is still there, and still proven
        assert (report.whole, report.records) == (True, 4 + 3)


# Keys


async def test_what_an_old_key_signed_stays_provable_and_both_keys_sign_the_change(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as running:
        first = Signer.load(tmp_path)
        await running.record(READ)
        clock.advance(timedelta(minutes=10))
        runner, group = CliRunner(), _commands(committed, clock, tmp_path)
        for _ in range(2):
            result = await asyncio.to_thread(runner.invoke, group, ["rotate-key", "--json"])
            assert result.exit_code == 0, result.output
            clock.advance(timedelta(minutes=10))
        now = Signer.load(tmp_path).key_id
        assert json.loads(result.output)["new"] == now
        assert Trail.read(tmp_path).last == now
        assert len(Trail.read(tmp_path).keys) == 3
        await running._open[1].tick()  # type: ignore[index]
        await running.record(READ)
        head = json.loads((tmp_path / "audit" / "heads" / f"{running._writer().chain}.json").read_text())
        assert head["key"] == now, "a running process follows"
        report = await verify(committed.db, tmp_path, key=first.public)
        assert (report.findings, report.key) == ([], now)
        types = [record.event_type for record in await running.tail(50)]
        assert types.count("journal.key_rotated") == 4
    # who has only the old key, which was destroyed here and may have been copied before, signs nothing any more
    stolen = Seals(tmp_path, first)
    stolen.write_head(Head(new_chain_id(clock.now()), 7, bytes(32), clock.now()))
    report = await verify(committed.db, tmp_path)
    assert ["taken out of use" in each.message for each in report.findings] == [True]


async def test_a_replaced_key_is_told_as_such(committed: Cloned, clock: ManualClock, tmp_path: Path) -> None:
    await _write_chain(committed, clock, tmp_path)
    kept = Signer.load(tmp_path).public
    stranger = tmp_path / "stranger"
    Signer.load_or_create(stranger)
    os.replace(stranger / "keys" / "audit.pem", tmp_path / "keys" / "audit.pem")
    with pytest.raises(ConfigurationError, match="was replaced"):
        Signer.load_or_create(tmp_path)
    assert [kind for kind, _, _ in await _findings(committed, tmp_path)] == ["key"]
    # with a trail of its own besides, only the public key that was kept elsewhere tells
    os.replace(stranger / "audit" / "keys.jsonl", tmp_path / "audit" / "keys.jsonl")
    for name in ("checkpoints.jsonl", "ended.jsonl"):
        (tmp_path / "audit" / name).unlink()
    async with superuser(committed) as attacker:
        await attacker.execute("TRUNCATE audit_record, audit_value, audit_command")
    await _write_chain(committed, clock, tmp_path)
    assert await _findings(committed, tmp_path) == []
    assert await _findings(committed, tmp_path, key=kept) == [("key", None, None)]


async def test_a_rotation_that_was_killed_on_its_last_step_is_finished(tmp_path: Path) -> None:
    old = Signer.load_or_create(tmp_path)
    rotation = prepare_rotation(tmp_path, datetime(2026, 11, 2, tzinfo=UTC))
    with (tmp_path / "audit" / "keys.jsonl").open("ab") as trail:
        trail.write(rotation.line + b"\n")
    assert Signer.load(tmp_path).key_id == rotation.new.key_id != old.key_id
    assert not (tmp_path / "keys" / "audit.next.pem").exists()


def _commands(committed: Cloned, clock: ManualClock, data_dir: Path) -> Any:
    @asynccontextmanager
    async def connect() -> AsyncIterator[Database]:
        db = Database.connect(committed.app_url, role=None, pool_size=2)
        yield db
        await db.dispose()

    @asynccontextmanager
    async def connect_as_owner() -> AsyncIterator[Database]:
        db = Database.connect(committed.owner_url, role=None, pool_size=2)
        yield db
        await db.dispose()

    @asynccontextmanager
    async def journal() -> AsyncIterator[Journal]:
        async with connect() as db, open_journal(db, clock, data_dir) as opened:
            yield opened

    group = audit_commands(connect, lambda: data_dir)
    keeping = Keeping(
        data_dir=lambda: data_dir,
        journal=journal,
        owner=connect_as_owner,
        keep_days=lambda: 100,
        archive=lambda: data_dir / "audit" / "archive",
        clock=clock,
    )
    add_keeping_commands(group, keeping)
    return group


async def test_the_commands_cut_and_prove_what_was_cut(committed: Cloned, tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 10, tzinfo=UTC))
    old = await _write_chain(committed, clock, tmp_path)
    clock.advance(timedelta(days=200))
    runner, group = CliRunner(), _commands(committed, clock, tmp_path)

    async def run(*arguments: str) -> str:
        result = await asyncio.to_thread(runner.invoke, group, arguments)
        assert result.exit_code == 0, result.output
        return str(result.output)

    assert json.loads(await run("cut", "--dry-run", "--json"))["chains"][0]["chain"] == str(old)
    assert "Cut off 4 records of 1 chains" in await run("cut")
    (archive,) = (tmp_path / "audit" / "archive").iterdir()
    assert "WHOLE: 4 records of 1 chains" in await run("check-archive", str(archive))
    key = tmp_path / "kept.pem"
    key.write_text((await run("key")).split("key ")[0])
    output = await run("verify", "--key", str(key))
    assert "cut  4 records of 1 chains before 2026-04-20" in output
    assert "WHOLE SINCE THE CUT" in output
    document = json.loads(await run("verify", "--json", "--since", "2026-07-01"))
    assert (document["whole"], document["cuts"][0]["records"]) == (True, 4)


# Processes that died, and strangers


async def test_the_chain_of_a_killed_process_is_ended_for_it_so_that_nobody_adds_to_it(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as dying:
        ref = await dying.record(READ)
        heads = tmp_path / "audit" / "heads"
        # as a killed process leaves it: its head not ended, and the last commit not signed any more
        left = (heads / f"{ref.chain}.json").read_bytes()
        unsigned = await dying.record(READ)
    (heads / f"{ref.chain}.json").write_bytes(left)
    (heads / f"{ref.chain}.alive").touch()
    for name in ("ended.jsonl", "checkpoints.jsonl"):
        (tmp_path / "audit" / name).unlink()
    async with superuser(committed) as attacker:
        await attacker.execute("DELETE FROM audit_record WHERE seq > $1", unsigned.seq)
        async with open_journal(committed.db, clock, tmp_path) as journal:
            keeper = journal._open[1]  # type: ignore[index]
            await keeper.tick()
            assert (await journal.verify()).unproven == 1, "it may still be at it"
            clock.advance(timedelta(minutes=2))
            await keeper.tick()
            report = await journal.verify()
            assert (report.findings, report.unproven) == ([], 0)
            assert not (heads / f"{ref.chain}.alive").exists()
            await attacker.execute(
                "INSERT INTO audit_record (chain_id, seq, at, event_type, phase, digest, prev_hash, hash)"
                " SELECT chain_id, seq + 1, at, event_type, phase, digest, prev_hash, hash FROM audit_record"
                " WHERE chain_id = $1 AND seq = $2",
                ref.chain,
                unsigned.seq,
            )
            assert ("forged", ref.chain, unsigned.seq + 1) in await _findings(committed, tmp_path)


async def test_a_stranger_on_a_chain_that_is_idle_is_noticed_before_anything_is_written(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal, superuser(committed) as attacker:
        first = await journal.record(READ)
        await _forge(attacker, first.chain, "session.started", None)
        assert (await journal.verify()).unproven == 1
        await journal._open[1].tick()  # type: ignore[index]
        second = await journal.record(READ)  # nothing was refused
        assert second.chain != first.chain
        assert await _findings(committed, tmp_path) == [("forged", first.chain, first.seq + 1)]


async def test_an_erasure_that_nobody_vouches_for_is_no_excuse_for_missing_values(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal, superuser(committed) as attacker:
        ref = await journal.record(READ)
        await attacker.execute("DELETE FROM audit_value WHERE chain_id = $1 AND seq = $2", ref.chain, ref.seq)
        await _forge(attacker, ref.chain, "journal.erased", ref)
        report = await journal.verify()
        assert [(each.kind, each.seq) for each in report.findings] == [("altered", ref.seq)]
        assert "nobody vouches for" in report.findings[0].message


async def _forge(attacker: Any, chain: UUID, event_type: str, refers: RecordRef | None) -> None:
    """Adds a record that fits, behind the signed head of an open chain, as one who knows the form can."""
    last = await attacker.fetchrow(
        "SELECT seq, at, hash FROM audit_record WHERE chain_id = $1 ORDER BY seq DESC LIMIT 1", chain
    )
    entry = Entry(
        chain, last["seq"] + 1, last["at"], event_type, "event", None, None, None, None, None, refers, None, None, None,
        salted_digest(b"salt", "{}"), last["hash"],
    )  # fmt: skip
    await attacker.execute(
        "INSERT INTO audit_record (chain_id, seq, at, event_type, phase, refers_chain_id, refers_seq, digest, prev_hash, hash)"
        " VALUES ($1, $2, $3, $4, 'event', $5, $6, $7, $8, $9)",
        chain, entry.seq, entry.at, event_type, refers and refers.chain, refers and refers.seq, entry.digest,
        entry.prev_hash, entry.hash(),
    )  # fmt: skip
    await attacker.execute("INSERT INTO audit_value VALUES ($1, $2, 'salt', '{}')", chain, entry.seq)


# Verification in parts and by other processes


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_BLOCK", 3)
    monkeypatch.setattr(verifying, "_PART", 6)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT 1", []),
        ("UPDATE audit_record SET rule = 'x' WHERE seq = 6", [("altered", 6)]),
        ("UPDATE audit_record SET rule = 'x' WHERE seq = 7", [("altered", 7)]),
        ("DELETE FROM audit_record WHERE seq = 6", [("gap", 6)]),
        ("DELETE FROM audit_record WHERE seq BETWEEN 4 AND 14", [("gap", 4), ("gap", 7), ("gap", 13)]),
        ("DELETE FROM audit_record WHERE seq >= 19", [("missing tail", 19)]),
        ("DELETE FROM audit_value WHERE seq = 12", [("altered", 12)]),
    ],
)
async def test_a_long_chain_is_checked_in_parts_and_nothing_escapes_between_them(
    committed: Cloned, clock: ManualClock, tmp_path: Path, statement: str, found: list[tuple[str, int]]
) -> None:
    await _write_chain(committed, clock, tmp_path, records=20)
    async with superuser(committed) as attacker:
        await attacker.execute(statement)
    assert [(kind, seq) for kind, _, seq in await _findings(committed, tmp_path)] == found


async def test_other_processes_find_the_same(committed: Cloned, clock: ManualClock, tmp_path: Path) -> None:
    chains = [await _write_chain(committed, clock, tmp_path, records=3) for _ in range(2)]
    work = [verifying.Work((Part(chain, 0, 4),), {}, anything_signed=False) for chain in chains]
    async with superuser(committed) as attacker:
        await attacker.execute(
            "UPDATE audit_record SET rule = 'x' WHERE chain_id = $1 AND seq = 2", chains[1]
        )
    found = [each async for each in verifying._check_all(committed.db, work, 2)]
    assert sum(each.report.records for each in found) == 10
    assert [each.chain for one in found for each in one.report.findings] == [chains[1]]


async def test_since_a_moment_only_what_came_later_is_read_and_still_linked(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal, superuser(committed) as attacker:
        for _ in range(5):
            ref = await journal.record(READ)
            clock.advance(timedelta(hours=1))
        since = clock.now() - timedelta(hours=2, minutes=30)
        change = "UPDATE audit_record SET rule = 'x' WHERE chain_id = $1 AND seq = $2"
        await attacker.execute(change, ref.chain, 1)
        report = await verify(committed.db, tmp_path, since=since)
        assert (report.findings, report.records) == ([], 3)
        # whoever moves a record out of the time that is looked at alters the one that is looked at for the link
        await attacker.execute(
            "UPDATE audit_record SET at = at - interval '1 day' WHERE seq = $1", ref.seq - 1
        )
        assert await _findings(committed, tmp_path, since=since) == [("altered", ref.chain, ref.seq - 1)]


async def test_a_changed_team_is_an_alteration_also_where_there_was_none(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    chain = await _write_chain(committed, clock, tmp_path)
    async with superuser(committed) as attacker:
        await attacker.execute("UPDATE audit_record SET team = 'security' WHERE seq = 1")
    assert await _findings(committed, tmp_path) == [("altered", chain, 1)]


# Local effects


async def test_a_local_effect_and_its_outcome_are_committed_together_or_not_at_all(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    add = text("INSERT INTO usage_count VALUES (:name, now(), 'c', 'v', 'k', 'p', 1, now())")
    async with superuser(committed) as admin, open_journal(committed.db, clock, tmp_path) as journal:

        async def effects() -> list[str]:
            return [row[0] for row in await admin.fetch("SELECT coordinate FROM usage_count ORDER BY 1")]

        async with journal.command(**unlock()) as command:
            assert await command.commit(lambda session: _run(session, add, "one"), {"done": 1}) == 7
        assert await effects() == ["one"]

        async def refuse(session: Any) -> None:
            await session.execute(add, {"name": "two"})
            raise NotFound("there is none")

        with pytest.raises(NotFound):
            async with journal.command(**unlock()) as refused:
                await asyncio.gather(refused.commit(refuse), journal.record(READ))
        assert await effects() == ["one"]
        with pytest.raises(Conflict):
            await journal.record_with(_raising)

        async def tell(session: Any) -> Event:
            await session.execute(add, {"name": "three"})
            return READ

        told = await journal.record_with(tell)
        assert (await journal.get_record(told)).event_type == "sensitive.read"
        assert await effects() == ["one", "three"]
        outcomes = {
            each.refers: each.outcome
            for each in await journal.tail(20)
            if each.phase == "outcome" and each.refers
        }
        assert {ref: str(outcome) for ref, outcome in outcomes.items()} == {
            command.ref: "succeeded",
            refused.ref: "failed",
        }
        assert (await journal.verify()).whole


async def _run(session: Any, statement: Any, name: str) -> int:
    await session.execute(statement, {"name": name})
    return 7


async def _raising(session: Any) -> Event:
    raise Conflict("not now")


async def test_an_effect_that_waits_for_somebody_elses_lock_holds_nobody_up_for_long(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with superuser(committed) as other, open_journal(committed.db, clock, tmp_path) as journal:
        await other.execute("BEGIN; LOCK TABLE usage_count")
        add = text("INSERT INTO usage_count VALUES (:name, now(), 'c', 'v', 'k', 'p', 1, now())")
        async with journal.command(**unlock()) as command:
            waiting = asyncio.create_task(command.commit(lambda session: _run(session, add, "one")))
            await journal.record(READ)
            with pytest.raises(DBAPIError, match="lock timeout"):
                await waiting
            command.failed("BUSY", "somebody else is at it")
        await other.execute("ROLLBACK")
        assert (await journal.verify()).whole


async def test_an_effect_whose_commit_was_cut_off_is_known_in_the_end(
    committed: Cloned, clock: ManualClock, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    socket = Path(committed.app_url.partition("?host=")[2].replace("%2F", "/")) / ".s.PGSQL.5432"
    add = text("INSERT INTO usage_count VALUES (:name, now(), 'c', 'v', 'k', 'p', 1, now())")
    async with superuser(committed) as admin, Line(str(socket), tmp_path_factory.mktemp("line")) as line:
        db = Database.connect(line.url(committed.app_url), role=None, pool_size=2)
        try:
            async with open_journal(db, clock, tmp_path, reads=committed.db) as journal:

                async def effect(session: Any) -> None:
                    await session.execute(add, {"name": "one"})
                    line.cut()

                with pytest.raises(Unavailable):
                    async with journal.command(**unlock()) as command:
                        await command.commit(effect)
                await journal.record(READ)
                outcomes = [each for each in await journal.tail(20) if each.refers == command.ref]
                assert [str(each.outcome) for each in outcomes] == ["failed"]
                assert await admin.fetchval("SELECT count(*) FROM usage_count") == 0
                assert (await journal.verify()).whole
        finally:
            await db.dispose()
