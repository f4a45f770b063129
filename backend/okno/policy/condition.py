"""Conditions on one row: a small frozen tree that Python evaluates and SQL stores translate.

A comparison with an unknown fact, or with an unknown self, is false: default deny. There is no negation
node, so an unknown can never turn into a yes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, partial
from types import CodeType
from typing import Any, Literal, TypeVar
from uuid import UUID


class Me(Enum):
    """Stands for the asking person's own id, which is known only when a row is decided."""

    ME = "ME"

    def __repr__(self) -> str:
        return "ME"


ME = Me.ME

Scalar = str | int | bool
Operator = Literal["=", "!=", "in"]
Facts = Mapping[str, object]
Test = Callable[[Facts, UUID | None], bool]
Choice = TypeVar("Choice")
Chooser = Callable[[Facts | None], Choice | None]


@dataclass(frozen=True, slots=True)
class Compare:
    """`attribute op value`. For "in" the value is a sorted tuple of scalars; ME goes with "=" and "!=" only."""

    attribute: str
    op: Operator
    value: Scalar | tuple[Scalar, ...] | Me


@dataclass(frozen=True, slots=True)
class AllOf:
    """True when every term is; with no terms, true."""

    terms: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when one term is; with no terms, false."""

    terms: tuple["Condition", ...]


Condition = AllOf | AnyOf | Compare

TRUE = AllOf(())
FALSE = AnyOf(())


def evaluate(condition: Condition, facts: Facts, me: UUID | None) -> bool:
    """Decides one row. `compile_condition` is the same, for many rows."""
    return compile_condition(condition)(facts, me)


def compile_condition(condition: Condition) -> Test:
    """Turns the tree into one function, once, so that a row costs a tenth of a microsecond."""
    code = _Code()
    test: Test = code.function(f"def written(facts, me):\n    return {code.write(condition)}\n")
    return test


def compile_choice(choices: Sequence[tuple[Condition, Choice]]) -> Callable[[UUID | None], Chooser[Choice]]:
    """For a person's own id gives the function of a row that names the first choice whose condition holds, or None.

    One call for a row, where a test for each condition and for each part of it would be a call each. Facts of None
    choose nothing.

    Args:
        choices: conditions, each with what it chooses; nothing that is false in Python.
    """
    code = _Code(hashable=True)
    # flat, and not one conditional expression in the other: there may be hundreds
    terms = [f"({code.write(condition)}) and {code.name(choice)}" for condition, choice in choices]
    careful = code.name(partial(_choose, choices))
    factory: Callable[[UUID | None], Chooser[Choice]] = code.function(
        _CHOICE.format(choose=" or ".join([*terms, "None"]), careful=careful)
    )
    return factory


def write_choice(
    choices: Sequence[tuple[Condition, Choice]], *, facts: str, me: str, name: Callable[[object], str]
) -> str:
    """The expression of `compile_choice`, for code that decides its rows itself.

    It may raise TypeError for a fact that cannot be hashed, and AttributeError for facts of None.

    Args:
        facts, me: the names of these variables there; it also sets `fact`.
        name: gives the name by which that code knows a constant, or what is in KNOWN.
    """
    code = _Code(hashable=True, name=name, facts=facts, me=me)
    terms = [f"({code.write(condition)}) and {code.name(choice)}" for condition, choice in choices]
    return " or ".join([*terms, "None"])


# Trying costs nothing; to look at the type of every fact first would be a fifth of a row's time
_CHOICE = """
def written(me):
    def choose(facts):
        try:
            return None if facts is None else {choose}
        except TypeError:  # a fact that cannot be hashed
            return {careful}(facts, me)
    return choose
