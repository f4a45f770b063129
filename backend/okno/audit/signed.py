"""The forms of what is signed outside of the database: heads, checkpoints, and the files they lie in."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from okno.audit.chain import Head, instant
from okno.audit.cuts import Cut
from okno.audit.keys import SealError, Trail


@dataclass(frozen=True, slots=True)
class Ended:
    """How far ended.jsonl goes: lines, bytes, and the hash over them, each line's with all before it."""

    count: int = 0
    size: int = 0
    hash: bytes = bytes(32)

    def add(self, line: bytes) -> "Ended":
        return Ended(self.count + 1, self.size + len(line), hashlib.sha256(self.hash + line).digest())


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The heads of all chains at one moment: those that were written, and how far the file of the ended ones went.

    `number` is 0 in checkpoints of before they were numbered; `keys` and `cuts` are digests of the last lines of these files.
    """

    at: datetime
    heads: Mapping[UUID, Head]
    number: int = 0
    ended: Ended = Ended()
    keys: str | None = None
    cuts: str | None = None


@dataclass(slots=True)
class Claims:
    """All that was signed, read at one moment, and a sentence for each thing that cannot be trusted."""

    trail: Trail
    checkpoints: list[Checkpoint] = field(default_factory=list)
    heads: dict[UUID, Head] = field(default_factory=dict)
    ended: dict[UUID, Head] = field(default_factory=dict)
    cuts: list[Cut] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parse_checkpoint(trail: Trail, line: bytes) -> Checkpoint:
    """A checkpoint that was kept elsewhere.

    Raises:
        SealError: it cannot be trusted.
    """
    return read_checkpoint(trail.unseal(line, "checkpoint"))


def append_line(path: Path, line: bytes) -> None:
    """Adds to a file and waits for the disk."""
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file that may not be there."""
    try:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):  # else its process was killed on the way; the next one removes it
                    yield line[:-1]
    except FileNotFoundError:
        return


def last_line(path: Path) -> bytes:
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


def head_document(head: Head) -> dict[str, Any]:
    """A head as it is signed."""
    return {
        "chain": str(head.chain),
        "seq": head.seq,
        "hash": head.hash.hex(),
        "signed_at": instant(head.at),
        "ended": head.ended,
    }


def parse_document(line: bytes) -> Mapping[str, Any]:
    """A line of JSON.

    Raises:
        SealError: it has another form.
    """
    try:
        document = json.loads(line)
    except ValueError:
        raise SealError("cannot be read") from None
    return document if isinstance(document, dict) else {}


def parse_head(document: Mapping[str, Any]) -> Head:
    """The inverse of `head_document`.

    Raises:
        SealError: it has another form.
    """
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


def read_checkpoint(document: Mapping[str, Any]) -> Checkpoint:
    """A checkpoint from what is signed of it.

    Raises:
        SealError: it has another form.
    """
    try:
        heads = [parse_head(each) for each in document["heads"]]
        ended = document.get("ended") or {"count": 0, "size": 0, "hash": "00" * 32}
        return Checkpoint(
            datetime.fromisoformat(document["at"]),
            {head.chain: head for head in heads},
            int(document.get("number", 0)),
            Ended(int(ended["count"]), int(ended["size"]), bytes.fromhex(ended["hash"])),
            document.get("keys"),
            document.get("cuts"),
        )
    except (ValueError, KeyError, TypeError):
        raise SealError("has not the form of a checkpoint") from None
