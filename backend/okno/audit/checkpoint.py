"""What proves the journal from outside the database: signed heads of the chains, and signed checkpoints over all of them.

    heads/<chain>.json   the head of a chain that is written, replaced after every group commit
    checkpoints.jsonl    a line when heads have changed: all these heads, and how far the three files below go
    ended.jsonl          the last heads of chains that have ended: a chain goes there with the next checkpoint
    cuts.jsonl           what was cut off by retention, see `okno.audit.cut`
    keys.jsonl           the public keys, see `okno.audit.keys`

A checkpoint holds a running hash over ended.jsonl instead of its lines, so that it stays small however many chains there were.
"""

import contextlib
import fcntl
import hashlib
import itertools
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from okno.audit.chain import Head, canonical, instant
from okno.audit.cuts import Cut
from okno.audit.keys import SealError, Signer, Trail
from okno.audit.signed import (
    Checkpoint,
    Claims,
    Ended,
    append_line,
    head_document,
    last_line,
    parse_document,
    parse_head,
    read_checkpoint,
    whole_lines,
)
from okno.errors import ConfigurationError

__all__ = ["Checkpoint", "SealError", "Seals", "Signer"]

ROTATE_BYTES = 4 * 1024 * 1024
# Chains begin anew each month (`Writer`), so a head that is older belongs to a process that died without a word
STALE_AFTER = timedelta(days=45)
# A commit that was under way when its process died has ended by then, one way or the other
DEAD_AFTER = timedelta(seconds=60)
FILES = ("checkpoints.1.jsonl", "checkpoints.jsonl")

_log = structlog.get_logger("okno.audit")


