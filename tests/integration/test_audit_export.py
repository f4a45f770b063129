"""Exports: whatever breaks between the journal and its sink, none is lost, the order stands, and what comes again is known."""

import asyncio
import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from okno import worker
from okno.audit.export import store
from okno.audit.export.cli import _export, progress_line
from okno.audit.export.configured import export_of
from okno.audit.export.formats import Format
from okno.audit.export.service import Export, Exporter, Progress, list_progress
from okno.audit.export.sinks import FileSink, Sink, SinkError, SyslogSink, tls_context
from okno.audit.export.told import Exported
from okno.audit.records import Event, RecordRef
from okno.audit.rows import Filter
from okno.audit.service import Journal
from okno.audit.store import find_head
from okno.clock import ManualClock
from okno.errors import ConfigurationError, Unavailable
from okno.settings import AuditExportSettings, Settings
from okno.storage.engine import Database
from tests.conftest import Cloned
from tests.integration.audit_stage import ANNA, open_journal, unlock
from tests.integration.syslog_server import Certificates, Rsyslog, peer, reading, wait_until


@dataclass
class Kept:
    """A sink that keeps what it takes, and fails when told to: before it has taken a batch, or right after."""

    taken: list[tuple[int, str]] = field(default_factory=list)
    fail_before: int = 0
    fail_after: int = 0

    def take(self, batch: Sequence[Exported], write: Format) -> None:
        if self.fail_before:
            self.fail_before -= 1
            raise SinkError("down")
        self.taken += [(each.position or 0, each.id) for each in batch]
        if self.fail_after:
            self.fail_after -= 1
            raise SinkError("who knows")


@pytest.fixture
async def journal(committed_db: Database, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Journal]:
    async with open_journal(committed_db, clock, tmp_path / "first") as opened:
        yield opened


@pytest.fixture
async def second(committed_db: Database, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Journal]:
    """Another process, with a chain of its own."""
    async with open_journal(committed_db, clock, tmp_path / "second") as opened:
        yield opened


@pytest.fixture
def exporter(committed_db: Database, journal: Journal, clock: ManualClock) -> Callable[..., Exporter]:
    def make(sink: Sink, **options: Any) -> Exporter:
        export = Export(
            **{"name": "siem", "format": "jsonl", "to": "test", "sink": sink, "batch": 4, **options}
        )
        return Exporter(export, committed_db, journal, clock, poll_seconds=0.01, retry_seconds=(0.01, 0.05))

    return make


async def _sign_in(journal: Journal, times: int = 1) -> None:
    for _ in range(times):
        await journal.record(Event("session.started", ANNA))


async def _until_quiet(exporter: Exporter) -> None:
    """Steps until nothing is left; what the sink refuses is tried again."""
    for _ in range(100):
        try:
            if not await exporter.step():
                return
        except SinkError:
            continue
    raise AssertionError("it does not come to an end")


async def _ids_of_chains(db: Database, *journals: Journal) -> list[list[str]]:
    found = []
    for journal in journals:
        chain = journal._writer().chain
        async with db.transaction() as session:
            last = await find_head(session, chain)
        assert last is not None
        found.append([f"{chain}:{seq}" for seq in range(last + 1)])
    return found


async def test_two_chains_go_out_each_in_its_order_under_numbers_without_gaps(
    exporter: Callable[..., Exporter],
    journal: Journal,
    second: Journal,
    clock: ManualClock,
    committed_db: Database,
) -> None:
    for _ in range(6):
        await _sign_in(journal)
        clock.advance(timedelta(seconds=1))
        await _sign_in(second, 2)
        clock.set_wall(clock.now() - timedelta(seconds=3))  # a clock that goes back tears no chain apart
    sink = Kept()
    await _until_quiet(exporter(sink))
    assert [position for position, _ in sink.taken] == list(range(1, len(sink.taken) + 1))
    ids = [id_ for _, id_ in sink.taken]
    for chain in await _ids_of_chains(committed_db, journal, second):
        assert [each for each in ids if each in chain] == chain
    before = len(ids)
    await _sign_in(second)
    await _until_quiet(exporter(sink))  # as another process would, from the cursor
    assert len(sink.taken) == before + 1


