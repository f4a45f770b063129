"""Decisions counted in memory, bounded: cheap to add to when a request ends, taken out by the flush.

What is counted says nothing of who asked or about whom: rights, and of the row those attributes that conditions ask for.
Of ids it says only whether they were the person's own.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from okno.clock import Clock, SystemClock
from okno.policy.condition import Facts
from okno.policy.model import ACTIONS, Decision, Outcome, Rights
from okno.policy.requirement import PersonHas, leaves
from okno.policy.service import Policy

# Ids are kept as ME, OTHER or, where the person is nobody's employee, None
IDS = frozenset({"id", "manager_id", "actor_id", "subject_id"})
ME, OTHER = "me", "other"
# No list of the API is longer; of one that is, about so many rows are looked at, each for as many as there are between them
_MOST_ROWS = 100
_SAMPLED_ROWS = 50
_ME_ID, _OTHER_ID = UUID(int=1), UUID(int=2)

Item = TypeVar("Item")
FactItems = tuple[tuple[str, str | int | bool | None], ...]


class Decided(NamedTuple):
    """What is counted apart.

    Attributes:
        things: what was decided alike: "Type.field"s, or one operation.
        facts: of the row, in the order of their names; None: it was not known.
    """

    policy_version: str
    rights: Rights
    action: str
    resource: str
    things: tuple[str, ...]
    outcome: str
    facts: FactItems


class Key(NamedTuple):
    """What is counted, and in which hour (its beginning, UTC)."""

    hour: datetime
    decided: Decided


def used_facts(policy: Policy, resource: str) -> tuple[str, ...]:
    """The attributes of a row that conditions of the policy ask for, whatever the action, by name."""
    names: set[str] = set()
    for action in ACTIONS:
        for answer in policy.symbolic(action, resource):
            asked = (leaf for leaf in leaves(answer.requirement) if not isinstance(leaf, PersonHas))
            names.update(leaf.attribute for leaf in asked)
    return tuple(sorted(names))


def facts_of(items: FactItems) -> tuple[Mapping[str, object], UUID]:
    """The row that recorded facts stand for, and the own id of the person who asked."""
    facts: dict[str, object] = {}
    for name, value in items:
        if value is not None:
            facts[name] = (_ME_ID if value == ME else _OTHER_ID) if name in IDS else value
    return facts, _ME_ID


def outcome_of(decision: Decision, facts: Facts, me: UUID | None) -> Outcome:
    """What a decision says of one row: allow, mask or deny."""
    if decision.allows(facts, me) is not None:
        return Outcome.ALLOW
    return Outcome.MASK if decision.masks and decision.mask(facts, me) is not None else Outcome.DENY


def sample(rows: Sequence[Item]) -> tuple[Sequence[Item], int]:
    """As many of the rows as are looked at, and for how many each of them stands."""
    if len(rows) <= _MOST_ROWS:
        return rows, 1
    weight = -(-len(rows) // _SAMPLED_ROWS)
    return rows[::weight], weight


class _Row:
    """How the facts of a resource's rows become what is counted."""

    __slots__ = ("_pick", "ids", "names")

    def __init__(self, names: Iterable[str]) -> None:
        every = sorted(names)
        self.ids = tuple(name for name in every if name in IDS)
        self.names = tuple(name for name in every if name not in IDS)
        # for one name itemgetter gives no tuple
        self._pick: Callable[[Any], Any] | None = itemgetter(*self.names) if self.names else None

    def pick(self, facts: Sequence[Facts]) -> Iterable[Any]:
        """The values of each row, in C as far as every row has them."""
        if self._pick is None:
            return [()] * len(facts)
        try:
            return list(map(self._pick, facts))
        except KeyError:
            return list(map(self.pick_carefully, facts))

    def pick_carefully(self, facts: Facts) -> Any:
        """The values of one row; None for what is not known."""
        if len(self.names) == 1:
            return facts.get(self.names[0])
        return tuple([facts.get(name) for name in self.names])

    def own(self, facts: Facts, me: UUID | None) -> tuple[str | None, ...]:
        """Which ids of the row are the person's own."""
        found: list[str | None] = []
        for name in self.ids:
            value = facts.get(name)
            found.append(None if me is None or value is None else ME if value == me else OTHER)
        return tuple(found)

    def items(self, own: tuple[str | None, ...], values: Any) -> FactItems:
        """Both as they are recorded."""
        known = dict(zip(self.ids, own, strict=True))
        given = values if len(self.names) != 1 else (values,)
        known.update(zip(self.names, given, strict=True))
        return tuple(sorted(known.items()))


@dataclass(frozen=True, slots=True)
class _Group:
    action: str
    things: tuple[str, ...]
    decision: Decision


class Place:
    """Things that are decided together for every row that comes to this place of a document; kept with its template."""

    __slots__ = ("groups", "resource", "rights", "row", "seen", "version")

    def __init__(
        self, version: str, rights: Rights, resource: str, groups: tuple[_Group, ...], row: _Row
    ) -> None:
        self.version = version
        self.rights = rights
        self.resource = resource
        self.groups = groups
        self.row = row
        self.seen: dict[tuple[str | None, ...], Counter[Hashable]] = {}