"""


def _choose(choices: Sequence[tuple[Condition, Choice]], facts: Facts, me: UUID | None) -> Choice | None:
    return next((choice for condition, choice in choices if evaluate(condition, facts, me)), None)


# Names stand for all that differs between persons and between countries, so that most texts are met again
@lru_cache(maxsize=256)
def _compiled(source: str) -> CodeType:
    return compile(source, "<okno.policy.condition>", "exec")


class _Code:
    """Python written from conditions. What the policy says stands in it as names of constants, never as text.

    Args:
        hashable: facts are taken to be so; of one that is not, the function may raise TypeError.
        name: what names constants, if they are kept elsewhere.
        facts, me: what the variables are called.
    """

    # CPython's parser takes 200 open parentheses; a condition so deep becomes a function of its own
    _DEEPEST = 40

    def __init__(
        self,
        *,
        hashable: bool = False,
        name: Callable[[object], str] | None = None,
        facts: str = "facts",
        me: str = "me",
    ) -> None:
        self._hashable = hashable
        self._names: dict[str, Any] = {"__builtins__": {}, **KNOWN}
        self.name = name or self._name
        self._facts = facts
        self._me = me

    def function(self, source: str) -> Any:
        """What the source calls `written`."""
        exec(_compiled(source), self._names)  # noqa: S102 - written here, and it sees nothing but its constants
        return self._names["written"]

    def _name(self, constant: object) -> str:
        name = f"c{len(self._names)}"
        self._names[name] = constant
        return name

    def write(self, condition: Condition, depth: int = 0) -> str:
        """An expression of `facts` and `me` that is True or False.

        Raises:
            TypeError: it does not know the condition.
        """
        if isinstance(condition, Compare):
            return self._compare(condition)
        if not isinstance(condition, AllOf | AnyOf):
            raise TypeError(f"{condition!r} is no condition")
        if depth == self._DEEPEST:
            return f"{self.name(compile_condition(condition))}({self._facts}, {self._me})"
        if not condition.terms:
            return "True" if isinstance(condition, AllOf) else "False"
        word = " and " if isinstance(condition, AllOf) else " or "
        return word.join(f"({self.write(term, depth + 1)})" for term in condition.terms)

    def _compare(self, compare: Compare) -> str:
        """A fact of another type than the policy's value is unknown too: `!=` must not hold by mistake of type."""
        value = compare.value
        fact, me = f"{self._facts}.get({self.name(compare.attribute)})", self._me
        if compare.op not in ("=", "!=", "in") or not isinstance(value, str | int | tuple | Me):
            raise TypeError(
                f"{compare!r}: only =, != and in are compiled, of texts, whole numbers, True and False"
            )
        if compare.op == "in" and not isinstance(value, tuple):
            raise TypeError(f'{compare!r}: "in" takes a tuple')
        if isinstance(value, Me):
            if compare.op == "=":
                return f"{me} is not None and {fact} == {me}"
            return f"{me} is not None and isinstance(fact := {fact}, UUID) and fact != {me}"
        if isinstance(value, tuple):
            return self._among(compare, value, fact)
        if isinstance(value, bool):  # there are but two of them; 0 and 1 are others
            return f"{fact} is {value if compare.op == '=' else not value}"
        constant = self.name(value)
        if isinstance(value, int):  # True and False would be equal to 1 and 0
            return f"type(fact := {fact}) is int and fact {'==' if compare.op == '=' else '!='} {constant}"
        if compare.op == "=":  # nothing but a text is equal to a text
            return f"{fact} == {constant}"
        return f"isinstance(fact := {fact}, str) and fact != {constant}"

    def _among(self, compare: Compare, values: tuple[Scalar, ...], fact: str) -> str:
        if compare.op != "in":
            raise TypeError(f'{compare!r}: a tuple goes with "in" only')
        texts = frozenset(value for value in values if isinstance(value, str))
        found = [
            f"({self._compare(Compare(compare.attribute, '=', value))})"
            for value in values
            if not isinstance(value, str)
        ]
        if texts and self._hashable:
            found.append(f"({fact} in {self.name(texts)})")
        elif texts:
            found.append(f"(isinstance(fact := {fact}, str) and fact in {self.name(texts)})")
        return " or ".join(found) or "False"


# What the code names besides constants
KNOWN: Mapping[str, Any] = {
    "isinstance": isinstance,
    "type": type,
    "int": int,
    "str": str,
    "UUID": UUID,
    "TypeError": TypeError,
}


def all_of(terms: Iterable[Condition]) -> Condition:
    """The conjunction in its simplest form: flat, without repetition, FALSE where it contradicts itself."""
    flat: dict[Condition, None] = {}
    for term in terms:
        for part in term.terms if isinstance(term, AllOf) else (term,):
            if part == FALSE:
                return FALSE
            flat[part] = None
    kept = _narrow(tuple(flat))
    if kept is None:
        return FALSE
    return kept[0] if len(kept) == 1 else AllOf(kept)