async def test_what_comes_again_comes_in_the_same_order_under_the_same_numbers(
    exporter: Callable[..., Exporter], journal: Journal, second: Journal, clock: ManualClock
) -> None:
    await _sign_in(journal, 3)
    sink = Kept(fail_after=2)
    sending = exporter(sink)
    with pytest.raises(SinkError):
        await sending.step()
    first = list(sink.taken)
    # meanwhile records appear that would stand before them by time
    clock.set_wall(clock.now() - timedelta(hours=1))
    await _sign_in(second, 3)
    with pytest.raises(SinkError):
        await sending.step()
    assert sink.taken == first * 2
    await _until_quiet(exporter(sink))
    numbered = dict(sink.taken)
    assert len(numbered) == len(set(numbered.values()))
    assert sorted(numbered) == list(range(1, len(numbered) + 1))


async def test_a_sink_that_is_down_costs_nothing_but_time(
    exporter: Callable[..., Exporter], journal: Journal, committed_db: Database
) -> None:
    await _sign_in(journal, 9)
    sink = Kept(fail_before=3)
    running = asyncio.create_task(exporter(sink).run())
    try:
        await asyncio.wait_for(_is(lambda: len(sink.taken) >= 10), 10)
        await _sign_in(journal)
        await asyncio.wait_for(_is(lambda: len(sink.taken) >= 12), 10)
        progress = await _progress(committed_db, lambda each: each.behind == 0)
    finally:
        running.cancel()
    assert [position for position, _ in sink.taken] == list(range(1, len(sink.taken) + 1))
    assert (progress.name, progress.failure, progress.position) == ("siem", None, len(sink.taken))


async def test_a_failure_is_told_to_who_asks_how_far_it_came(
    exporter: Callable[..., Exporter], journal: Journal, committed_db: Database
) -> None:
    running = asyncio.create_task(exporter(Kept(fail_before=10**6)).run())
    try:
        progress = await _progress(committed_db, lambda each: each.failure is not None)
    finally:
        running.cancel()
    assert (progress.failure, progress.position) == ("down", 0)
    assert progress.behind >= 2


async def test_the_database_going_away_ends_no_export(
    exporter: Callable[..., Exporter], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Kept()
    sending = exporter(sink)
    step, tried = sending.step, 0

    async def unlucky() -> int:
        nonlocal tried
        tried += 1
        if tried in (1, 3):
            raise Unavailable("away")
        return await step()

    monkeypatch.setattr(sending, "step", unlucky)
    running = asyncio.create_task(sending.run())
    try:
        await asyncio.wait_for(_is(lambda: len(sink.taken) >= 2), 10)
    finally:
        running.cancel()


async def test_one_process_at_a_time_sends_an_export(
    exporter: Callable[..., Exporter], journal: Journal, committed_db: Database
) -> None:
    await _sign_in(journal, 3)
    sink = Kept()
    async with committed_db.transaction() as session:
        await store.add(session, "siem")
    async with committed_db.transaction() as session:
        assert await store.lock(session, "siem") is not None
        assert await exporter(sink).step() == 0
    assert await exporter(sink).step() == 4


async def test_an_export_may_begin_with_what_comes_from_now_on(
    exporter: Callable[..., Exporter], journal: Journal
) -> None:
    await _sign_in(journal, 3)
    sink = Kept()
    assert await exporter(sink, from_now=True).step() == 1
    (_, begun), *_ = sink.taken
    assert (await journal.get_record(_ref(begun))).event_type == "journal.exporting"


async def test_that_an_export_began_or_tells_more_now_stands_in_the_journal_before_it_does(
    exporter: Callable[..., Exporter], journal: Journal
) -> None:
    await _until_quiet(exporter(Kept()))
    await _until_quiet(exporter(Kept()))
    await _until_quiet(exporter(Kept(), personal=True))
    said = [each.detail for each in await journal.tail(50) if each.event_type == "journal.exporting"]
    assert [each and (each["export"], each["personal"]) for each in said] == [("siem", False), ("siem", True)]


async def test_values_erased_before_they_were_sent_are_not_sent(
    exporter: Callable[..., Exporter], journal: Journal, tmp_path: Path
) -> None:
    ref = await journal.record(Event("session.started", ANNA))
    await journal.erase([ref], actor=ANNA, reason="asked for")
    path = tmp_path / "out" / "journal.jsonl"
    await _until_quiet(exporter(FileSink(path, max_bytes=10**6, keep=2), personal=True))
    (line,) = [each for each in _lines(path) if each["id"] == str(ref)]
    assert line["erased"] is True
    assert "login" not in line["actor"]


async def test_half_a_line_of_a_process_that_died_is_mended_and_comes_again(
    exporter: Callable[..., Exporter], journal: Journal, tmp_path: Path
) -> None:
    await _sign_in(journal, 6)
    path = tmp_path / "journal.jsonl"
    sink = FileSink(path, max_bytes=10**6, keep=2)
    sending = exporter(sink)
    await sending.step()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id":"half of')
    await _until_quiet(sending)
    lines = _lines(path)
    assert [each["position"] for each in lines] == list(range(1, len(lines) + 1))
    assert path.read_bytes().startswith(whole)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_process_killed_between_the_sink_and_the_cursor_loses_nothing(
    exporter: Callable[..., Exporter], journal: Journal, committed: Cloned, tmp_path: Path
) -> None:
    await _sign_in(journal, 6)
    path = tmp_path / "journal.jsonl"
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED, committed.app_url, str(path), stderr=subprocess.PIPE
    )
    _, said = await asyncio.wait_for(killed.communicate(), 30)
    assert killed.returncode == -signal.SIGKILL, said.decode()
    before = _lines(path)
    assert len(before) == 4
    await _until_quiet(exporter(FileSink(path, max_bytes=10**6, keep=2)))
    lines = _lines(path)
    assert lines[4:8] == before
    assert [each["position"] for each in lines[4:]] == list(range(1, len(lines) - 3))


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from okno.audit.export.service import Export, Exporter
from okno.audit.export.sinks import FileSink
from okno.clock import SystemClock
from okno.storage.engine import Database

