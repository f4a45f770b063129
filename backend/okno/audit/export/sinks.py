"""Where an export goes. A sink has taken lines only once `take` returns: the cursor moves on then and not before."""

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from okno.audit.export.formats import Format, fitting
from okno.audit.export.syslog import framed, message, this_host
from okno.audit.export.told import Exported
from okno.errors import ConfigurationError
from okno.network import NetworkGuard

# A sink that takes something now and then but never an end is given up after this many times its timeout
_PATIENCE = 6
_PIECE = 64 * 1024


class SinkError(Exception):
    """The sink did not take it, as far as anybody can tell. `slow`: it took some of it, so that less may do."""

    def __init__(self, text: str, *, slow: bool = False) -> None:
        super().__init__(text)
        self.slow = slow


class Sink(Protocol):
    """Takes batches, one after the other, in a thread."""

    def take(self, batch: Sequence[Exported], write: Format) -> None:
        """Returns when all of the batch is taken.

        Raises:
            SinkError: it is not, or nobody knows; the same batch comes again.
        """


class FileSink:
    """Lines in a file, flushed to the disk. Full files are kept as NAME.1, NAME.2 …, the newest first, and a number of them."""

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep

    def take(self, batch: Sequence[Exported], write: Format) -> None:
        data = "".join(f"{write(each)}\n" for each in batch).encode("utf-8", "replace")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            size = _mend(self._path)
            if size and size + len(data) > self._max_bytes:
                self._rotate()
            self._append(data)
        except OSError as error:
            raise SinkError(
                f"{self._path} cannot be written: {error.strerror}; make room or give Okno the right to write there"
            ) from error

    def _append(self, data: bytes) -> None:
        is_new = not self._path.exists()
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        finally:
            os.close(file)
        if is_new:
            self._keep_names()

    def _rotate(self) -> None:
        """Moves each file one on; a gap that a crash has left is filled."""
        names = [
            self._path,
            *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._keep + 1)),
        ]
        free = next((place for place, name in enumerate(names) if place and not name.exists()), self._keep)
        for place in range(free, 0, -1):
            os.replace(names[place - 1], names[place])
        if not self._keep:
            self._path.unlink()
        self._keep_names()

    def _keep_names(self) -> None:
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _mend(path: Path) -> int:
    """Takes away half a line that a killed process or a full disk has left; its record comes again. Gives the size."""
    try:
        with path.open("r+b") as file:
            end = place = file.seek(0, os.SEEK_END)
            while place:
                start = max(0, place - _PIECE)
                file.seek(start)
                last = file.read(place - start).rfind(b"\n")
                if last >= 0:
                    place = start + last + 1
                    break
                place = start
            if place < end:
                file.truncate(place)
                os.fsync(file.fileno())
            return place
    except FileNotFoundError:
        return 0


