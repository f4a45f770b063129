"""Preview tokens: proof, signed by this deployment, that an operator has seen exactly these changes."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from okno.clock import Clock
from okno.errors import ConfigurationError

LIFETIME = timedelta(minutes=10)
KEY_BYTES = 32
_MAX_LENGTH = 1_000


class PreviewTokens:
    """Signs and reads preview tokens with HMAC-SHA-256."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        if len(key) < KEY_BYTES:
            raise ConfigurationError(
                f"the key of preview tokens has {len(key)} bytes; {KEY_BYTES} are needed"
            )
        self._key = key
        self._clock = clock

    def sign(
        self,
        *,
        actor_id: UUID,
        operation_id: str,
        person_id: UUID,
        given: Mapping[str, Any],
        changes: Sequence[Any],
    ) -> str:
        """A token bound to who saw which changes of which operation, on whom, with which input. It lives 10 minutes."""
        expires = int((self._clock.now() + LIFETIME).timestamp())
        bound = _binding(actor_id, operation_id, person_id, given)
        return self._seal(f"{expires}.{bound}.{self._digest(changes)}")

    def read(
        self, token: str, *, actor_id: UUID, operation_id: str, person_id: UUID, given: Mapping[str, Any]
    ) -> "SeenPreview | None":
        """What the token proves; None when it was not signed here, or for something else."""
        if len(token) > _MAX_LENGTH or not token.isascii():
            return None
        payload, _, signature = token.rpartition("~")
        if not hmac.compare_digest(self._signature(payload), signature):
            return None
        expires, bound, changes = payload.split(".")
        if not hmac.compare_digest(bound, _binding(actor_id, operation_id, person_id, given)):
            return None
        return SeenPreview(datetime.fromtimestamp(int(expires), UTC), changes, self._digest)

    def _digest(self, changes: Sequence[Any]) -> str:
        """Keyed: the changes may hold what the operator sees masked, and a plain digest could be tried out at home."""
        content = orjson.dumps(changes, option=orjson.OPT_SORT_KEYS)
        return _text(hmac.new(self._key, b"okno.changes.v1\0" + content, hashlib.sha256).digest())

    def _seal(self, payload: str) -> str:
        return f"{payload}~{self._signature(payload)}"

    def _signature(self, payload: str) -> str:
        return _text(hmac.new(self._key, b"okno.preview.v1\0" + payload.encode(), hashlib.sha256).digest())


class SeenPreview:
    """The content of a valid token."""

    __slots__ = ("_changes", "_digest", "expires_at")

    def __init__(self, expires_at: datetime, changes: str, digest: Callable[[Sequence[Any]], str]) -> None:
        self.expires_at = expires_at
        self._changes = changes
        self._digest = digest

    def shows(self, changes: Sequence[Any]) -> bool:
        """Whether these are the changes that were seen."""
        return hmac.compare_digest(self._changes, self._digest(changes))


def load_key(data_dir: Path, name: str = "preview.key") -> bytes:
    """The deployment's key in `data_dir/keys/<name>`; made on first use, readable by its owner only.

    Raises:
        ConfigurationError: the file cannot be read or made, or holds no key.
    """
    file = data_dir / "keys" / name
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            _write_once(file, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        key = base64.b64decode(file.read_bytes().strip(), validate=True)
    except OSError as error:
        raise ConfigurationError(
            f"{file}: cannot be read or written ({error.strerror}); check the data folder"
        ) from error
    except binascii.Error as error:
        raise ConfigurationError(f"{file}: is no key; delete it, and a new one is made") from error
    if len(key) < KEY_BYTES:
        raise ConfigurationError(f"{file}: the key is too short; delete it, and a new one is made")
    return key


def _write_once(file: Path, content: bytes) -> None:
    """Two processes may start at once: each writes a file of its own, the first link wins, and both read that one."""
    own = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(own, file)
        except FileExistsError:
            return
    finally:
        own.unlink()


def fingerprint(value: Any) -> str:
    """A short digest of a JSON value, the same whatever the order of its keys."""
    return _text(hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest())


def _binding(actor_id: UUID, operation_id: str, person_id: UUID, given: Mapping[str, Any]) -> str:
    return fingerprint([str(actor_id), operation_id, str(person_id), given])


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
