"""Which records: those that a list is narrowed to, and those that somebody may find.

The latter is made from the policy's conditions by whoever knows the policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from okno.audit.records import Outcome, Phase

#: What stands for the team where a rule about a person's own history asks for it and the actor acted for none.
NO_TEAM = "-"
#: The facts of a record that decide who may find it.
FACTS = ("actor_id", "subject_id", "event_type", "team")


@dataclass(frozen=True, slots=True)
class Is:
    """The fact is known and is one of the values; with `negated`, is known and is none of them."""

    fact: str
    values: tuple[str | UUID, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; without parts, every row."""

    parts: tuple["Rows", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of the parts holds; without parts, no row."""

    parts: tuple["Rows", ...]


Rows = Is | Every | Some


def admits(rows: Rows, facts: Mapping[str, object]) -> bool:
    """Decides one record, as the SQL of `search_store` does all."""
    if isinstance(rows, Every):
        return all(admits(part, facts) for part in rows.parts)
    if isinstance(rows, Some):
        return any(admits(part, facts) for part in rows.parts)
    fact = facts.get(rows.fact)
    if fact is None:
        return False
    known = {str(value) for value in rows.values}
    return (str(fact) in known) is not rows.negated


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of records is narrowed to; None and empty narrow nothing.

    `since` is included, `until` is not. `words`: each has to be in the name or login of who acted, in what was acted upon, in
    the operation, or in the title of the event's type.
    """

    words: tuple[str, ...] = ()
    subject_id: str | None = None
    actor_id: UUID | None = None
    event_types: frozenset[str] | None = None
    outcome: Outcome | None = None
    phase: Phase | None = None
    since: datetime | None = None
    until: datetime | None = None
    team: str | None = None
    chain: UUID | None = None

    @property
    def fingerprint(self) -> str:
        """Tells lists apart that their cursors belong to."""
        types = None if self.event_types is None else sorted(self.event_types)
        return repr(
            (
                self.words, self.subject_id, self.actor_id and str(self.actor_id), types, self.outcome, self.phase,
                self.since and self.since.isoformat(), self.until and self.until.isoformat(), self.team,
                self.chain and str(self.chain),
            )
        )  # fmt: skip
