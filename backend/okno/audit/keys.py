"""The journal's keys: the private one that signs now, and the trail of all public ones by which old signatures stay provable.

`keys/audit.pem` is the private key; `audit/keys.jsonl` is the trail. Its first line is a key signed by itself; each later one is a
rotation, signed by the key it takes out of use and by the one it takes into use. A private key that was taken out of use is
destroyed.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from okno.audit.chain import canonical, instant
from okno.errors import ConfigurationError, InvalidInput

# A running process learns of a rotation with its next checkpoint: until then it signs with the key it has
GRACE = timedelta(minutes=2)

_RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class SealError(Exception):
    """A head, a checkpoint or another signed document that is not what its signature vouches for."""


def key_id(public: Ed25519PublicKey) -> str:
    """The name of a key in signed documents: the first 16 hex digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(public.public_bytes(*_RAW)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A public key of the trail; `until` is when it was taken out of use."""

    public: Ed25519PublicKey
    since: datetime | None
    until: datetime | None = None


@dataclass(slots=True)
class Trail:
    """The public keys, oldest first, and what is wrong with their trail. `digest` is that of its last line, in hex."""

    keys: dict[str, KnownKey] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    last: str | None = None

    @property
    def digest(self) -> str | None:
        return self.digests[-1] if self.digests else None

    @classmethod
    def read(cls, data_dir: Path) -> "Trail":
        """The trail of a data folder; empty when there is none. A line that cannot be trusted ends it."""
        trail = cls()
        try:
            lines = _trail_path(data_dir).read_bytes().split(b"\n")
        except FileNotFoundError:
            return trail
        for number, line in enumerate(lines[:-1], start=1):
            try:
                trail._add(line)
            except SealError as error:
                trail.problems.append(
                    f"line {number} of keys.jsonl, the trail of the journal's keys, {error}"
                )
                break
        return trail

    @classmethod
    def of_key(cls, signer: "Signer") -> "Trail":
        """The trail of a journal of before trails were kept: its one key."""
        return cls({signer.key_id: KnownKey(signer.public, None)}, last=signer.key_id)

    def unseal(self, line: bytes, kind: str) -> dict[str, Any]:
        """The document behind a signature of one of the keys.

        Raises:
            SealError: it is not of this kind, not signed by a key that was in use then, or changed since.
        """
        document = _parse(line)
        known = self.keys.get(str(document.get("key")))
        if known is None:
            raise SealError("is signed by a key that is not in the trail of the journal's keys")
        _verify(known.public, document, "signature")
        if document.get("kind") != kind:
            raise SealError(f"is no {kind}")
        at = _time(document.get("signed_at", document.get("at")))
        if known.until is not None and at > known.until + GRACE:
            raise SealError("is signed by a key that had been taken out of use before")
        return document

    def _add(self, line: bytes) -> None:
        document = _parse(line)
        public = _public(document.get("public"))
        at = _time(document.get("at"))
        if self.last is None:
            if document.get("kind") != "key" or document.get("key") != key_id(public):
                raise SealError("is no first key")
            _verify(public, document, "signature")
        else:
            old = self.keys[self.last]
            if document.get("kind") != "rotation" or document.get("previous") != self.digest:
                raise SealError("does not follow the line before it")
            _verify(public, document, "new_signature")
            _verify(old.public, document, "signature")
            self.keys[self.last] = KnownKey(old.public, old.since, at)
        self.last = key_id(public)
        self.keys[self.last] = KnownKey(public, at)
        self.digests.append(hashlib.sha256(line).hexdigest())


class Signer:
    """The journal's key pair."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key()
        self.key_id = key_id(self.public)

    @classmethod
    def load(cls, data_dir: Path) -> "Signer":
        """Reads the key.

        Raises:
            ConfigurationError: the key is missing, is no Ed25519 key, or is not the one that the trail ends with.
        """
        path = _key_path(data_dir)
        signer = cls._read(path)
        trail = Trail.read(data_dir)
        if trail.last is None or trail.last == signer.key_id:
            return signer
        coming = _next_path(data_dir)
        if coming.exists() and (rotated := cls._read(coming)).key_id == trail.last:
            os.replace(coming, path)  # the process that rotated was killed on its last step
            return rotated
        raise ConfigurationError(
            f"the journal's key {path} was replaced: it is {signer.key_id}, and the trail of keys ends with {trail.last};"
            " restore that one, and change keys with `okno audit rotate-key` only"
        )

    @classmethod
    def _read(cls, path: Path) -> "Signer":
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise ConfigurationError(f"the journal's key {path} cannot be read: {error.strerror}") from None
        except ValueError:
            raise ConfigurationError(f"the journal's key {path} is no private key in PEM form") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError(f"the journal's key {path} is no Ed25519 key")
        return cls(key)

    @classmethod
    def load_or_create(cls, data_dir: Path) -> "Signer":
        """Reads the key, or makes it on the first start, with the first line of its trail.

        Raises:
            ConfigurationError: there are signed heads or a trail, so there was a key, and it is gone: restore it.
        """
        path = _key_path(data_dir)
        if not path.exists():
            if _trail_path(data_dir).exists() or any((data_dir / "audit").glob("**/*.json*")):
                raise ConfigurationError(
                    f"the journal's key {path} is missing though the journal has signed heads; restore the key, "
                    "a new one could prove nothing of what was written before"
                )
            _link_new(path, _pem(Ed25519PrivateKey.generate()))
        signer = cls.load(data_dir)
        trail = _trail_path(data_dir)
        if not trail.exists():
            trail.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            first = {"kind": "key", "format": 1, "at": instant(_created(path)), "public": signer.public_hex}
            _link_new(trail, signer.seal(first).encode() + b"\n")
        return signer

    @property
    def public_hex(self) -> str:
        return self.public.public_bytes(*_RAW).hex()

    @property
    def public_pem(self) -> str:
        return self.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode("ascii")

    def seal(self, document: Mapping[str, Any]) -> str:
        """The document as one line of JSON with its signature over everything else in it."""
        signed = {**document, "key": self.key_id}
        return canonical({**signed, "signature": self.sign(signed)})

    def sign(self, document: Mapping[str, Any]) -> str:
        """The signature over the canonical form, in hex."""
        return self._key.sign(canonical(document).encode()).hex()


@dataclass(frozen=True, slots=True)
class Rotation:
    """A change of keys that is prepared and not yet done: nothing on disk has changed but the new key's own file."""

    data_dir: Path
    old: Signer
    new: Signer
    line: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.line).hexdigest()

    def carry_out(self) -> None:
        """Adds the line to the trail and puts the new key in the place of the old one, which is gone then.

        Raises:
            OSError: the folder cannot be written. Done again, it goes on where it stopped.
        """
        path = _trail_path(self.data_dir)
        if Trail.read(self.data_dir).last != self.new.key_id:
            with path.open("ab") as file:
                file.write(self.line + b"\n")
                file.flush()
                os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):  # a process that has read the new line was faster
            os.replace(_next_path(self.data_dir), _key_path(self.data_dir))


