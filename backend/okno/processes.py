"""Child processes that the supervisor keeps: started, logged within bounds, started again, stopped."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from okno.storage.bounded_log import BoundedLog

_SUPERVISED = "OKNO_SUPERVISED"
_PR_SET_PDEATHSIG = 1
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_AFTER_SECONDS = 60.0
_NOT_STARTED = 127  # as a shell says it


class Child:
    """One process. After `start` it is kept alive until `stop`; a crash pauses 1, 2, 4 … 30 s before the next try."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        on_crash: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = {**environment, _SUPERVISED: "1"}
        self._on_crash = on_crash
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False
        self.crashes = 0

    def start(self) -> None:
        """Begins to keep the process; returns at once."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def stop(self, patience_seconds: float = 10.0) -> None:
        """SIGTERM, then SIGKILL once patience is over."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), patience_seconds)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    def last_lines(self, count: int = 15) -> str:
        """The end of the process's log, for an error message."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ""

    async def _keep(self) -> None:
        pause = 1.0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            code = await self._run_once()
            if self._stopping:
                return
            self.crashes += 1
            if loop.time() - started > _HEALTHY_AFTER_SECONDS:
                pause = 1.0
            self._on_crash(
                f"{self.name} stopped with code {code}; starting it again in {pause:.0f} s, see {self.log}"
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> int:
        with contextlib.closing(BoundedLog(self.log)) as log:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    env=dict(self._environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops everything in order
                )
            except OSError as error:
                # the machine is out of memory, processes or files: a crash like any other
                log.write(f"{self.name} could not be started: {error.strerror}\n".encode())
                return _NOT_STARTED
            self._process = process
            assert process.stdout is not None
            while chunk := await process.stdout.read(65536):
                log.write(chunk)
            return await process.wait()


def stop_asked() -> asyncio.Event:
    """Set by SIGINT, SIGTERM or the terminal's end (SIGHUP, unless nohup is to ignore it); repeating them changes nothing."""
    stop = asyncio.Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def on_hangup(look_again: Callable[[], None]) -> None:
    """SIGHUP asks a process that no terminal controls to look at its files again, as is the custom of daemons.

    A supervised child is one; for whoever started a process by hand it remains the terminal's end.
    """
    if os.environ.get(_SUPERVISED) != "1" and _has_terminal():
        return
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, look_again)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def die_with_parent() -> None:
    """In a supervised child on Linux: be terminated when the supervisor dies, however it dies."""
    if os.environ.get(_SUPERVISED) != "1" or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == 1:  # the supervisor died before the request above
        os.kill(os.getpid(), signal.SIGTERM)
