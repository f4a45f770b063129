"""Syslog servers for tests: rsyslog over TLS, and one in Python that can be slow, deaf or rude. Certificates are made here."""

import contextlib
import datetime
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DEADLINE_SECONDS = 10.0


class Certificates:
    """An authority and what it has issued, as PEM files in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.ca = folder / f"{name}.pem"
        self._issue(self._name, self._key, self.ca, is_authority=True)

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for this host name, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, key_file = self._folder / f"{name}.crt.pem", self._folder / f"{name}.key.pem"
        self._issue(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, certificate, name=name)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, key_file

    def _issue(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        to: Path,
        *,
        name: str | None = None,
        is_authority: bool = False,
    ) -> None:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if name is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        to.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


class Rsyslog:
    """A real rsyslog that wants a certificate of its clients, and keeps messages as they came, a line each."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.out = folder / "out"
        self._port = free_port()
        certificate, key = certificates.issue("localhost")
        (folder / "conf").write_text(
            f'global(workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="ossl"'
            f' defaultNetstreamDriverCAFile="{certificates.ca}" defaultNetstreamDriverCertFile="{certificate}"'
            f' defaultNetstreamDriverKeyFile="{key}")\n'
            'module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")\n'
            f'input(type="imtcp" port="{self._port}" address="127.0.0.1" supportOctetCountedFraming="on" ruleset="kept")\n'
            'template(name="raw" type="list") { property(name="rawmsg") constant(value="\\n") }\n'
            f'ruleset(name="kept") {{ action(type="omfile" file="{self.out}" template="raw") }}\n'
        )

    @property
    def address(self) -> tuple[str, int]:
        return "localhost", self._port

    def start(self) -> None:
        program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin") or "rsyslogd"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-n", "-f", str(self._folder / "conf"), "-i", str(self._folder / "pid")],
                stdout=log,
                stderr=log,
            )
        wait_until(self._listens)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(DEADLINE_SECONDS)
            self._process = None

    def lines(self) -> list[str]:
        return self.out.read_text("utf-8").splitlines() if self.out.exists() else []

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False


#: What a server does with a connection; what it returns are messages that it has taken.
Behaviour = Callable[[socket.socket], list[bytes]]


class Peer:
    """A syslog server in a thread; `behave` says what it does with each connection."""

    def __init__(self, behave: Behaviour, context: ssl.SSLContext | None = None) -> None:
        self.behave = behave
        self.taken: list[bytes] = []
        self.connections = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(DEADLINE_SECONDS)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with contextlib.suppress(OSError), line:
                line.settimeout(DEADLINE_SECONDS)
                secured = line if self._context is None else self._context.wrap_socket(line, server_side=True)
                with secured:
                    self.taken += self.behave(secured)


def reading(line: socket.socket, most: int | None = None) -> list[bytes]:
    """Reads messages to the end, or so many of them, and ends in order."""
    data = b""
    found: list[bytes] = []
    while most is None or len(found) < most:
        while True:
            length, space, rest = data.partition(b" ")
            if space and len(rest) >= int(length):
                found.append(rest[: int(length)])
                data = rest[int(length) :]
                break
            piece = line.recv(65536)
            if not piece:
                if isinstance(line, ssl.SSLSocket):
                    line.unwrap()
                return found
            data += piece
    return found


def wait_until(holds: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """Asks again and again until it holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def peer(behave: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """A server for the time of the block."""
    server = Peer(behave, context)
    try:
        yield server
    finally:
        server.close()