def prepare_rotation(data_dir: Path, at: datetime) -> Rotation:
    """Makes the new key and the line that both keys sign.

    Raises:
        ConfigurationError: the present key is missing or wrong, or the trail cannot be trusted.
    """
    old, trail = Signer.load_or_create(data_dir), Trail.read(data_dir)
    if trail.problems:
        raise ConfigurationError(trail.problems[0])
    key = Ed25519PrivateKey.generate()
    coming = _next_path(data_dir)
    coming.unlink(missing_ok=True)  # of a rotation that was given up before it had changed anything
    _link_new(coming, _pem(key))
    new = Signer(key)
    document = {
        "kind": "rotation",
        "format": 1,
        "at": instant(at),
        "public": new.public_hex,
        "previous": trail.digest,
    }
    sealed = json.loads(old.seal(document))
    line = canonical({**sealed, "new_signature": new.sign(sealed)})
    return Rotation(data_dir, old, new, line.encode())


def read_public_key(path: Path) -> Ed25519PublicKey:
    """A public key that somebody kept elsewhere, as `okno audit key` prints it.

    Raises:
        InvalidInput: the file is no Ed25519 public key in PEM form.
    """
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        raise InvalidInput(f"{path} is no public key in PEM form; `okno audit key` prints one") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput(f"{path} is no Ed25519 key; `okno audit key` prints one")
    return key


def _parse(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        raise SealError("cannot be read") from None
    if not isinstance(document, dict):
        raise SealError("cannot be read")
    return document


def _verify(public: Ed25519PublicKey, document: dict[str, Any], name: str) -> None:
    """Checks the signature of this name over all the rest, and takes it out of the document."""
    try:
        signature = bytes.fromhex(document[name])
        rest = {key: value for key, value in document.items() if key != name}
        public.verify(signature, canonical(rest).encode())
    except InvalidSignature:
        raise SealError("its signature does not fit") from None
    except (ValueError, KeyError, TypeError):
        raise SealError("cannot be read") from None
    del document[name]


def _public(text: Any) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except (ValueError, TypeError):
        raise SealError("has no public key") from None


def _time(text: Any) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise SealError("has no time") from None
    if at.tzinfo is None:
        raise SealError("has no time")
    return at


def _key_path(data_dir: Path) -> Path:
    return data_dir / "keys" / "audit.pem"


def _next_path(data_dir: Path) -> Path:
    return data_dir / "keys" / "audit.next.pem"


def _trail_path(data_dir: Path) -> Path:
    return data_dir / "audit" / "keys.jsonl"


def _created(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _link_new(path: Path, content: bytes) -> None:
    """Makes the file, whole or not at all; of two processes that start at once the first one's stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _fresh(path) as fresh:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)


@contextlib.contextmanager
def _fresh(path: Path) -> Iterator[Path]:
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)
