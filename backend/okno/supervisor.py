"""`okno up`: everything of one deployment on one machine, started in order, watched, and stopped in order."""

import asyncio
import contextlib
import fcntl
import http.client
import ipaddress
import json
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

from okno.clock import Clock
from okno.errors import ConfigurationError, OknoError, Unavailable
from okno.processes import Child, stop_asked
from okno.settings import Settings
from okno.storage.embedded import APP, DATABASE, SUPERUSER, EmbeddedPostgres

_START_PATIENCE_SECONDS = 60.0
_INDEX_PATIENCE_SECONDS = 600.0
_WATCH_SECONDS = 0.5
_RESTART_PAUSE_SECONDS = 5.0

T = TypeVar("T")


class Progress:
    """Tells a person at a terminal what goes on, and how long each step took."""

    def __init__(self, clock: Clock, out: TextIO = sys.stdout) -> None:
        self._clock = clock
        self._out = out
        self._terminal = out.isatty()
        self._began = clock.monotonic()

    @property
    def seconds(self) -> float:
        return self._clock.monotonic() - self._began

    def say(self, line: str, *, passing: bool = False) -> None:
        """Prints a line; on a terminal the next one takes the place of a passing one."""
        start, end = ("\r\x1b[K", "" if passing else "\n") if self._terminal else ("", "\n")
        # the terminal may be gone: what runs is stopped in order all the same
        with contextlib.suppress(OSError):
            print(start + line, end=end, file=self._out, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """One step; what it yields may be called with (done, total)."""
        began, shown = self._clock.monotonic(), 0.0

        def count(done: int, total: int) -> None:
            nonlocal shown
            now = self._clock.monotonic()
            if now - began >= 1.0 and now - shown >= (0.2 if self._terminal else 5.0):
                shown = now
                self.say(f"    {title}: {done:,} of {total:,}", passing=True)

        try:
            yield count
        except BaseException:
            self.say(f"  ✗ {title}")
            raise
        self.say(f"  ✓ {title} ({self._clock.monotonic() - began:.1f} s)")


async def up(settings: Settings, clock: Clock, ready: Callable[[Progress], None]) -> None:
    """Runs until SIGINT, SIGTERM, or until the terminal is closed.

    Args:
        ready: called once when everything answers; prints whom one may sign in as.

    Raises:
        OknoError: a step failed; everything that was started is stopped again.
    """
    progress = Progress(clock)
    stop = stop_asked()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with _only_one(settings.data_dir):
        _check_port(settings)
        progress.say("Starting Okno")
        async with contextlib.AsyncExitStack() as stack:
            starting = asyncio.create_task(_start(settings, clock, progress, stack))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                ready(progress)
                await stopping
            else:
                starting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await starting
            progress.say("\nStopping Okno …")
        progress.say("Stopped.")


async def _start(
    settings: Settings, clock: Clock, progress: Progress, stack: contextlib.AsyncExitStack
) -> None:
    environment = dict(os.environ)
    children: list[Child] = []

    def start_child(name: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "okno.cli", *arguments]
        child = Child(
            name, command, environment, settings.data_dir / "logs" / f"{name}.log", on_crash=progress.say
        )
        child.start()
        children.append(child)
        stack.push_async_callback(child.stop)

    server = EmbeddedPostgres(settings.data_dir / "postgres")
    credentials: dict[str, str] = {}
    if settings.sandbox.enabled:
        credentials = _sandbox_credentials(settings.data_dir)
        await _company(settings, clock, progress)
        (settings.data_dir / "sandbox" / "ports.json").unlink(missing_ok=True)
        environment |= {**credentials, "OKNO_EQUIPMENT_UPSTREAM": server.address}
        start_child(
            "sandbox", "sandbox", "serve"
        )  # needs a second, which PostgreSQL and the migrations need as well
    environment |= await _database(settings, progress, stack, server)
    if settings.sandbox.enabled:
        environment |= await _systems(settings, clock, progress, server, credentials, children[0])
    _leave_environment(settings, environment)
    start_child("api", "api")
    with progress.step("API"):
        await _poll(
            settings, clock, children, _START_PATIENCE_SECONDS, lambda state: state.get("index") is not None
        )
    # after the API: both need seconds of processor to start, and nobody waits for the worker once the people are indexed
    start_child("worker", "worker")
    await _wait_for_index(settings, clock, progress, children)


async def _company(settings: Settings, clock: Clock, progress: Progress) -> None:
    from okno.sandbox import company
    from okno.sandbox.cli import company_file

    file, wanted, called_off = company_file(settings.data_dir), settings.sandbox, threading.Event()
    with progress.step(f"Demo company of {wanted.employees:,} people") as count:

        def written(done: int, total: int) -> None:
            if called_off.is_set():
                raise InterruptedError
            count(done, total)

        today = clock.now().date()
        await to_its_end(
            lambda: company.ensure(wanted.seed, wanted.employees, file, today, written), called_off
        )


async def _database(
    settings: Settings, progress: Progress, stack: contextlib.AsyncExitStack, server: EmbeddedPostgres
) -> Mapping[str, str]:
    """Starts the embedded server where something needs it, migrates; gives what the processes need to reach the database."""
    from okno.storage import migrate

    own = settings.database.url is None
    if own or settings.sandbox.enabled:
        with progress.step("PostgreSQL"):
            stack.push_async_callback(asyncio.to_thread, server.stop)
            await to_its_end(lambda: server.start(adopt=True))
            await server.ensure_roles()
            if own:
                await server.ensure_database(DATABASE)
        keeper = asyncio.create_task(_keep_running(server, progress), name="keep PostgreSQL")
        stack.push_async_callback(_end, keeper)
    with progress.step("Tables"):
        await migrate.upgrade(settings.database.url or server.url(DATABASE))
    # not the owner's: no process that runs may alter tables, or the journal by its owner's rights
    return {"OKNO_APP_DATABASE_URL": server.url(DATABASE, APP)} if own else {}


async def to_its_end(work: Callable[[], T], called_off: threading.Event | None = None) -> T:
    """Runs what blocks in a thread. No thread can be killed, so a cancellation waits for its end: what it was about to
    start has started by then, and whoever cleans up finds it. `called_off` asks the work to end early."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if called_off is not None:
            called_off.set()
        await asyncio.gather(running, return_exceptions=True)
        raise


async def _keep_running(server: EmbeddedPostgres, progress: Progress) -> None:
    """Starts the server again when it ends; its log is bounded, and so is how often it is tried."""
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        if server.running:
            continue
        progress.say("PostgreSQL stopped; starting it again")
        try:
            await to_its_end(server.restart)
        except (OknoError, OSError) as error:
            progress.say(str(error))
            await asyncio.sleep(_RESTART_PAUSE_SECONDS)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _systems(
    settings: Settings,
    clock: Clock,
    progress: Progress,
    server: EmbeddedPostgres,
    credentials: Mapping[str, str],
    child: Child,
) -> dict[str, str]:
    """The simulated systems, once all of them listen; gives the addresses by which the sources find them."""
    from okno.sandbox import equipment
    from okno.sandbox.cli import company_file
    from okno.sandbox.records import SERVICE_DN

    with progress.step("Simulated systems"):
        password = credentials["OKNO_EQUIPMENT_PASSWORD"]
        await equipment.prepare(server.url("postgres", SUPERUSER), company_file(settings.data_dir), password)
        ports_file = settings.data_dir / "sandbox" / "ports.json"
        deadline = clock.monotonic() + _START_PATIENCE_SECONDS
        while not ports_file.exists():
            if child.crashes or clock.monotonic() > deadline:
                raise Unavailable(
                    f"the simulated systems do not start; the end of {child.log}:\n{child.last_lines()}"
                )
            await asyncio.sleep(0.02)
        ports = json.loads(ports_file.read_text())
    return {
        "OKNO_HR_URL": f"http://127.0.0.1:{ports['hr']}",
        "OKNO_DIRECTORY_URL": f"http://127.0.0.1:{ports['directory']}/scim/v2",
        "OKNO_DOMAIN_URL": f"ldap://127.0.0.1:{ports['domain']}",
        "OKNO_DOMAIN_BIND_DN": SERVICE_DN,
        "OKNO_EQUIPMENT_URL": f"postgresql://{equipment.ROLE}:{password}@127.0.0.1:{ports['equipment']}/{equipment.DATABASE}",
    }


async def _wait_for_index(
    settings: Settings, clock: Clock, progress: Progress, children: list[Child]
) -> None:
    with progress.step("Index of people") as count:

        def indexed(state: Mapping[str, Any]) -> bool:
            index = state.get("index") or {}
            count(index.get("done", 0), index.get("total", 0) or settings.sandbox.employees)
            return state.get("ready") is True

        await _poll(settings, clock, children, _INDEX_PATIENCE_SECONDS, indexed)


async def _poll(
    settings: Settings,
    clock: Clock,
    children: list[Child],
    patience_seconds: float,
    done: Callable[[Mapping[str, Any]], bool],
) -> None:
    deadline = clock.monotonic() + patience_seconds
    while True:
        state = await asyncio.to_thread(_readiness, settings)
        if state is not None and done(state):
            return
        for child in children:
            if child.crashes > 2:
                raise Unavailable(
                    f"{child.name} does not stay up; the end of {child.log}:\n{child.last_lines()}"
                )
        if clock.monotonic() > deadline:
            raise Unavailable(
                f"Okno was not ready after {patience_seconds:.0f} s: {json.dumps(state)}; logs: {settings.data_dir / 'logs'}"
            )
        await asyncio.sleep(0.1)


def _readiness(settings: Settings) -> Mapping[str, Any] | None:
    connection = http.client.HTTPConnection(_reachable(settings.http.host), settings.http.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        state = json.loads(connection.getresponse().read())
        return state if isinstance(state, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _reachable(host: str) -> str:
    """An address of this machine at which a server on `host` answers: one that listens everywhere does on the loopback."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    with (data_dir / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"Okno already runs on the data folder {data_dir}; stop it, or set OKNO_DATA_DIR to another folder"
            ) from None
        yield


def _check_port(settings: Settings) -> None:
    with socket.socket(socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.http.host, settings.http.port))
        except OSError as error:
            raise ConfigurationError(
                f"port {settings.http.port} on {settings.http.host} is taken ({error.strerror}); set PORT to a free one"
            ) from None


def _sandbox_credentials(data_dir: Path) -> dict[str, str]:
    file = data_dir / "keys" / "sandbox.json"
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = ("OKNO_HR_TOKEN", "OKNO_DIRECTORY_TOKEN", "OKNO_DOMAIN_PASSWORD", "OKNO_EQUIPMENT_PASSWORD")
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump({name: secrets.token_hex(16) for name in names}, out)
    credentials: dict[str, str] = json.loads(file.read_text())
    return credentials


def _leave_environment(settings: Settings, environment: Mapping[str, str]) -> None:
    """Leaves the addresses of the systems for the other `okno` commands that are run on the same data folder."""
    names = sorted(name for name in environment if name.startswith("OKNO_") and name not in os.environ)
    file = settings.data_dir / "run.env"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.writelines(f"{name}={environment[name]}\n" for name in names if name != "OKNO_APP_DATABASE_URL")
