"""The policy in force in a process, and how a changed folder comes into force without a restart.

A change is taken as a whole or refused as a whole; either is recorded in the journal, and what cannot be recorded does
not come into force. Each process looks for itself, so for a second or two they may differ: every decision names its version.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import structlog

from okno.audit.service import SYSTEM, Event, Journal, Outcome
from okno.errors import OknoError
from okno.policy.model import PolicyError, Problem
from okno.policy.service import Policy, read_sources

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
_MOST_PROBLEMS = 20

Check = Callable[[Policy], Iterable[Problem]]
# name, size, time of change in nanoseconds, inode: of every file
_Snapshot = tuple[tuple[str, int, int, int], ...]


class PolicySource(Protocol):
    """Whoever knows the policy in force. A request asks once and keeps the answer; a `Policy` is its own source."""

    def get(self) -> Policy:
        """The policy of now; later ones are other objects."""


class CurrentPolicy:
    """Watches the folder of the policy and replaces the policy when it has changed and holds."""

    def __init__(
        self,
        policy: Policy,
        directory: Path,
        *,
        journal: Journal,
        process: str,
        check: Check = lambda policy: (),
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Args:
        policy: as loaded from the folder at the start.
        process: what the journal calls this process.
        check: compares a policy with the running schema and teams; a problem refuses it.
        """
        self._policy = policy
        self._directory = directory
        self._journal = journal
        self._process = process
        self._check = check
        self._poll_seconds = poll_seconds
        self._refused: str | None = None
        self._asked = asyncio.Event()
        self._looking = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None

    def get(self) -> Policy:
        """The policy in force."""
        return self._policy

    def ask_to_look(self) -> None:
        """Lets the watcher look at the files now, even if their sizes and times are as before (SIGHUP)."""
        self._asked.set()

    async def start(self) -> None:
        """Records which policy the process begins with, and begins to watch.

        Raises:
            Unavailable: the journal cannot be written.
        """
        await self._record_loaded(None, self._policy)
        self._watcher = asyncio.create_task(self._watch(), name="watch the policy")

    async def close(self) -> None:
        """Watches no more."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher

    async def reload(self) -> bool:
        """Reads the folder; whether another policy is in force now. A refusal is recorded once for each content.

        Raises:
            Unavailable: the journal cannot be written; the old policy stays.
        """
        async with self._looking:
            old = self._policy
            try:
                new = await asyncio.to_thread(self._load, old)
            except PolicyError as error:
                await self._refuse(error.problems)
                return False
            self._refused = None
            if new is old:
                return False
            await self._record_loaded(old, new)
            self._policy = new
            log.info("policy loaded", version=new.version, before=old.version)
            return True

    def _load(self, old: Policy) -> Policy:
        """The folder's policy, the old one if that is what it holds. In a thread.

        Raises:
            PolicyError: why it must not come into force.
        """
        sources, version = read_sources(self._directory)
        if version == old.version:
            return old
        new = Policy.from_sources(sources, version)
        problems = [*sensitivity_changes(old, new), *self._check(new)]
        if problems:
            raise PolicyError(tuple(sorted(set(problems))))
        # Whoever is at work now shall neither wait for the first table nor meet a rule that cannot be compiled
        new.warm(old)
        return new

    async def _record_loaded(self, old: Policy | None, new: Policy) -> None:
        detail = {
            "from": old.version if old else None,
            "to": new.version,
            "process": self._process,
            **({"files": changed_files(old.digests, new.digests)} if old else {}),
        }
        await self._journal.record(Event("policy.loaded", SYSTEM, detail=detail, policy_version=new.version))

    async def _refuse(self, problems: tuple[Problem, ...]) -> None:
        told = "\n".join(str(problem) for problem in problems)
        if told == self._refused:
            return
        log.error("policy refused; the old one stays", version=self._policy.version, problems=told)
        detail = {
            "kept": self._policy.version,
            "problems": [str(problem) for problem in problems[:_MOST_PROBLEMS]],
            "problemCount": len(problems),
            "process": self._process,
        }
        event = Event(
            "policy.refused",
            SYSTEM,
            detail=detail,
            outcome=Outcome.FAILED,
            policy_version=self._policy.version,
        )
        await self._journal.record(event)
        self._refused = told

    async def _watch(self) -> None:
        """Reads the folder once it has changed and then stayed the same for one look: half of a change is none."""
        # What was looked at last, if it could be dealt with. The files may have changed since the process read them
        done: _Snapshot | None = None
        before: _Snapshot | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._asked.wait()
            try:
                now = await asyncio.to_thread(_snapshot, self._directory)
                at_rest, before = now == before, now
                if self._asked.is_set():
                    self._asked.clear()
                    at_rest, done = True, None
                if at_rest and now != done:
                    await self.reload()
                    done = now
            except OknoError as error:
                # what is not done is tried again with the next look
                log.error("policy cannot be changed", code=error.code, message=error.message)
            except Exception:
                log.exception("policy cannot be looked at")


def _snapshot(directory: Path) -> _Snapshot:
    found = []
    for path in sorted(directory.glob("*.polar")):
        with contextlib.suppress(OSError):
            stat = path.stat()
            found.append((path.name, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return tuple(found)


def changed_files(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, list[str]]:
    """The names of files by what became of them; `old` and `new` give the digest of each."""
    kinds = {
        "added": sorted(new.keys() - old.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
        "removed": sorted(old.keys() - new.keys()),
    }
    return {kind: names for kind, names in kinds.items() if names}


def sensitivity_changes(old: Policy, new: Policy) -> list[Problem]:
    """What the running schema carries, and so cannot change under it: levels, resources, structural types, masks."""
    problems = []
    kinds = (
        ("level", old.book.levels, new.book.levels),
        ("resource_of", old.book.resources, new.book.resources),
        ("structural", old.book.structural, new.book.structural),
        ("masked", old.book.masked, new.book.masked),
    )
    for kind, before, after in kinds:
        for name in sorted(before.keys() | after.keys()):
            was, now = before.get(name), after.get(name)
            if was is not None and now is not None and was.value == now.value:
                continue
            place = now or was
            assert place is not None
            change = f"{was.value if was else 'nothing'} to {now.value if now else 'nothing'}"
            if kind == "structural":
                change = "absent to present" if now else "present to absent"
            message = f'{kind}("{name}") changes from {change}; restart to change sensitivity, or take the change back'
            problems.append(Problem(place.file, place.line, "restart-needed", message))
    return problems