class SyslogSink:
    """A syslog server on a stream, with TLS or, on this machine alone, without.

    Syslog knows no receipt. So each batch has a connection of its own, which is ended in order: we say that we have ended, and
    the server ends its side only after it has read all of it. A server that is killed or refuses a certificate resets the
    connection or says nothing, and then the batch comes again.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: Callable[[], ssl.SSLContext] | None,
        network: NetworkGuard | None = None,
        server_name: str | None = None,
        timeout_seconds: float = 10.0,
        message_bytes: int = 8192,
    ) -> None:
        """
        Args:
            network: where Okno may connect to; None: anywhere.
            tls: makes the context anew for each connection, so that certificates can be renewed; None: plain TCP.
            message_bytes: the longest message; RFC 5425 wants 8192 of a receiver. Of a longer one the detail is left out.
        """
        self._host, self._port = host, port
        self._tls = tls
        self._network = network
        self._server_name = server_name or host
        self._timeout = timeout_seconds
        self._message_bytes = message_bytes
        self._hostname = this_host()

    def take(self, batch: Sequence[Exported], write: Format) -> None:
        data = b"".join(framed(self._message(each, write)) for each in batch)
        where = f"the syslog server {self._host}:{self._port}"
        sent = 0
        try:
            with self._connect() as connection:
                started = time.monotonic()
                line = connection if self._tls is None else connection.secure(self._tls(), self._server_name)
                while sent < len(data):
                    sent += line.send(data[sent : sent + _PIECE])
                    if time.monotonic() - started > self._timeout * _PATIENCE:
                        raise SinkError(f"{where} takes messages too slowly", slow=True)
                line.end()
        except ConfigurationError as error:
            raise SinkError(error.message) from error
        except ssl.SSLCertVerificationError as error:
            raise SinkError(
                f"{where} has no certificate that `ca` vouches for: {error.verify_message}; check ca and server_name"
            ) from error
        except ssl.SSLError as error:
            raise SinkError(
                f"{where} did not agree on TLS, or broke off: {error.reason or error}; check certificate, key and ca"
            ) from error
        except TimeoutError as error:
            raise SinkError(f"{where} did not take messages in {self._timeout:g} s", slow=sent > 0) from error
        except OSError as error:
            raise SinkError(f"{where} cannot be reached or broke off: {error.strerror or error}") from error

    def _message(self, exported: Exported, write: Format) -> bytes:
        text = fitting(write, exported, self._message_bytes - 512)  # the header's share
        return message(exported, text, hostname=self._hostname)

    def _connect(self) -> "_Line":
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        if self._network is not None:
            found = self._network.admitted(found)
        return _Line(_connect_to(found, self._timeout), time.monotonic() + self._timeout * _PATIENCE)


def _connect_to(found: Sequence[Any], timeout_seconds: float) -> socket.socket:
    refused: OSError = OSError("it has no address")
    for family, kind, protocol, _, address in found:
        line = socket.socket(family, kind, protocol)
        line.settimeout(timeout_seconds)
        try:
            line.connect(address)
        except OSError as error:
            line.close()
            refused = error
        else:
            return line
    raise refused


class _Line:
    """A connection that is ended in order. Each wait has the socket's timeout, and all that is received an end."""

    def __init__(self, line: socket.socket, until: float) -> None:
        self._line = line
        self._until = until

    def __enter__(self) -> "_Line":
        return self

    def __exit__(self, *error: object) -> None:
        self._line.close()

    def secure(self, context: ssl.SSLContext, server_name: str) -> "_TlsLine":
        """The same connection under TLS."""
        return _TlsLine(self, context, server_name)

    def receive(self) -> bytes:
        """What has come, nothing at the end.

        Raises:
            TimeoutError: nothing came, or something is still coming after all this time.
        """
        if time.monotonic() > self._until:
            raise TimeoutError
        return self._line.recv(_PIECE)

    def send(self, data: bytes | memoryview) -> int:
        """Gives how much of it went."""
        return self._line.send(data)

    def end(self) -> None:
        """Says that nothing more comes, and waits until the other side has read up to there and says the same.

        Raises:
            OSError: it did not, or was reset, which is what a system does with a connection whose reader read no further.
        """
        self._line.shutdown(socket.SHUT_WR)
        while self.receive():
            pass


class _TlsLine:
    """The same under TLS. Not by `SSLSocket`: its `unwrap` takes the alert of a server that refuses us for the last word that we
    wait for, and our records for taken. Here what came is looked at between what is sent.
    """

    def __init__(self, line: _Line, context: ssl.SSLContext, server_name: str) -> None:
        self._line = line
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=server_name)
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # the other side is told why
                raise
        self._flush()

    def send(self, data: bytes) -> int:
        sent = self._tls.write(data)
        self._flush()
        return sent

    def end(self) -> None:
        """As that of a line, by the last word of TLS (close_notify, RFC 8446 section 6.1) in both directions.

        Raises:
            OSError: the other side ended otherwise.
        """
        if self._is_ended():
            raise ConnectionResetError("it ended before it had read everything")
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._flush()
        while not self._is_ended():
            self._receive()

    def _is_ended(self) -> bool:
        """Whether the last word has come; what a syslog server says else, is passed by.

        Raises:
            ssl.SSLError: it has sent an alert.
        """
        try:
            while self._tls.read(_PIECE):
                pass
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLZeroReturnError:
            return True
        return True

    def _flush(self) -> None:
        data = memoryview(self._goes.read())
        while data:
            data = data[self._line.send(data) :]

    def _receive(self) -> None:
        data = self._line.receive()
        if not data:
            raise ConnectionResetError("it ended without having said so")
        self._came.write(data)


def tls_context(ca: Path | None, certificate: Path | None, key: Path | None) -> Callable[[], ssl.SSLContext]:
    """Makes contexts that trust this authority alone (None: those of the system) and show this certificate."""

    def make() -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if ca is None else str(ca))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if certificate is not None:
                context.load_cert_chain(certificate, key)
        except OSError as error:
            named = ", ".join(str(path) for path in (ca, certificate, key) if path is not None)
            raise ConfigurationError(
                f"the certificates of an export cannot be read: {named}: {error.strerror or error}"
            ) from error
        return context

    return make
