"""The last good answers of one source, bounded, least recently used out first."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from okno.sources.model import SectionData, SectionResult, State


@dataclass(frozen=True, slots=True)
class Answer:
    """What the source said to a read that began at `as_of` (`asked_at` on the monotonic clock)."""

    data: Mapping[str, Any] | None
    """Typed values of the section; None: the source does not know the person."""
    as_of: datetime
    asked_at: float
    result: SectionResult | None = field(init=False, repr=False, compare=False)
    """The section that it is while it is fresh enough; None without data."""

    def __post_init__(self) -> None:
        known = None
        if self.data is not None:
            object.__setattr__(self, "data", SectionData(self.data))
            known = SectionResult(State.OK, self.data, self.as_of, None)
        object.__setattr__(self, "result", known)


class AnswerCache:
    """Answers by key. An answer asked for before a newer one, or before a write, never replaces what is known since."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._written_at: OrderedDict[str, float] = OrderedDict()

    def find(self, key: str) -> Answer | None:
        """The last answer, however old."""
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def find_many(self, keys: Iterable[str | None]) -> list[Answer | None]:
        """`find` for each of them; None for no key at all."""
        wanted = list(keys)
        found = list(map(self._answers.get, wanted))  # type: ignore[arg-type]  # nothing is known by no key
        used = self._answers.move_to_end
        for key, answer in zip(wanted, found, strict=True):
            if answer is not None:
                used(key)  # type: ignore[arg-type]
        return found

    def put(self, key: str, answer: Answer) -> None:
        """Keeps the answer unless it is out of date already."""
        known = self._answers.get(key)
        if known is not None and known.asked_at > answer.asked_at:
            return
        if (written_at := self._written_at.get(key)) is not None and answer.asked_at < written_at:
            return
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > self._entries:
            self._answers.popitem(last=False)

    def forget(self, key: str, written_at: float) -> None:
        """After a write: the known answer is out of date, and so is any that was asked for before `written_at`."""
        self._answers.pop(key, None)
        self._written_at[key] = written_at
        self._written_at.move_to_end(key)
        if len(self._written_at) > max(self._entries, 100):
            self._written_at.popitem(last=False)

    def __len__(self) -> int:
        return len(self._answers)
