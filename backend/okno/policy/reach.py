"""Rules that say nothing: that can never hold, that an earlier rule always says already, or that tell a reader nothing.

Such a rule is not dangerous by itself; but whoever reviews the files takes it for a right, or for its limit.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from okno.policy.condition import FALSE, Compare, all_of
from okno.policy.model import FLAGS, UUIDS, Problem, Rule
from okno.policy.reading import Reading
from okno.policy.requirement import Leaf, PersonHas, phrase, ways
from okno.policy.rulebook import RuleBook

Readings = Mapping[tuple[str, str], list[Reading]]
Way = frozenset[Leaf]

_FEWEST_WORDS = 3


@dataclass(frozen=True, slots=True)
class Held:
    """What the deployment's teams have; None: not known, so not checked."""

    roles: Collection[str] | None = None
    teams: Collection[str] | None = None

    def of(self, attribute: str) -> Collection[str] | None:
        """What a list of the person can hold, if that is known."""
        return {"roles": self.roles, "teams": self.teams}.get(attribute)


def unreachable(book: RuleBook, readings: Readings, held: Held) -> Iterator[Problem]:
    """Rules that can never hold for anybody, or that earlier ones always cover."""
    ways_of = _Ways()
    alive: dict[str, list[tuple[Way, tuple[str, ...]]]] = defaultdict(list)
    reasons: dict[str, dict[str, None]] = defaultdict(dict)
    for of_action in readings.values():
        for reading in of_action:
            for way in ways_of.of(reading):
                reason = _never(way, held)
                if reason is None:
                    alive[reading.rule.id].append((way, reading.fields))
                else:
                    reasons[reading.rule.id][reason] = None
    for rule in book.rules.values():
        if rule.id not in alive:
            why = "; ".join(reasons[rule.id]) or "no field, name or fact satisfies it"
            message = f"rule {rule.id} can never hold: {why}; mend the condition or remove the rule"
            yield Problem(rule.file, rule.line, "unreachable", message)
    yield from _covered(book, alive)


class _Ways:
    """The ways to satisfy a requirement, worked out once for each."""

    def __init__(self) -> None:
        self._known: dict[int, list[Way]] = {}

    def of(self, reading: Reading) -> list[Way]:
        found = self._known.get(id(reading.requirement))
        if found is None:
            found = [frozenset(way) for way in ways(reading.requirement)]
            self._known[id(reading.requirement)] = found
        return found


def _never(way: Way, held: Held) -> str | None:
    """Why these terms cannot hold together, or None."""
    for leaf in way:
        if isinstance(leaf, PersonHas):
            if not leaf.negated and PersonHas(leaf.attribute, leaf.value, negated=True) in way:
                return f"{phrase(leaf)} and not"
            known = held.of(leaf.attribute)
            if not leaf.negated and known is not None and leaf.value not in known:
                return (
                    f"no team {'holds the role' if leaf.attribute == 'roles' else 'is called'} {leaf.value}"
                )
        if isinstance(leaf, Compare):
            values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
            if leaf.attribute in UUIDS and any(isinstance(value, str | int) for value in values):
                return f"{phrase(leaf)}: an id is compared with the person's own only"
            wanted = bool if leaf.attribute in FLAGS else str
            if leaf.attribute not in UUIDS and not any(type(value) is wanted for value in values):
                return (
                    f"{phrase(leaf)}: {leaf.attribute} is {'true or false' if wanted is bool else 'a text'}"
                )
    compared = [leaf for leaf in way if isinstance(leaf, Compare)]
    if all_of(compared) == FALSE:
        return f"{' and '.join(sorted(map(phrase, compared)))} contradict one another"
    return None


def _covered(book: RuleBook, alive: Mapping[str, list[tuple[Way, tuple[str, ...]]]]) -> Iterator[Problem]:
    """Rules of which every way, for every field, is one of an earlier rule too. A mask is covered by full reading."""
    by_field: dict[tuple[str, str, str], list[tuple[Way, str]]] = defaultdict(list)
    masks: list[Rule] = []
    for rule in book.rules.values():
        if rule.action == "mask":
            masks.append(rule)  # looked at when all that may be read in full is known
            continue
        yield from _cover(rule, ("",), by_field, alive.get(rule.id, ()))
    for rule in masks:
        yield from _cover(rule, ("read", "mask"), by_field, alive.get(rule.id, ()))


def _cover(
    rule: Rule,
    actions: tuple[str, ...],
    by_field: dict[tuple[str, str, str], list[tuple[Way, str]]],
    own: Iterable[tuple[Way, tuple[str, ...]]],
) -> Iterator[Problem]:
    own = list(own)
    by: dict[str, None] = {}
    covered = bool(own)
    for way, fields in own:
        for field in fields:
            keys = [(action or rule.action, rule.resource, field) for action in actions]
            wider = next(
                (other for key in keys for known, other in by_field[key] if _implies(way, known)), None
            )
            if wider is None:
                covered = False
            else:
                by[wider] = None
    for way, fields in own:
        for field in fields:
            by_field[rule.action, rule.resource, field].append((way, rule.id))
    if covered:
        message = f"rule {rule.id} gives nothing that {' and '.join(by)} does not give already; remove it, or narrow the other"
        yield Problem(rule.file, rule.line, "covered", message)


def _implies(narrow: Way, wide: Way) -> bool:
    """Whether whoever satisfies the one satisfies the other: each term of the other is there, or a stricter one."""
    return all(term in narrow or any(_stricter(own, term) for own in narrow) for term in wide)


def _stricter(one: Leaf, other: Leaf) -> bool:
    if not (isinstance(one, Compare) and isinstance(other, Compare) and one.attribute == other.attribute):
        return False
    if not isinstance(one.value, str | bool | tuple) or one.op == "!=":
        return False
    mine = one.value if isinstance(one.value, tuple) else (one.value,)
    theirs = other.value if isinstance(other.value, tuple) else (other.value,)
    if other.op == "!=":
        return isinstance(other.value, str | bool) and not set(mine) & set(theirs)
    return set(mine) <= set(theirs)


def unclear(book: RuleBook) -> Iterator[Problem]:
    """Sentences that do not say who may do what, or that two rules share, so that a reader cannot tell them apart."""
    first: dict[str, Rule] = {}
    for rule in book.rules.values():
        words = rule.sentence.split()
        if len(words) < _FEWEST_WORDS:
            message = f'rule {rule.id} is explained by "{rule.sentence}"; write a sentence that says who may do what'
            yield Problem(rule.file, rule.line, "no-sentence", message)
        other = first.setdefault(" ".join(words).casefold(), rule)
        if other is not rule:
            message = f"rule {rule.id} is explained in the words of {other.id}; say what differs"
            yield Problem(rule.file, rule.line, "same-sentence", message)