def _narrow(terms: tuple[Condition, ...]) -> tuple[Condition, ...] | None:
    """Intersects comparisons of one attribute with constants; None when no row can satisfy all of them."""
    allowed: dict[str, set[Scalar]] = {}
    excluded: dict[str, set[Scalar]] = {}
    kept: list[Condition] = []
    for term in terms:
        if not isinstance(term, Compare) or isinstance(term.value, Me):
            kept.append(term)
            continue
        values = set(term.value) if isinstance(term.value, tuple) else {term.value}
        if term.op == "!=":
            excluded.setdefault(term.attribute, set()).update(values)
        else:
            allowed[term.attribute] = allowed.get(term.attribute, values) & values
    for term in kept:
        if isinstance(term, Compare) and term.op == "=" and Compare(term.attribute, "!=", term.value) in kept:
            return None
    constants: list[Condition] = []
    for attribute in sorted(allowed.keys() | excluded.keys()):
        without = excluded.get(attribute, set())
        if attribute not in allowed:
            constants += [Compare(attribute, "!=", value) for value in _sorted(without)]
        elif allowed[attribute] - without:
            constants.append(_among(attribute, allowed[attribute] - without))
        else:
            return None
    return (*constants, *kept)


def _among(attribute: str, values: set[Scalar]) -> Compare:
    if len(values) == 1:
        return Compare(attribute, "=", next(iter(values)))
    return Compare(attribute, "in", _sorted(values))


def _sorted(values: Iterable[Scalar]) -> tuple[Scalar, ...]:
    return tuple(sorted(values, key=lambda value: (type(value).__name__, value)))


def any_of(terms: Iterable[Condition]) -> Condition:
    """The disjunction in its simplest form: flat, without repetition, equalities merged into one "in"."""
    flat: dict[Condition, None] = {}
    for term in terms:
        for part in term.terms if isinstance(term, AnyOf) else (term,):
            if part == TRUE:
                return TRUE
            flat[part] = None
    merged = _absorb(_merge(list(flat)))
    return merged[0] if len(merged) == 1 else AnyOf(tuple(merged))


def _merge(terms: list[Condition]) -> list[Condition]:
    """Joins terms that differ in the constants of one attribute: `c="RU" and x` or `c="KZ" and x` → `c in (…) and x`.

    Oso answers an `in` over a list with one row per member; this gives the list back to people and to SQL.
    """
    attributes = sorted(
        {
            part.attribute
            for term in terms
            for part in _parts(term)
            if isinstance(part, Compare) and part.op != "!="
        }
    )
    for attribute in attributes:
        groups: dict[frozenset[Condition] | Condition, tuple[set[Scalar], list[Condition]]] = {}
        for term in terms:
            own = [
                p
                for p in _parts(term)
                if isinstance(p, Compare) and p.attribute == attribute and p.op != "!="
            ]
            if len(own) != 1 or own[0].value is ME:
                groups[term] = (set(), [term])
                continue
            value = own[0].value
            assert not isinstance(value, Me)
            rest = [part for part in _parts(term) if part != own[0]]
            values, _rest = groups.setdefault(frozenset(rest), (set(), rest))
            values.update(value if isinstance(value, tuple) else (value,))
        terms = [
            all_of([_among(attribute, values), *rest]) if values else rest[0]
            for values, rest in groups.values()
        ]
    return terms


def _absorb(terms: list[Condition]) -> list[Condition]:
    """Drops what a weaker term already allows: of `a` and `a and b` only `a` stays."""
    parts = [frozenset(_parts(term)) for term in terms]
    return [term for term, own in zip(terms, parts, strict=True) if not any(other < own for other in parts)]


def _parts(term: Condition) -> tuple[Condition, ...]:
    return term.terms if isinstance(term, AllOf) else (term,)


def describe(condition: Condition) -> str:
    """The condition as a person writes it: `country in ("KZ", "RU") and protected = false`."""
    if isinstance(condition, Compare):
        return f"{condition.attribute} {condition.op} {_literal(condition.value)}"
    if not condition.terms:
        return "always" if condition == TRUE else "never"
    word = " and " if isinstance(condition, AllOf) else " or "
    return word.join(
        f"({describe(t)})" if isinstance(t, AnyOf | AllOf) else describe(t) for t in condition.terms
    )


def _literal(value: Scalar | tuple[Scalar, ...] | Me) -> str:
    if isinstance(value, Me):
        return "me"
    if isinstance(value, tuple):
        return f"({', '.join(_literal(item) for item in value)})"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
