"""What proves the journal from outside the database: signed heads of the chains, and signed checkpoints over all of them.

heads/<chain>.json is replaced after every group commit; checkpoints.jsonl grows by a line when heads have changed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from okno.audit.chain import Head, canonical, instant
from okno.errors import ConfigurationError

ROTATE_BYTES = 4 * 1024 * 1024


class SealError(Exception):
    """A head or checkpoint that is not what its signature vouches for."""


class Signer:
    """The journal's key pair."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key()
        raw = self._public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.key_id = hashlib.sha256(raw).hexdigest()[:16]

    @classmethod
    def load(cls, data_dir: Path) -> "Signer":
        """Reads the key.

        Raises:
            ConfigurationError: the key is missing or is no Ed25519 key.
        """
        path = _key_path(data_dir)
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
        """Reads the key, or makes it on the first start.

        Raises:
            ConfigurationError: there are signed heads, so there was a key, and it is gone: restore it.
        """
        path = _key_path(data_dir)
        if not path.exists():
            if any((data_dir / "audit" / "heads").glob("*.json")):
                raise ConfigurationError(
                    f"the journal's key {path} is missing though the journal has signed heads; restore the key, "
                    "a new one could prove nothing of what was written before"
                )
            _create_key(path)
        return cls.load(data_dir)

    def seal(self, document: Mapping[str, Any]) -> str:
        """The document as one line of JSON with its signature over everything else in it."""
        signed = {**document, "key": self.key_id}
        return canonical({**signed, "signature": self._key.sign(canonical(signed).encode()).hex()})

    def unseal(self, line: bytes, kind: str) -> dict[str, Any]:
        """The document behind the signature.

        Raises:
            SealError: it is not of this kind, not signed by this key, or changed since.
        """
        try:
            document = json.loads(line)
            signature = bytes.fromhex(document.pop("signature"))
            self._public.verify(signature, canonical(document).encode())
            if document["kind"] != kind:
                raise SealError(f"is no {kind}")
        except InvalidSignature:
            raise SealError("its signature does not fit") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SealError("cannot be read") from None
        else:
            return dict(document)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The heads of all chains at one moment."""

    at: datetime
    heads: Mapping[UUID, Head]


class Seals:
    """The folder of heads and checkpoints of one data folder; its processes share it. All of it blocks."""

    def __init__(self, data_dir: Path, signer: Signer) -> None:
        self._directory = data_dir / "audit"
        self._heads = self._directory / "heads"
        self._signer = signer
        self._writing = threading.Lock()
        self._written: dict[UUID, int] = {}

    def prepare(self) -> None:
        """Makes the folder; who only reads does not need it."""
        self._heads.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write_head(self, head: Head) -> None:
        """Replaces the head of a chain: a reader sees the old one or the new one, never half of one.

        It does not wait for the disk, the checkpoints do: after a power cut a head may be a moment behind the table,
        never before it.
        """
        path = self._heads / f"{head.chain}.json"
        fresh = path.with_suffix(".new")
        sealed = self._signer.seal({"kind": "head", "format": 1, **_head_document(head)})
        with self._writing:
            if head.seq < self._written.get(head.chain, -1):
                return  # a write that was given up on comes late; a newer head is there
            self._written = {head.chain: head.seq}
            fresh.write_text(sealed + "\n", "ascii")
            os.replace(fresh, path)

    def checkpoint(self, now: datetime) -> bool:
        """Appends a checkpoint if a head has changed since the last one; says whether it did.

        A head that has vanished is carried on from the last checkpoint, so that deleting the file hides nothing.
        """
        with self._locked():
            last, text = self._last_checkpoint()
            heads = dict(last.heads) if last else {}
            for head in self.read_heads()[0].values():
                if head.chain not in heads or heads[head.chain].seq <= head.seq:
                    heads[head.chain] = head
            if last is not None and heads == dict(last.heads):
                return False
            document = {
                "kind": "checkpoint",
                "format": 1,
                "at": instant(now),
                "heads": [_head_document(heads[chain]) for chain in sorted(heads)],
                "previous": hashlib.sha256(text).hexdigest() if text else None,
            }
            path = self._directory / "checkpoints.jsonl"
            if path.exists() and path.stat().st_size > ROTATE_BYTES:
                os.replace(path, self._directory / "checkpoints.1.jsonl")
            with path.open("ab") as file:
                file.write(self._signer.seal(document).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            return True

    def read_heads(self) -> tuple[dict[UUID, Head], list[str]]:
        """The signed heads, and a sentence for each file that cannot be trusted."""
        heads, problems = {}, []
        for path in sorted(self._heads.glob("*.json")):
            try:
                head = _head(self._signer.unseal(path.read_bytes(), "head"))
            except (SealError, OSError) as error:
                problems.append(f"the signed head {path.name} {error}")
                continue
            if path.stem != str(head.chain):
                problems.append(f"the signed head {path.name} belongs to another chain")
                continue
            heads[head.chain] = head
        return heads, problems

    def read_checkpoints(self) -> Iterator[Checkpoint | str]:
        """The checkpoints kept, oldest first, or a sentence instead of one that cannot be trusted."""
        before: bytes | None = None
        for name, number, text in self._lines():
            try:
                document = self._signer.unseal(text, "checkpoint")
                if before is not None and document["previous"] != hashlib.sha256(before).hexdigest():
                    yield f"checkpoint {number} of {name} does not follow the one before it: a line is missing"
                yield _checkpoint(document)
            except SealError as error:
                yield f"checkpoint {number} of {name} {error}"
            before = text

    def _lines(self) -> Iterator[tuple[str, int, bytes]]:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):
                lock = stack.enter_context((self._directory / "lock").open("rb"))
                fcntl.flock(lock, fcntl.LOCK_SH)  # against a rotation between the two files
            for name in ("checkpoints.1.jsonl", "checkpoints.jsonl"):
                path = self._directory / name
                if not path.exists():
                    continue
                with path.open("rb") as file:
                    for number, line in enumerate(file, start=1):
                        if line.endswith(
                            b"\n"
                        ):  # else its process was killed on the way; the next one removes it
                            yield name, number, line[:-1]

    def _last_checkpoint(self) -> tuple[Checkpoint | None, bytes]:
        for name in ("checkpoints.jsonl", "checkpoints.1.jsonl"):
            path = self._directory / name
            if path.exists() and (text := _last_line(path)):
                with contextlib.suppress(
                    SealError
                ):  # a forged one is verify's to tell; nothing is carried on from it
                    return _checkpoint(self._signer.unseal(text, "checkpoint")), text
                return None, text
        return None, b""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _key_path(data_dir: Path) -> Path:
    return data_dir / "keys" / "audit.pem"


def _create_key(path: Path) -> None:
    """Makes the key, whole or not at all; of two processes that start at once the first one's key stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    fresh = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()


