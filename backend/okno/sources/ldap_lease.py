"""Who may touch an LDAP connection: the thread that works with it, or the event loop that calls the work off."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import ldap3
from ldap3.core.exceptions import LDAPExceptionError

from okno.sources.kind import Effect


class Aborted(Exception):
    """The caller has gone; nobody awaits this result."""


class Lease:
    """The use of one connection by one call, perhaps in several steps."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._aborted = False
        self._busy = False
        self.connection: ldap3.Connection | None = None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """For the thread, around its work. Afterwards an aborted lease's connection is closed."""
        with self._lock:
            if self._aborted:
                raise Aborted
            self._busy = True
        try:
            yield
        except BaseException:
            self._finish(failed=True)
            raise
        self._finish(failed=False)

    def hold(self, connection: ldap3.Connection) -> None:
        """For the thread: from now on `abort` shuts this connection."""
        with self._lock:
            self.connection = connection
            if self._aborted:
                raise Aborted

    def check(self) -> None:
        """For the thread, once the socket exists: a call that was called off before goes no further."""
        with self._lock:
            if self._aborted:
                raise Aborted

    def release(self) -> ldap3.Connection | None:
        """For the thread: takes the connection out, unhurt; None when it was called off meanwhile."""
        with self._lock:
            if self._aborted:
                return None
            connection, self.connection = self.connection, None
            return connection

    def may_send(self, effect: Effect) -> bool:
        """For the thread, right before a state-changing request: marks it sent unless the call was called off."""
        with self._lock:
            if self._aborted:
                return False
            effect.sent = True
            return True

    def abort(self) -> None:
        """For the event loop: calls the work off. A thread that waits for the server wakes up at once."""
        with self._lock:
            self._aborted = True
            connection = self.connection
            if connection is None:
                return
            if self._busy:  # its thread closes it
                if isinstance(connection.socket, socket.socket):
                    with suppress(OSError):
                        connection.socket.shutdown(socket.SHUT_RDWR)
                return
            self.connection = None
        close_quietly(connection)

    def _finish(self, *, failed: bool) -> None:
        with self._lock:
            self._busy = False
            connection = self.connection if failed or self._aborted else None
            if connection is not None:
                self.connection = None
        if connection is not None:
            close_quietly(connection)


def is_alive(connection: ldap3.Connection) -> bool:
    """Whether an idle connection has neither been closed by the server nor been sent something unasked."""
    handle = connection.socket
    if connection.closed or not isinstance(handle, socket.socket) or handle.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return not poll.poll(0)


def close_quietly(connection: ldap3.Connection) -> None:
    """Closes the socket without a word to the server, so that it cannot block."""
    handle = connection.socket
    if isinstance(handle, socket.socket):
        with suppress(OSError, LDAPExceptionError):
            handle.close()
    connection.closed = True
    connection.bound = False