class Killed(FileSink):
    def take(self, batch, write):
        super().take(batch, write)
        os.kill(os.getpid(), signal.SIGKILL)

class Nothing:
    async def record(self, event):
        pass

async def main():
    sink = Killed(Path(sys.argv[2]), max_bytes=10**6, keep=2)
    db = Database.connect(sys.argv[1], role=None)
    await Exporter(Export("siem", "jsonl", "test", sink, batch=4), db, Nothing(), SystemClock()).step()

asyncio.run(main())
"""


async def test_files_are_turned_over_and_only_so_many_are_kept(
    exporter: Callable[..., Exporter], journal: Journal, tmp_path: Path
) -> None:
    await _sign_in(journal, 40)
    path = tmp_path / "journal.jsonl"
    await _until_quiet(exporter(FileSink(path, max_bytes=5000, keep=2)))
    names = sorted(each for each in os.listdir(tmp_path) if each.startswith("journal.jsonl"))
    assert names == ["journal.jsonl", "journal.jsonl.1", "journal.jsonl.2"]
    assert all((tmp_path / name).stat().st_size <= 5000 for name in names)
    positions = [each["position"] for name in names[::-1][:2] + names[:1] for each in _lines(tmp_path / name)]
    assert positions == list(range(positions[0], positions[0] + len(positions)))


async def test_a_file_that_cannot_be_written_is_named(
    exporter: Callable[..., Exporter], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(SinkError, match="cannot be written"):
        await exporter(FileSink(tmp_path / "taken" / "journal.jsonl", max_bytes=10**6, keep=2)).step()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def okno_certificate(certificates: Certificates) -> tuple[Path, Path]:
    return certificates.issue("okno")


@pytest.fixture
def rsyslog(tmp_path: Path, certificates: Certificates) -> Iterator[Rsyslog]:
    (tmp_path / "rsyslog").mkdir()
    server = Rsyslog(tmp_path / "rsyslog", certificates)
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)


def _tls(certificates: Certificates, own: tuple[Path, Path] | None, port: int, **options: Any) -> SyslogSink:
    context = tls_context(certificates.ca, *(own or (None, None)))
    return SyslogSink("localhost", port, tls=context, **{"timeout_seconds": 5.0, **options})


async def test_a_real_rsyslog_over_tls_gets_every_record_though_it_is_killed_in_between(
    exporter: Callable[..., Exporter],
    journal: Journal,
    second: Journal,
    rsyslog: Rsyslog,
    certificates: Certificates,
    okno_certificate: tuple[Path, Path],
    committed_db: Database,
) -> None:
    sink = _tls(certificates, okno_certificate, rsyslog.address[1])
    sending = exporter(sink, format="ocsf")
    await _sign_in(journal, 5)
    await _sign_in(second, 5)
    await sending.step()
    wait_until(lambda: len(rsyslog.lines()) == 4)
    rsyslog.stop(signal.SIGKILL)
    with pytest.raises(SinkError, match=r"localhost:\d+ cannot be reached"):
        await sending.step()
    rsyslog.start()
    await _until_quiet(sending)
    expected = {each for chain in await _ids_of_chains(committed_db, journal, second) for each in chain}
    wait_until(lambda: len(rsyslog.lines()) >= len(expected))
    found = [re.search(r'id="([^"]+)" seq="\d+" position="(\d+)"', line) for line in rsyslog.lines()]
    assert all(found)
    numbered = [(int(each[2]), each[1]) for each in found if each]
    assert {id_ for _, id_ in numbered} == expected
    # what came twice is known by its number and its id, and each number has one id
    assert sorted(dict(numbered)) == list(range(1, len(expected) + 1))
    assert len(set(numbered)) == len(expected)
    assert _body(rsyslog.lines()[0])["class_uid"] == 6002


async def test_a_server_that_refuses_us_or_that_we_do_not_know_gets_nothing(
    exporter: Callable[..., Exporter],
    journal: Journal,
    rsyslog: Rsyslog,
    certificates: Certificates,
    okno_certificate: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    port = rsyslog.address[1]
    (tmp_path / "other").mkdir()
    stranger = Certificates(tmp_path / "other", "stranger")
    for sink, says in (
        # how the refusal arrives is a matter of luck: in none of its ways it is taken for a receipt
        *((_tls(certificates, None, port), "broke off") for _ in range(10)),
        (_tls(certificates, stranger.issue("okno"), port), "broke off"),
        (_tls(stranger, okno_certificate, port), "certificate that `ca` vouches for"),
        (
            _tls(certificates, okno_certificate, port, server_name="siem.example.com"),
            "certificate that `ca` vouches for",
        ),
        (
            _tls(certificates, (tmp_path / "missing", tmp_path / "missing"), port),
            "certificates of an export cannot be read",
        ),
    ):
        with pytest.raises(SinkError, match=says):
            await exporter(sink).step()
    assert rsyslog.lines() == []
    assert await exporter(_tls(certificates, okno_certificate, port)).step() == 2
    wait_until(lambda: len(rsyslog.lines()) == 2)


def _server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.issue("localhost"))
    return context


async def test_a_server_that_dies_within_a_batch_gets_it_again(
    exporter: Callable[..., Exporter], journal: Journal, certificates: Certificates
) -> None:
    await _sign_in(journal, 2)
    with peer(lambda line: reading(line, most=2), _server_context(certificates)) as server:
        sending = exporter(_tls(certificates, None, server.port))
        with pytest.raises(SinkError):
            await sending.step()
        wait_until(lambda: len(server.taken) == 2)
        server.behave = reading
        assert await sending.step() == 4
        wait_until(lambda: len(server.taken) == 6)
    assert server.taken[:2] == server.taken[2:4]


async def test_plain_tcp_on_this_machine_is_ended_in_order_too(
    exporter: Callable[..., Exporter], journal: Journal
) -> None:
    await _sign_in(journal, 2)

    def deaf(line: Any) -> list[bytes]:
        line.recv(10)
        return []  # closes with messages unread, which resets the connection

    with peer(deaf) as server:
        sending = exporter(SyslogSink("localhost", server.port, tls=None, timeout_seconds=5.0))
        with pytest.raises(SinkError, match="broke off"):
            await sending.step()
        server.behave = reading
        assert await sending.step() == 4
        wait_until(lambda: len(server.taken) == 4)


async def test_a_server_too_slow_for_a_batch_gets_smaller_ones(
    exporter: Callable[..., Exporter], journal: Journal
) -> None:
    for _ in range(3):
        async with journal.command(**unlock(detail={"operation": "x", "note": "n" * 400_000})) as command:
            command.succeeded()

    given_up = threading.Event()

    def hanging(line: Any) -> list[bytes]:
        line.recv(1000)
        given_up.wait(10)
        return []

    with peer(hanging) as server:
        sink = SyslogSink("localhost", server.port, tls=None, timeout_seconds=0.2, message_bytes=10**6)
        sending = exporter(sink, personal=True)
        for _ in range(2):
            with pytest.raises(SinkError, match="did not take messages"):
                await sending.step()
        assert sending._most == 1
        server.behave = reading
        given_up.set()
        await _until_quiet(sending)
        wait_until(lambda: len(_positions(server.taken)) >= 8)
    assert _positions(server.taken) == list(range(1, len(_positions(server.taken)) + 1))


@pytest.mark.parametrize("is_secure", [False, True])
async def test_a_server_that_talks_without_end_holds_no_export_up(
    exporter: Callable[..., Exporter], journal: Journal, certificates: Certificates, is_secure: bool
) -> None:
    await _sign_in(journal, 2)
    given_up = threading.Event()

    def talking(line: Any) -> list[bytes]:
        for _ in range(400):
            line.sendall(b"x")
            if given_up.wait(0.01):
                break
        return []

    with peer(talking, _server_context(certificates) if is_secure else None) as server:
        tls = tls_context(certificates.ca, None, None) if is_secure else None
        sink = SyslogSink("localhost", server.port, tls=tls, timeout_seconds=0.1)
        sending = exporter(sink)
        with pytest.raises(SinkError, match="did not take messages"):
            await sending.step()
        given_up.set()
        server.behave = reading
        await _until_quiet(sending)
        wait_until(lambda: len(_positions(server.taken)) >= 3)


def _positions(taken: Sequence[bytes]) -> list[int]:
    """Numbers of what was taken, each once, as it came first."""
    found = [int(each[1]) for line in taken if (each := re.search(rb'position="(\d+)"', line))]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("tcp://siem.example.com:514", "plain TCP goes to this machine only"),
        ("udp://localhost:514", "give file:PATH"),
        ("tls://siem.example.com", "give file:PATH"),
        ("tls://siem.example.com:port", "give file:PATH"),
    ],
)
def test_a_destination_that_cannot_be_is_named_with_its_key(to: str, says: str, tmp_path: Path) -> None:
    settings = AuditExportSettings(format="cef", to=to)
    with pytest.raises(ConfigurationError, match=rf"\[audit\.export\.siem\] to: .*{says}"):
        export_of("siem", settings, data_dir=tmp_path, config_dir=tmp_path, network=None)


def test_a_file_lies_below_the_data_folder(tmp_path: Path) -> None:
    settings = AuditExportSettings(format="cef", to="file:audit/siem.cef", begin="now")
    export = export_of("siem", settings, data_dir=tmp_path, config_dir=tmp_path, network=None)
    export.sink.take([], lambda _: "")
    assert (tmp_path / "audit" / "siem.cef").exists()
    assert export.from_now


async def test_an_export_by_hand_is_itself_recorded_before_its_first_byte(
    journal: Journal, committed_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    await _sign_in(journal, 3)
    clock.advance(timedelta(minutes=1))
    middle = clock.now()
    await _sign_in(journal, 2)

    @contextlib.asynccontextmanager
    async def recording() -> AsyncIterator[tuple[Database, Journal]]:
        yield committed_db, journal

    to = tmp_path / "out.jsonl"
    count = await _export(recording, "jsonl", Filter(until=middle), to, personal=True)
    lines = _lines(to)
    assert count == len(lines) == 4
    assert [each["seq"] for each in lines] == [0, 1, 2, 3]
    assert lines[-1]["actor"]["login"] == ANNA.login
    assert "position" not in lines[0]
    intent, outcome = [each for each in await journal.tail(10) if each.event_type == "journal.exported"]
    assert intent.detail is not None
    assert (intent.detail["format"], intent.detail["personal"], intent.detail["to"]) == (
        "jsonl",
        True,
        "out.jsonl",
    )
    assert outcome.detail == {"result": {"records": 4}}
    with pytest.raises(click.ClickException, match="is there already"):
        await _export(recording, "jsonl", Filter(), to, personal=False)
    await journal.close()
    other = tmp_path / "other.jsonl"
    with pytest.raises(Unavailable):
        await _export(recording, "jsonl", Filter(), other, personal=False)
    assert other.name not in os.listdir(tmp_path)


async def test_the_worker_sends_what_the_configuration_names(
    journal: Journal, committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    export = {"siem": {"format": "cef", "to": "file:audit/journal.cef"}}
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "database": {"app_url": committed.app_url}, "audit": {"export": export}}
    )
    services = SimpleNamespace(settings=settings, journal=journal, clock=clock)
    working = asyncio.create_task(worker._export(cast(Any, services)))
    path = tmp_path / "audit" / "journal.cef"
    try:
        await _is(lambda: path.exists() and len(path.read_text().splitlines()) >= 2)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    assert path.read_text().startswith("CEF:0|Okno|Okno|")


def test_how_far_an_export_came_is_told_in_a_line(clock: ManualClock) -> None:
    at = clock.now()
    assert progress_line(Progress("siem", 7, 0, at, None, None)) == (
        "siem: 7 sent, 0 behind, last at 2026-11-02T09:00:00.000000+00:00"
    )
    assert "FAILS since 2026-11-02T09:00:00.000000+00:00: down" in progress_line(
        Progress("siem", 7, 3, None, at, "down")
    )


async def _progress(db: Database, holds: Callable[[Progress], bool]) -> Progress:
    """How far the one export has come, once this holds."""
    for _ in range(1000):
        for each in await list_progress(db):
            if holds(each):
                return each
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


def _body(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line[line.index("{") :])
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _ref(text: str) -> Any:
    return RecordRef.parse(text)


async def _is(holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, holds)