def _last_line(path: Path) -> bytes:
    """The last whole line; the half line of a process that was killed is cut off. Call it under the lock."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        step, tail = 64 * 1024, b""
        while True:
            start = max(0, size - step)
            file.seek(start)
            tail = file.read(size - start)
            lines = tail.split(b"\n")
            if len(lines) > 2 or start == 0:
                break
            step *= 4
        if lines[-1]:
            file.truncate(size - len(lines[-1]))
        return lines[-2] if len(lines) > 1 else b""


def _head_document(head: Head) -> dict[str, Any]:
    return {
        "chain": str(head.chain),
        "seq": head.seq,
        "hash": head.hash.hex(),
        "signed_at": instant(head.at),
        "ended": head.ended,
    }


def _head(document: Mapping[str, Any]) -> Head:
    try:
        return Head(
            UUID(document["chain"]),
            int(document["seq"]),
            bytes.fromhex(document["hash"]),
            datetime.fromisoformat(document["signed_at"]),
            bool(document["ended"]),
        )
    except (ValueError, KeyError, TypeError):
        raise SealError("has not the form of a head") from None


def _checkpoint(document: Mapping[str, Any]) -> Checkpoint:
    try:
        heads = [_head(each) for each in document["heads"]]
        return Checkpoint(datetime.fromisoformat(document["at"]), {head.chain: head for head in heads})
    except (ValueError, KeyError, TypeError):
        raise SealError("has not the form of a checkpoint") from None
