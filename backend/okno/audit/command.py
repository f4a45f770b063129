"""A command as its body sees it."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from okno.audit import store
from okno.audit.records import Outcome, RecordRef
from okno.errors import OknoError, UnknownOutcome

# A command that has been running for longer has lost its process: no request and no job may take as long.
ABANDONED_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class First:
    """How a command ended when it was run. What was erased since is None."""

    outcome: Outcome
    result: Any
    code: str | None
    message: str | None

    @classmethod
    def of_state(cls, command: store.CommandState) -> "First":
        """One that is still marked as running has lost its process: its end is unknown."""
        said = json.loads(command.result) if command.result else {}
        outcome = Outcome.UNKNOWN if command.state == "running" else Outcome(command.state)
        return cls(outcome, said.get("result"), said.get("code"), said.get("message"))


T = TypeVar("T")

# What a local effect does in the transaction that it is given: statements of that database session, and nothing else
Effect = Callable[[Any], Awaitable[T]]

# Commits an effect together with the outcome that the command says by then
CommitEffect = Callable[["Command", Callable[[Any], Awaitable[None]]], Awaitable[None]]


class Command:
    """A command whose intent is committed at `ref`, or, when `replayed`, a repetition: do nothing, answer with `first`.

    The body says how it ended, once. A body that ends without having said so leaves the outcome unknown.
    """

    def __init__(
        self, ref: RecordRef, *, first: First | None = None, commit: CommitEffect | None = None
    ) -> None:
        self._commit_effect = commit
        self.is_written = False  # its outcome is committed already, with the effect
        self.ref = ref
        self.replayed = first is not None
        self._first = first
        self.outcome: Outcome | None = None
        self.result: Any = None
        self.code: str | None = None
        self.message: str | None = None

    @property
    def first(self) -> First:
        """How it ended when it was run; only of a replayed command."""
        if self._first is None:
            raise RuntimeError("this command is run for the first time; ask `replayed` before")
        return self._first

    def succeeded(self, result: Any = None) -> None:
        """The effect took place. `result` is JSON; it is what a repetition of the command gets."""
        self._end(Outcome.SUCCEEDED, result, None, None)

    async def commit(self, effect: Effect[T], result: Any = None) -> T:
        """Runs a local effect and commits it together with the outcome succeeded: both, or neither. Gives what it gave.

        Args:
            effect: gets a session of the journal's own transaction. It is to be short, since others wait for their records
                meanwhile, and it may be run again when the transaction has to be repeated.

        Raises:
            UnknownOutcome: the connection was lost while it was committed.
            Unavailable: nothing was done.
            Exception: whatever the effect raises; nothing was done.
        """
        if self._commit_effect is None or self.outcome is not None:
            raise RuntimeError(
                "only a command that is run for the first time, and has not ended, has an effect"
            )
        given: list[T] = []

        async def run(session: Any) -> None:
            given[:] = [await effect(session)]

        self.succeeded(result)
        try:
            await self._commit_effect(self, run)
        except BaseException:
            self.outcome = None  # what is raised says how it ended
            raise
        self.is_written = True
        return given[0]

    def failed(self, code: str, message: str, result: Any = None) -> None:
        """The effect did not take place, and that is certain."""
        self._end(Outcome.FAILED, result, code, message)

    def unknown(self, code: str, message: str, result: Any = None) -> None:
        """The effect may have taken place; a sweep or a person finds out."""
        self._end(Outcome.UNKNOWN, result, code, message)

    def ended_by(self, error: BaseException) -> None:
        """The body was left by this error; what it has said before stands."""
        if self.outcome is not None:
            return
        if isinstance(error, OknoError):
            end = self.unknown if isinstance(error, UnknownOutcome) else self.failed
            end(error.code, error.message)
        elif isinstance(error, Exception):
            # its text may hold anything, its kind may not
            self.failed("INTERNAL", type(error).__name__)
        else:
            self.unknown("INTERRUPTED", "The command was interrupted while it ran.")

    def _end(self, outcome: Outcome, result: Any, code: str | None, message: str | None) -> None:
        if self.replayed:
            raise RuntimeError("a replayed command has its outcome already; its effect must not be repeated")
        if self.outcome is not None:
            raise RuntimeError(f"the command has said already that it {self.outcome}")
        self.outcome, self.result, self.code, self.message = outcome, result, code, message
