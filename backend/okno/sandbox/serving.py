"""Ports of the simulators: kept over restarts and outages, refused (not silent) while a system is "down"."""

import asyncio
import socket
from collections.abc import Callable

import structlog

from okno.sandbox.faults import FaultBoard, Faults

HOST = "127.0.0.1"
_log = structlog.get_logger(__name__)


class Port:
    """A port of 127.0.0.1 that stays ours while nothing listens on it.

    A bound socket that never listens holds it, so that connections are refused and nobody else gets the number.
    """

    def __init__(self, preferred: int | None = None) -> None:
        self._holder = _bound(preferred) if preferred else None
        if self._holder is None:
            self._holder = _bound(0)
        assert self._holder is not None, "the system always has a free port"
        self.number: int = self._holder.getsockname()[1]

    def listening(self) -> socket.socket:
        """A new socket that listens on the port."""
        sock = _reusable()
        sock.bind((HOST, self.number))
        sock.listen(256)
        return sock

    def close(self) -> None:
        if self._holder is not None:
            self._holder.close()


class Listener:
    """Serves one port with connections of `factory`, except during an outage."""

    def __init__(
        self,
        board: FaultBoard,
        port: Port,
        factory: Callable[[], asyncio.BaseProtocol],
        abort_all: Callable[[], None],
    ) -> None:
        self._board = board
        self._port = port
        self._factory = factory
        self._abort_all = abort_all
        self._server: asyncio.Server | None = None
        self._starting: asyncio.Task[None] | None = None
        board.on_change.append(self._faults_changed)

    async def start(self) -> None:
        await self._accept(self._port.listening())

    def stop(self) -> None:
        """Refuses connections from now on and cuts those that are open."""
        self._close()
        self._port.close()

    def _counted(self) -> asyncio.BaseProtocol:
        self._board.connections += 1
        return self._factory()

    def _faults_changed(self, faults: Faults) -> None:
        _log.info("sandbox.faults", system=self._board.system, **faults.as_dict())
        if faults.outage:
            self._close()
        elif self._server is None and self._starting is None:
            # it listens from this line on, so that who was told "the faults are cleared" can connect
            sock = self._port.listening()
            self._starting = asyncio.get_running_loop().create_task(self._accept(sock))
            # a task that is cancelled before its first step never reaches its own clean-up
            self._starting.add_done_callback(lambda task: sock.close() if task.cancelled() else None)

    async def _accept(self, sock: socket.socket) -> None:
        try:
            self._server = await asyncio.get_running_loop().create_server(self._counted, sock=sock)
        except BaseException:
            sock.close()
            raise
        finally:
            self._starting = None

    def _close(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        if self._server is not None:
            self._server.close()
            self._server = None
        self._abort_all()


def _reusable() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setblocking(False)
    return sock


def _bound(number: int) -> socket.socket | None:
    """A holder of the port, or None when somebody else has it (asked without SO_REUSEPORT, which would share it)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return None
        number = probe.getsockname()[1]
    sock = _reusable()
    try:
        sock.bind((HOST, number))
    except OSError:
        sock.close()
        return None
    return sock