class Seals:
    """The folder of heads and checkpoints of one data folder; its processes share it. All of it blocks."""

    def __init__(self, data_dir: Path, signer: Signer | None, trail: Trail | None = None) -> None:
        """
        Args:
            signer: who signs; None for who only reads.
            trail: the keys that are believed; by default those of the data folder.
        """
        self._data_dir = data_dir
        self._directory = data_dir / "audit"
        self._heads = self._directory / "heads"
        self._signer = signer
        self._given_trail = trail
        self._writing = threading.Lock()
        self._written: dict[UUID, int] = {}
        self._alive: dict[UUID, int] = {}

    def prepare(self) -> None:
        """Makes the folder; who only reads does not need it."""
        self._heads.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def trail(self) -> Trail:
        """The keys that are believed."""
        if self._given_trail is not None:
            return self._given_trail
        trail = Trail.read(self._data_dir)
        return trail if trail.keys or self._signer is None else Trail.of_key(self._signer)

    def follow_key(self) -> Signer:
        """Goes on with the key that is valid now; `okno audit rotate-key` changes it under running processes.

        Raises:
            ConfigurationError: the key was lost or replaced. The one that this process has goes on signing.
        """
        self._signer = Signer.load(self._data_dir)
        return self._signer

    def seal(self, document: Mapping[str, Any]) -> str:
        """The document, signed."""
        if self._signer is None:
            raise ConfigurationError("who only reads the journal's seals has no key to sign with")
        return self._signer.seal(document)

    # Heads

    def write_head(self, head: Head) -> None:
        """Replaces the head of a chain: a reader sees the old one or the new one, never half of one.

        It does not wait for the disk, the checkpoints do: after a power cut a head may be a moment behind the table,
        never before it.
        """
        path = self._heads / f"{head.chain}.json"
        fresh = path.with_suffix(".new")
        sealed = self.seal({"kind": "head", "format": 1, **head_document(head)})
        with self._writing:
            if head.seq < self._written.get(head.chain, -1):
                return  # a write that was given up on comes late; a newer head is there
            self._written[head.chain] = head.seq
            if not head.ended:
                self._claim(head.chain)
            fresh.write_text(sealed + "\n", "ascii")
            os.replace(fresh, path)
            if head.ended:
                self._release(head.chain)

    def read_heads(self) -> tuple[dict[UUID, Head], list[str]]:
        """The signed heads, and a sentence for each file that cannot be trusted."""
        heads, problems, trail = {}, [], self.trail
        for path in sorted(self._heads.glob("*.json")):
            try:
                head = parse_head(trail.unseal(path.read_bytes(), "head"))
            except FileNotFoundError:
                continue  # it went to the ended ones meanwhile
            except (SealError, OSError) as error:
                problems.append(f"the signed head {path.name} {error}")
                continue
            if path.stem != str(head.chain):
                problems.append(f"the signed head {path.name} belongs to another chain")
                continue
            heads[head.chain] = head
        return heads, problems

    @contextlib.contextmanager
    def dead_chains(self, now: datetime) -> Iterator[list[Head]]:
        """Heads of chains whose processes have died without ending them; nobody else gets them while the block runs."""
        with contextlib.ExitStack() as stack:
            found = []
            for head in self.read_heads()[0].values():
                path = self._heads / f"{head.chain}.alive"
                if head.ended or head.chain in self._alive or now - head.at < DEAD_AFTER:
                    continue
                try:
                    file = stack.enter_context(path.open("rb"))
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue  # its process lives, or is of before this file was kept
                stack.callback(path.unlink, missing_ok=True)
                found.append(head)
            yield found

    def _claim(self, chain: UUID) -> None:
        """Shows that this chain's process lives, for as long as it does."""
        if chain not in self._alive:
            # the system lets go of the lock when the process ends, however it ends
            descriptor = os.open(self._heads / f"{chain}.alive", os.O_WRONLY | os.O_CREAT, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._alive[chain] = descriptor

    def _is_alive(self, chain: UUID) -> bool:
        try:
            descriptor = os.open(self._heads / f"{chain}.alive", os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _release(self, chain: UUID) -> None:
        if (descriptor := self._alive.pop(chain, None)) is not None:
            (self._heads / f"{chain}.alive").unlink(missing_ok=True)
            os.close(descriptor)

    def close(self) -> None:
        """Lets go of chains that were not ended; others will end them."""
        for descriptor in self._alive.values():
            os.close(descriptor)
        self._alive.clear()

    # Checkpoints

    def checkpoint(self, now: datetime) -> bool:
        """Appends a checkpoint if a head has changed since the last one; says whether it did.

        A head that has vanished is carried on from the last checkpoint, so that deleting the file hides nothing. Chains that
        have ended go to the file of the ended ones, with whatever vanished too long ago to come back.
        """
        with self._locked():
            trail = self.trail
            last, text = self._last_checkpoint(trail)
            heads = dict(last.heads) if last else {}
            files = self.read_heads()[0]
            for head in files.values():
                if head.chain not in heads or heads[head.chain].seq <= head.seq:
                    heads[head.chain] = head
            before = last or Checkpoint(now, {})
            folded = [
                head
                for head in heads.values()
                if head.ended or (now - head.at > STALE_AFTER and not self._is_alive(head.chain))
            ]
            ended = self._fold(before.ended, sorted(folded, key=lambda head: head.chain))
            if ended is None:
                ended, folded = before.ended, []
            for head in folded:
                del heads[head.chain]
            made = Checkpoint(
                now, heads, before.number + 1, ended, trail.digest, self._last_digest("cuts.jsonl")
            )
            if last is not None and (made.heads, made.ended, made.keys, made.cuts) == (
                dict(last.heads), last.ended, last.keys, last.cuts,
            ):  # fmt: skip
                return False
            self._append(made, hashlib.sha256(text).hexdigest() if text else None)
            for head in folded:
                if files.get(head.chain) in (None, head):
                    (self._heads / f"{head.chain}.json").unlink(missing_ok=True)
            return True

    def record_cut(self, cut: Cut) -> str:
        """Appends a signed cut; gives its digest."""
        with self._locked():
            line = self.seal(cut.document(self._last_digest("cuts.jsonl"))).encode()
            append_line(self._directory / "cuts.jsonl", line + b"\n")
            return hashlib.sha256(line).hexdigest()

    def last_number(self) -> int:
        """The number of the last checkpoint; 0 when there is none."""
        with self._reading():
            last, _ = self._last_checkpoint(self.trail)
        return last.number if last else 0

    def read_waiting(self, number: int, most: int) -> tuple[int, list[tuple[int, bytes]]]:
        """How many checkpoints are kept behind this number, and the oldest of them, at most so many, as (number, line)."""
        with self._reading():
            trail = self.trail
            last, _ = self._last_checkpoint(trail)
            if last is None or last.number <= number:
                return 0, []
            behind = deque(self._lines(), maxlen=last.number - number)
        found = []
        for _, _, line in itertools.islice(behind, most):
            with contextlib.suppress(SealError):
                checkpoint = read_checkpoint(trail.unseal(line, "checkpoint"))
                if checkpoint.number > number:
                    found.append((checkpoint.number, line))
        return len(behind), found

    def read_claims(self) -> Claims:
        """All that was signed, as it stands at one moment."""
        with self._reading():
            claims = Claims(self.trail)
            for checkpoint in self._read_checkpoints(claims.trail):
                if isinstance(checkpoint, Checkpoint):
                    claims.checkpoints.append(checkpoint)
                else:
                    claims.problems.append(checkpoint)
            claims.problems += self._read_ended(claims)
            claims.problems += self._read_cuts(claims)
            claims.heads, problems = self.read_heads()
            claims.problems += problems
            newest = claims.checkpoints[-1] if claims.checkpoints else None
            if newest is not None and newest.keys is not None and newest.keys not in claims.trail.digests:
                claims.problems.append(
                    "keys.jsonl, the trail of the journal's keys, is not that of the last checkpoint"
                )
            return claims

    def read_checkpoints(self) -> Iterator[Checkpoint | str]:
        """The checkpoints kept, oldest first, or a sentence instead of one that cannot be trusted."""
        with self._reading():
            yield from self._read_checkpoints(self.trail)

    def _read_checkpoints(self, trail: Trail) -> Iterator[Checkpoint | str]:
        before: bytes | None = None
        for name, number, text in self._lines():
            try:
                document = trail.unseal(text, "checkpoint")
                if before is not None and document["previous"] != hashlib.sha256(before).hexdigest():
                    yield f"checkpoint {number} of {name} does not follow the one before it: a line is missing"
                yield read_checkpoint(document)
            except SealError as error:
                yield f"checkpoint {number} of {name} {error}"
            before = text

    def _read_ended(self, claims: Claims) -> Iterator[str]:
        """Reads the ended chains as far as the newest checkpoint vouches for them."""
        told = {checkpoint.ended.count: checkpoint.ended for checkpoint in claims.checkpoints}
        most = max(told, default=0)
        if most == 0:
            return
        state = Ended()
        try:
            with (self._directory / "ended.jsonl").open("rb") as file:
                for line in file:
                    if state.count == most:
                        return
                    state = state.add(line)
                    if (should := told.get(state.count)) is not None and should != state:
                        yield f"line {state.count} of ended.jsonl, or one before it, is not that of the checkpoints"
                        return
                    head = parse_head(parse_document(line))
                    claims.ended[head.chain] = head
        except FileNotFoundError:
            pass
        except SealError as error:
            yield f"line {state.count} of ended.jsonl {error}"
            return
        if state.count < most:
            yield f"ended.jsonl has {state.count} lines, and a checkpoint vouches for {most}"

    def _read_cuts(self, claims: Claims) -> Iterator[str]:
        previous = None
        digests: list[str] = []
        for number, line in enumerate(whole_lines(self._directory / "cuts.jsonl"), start=1):
            try:
                document = claims.trail.unseal(line, "cut")
                if document.get("previous") != previous:
                    yield f"cut {number} of cuts.jsonl does not follow the one before it: a line is missing"
                claims.cuts.append(Cut.of_document(document, hashlib.sha256(line).hexdigest()))
            except SealError as error:
                yield f"cut {number} of cuts.jsonl {error}"
            previous = hashlib.sha256(line).hexdigest()
            digests.append(previous)
        newest = claims.checkpoints[-1] if claims.checkpoints else None
        if newest is not None and newest.cuts is not None and newest.cuts not in digests:
            yield "cuts.jsonl is not that of the last checkpoint: a cut is missing"

    def _fold(self, state: Ended, heads: list[Head]) -> Ended | None:
        """Adds heads to the file of ended chains, behind what a checkpoint vouches for; None when that is not there."""
        if not heads:
            return state
        path = self._directory / "ended.jsonl"
        with path.open("ab") as file:
            if file.seek(0, os.SEEK_END) < state.size:
                _log.error("audit.ended_chains_missing", size=file.tell(), expected=state.size)
                return None
            file.truncate(
                state.size
            )  # what is behind that is of a process that was killed before its checkpoint
            for head in heads:
                line = canonical(head_document(head)).encode() + b"\n"
                file.write(line)
                state = state.add(line)
            file.flush()
            os.fsync(file.fileno())
        return state

    def _append(self, made: Checkpoint, previous: str | None) -> None:
        document = {
            "kind": "checkpoint",
            "format": 2,
            "number": made.number,
            "at": instant(made.at),
            "heads": [head_document(made.heads[chain]) for chain in sorted(made.heads)],
            "ended": {"count": made.ended.count, "size": made.ended.size, "hash": made.ended.hash.hex()},
            "keys": made.keys,
            "cuts": made.cuts,
            "previous": previous,
        }
        path = self._directory / "checkpoints.jsonl"
        if path.exists() and path.stat().st_size > ROTATE_BYTES:
            os.replace(path, self._directory / "checkpoints.1.jsonl")
        append_line(path, self.seal(document).encode() + b"\n")

    def _lines(self) -> Iterator[tuple[str, int, bytes]]:
        for name in FILES:
            for number, line in enumerate(whole_lines(self._directory / name), start=1):
                yield name, number, line

    def _last_checkpoint(self, trail: Trail) -> tuple[Checkpoint | None, bytes]:
        for name in reversed(FILES):
            path = self._directory / name
            if path.exists() and (text := last_line(path)):
                with contextlib.suppress(
                    SealError
                ):  # a forged one is verify's to tell; nothing is carried on from it
                    return read_checkpoint(trail.unseal(text, "checkpoint")), text
                return None, text
        return None, b""

    def _last_digest(self, name: str) -> str | None:
        path = self._directory / name
        if not path.exists() or not (line := last_line(path)):
            return None
        return hashlib.sha256(line).hexdigest()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Nobody writes a checkpoint, rotates or folds meanwhile."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):
                lock = stack.enter_context((self._directory / "lock").open("rb"))
                fcntl.flock(lock, fcntl.LOCK_SH)
            yield
