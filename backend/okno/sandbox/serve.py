"""The process of the simulators: `python -m okno.sandbox.serve --company FILE --data-dir DIR`. Secrets come by environment.

`DIR/sandbox/ports.json` is there while all systems listen, and only then.
"""

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog
import uvloop

from okno.clock import SystemClock
from okno.errors import ConfigurationError, OknoError
from okno.logging import configure_logging
from okno.sandbox.control import Control
from okno.sandbox.faults import SYSTEMS, FaultBoard
from okno.sandbox.hr import HrSimulator
from okno.sandbox.ldap.server import DomainSimulator
from okno.sandbox.proxy import EquipmentProxy, Upstream
from okno.sandbox.records import SERVICE_DN
from okno.sandbox.scim.simulator import DirectorySimulator
from okno.sandbox.serving import Port
from okno.sandbox.store import open_company

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What clients authenticate with. `people_password`: of everybody in the domain; None: people cannot bind."""

    hr_token: str = field(repr=False)
    directory_token: str = field(repr=False)
    domain_password: str = field(repr=False)
    domain_bind_dn: str = SERVICE_DN
    people_password: str | None = field(default=None, repr=False)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "Secrets":
        """
        Raises:
            ConfigurationError: variables are missing; all of them are named.
        """
        needed = ("OKNO_HR_TOKEN", "OKNO_DIRECTORY_TOKEN", "OKNO_DOMAIN_PASSWORD")
        if missing := [name for name in needed if not environment.get(name)]:
            raise ConfigurationError(f"the sandbox needs the environment variables {', '.join(missing)}")
        return cls(
            hr_token=environment["OKNO_HR_TOKEN"],
            directory_token=environment["OKNO_DIRECTORY_TOKEN"],
            domain_password=environment["OKNO_DOMAIN_PASSWORD"],
            domain_bind_dn=environment.get("OKNO_DOMAIN_BIND_DN") or SERVICE_DN,
            people_password=environment.get("OKNO_DOMAIN_PEOPLE_PASSWORD") or None,
        )


@contextlib.asynccontextmanager
async def simulators(
    company_file: Path, secrets: Secrets, upstream: Upstream | None, preferred: Mapping[str, int]
) -> AsyncIterator[dict[str, int]]:
    """Starts all systems on the running loop; yields their ports. `equipment` only with an upstream.

    Raises:
        ConfigurationError: the company file is missing or of another version.
    """
    clock = SystemClock()
    company = open_company(company_file)
    boards = {name: FaultBoard(name) for name in SYSTEMS if name != "equipment" or upstream is not None}
    systems: dict[str, Any] = {
        "hr": HrSimulator(company, boards["hr"], secrets.hr_token),
        "directory": DirectorySimulator(company, boards["directory"], secrets.directory_token, clock),
        "domain": DomainSimulator(
            company,
            boards["domain"],
            clock,
            secrets.domain_bind_dn,
            secrets.domain_password,
            secrets.people_password,
        ),
    }
    if upstream is not None:
        systems["equipment"] = EquipmentProxy(upstream, boards["equipment"])
    systems["control"] = Control(boards)
    ports: dict[str, Port] = {}
    try:
        for name, system in systems.items():
            ports[name] = Port(preferred.get(name))
            await system.start(ports[name])
        yield {name: port.number for name, port in ports.items()}
    finally:
        for name in reversed(ports):
            await systems[name].stop()
            ports[name].close()
        company.close()


async def serve(
    company_file: Path, data_dir: Path, secrets: Secrets, upstream: Upstream | None, *, child: bool = False
) -> None:
    """Serves until SIGTERM or SIGINT; as a child also until standard input ends, so that it never outlives its parent.

    Raises:
        ConfigurationError: the company is missing, or another process serves this data folder.
    """
    folder = data_dir / "sandbox"
    folder.mkdir(parents=True, exist_ok=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with _only_one(folder):
        published, last = folder / "ports.json", folder / "ports.last.json"
        preferred = _previous(published) or _previous(last)
        published.unlink(missing_ok=True)
        async with simulators(company_file, secrets, upstream, preferred) as ports:
            text = orjson.dumps(ports)
            last.write_bytes(text)
            fresh = folder / ".ports.json"
            fresh.write_bytes(text)
            fresh.replace(published)
            _log.info("sandbox.started", **ports)
            if child:
                sys.stdout.write(text.decode() + "\n")
                sys.stdout.flush()
                loop.add_reader(sys.stdin.fileno(), _watch, sys.stdin.fileno(), stop)
            try:
                await stop.wait()
            finally:
                published.unlink(missing_ok=True)
        _log.info("sandbox.stopped")


def main(arguments: list[str] | None = None) -> int:
    """The command line of the process; the exit status."""
    parser = argparse.ArgumentParser(
        prog="okno.sandbox.serve", description="Simulators of the demo company's systems."
    )
    parser.add_argument("--company", type=Path, required=True, help="file made by `okno sandbox generate`")
    parser.add_argument(
        "--data-dir", type=Path, required=True, help="ports.json is written to its folder sandbox/"
    )
    parser.add_argument(
        "--child", action="store_true", help="announce the ports on standard output, end with standard input"
    )
    given = parser.parse_args(arguments)
    configure_logging(os.environ.get("OKNO_LOG_LEVEL") or "INFO")
    try:
        run(given.company, given.data_dir, child=given.child)
    except OknoError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


def run(company: Path, data_dir: Path, *, child: bool = False) -> None:
    """Serves with the secrets and OKNO_EQUIPMENT_UPSTREAM of the environment until told to stop.

    Raises:
        ConfigurationError: secrets or the company are missing, or another process serves this data folder.
    """
    secrets = Secrets.of_environment(os.environ)
    address = os.environ.get("OKNO_EQUIPMENT_UPSTREAM")
    upstream = Upstream.parse(address) if address else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(company, data_dir, secrets, upstream, child=child))


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"another sandbox serves {folder}; stop it, or set OKNO_DATA_DIR"
            ) from error
        yield


def _previous(file: Path) -> dict[str, int]:
    try:
        raw = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return (
        {str(k): v for k, v in raw.items() if isinstance(v, int) and 0 < v < 65536}
        if isinstance(raw, dict)
        else {}
    )


def _watch(descriptor: int, stop: asyncio.Event) -> None:
    if not os.read(descriptor, 4096):
        asyncio.get_running_loop().remove_reader(descriptor)
        stop.set()


if __name__ == "__main__":
    sys.exit(main())