class DecisionCounts:
    """What was decided since the last flush. Not for several threads.

    Args:
        rows: at most so many rows are held for the database; what would be another one is counted in `lost`.
        kinds_of_rows: so many are held at one place before they are spread.
    """

    def __init__(self, clock: Clock | None = None, *, rows: int = 50_000, kinds_of_rows: int = 500) -> None:
        self._clock = clock or SystemClock()
        self._rows = rows
        self._kinds_of_rows = kinds_of_rows
        self._touched: list[Place] = []
        self._waiting: dict[Key, int] = {}
        self._shapes: WeakKeyDictionary[Policy, dict[str, _Row]] = WeakKeyDictionary()
        self.lost = 0

    def __len__(self) -> int:
        """Rows held for the database, without those that are not spread yet."""
        return len(self._waiting)

    def place(
        self, policy: Policy, rights: Rights, resource: str, things: Iterable[tuple[str, str]]
    ) -> Place | None:
        """A place where these (action, thing) are decided; None when there is none of them."""
        groups: dict[tuple[str, int], tuple[Decision, dict[str, None]]] = {}
        for action, thing in things:
            decision = policy.table(rights, action, resource).decide(thing)
            groups.setdefault((action, id(decision)), (decision, {}))[1][thing] = None
        if not groups:
            return None
        found = tuple(
            _Group(action, tuple(sorted(names)), decision)
            for (action, _), (decision, names) in groups.items()
        )
        return Place(policy.version, rights, resource, found, self._shape(policy, resource))

    def count(self, place: Place, facts: Sequence[Facts], me: UUID | None, weight: int = 1) -> None:
        """Counts the rows that came to the place.

        Args:
            me: the actor's `employee_id` for rows about employees, its `id` for records of the journal.
            weight: for how many each row stands, see `sample`.
        """
        row = place.row
        own, mine = _own(row, facts, me)
        seen = self._seen(place, own)
        if mine:
            facts = [each for index, each in enumerate(facts) if index not in mine]
            for each in mine.values():
                self._seen(place, row.own(each, me))[row.pick_carefully(each)] += weight
        if weight == 1:
            seen.update(row.pick(facts))
        else:
            for values, number in Counter(row.pick(facts)).items():
                seen[values] += number * weight
        if len(seen) > self._kinds_of_rows:
            self._spread(place)

    def count_once(self, place: Place) -> None:
        """Counts a place that is decided by no row."""
        self._seen(place, ())[()] += 1

    def count_one(
        self,
        policy: Policy,
        rights: Rights,
        action: str,
        resource: str,
        thing: str,
        facts: Facts,
        me: UUID | None,
    ) -> None:
        """Counts one decision by itself, such as that on an operation."""
        place = self.place(policy, rights, resource, ((action, thing),))
        if place is not None:
            self.count(place, (facts,), me)
            self._touched.pop()
            self._spread(place)

    def take(self) -> dict[Key, int]:
        """All that was counted, out of here. What was decided since the last time counts for the present hour."""
        touched, self._touched = self._touched, []
        for place in touched:
            self._spread(place)
        taken, self._waiting = self._waiting, {}
        return taken

    def put_back(self, counted: Iterable[tuple[Key, int]]) -> None:
        """Holds on to what could not be written."""
        for key, number in counted:
            self._add(key, number)

    def _shape(self, policy: Policy, resource: str) -> _Row:
        shapes = self._shapes.setdefault(policy, {})
        if resource not in shapes:
            shapes[resource] = _Row(used_facts(policy, resource))
        return shapes[resource]

    def _seen(self, place: Place, own: tuple[str | None, ...]) -> Counter[Hashable]:
        seen = place.seen.get(own)
        if seen is None:
            if not place.seen:
                self._touched.append(place)
            seen = place.seen[own] = Counter()
        return seen

    def _spread(self, place: Place) -> None:
        seen, place.seen = place.seen, {}
        hour = self._clock.now().replace(minute=0, second=0, microsecond=0)
        for own, counter in seen.items():
            for values, number in counter.items():
                items = place.row.items(own, values)
                facts, me = facts_of(items)
                for group in place.groups:
                    outcome = outcome_of(group.decision, facts, me).value
                    decided = Decided(
                        place.version,
                        place.rights,
                        group.action,
                        place.resource,
                        group.things,
                        outcome,
                        items,
                    )
                    self._add(Key(hour, decided), number)

    def _add(self, key: Key, number: int) -> None:
        held = self._waiting.get(key)
        if held is not None:
            self._waiting[key] = held + number
        elif len(self._waiting) < self._rows:
            self._waiting[key] = number
        else:
            self.lost += number


def _own(
    row: _Row, facts: Sequence[Facts], me: UUID | None
) -> tuple[tuple[str | None, ...], dict[int, Facts]]:
    """Whose ids most rows have, nobody's own, and the rows that have others, by their index.

    Whole numbers are compared, since to compare UUIDs takes three times as long.
    """
    if not row.ids:
        return (), {}
    if me is None:
        return (None,) * len(row.ids), {}
    usual: tuple[str | None, ...] = (OTHER,) * len(row.ids)
    mine: dict[int, Facts] = {}
    for name in row.ids:
        try:
            ids = [each[name].int for each in facts]  # type: ignore[attr-defined]
        except (KeyError, AttributeError):
            return usual, {index: each for index, each in enumerate(facts) if row.own(each, me) != usual}
        if me.int in ids:
            mine.update((index, facts[index]) for index, each in enumerate(ids) if each == me.int)
    return usual, mine
