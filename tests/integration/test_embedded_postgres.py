"""The embedded server: created once, shared, adopted after a kill, stopped by whom it belongs to."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from okno.storage.bounded_log import BoundedLog
from okno.storage.embedded import APP, EmbeddedPostgres


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not tmp_path: pytest closes its folders to others, and a server started by root runs as a user of its own."""
    with tempfile.TemporaryDirectory(prefix="okno-embedded-") as name:
        yield Path(name)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "postgres", settings={"fsync": "off"})
    server.start()
    yield server
    server.stop()


async def test_data_survives_a_restart(server: EmbeddedPostgres) -> None:
    await server.ensure_roles()
    assert await server.ensure_database("okno") is True
    connection = await asyncpg.connect(server.url("okno"))
    await connection.execute("CREATE TABLE kept (id int)")
    await connection.close()
    server.stop()
    assert not server.running
    server.start()
    await server.ensure_roles()
    assert await server.ensure_database("okno") is False
    connection = await asyncpg.connect(server.url("okno"))
    assert await connection.fetchval("SELECT count(*) FROM kept") == 0
    await connection.close()


def test_a_second_user_shares_the_server_and_does_not_stop_it(server: EmbeddedPostgres, folder: Path) -> None:
    guest = EmbeddedPostgres(folder / "postgres")
    guest.start()
    guest.stop()
    assert server.running


def test_a_server_left_by_a_killed_supervisor_is_adopted_and_stopped(
    server: EmbeddedPostgres, folder: Path
) -> None:
    heir = EmbeddedPostgres(folder / "postgres")
    heir.start(adopt=True)
    heir.stop()
    assert not server.running


def test_a_server_that_was_killed_is_started_again(server: EmbeddedPostgres, folder: Path) -> None:
    postmaster = psutil.Process(
        int((folder / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
    )
    children = postmaster.children()
    postmaster.kill()
    psutil.wait_procs(children, timeout=10)
    assert not server.running
    server.restart()
    assert server.running


async def test_nobody_enters_without_a_password(server: EmbeddedPostgres) -> None:
    await server.ensure_roles()
    url = server.url("postgres", APP)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url.replace(":" + url.split(":")[2].split("@")[0] + "@", ":wrong@"))


def test_a_log_never_takes_more_than_two_files(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "noisy.log", max_bytes=1000)
    for number in range(500):
        log.write(b"%d error error error\n" % number)
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["noisy.log", "noisy.log.1"]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2000
    assert (tmp_path / "noisy.log").read_bytes().endswith(b"499 error error error\n")


def test_a_first_start_that_was_killed_on_the_way_does_not_spoil_the_next_one(folder: Path) -> None:
    code = f"from pathlib import Path; from okno.storage.embedded import EmbeddedPostgres; EmbeddedPostgres(Path({str(folder)!r})).start()"
    first = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    deadline = time.monotonic() + 60
    while not any(folder.glob("*/PG_VERSION")):  # initdb has begun
        assert time.monotonic() < deadline
        assert first.poll() is None
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (folder / "cluster" / "postmaster.pid").exists(), "killed too late to show anything"
    server = EmbeddedPostgres(folder, settings={"fsync": "off"})
    server.start()
    try:
        assert server.running
    finally:
        server.stop()


def test_another_postgresql_with_the_number_of_ours_is_not_taken_for_it(
    server: EmbeddedPostgres, folder: Path
) -> None:
    elsewhere = folder / "elsewhere" / "cluster"
    elsewhere.mkdir(parents=True)
    lines = (folder / "postgres" / "cluster" / "postmaster.pid").read_text()
    (elsewhere / "postmaster.pid").write_text(lines)
    assert not EmbeddedPostgres(elsewhere.parent).running
