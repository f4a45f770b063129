"""From the settings of an export to the export."""

from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from okno.audit.export.service import Export
from okno.audit.export.sinks import FileSink, Sink, SyslogSink, tls_context
from okno.errors import ConfigurationError
from okno.network import NetworkGuard

LOCAL = ("localhost", "127.0.0.1", "::1")


class ExportSettings(Protocol):
    """What a deployment says of an export, see `okno.settings`."""

    @property
    def format(self) -> str: ...
    @property
    def to(self) -> str: ...
    @property
    def personal(self) -> bool: ...
    @property
    def begin(self) -> str: ...
    @property
    def ca(self) -> Path | None: ...
    @property
    def certificate(self) -> Path | None: ...
    @property
    def key(self) -> Path | None: ...
    @property
    def server_name(self) -> str | None: ...
    @property
    def timeout_seconds(self) -> float: ...
    @property
    def message_bytes(self) -> int: ...
    @property
    def file_bytes(self) -> int: ...
    @property
    def files(self) -> int: ...
    @property
    def batch(self) -> int: ...


def export_of(
    name: str, settings: ExportSettings, *, data_dir: Path, config_dir: Path, network: NetworkGuard | None
) -> Export:
    """The export.

    Args:
        data_dir: where files of a relative path lie; `config_dir` likewise for certificates.
        network: where Okno may connect to.

    Raises:
        ConfigurationError: the destination cannot be.
    """
    return Export(
        name=name,
        format=settings.format,
        to=settings.to,
        sink=_sink(name, settings, data_dir, config_dir, network),
        personal=settings.personal,
        from_now=settings.begin == "now",
        batch=settings.batch,
    )


def _sink(
    name: str, settings: ExportSettings, data_dir: Path, config_dir: Path, network: NetworkGuard | None
) -> Sink:
    scheme, _, rest = settings.to.partition(":")
    if scheme == "file":
        return FileSink(data_dir / rest, max_bytes=settings.file_bytes, keep=settings.files)
    parts = urlsplit(settings.to)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if scheme not in ("tls", "tcp") or not host or not port:
        raise ConfigurationError(
            f"[audit.export.{name}] to: give file:PATH, tls://HOST:PORT, or tcp://localhost:PORT"
        )
    if scheme == "tcp" and host not in LOCAL:
        raise ConfigurationError(
            f"[audit.export.{name}] to: plain TCP goes to this machine only; records for {host} need tls://"
        )
    paths = [
        None if path is None else config_dir / path
        for path in (settings.ca, settings.certificate, settings.key)
    ]
    return SyslogSink(
        host,
        port,
        tls=tls_context(*paths) if scheme == "tls" else None,
        network=network if scheme == "tls" else None,
        server_name=settings.server_name,
        timeout_seconds=settings.timeout_seconds,
        message_bytes=settings.message_bytes,
    )
