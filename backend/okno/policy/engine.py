"""Oso behind one small interface: loads the files, asks one query per table, and knows every answer's form.

Nothing else imports Oso, a deprecated library. What this module does not know it refuses: a residual
that were read wrongly would be a right that nobody gave.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

from oso import Oso, Variable
from polar.exceptions import OsoError
from polar.expression import Expression, Pattern
from polar.ffi import PolarSource, process_messages
from polar.partial import TypeConstraint

from okno.policy.condition import ME, Compare, Condition
from okno.policy.model import OWN_ID, PERSON_LISTS, RESOURCES, Problem, Rights
from okno.policy.requirement import Either, Every, InPersons, PersonHas, Requirement, to_condition

_PLACE = re.compile(r"at line (\d+), column \d+(?: of file ([^\n:]+))?")


class Unreadable(Exception):
    """A policy construct that has no compiled form. `code` as in `Problem`; `rule` is a rule's text, if known."""

    def __init__(self, message: str, *, code: str = "cannot-compile", rule: str | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.rule = message, code, rule


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


@dataclass(frozen=True, slots=True)
class Permission:
    """One answer: the field, the rule's text, and the rows it holds on."""

    field: str
    text: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Symbolic:
    """One answer with the person unknown too. `field` is None where the rule leaves it open."""

    field: str | None
    text: str
    requirement: Requirement


class Engine:
    """The loaded rules. Calls are serialised: one query is a conversation with Oso's virtual machine."""

    def __init__(self, sources: Sequence[tuple[str, str]]) -> None:
        """Loads files given as (name, text).

        Raises:
            BrokenPolicy: Oso refuses them; the problem names file and line.
        """
        self._lock = Lock()
        self._fallback = sources[0][0] if sources else "policies"
        # Random, so that no policy text can be mistaken for it.
        self._own = {attribute: f"own:{attribute}:{uuid4()}" for attribute in OWN_ID.values()}
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

    def permissions(self, rights: Rights, action: str, resource: str) -> list[Permission]:
        """Everything that these rights may do with a resource: one partial evaluation.

        Raises:
            BrokenPolicy: Oso cannot evaluate a rule.
            Unreadable: an answer has a form that has no compiled equivalent.
        """
        person = Person(rights, id=self._own["id"], employee_id=self._own["employee_id"])
        answers: dict[Permission, None] = {}
        for bindings in self._ask(person, action, resource):
            text, field = bindings["why"], bindings.get("f")
            if not isinstance(field, str) or isinstance(field, Variable):
                raise Unreadable("the rule does not say which fields it is for", rule=text)
            reader = _Reader({"_this": resource}, {value: key for key, value in self._own.items()}, resource)
            requirement = reader.read_with_rule(bindings["r"], text)
            condition = to_condition(requirement)
            if condition is None:
                raise Unreadable("a term about the person was left undecided", rule=text)
            answers[Permission(str(field), text, condition)] = None
        return list(answers)

    def symbolic(self, action: str, resource: str) -> list[Symbolic]:
        """Every rule for a resource with the person left unknown: shows each construct that could ever be met.

        Raises:
            BrokenPolicy, Unreadable: as for `permissions`.
        """
        answers: dict[Symbolic, None] = {}
        for bindings in self._ask(Variable("p"), action, resource):
            text, field = bindings["why"], bindings.get("f")
            person = _Reader({"_this": "Person", "r": resource}, {}, resource).read_with_rule(
                bindings["p"], text
            )
            row = _Reader({"_this": resource, "p": "Person"}, {}, resource).read_with_rule(
                bindings["r"], text
            )
            terms = [*_terms(person), *_terms(row)]
            named = str(field) if isinstance(field, str) and not isinstance(field, Variable) else None
            answers[Symbolic(named, text, Every(tuple(dict.fromkeys(terms))))] = None
        return list(answers)

    def permits(
        self,
        rights: Rights,
        action: str,
        resource: str,
        field: str,
        facts: Mapping[str, object],
        *,
        own_id: UUID | None,
    ) -> bool:
        """Asks Oso itself about one row: slow, the reference that compiled decisions are tested against.

        Unlike a compiled decision it does not deny on unknown facts.
        """
        own = None if own_id is None else str(own_id)
        person = Person(rights, id=own, employee_id=own)
        with self._lock:
            return bool(
                self._oso.query_rule_once(
                    "permit", person, action, _ROWS[resource](facts), field, Variable("why")
                )
            )

    def _ask(self, person: Any, action: str, resource: str) -> Iterator[Mapping[str, Any]]:
        row = Variable("r")
        is_a: Any = TypeConstraint
        bindings = {"r": is_a(row, resource)}
        if isinstance(person, Variable):
            bindings["p"] = is_a(person, "Person")
        arguments = (person, action, row, Variable("f"), Variable("why"))
        with self._lock:
            try:
                answers = list(
                    self._oso.query_rule("permit", *arguments, bindings=bindings, accept_expression=True)
                )
            except OsoError as error:
                raise BrokenPolicy(self._problem(error, "cannot-compile")) from error
        for answer in answers:
            if not isinstance(answer["bindings"].get("why"), str):
                raise Unreadable(
                    'a rule has no text: its fifth term must be "id: sentence"', code="no-sentence"
                )
            yield answer["bindings"]

    def _problem(self, error: OsoError, code: str = "syntax") -> Problem:
        return self._place(str(error.message), code)

    def _place(self, message: str, code: str) -> Problem:
        place = _PLACE.search(message)
        first = message.strip().splitlines()[0] if message.strip() else "refused"
        file = (place and place.group(2)) or self._fallback
        return Problem(file, int(place.group(1)) if place else 1, code, _PLACE.sub("", first).strip(" :"))


def _fresh() -> Any:
    return Oso()  # Any: the library has type hints, but not on what is called here


def _drain(oso: Any) -> list[str]:
    """Oso's warnings, which it would print."""
    drain: Any = process_messages
    return list(drain(oso.ffi_polar.next_message))


def _terms(requirement: Requirement) -> tuple[Requirement, ...]:
    return requirement.terms if isinstance(requirement, Every) else (requirement,)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a comparison: an attribute of a class, or a constant."""

    owner: str | None
    attribute: str = ""
    constant: Any = None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns Oso's residual expression into a requirement, or raises."""

    classes: Mapping[str, str]
    own: Mapping[str, str]
    resource: str

    def read_with_rule(self, expression: Any, text: str) -> Requirement:
        try:
            return self.read(expression)
        except Unreadable as unreadable:
            raise Unreadable(unreadable.message, code=unreadable.code, rule=text) from unreadable

    def read(self, expression: Any) -> Requirement:
        if not isinstance(expression, Expression):
            raise Unreadable(f"Oso answered {type(expression).__name__} where a condition was expected")
        match expression.operator:
            case "And":
                terms = [self.read(term) for term in expression.args]
                return _every(terms)
            case "Or":
                return _either([self.read(term) for term in expression.args])
            case "Isa":
                return self._isa(expression)
            case "Not":
                return self._not(expression.args[0])
            case "Unify" | "Eq":
                return self._compare("=", *expression.args)
            case "Neq":
                return self._compare("!=", *expression.args)
            case "In":
                return self._in(*expression.args)
        raise Unreadable(f"{_spelled(expression)}: only =, != and in are compiled")

    def _isa(self, expression: Expression) -> Requirement:
        variable, pattern = expression.args
        if isinstance(variable, Variable) and isinstance(pattern, Pattern) and not pattern.fields:
            known = self.classes.get(str.__str__(variable))
            if known is not None and known == pattern.tag:
                return Every(())
        raise Unreadable(
            f"{_spelled(expression)}: a rule's head says what its terms are, its body may not ask"
        )

    def _not(self, negated: Any) -> Requirement:
        if isinstance(negated, Expression) and negated.operator == "Isa":
            self._isa(negated)
            return Either(())
        if isinstance(negated, Expression) and negated.operator == "In":
            inner = self._in(*negated.args)
            if isinstance(inner, PersonHas):
                return PersonHas(inner.attribute, inner.value, negated=True)
        raise Unreadable(
            f"not {_spelled(negated)}: this negation is not compiled; say it with != or positively"
        )

    def _compare(self, op: str, left: Any, right: Any) -> Requirement:
        one, two = self._side(left), self._side(right)
        row, other = (one, two) if one.owner == self.resource else (two, one)
        if row.owner != self.resource or other.owner == self.resource:
            raise Unreadable(
                f"{_spelled(left)} {op} {_spelled(right)}: one side must be an attribute of the row, the other a "
                'constant or the person\'s own id; lists of the person are asked with "in"'
            )
        own = self.own.get(other.constant) if isinstance(other.constant, str) else None
        if other.owner == "Person":
            own = other.attribute
        if own is not None:
            if OWN_ID.get(self.resource) != own:
                raise Unreadable(f"p.{own} is not compared with {self.resource}.{row.attribute}")
            return Compare(row.attribute, "=" if op == "=" else "!=", ME)
        return Compare(row.attribute, "=" if op == "=" else "!=", _constant(other.constant))

    def _in(self, item: Any, collection: Any) -> Requirement:
        one, many = self._side(item), self._side(collection)
        if many.owner == "Person" and many.attribute in PERSON_LISTS:
            if one.owner is None and isinstance(one.constant, str):
                return PersonHas(many.attribute, one.constant)
            if one.owner == self.resource:
                return InPersons(one.attribute, many.attribute)
        raise Unreadable(
            f'{_spelled(item)} in {_spelled(collection)}: "in" is compiled for the lists of the person and for lists of constants'
        )

    def _side(self, term: Any) -> _Side:
        if not isinstance(term, Expression):
            if isinstance(term, Variable):
                raise Unreadable(f"{str.__str__(term)} stands for nothing in particular")
            return _Side(None, constant=term)
        if term.operator != "Dot" or not isinstance(term.args[0], Variable):
            raise Unreadable(f"{_spelled(term)}: only attributes of the person and of the row are compiled")
        owner = self.classes.get(str.__str__(term.args[0]))
        attribute = term.args[1]
        known = (
            {*PERSON_LISTS, *OWN_ID.values()}
            if owner == "Person"
            else RESOURCES.get(owner or "", frozenset())
        )
        if owner is None or attribute not in known:
            raise Unreadable(
                f"{owner or 'an unknown object'} has no attribute {attribute}; known are {', '.join(sorted(known))}",
                code="unknown-attribute",
            )
        return _Side(owner, attribute)


def _constant(value: Any) -> str | int | bool:
    if value is None:
        raise Unreadable("comparison with nil: an unknown fact always denies, so it says nothing")
    if not isinstance(value, str | int | bool):
        raise Unreadable(f"comparison with {value!r}: constants are strings, whole numbers, true and false")
    return value


def _every(terms: list[Requirement]) -> Requirement:
    flat = [part for term in terms for part in (term.terms if isinstance(term, Every) else (term,))]
    if any(part == Either(()) for part in flat):
        return Either(())
    kept = tuple(dict.fromkeys(flat))
    return kept[0] if len(kept) == 1 else Every(kept)


def _either(terms: list[Requirement]) -> Requirement:
    flat = [part for term in terms for part in (term.terms if isinstance(term, Either) else (term,))]
    if any(part == Every(()) for part in flat):
        return Every(())
    kept = tuple(dict.fromkeys(flat))
    return kept[0] if len(kept) == 1 else Either(kept)


def _spelled(term: Any) -> str:
    if isinstance(term, Variable):
        return {"_this": "row"}.get(str.__str__(term), str.__str__(term))
    if isinstance(term, Pattern):
        return str(term.tag)
    if not isinstance(term, Expression):
        return f'"{term}"' if isinstance(term, str) else str(term)
    if term.operator == "Dot":
        return ".".join(str(_spelled(arg)).strip('"') for arg in term.args)
    return f"{term.operator}({', '.join(_spelled(arg) for arg in term.args)})"
