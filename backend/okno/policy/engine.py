"""Oso behind one small interface: it says whether the files are Polar, and decides single rows for whoever doubts.

Nothing else imports Oso, a deprecated library. Decisions are not asked of it but read from the rules, see `reading`;
tests, and `okno policy check`, hold the two against each other.
"""

import os
import re
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any
from uuid import UUID

from oso import Oso, Variable
from polar.exceptions import OsoError
from polar.ffi import PolarSource, process_messages

from okno.policy.model import PERSON_LISTS, RESOURCES, Problem, Rights

# Oso gives a query 30 s of the clock, not of the processor: on a machine busy with other things, rules that take no
# time at all were refused. It reads this when it begins to load or to query.
_TIMEOUT_VARIABLE, _TIMEOUT_MILLISECONDS = "POLAR_TIMEOUT_MS", 300_000

_PLACE = re.compile(r"at line (\d+), column \d+(?: of file ([^\n:]+))?")


class BrokenPolicy(Exception):
    """Oso itself refuses the files or the query; `problem` says where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Person:
    """The actor as rules see it."""

    def __init__(self, rights: Rights, *, id: str | None, employee_id: str | None) -> None:  # noqa: A002
        self.id = id
        self.employee_id = employee_id
        for name in PERSON_LISTS:
            setattr(self, name, sorted(getattr(rights, name)))

    def __repr__(self) -> str:
        return "Person"


class _Row:
    """A row as rules see it: exactly the registered attributes."""

    attributes: frozenset[str] = frozenset()

    def __init__(self, facts: Mapping[str, object]) -> None:
        for name in self.attributes:
            fact = facts.get(name)
            setattr(self, name, str(fact) if isinstance(fact, UUID) else fact)


_ROWS: Mapping[str, type[_Row]] = {
    name: type(name, (_Row,), {"attributes": attributes}) for name, attributes in RESOURCES.items()
}


class Engine:
    """The loaded rules. Calls are serialised: one query is a conversation with Oso's virtual machine."""

    def __init__(self, sources: Sequence[tuple[str, str]]) -> None:
        """Loads files given as (name, text).

        Raises:
            BrokenPolicy: Oso refuses them; the problem names file and line.
        """
        self._lock = Lock()
        self._fallback = sources[0][0] if sources else "policies"
        self._oso = _fresh()
        messages: list[str] = []
        self._oso.ffi_polar.process_messages = lambda: messages.extend(_drain(self._oso))
        self._oso.register_class(Person)
        for name, row in _ROWS.items():
            self._oso.register_class(row, name=name)
        try:
            self._oso._load_sources([PolarSource(text, name) for name, text in sources])
        except OsoError as error:
            raise BrokenPolicy(self._problem(error)) from error
        for message in messages:
            if "does not contain an allow rule" not in message:
                raise BrokenPolicy(self._place(message.removeprefix("[warning] "), "syntax"))

    def permits(
        self,
        rights: Rights,
        action: str,
        resource: str,
        field: str,
        facts: Mapping[str, object],
        *,
        own_id: UUID | None,
        text: str | None = None,
    ) -> bool:
        """Asks Oso itself about one row: slow, the reference that compiled decisions are tested against.

        Unlike a compiled decision it does not deny on unknown facts.
        """
        own = None if own_id is None else str(own_id)
        person = Person(rights, id=own, employee_id=own)
        with self._lock:
            return bool(
                self._oso.query_rule_once(
                    "permit",
                    person,
                    action,
                    _ROWS[resource](facts),
                    field,
                    Variable("why") if text is None else text,
                )
            )

    def _problem(self, error: OsoError, code: str = "syntax") -> Problem:
        return self._place(str(error.message), code)

    def _place(self, message: str, code: str) -> Problem:
        place = _PLACE.search(message)
        first = message.strip().splitlines()[0] if message.strip() else "refused"
        file = (place and place.group(2)) or self._fallback
        return Problem(file, int(place.group(1)) if place else 1, code, _PLACE.sub("", first).strip(" :"))


def _fresh() -> Any:
    os.environ.setdefault(_TIMEOUT_VARIABLE, str(_TIMEOUT_MILLISECONDS))
    return Oso()  # Any: the library has type hints, but not on what is called here


def _drain(oso: Any) -> list[str]:
    """Oso's warnings, which it would print."""
    drain: Any = process_messages
    return list(drain(oso.ffi_polar.next_message))
