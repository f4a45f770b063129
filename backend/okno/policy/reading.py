"""What each rule asks of the person and of the row, found once when the policy loads: partial evaluation with both unknown.

Facts and names are settled here; what remains is a `Requirement`, from which tables, explanations and checks are made.
Oso answers the same, a thousand times slower: tests and `okno policy check` compare the two.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from okno.policy.comparison import (
    Attribute,
    Free,
    Given,
    Listed,
    Thing,
    compared,
    key_of,
    keyed,
    same,
    scalar,
    spelled,
)
from okno.policy.model import OWN_ID, PERSON_LISTS, RESOURCES, Problem, Rule
from okno.policy.requirement import (
    NEVER,
    Every,
    PersonHas,
    Requirement,
    either,
    every,
)
from okno.policy.scan import Statement
from okno.policy.syntax import (
    Both,
    Call,
    Clause,
    Constant,
    Dot,
    Goal,
    Items,
    Negation,
    OneOf,
    Parameter,
    Relation,
    Term,
    Unreadable,
    Value,
    Variable,
    constants,
    read_clause,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A rule with what it asks, for some of its fields; a rule that asks differently of others has several."""

    rule: Rule
    requirement: Requirement
    fields: tuple[str, ...]


_Bindings = Mapping[Free, Given]
_Scope = dict[str, Given]
# a goal that has to wait until its variables are known, with its variables
_Waiting = tuple[tuple[Goal, _Scope], ...]
# what is known of variables, what is asked of person and row, what waits
_Answer = tuple[_Bindings, tuple[Requirement, ...], _Waiting]

_NOTHING: _Answer = ({}, (), ())


class Reader:
    """All rules and facts of a policy."""

    def __init__(
        self, statements: Iterable[Statement], derived: Iterable[tuple[str, tuple[str, ...]]]
    ) -> None:
        """Args:
        statements: of the files, without what `derived` says instead.
        derived: the facts that follow from levels, types and masks, with their names.
        """
        self._facts: dict[str, dict[tuple[object, ...], tuple[Value, ...]]] = {}
        self._statements: dict[str, list[Statement]] = {}
        self._clauses: dict[str, tuple[Clause, ...]] = {}
        self._calls: dict[tuple[object, ...], Requirement | None] = {}
        self._by_place: dict[tuple[str, int, int], dict[object, list[tuple[Value, ...]]]] = {}
        self._asked: Free | None = None
        for name, given in derived:
            self._facts.setdefault(name, {})[given] = given
        for statement in statements:
            if not statement.name or statement.name == "permit":
                continue
            fact = constants(statement)
            if fact is not None:
                self._facts.setdefault(statement.name, {})[tuple(map(keyed, fact))] = fact
            else:
                self._statements.setdefault(statement.name, []).append(statement)

    def read(self, rule: Rule, statement: Statement) -> list[Reading]:
        """What one permit rule asks, with the fields it is for; nothing, if it can never hold.

        Raises:
            Unreadable: it, or a rule that it calls, has no compiled form.
        """
        clause = read_clause(statement)
        person, _, row, field, _ = clause.parameters
        terms = [each.term.name for each in (person, row, field) if isinstance(each.term, Variable)]
        if twice := next((one for one in terms if one != "_" and terms.count(one) > 1), None):
            raise Unreadable(f"{twice} stands twice in the head; give each its own name", code="bad-head")
        free = self._asked = Free("field")
        scope: _Scope = {}
        for parameter, value in ((person, Thing("Person")), (row, Thing(rule.resource))):
            assert isinstance(parameter.term, Variable)
            scope[parameter.term.name] = value
        if isinstance(field.term, Variable):
            scope[field.term.name] = free
            start: _Answer = _NOTHING
        else:
            start = ({free: self._value(field.term, {}, {})}, (), ())
        found: dict[Requirement, dict[str, None]] = {}
        # Fields told apart by facts at the end of a rule come with the very same terms before them
        asked: dict[int, tuple[object, dict[str, None]]] = {}
        for bindings, residual, _waiting in self._settled(clause.body, scope, start):
            name = _walk(free, bindings)
            if isinstance(name, Free):
                raise Unreadable(
                    f"rule {rule.id} does not say which fields it is for; ask level(field, …) first"
                )
            if not isinstance(name, Constant) or not isinstance(name.value, str):
                raise Unreadable(f"rule {rule.id}: a field is named by a string")
            if id(residual) not in asked:
                asked[id(residual)] = residual, found.setdefault(every(residual), {})
            asked[id(residual)][1][name.value] = None
        by_field: dict[str, list[Requirement]] = {}
        for requirement, names in found.items():
            for one in names:
                by_field.setdefault(one, []).append(requirement)
        joined: dict[tuple[int, ...], tuple[list[Requirement], list[str]]] = {}
        for one, requirements in by_field.items():
            joined.setdefault(tuple(map(id, requirements)), (requirements, []))[1].append(one)
        return [
            Reading(rule, requirement, tuple(names))
            for requirements, names in joined.values()
            if (requirement := either(requirements)) != NEVER
        ]

    def _settled(self, goal: Goal, scope: _Scope, start: _Answer) -> Iterator[_Answer]:
        """The answers to a goal, after which nothing may wait any more."""
        for answer in self._solve(goal, scope, start):
            yield from self._settle(answer)

    def _settle(self, answer: _Answer) -> Iterator[_Answer]:
        bindings, residual, waiting = answer
        if not waiting:
            yield answer
            return
        for position, (goal, scope) in enumerate(waiting):
            if not self._must_wait(goal, scope, bindings):
                rest = (*waiting[:position], *waiting[position + 1 :])
                for solved in self._solve(goal, scope, (bindings, residual, rest)):
                    yield from self._settle(solved)
                return
        goal, scope = waiting[0]
        names = ", ".join(sorted({free.name for free in self._unknown(goal, scope, bindings)}))
        raise Unreadable(f"{names} stands for nothing in particular; say first what it is, by a fact or =")

    def _solve(self, goal: Goal, scope: _Scope, answer: _Answer) -> Iterator[_Answer]:
        """The ways in which a goal holds, each with what it leaves to be asked."""
        bindings, residual, waiting = answer
        if isinstance(goal, Call):
            values = tuple([self._value(argument, scope, bindings) for argument in goal.arguments])
            if any(isinstance(value, Free) for value in values):
                yield from self._enumerate(goal.name, values, answer)
            else:
                yield from _asking(self._call(goal.name, values), answer)
        elif isinstance(goal, Both):
            yield from self._solve_all(goal.goals, scope, answer)
        elif isinstance(goal, OneOf):
            if any(self._unknown(one, scope, bindings) for one in goal.goals):
                for one in goal.goals:
                    yield from self._solve(one, scope, answer)
            else:
                closed = [self._closed(one, scope, bindings) for one in goal.goals]
                yield from _asking(either(closed), answer)
        elif self._must_wait(goal, scope, bindings):
            if isinstance(goal, Negation):
                self._refuse_early(goal, scope, bindings)
            yield bindings, residual, (*waiting, (goal, scope))
        elif isinstance(goal, Negation):
            yield from _asking(self._negated(goal.goal, scope, bindings), answer)
        else:
            left, right = self._value(goal.left, scope, bindings), self._value(goal.right, scope, bindings)
            if goal.op == ":=" and (not isinstance(left, Free) or left is self._asked):
                raise Unreadable(
                    ":= gives a name to something, and this name is given already; compare with ="
                )
            yield from self._relate(goal.op, left, right, answer)

    def _refuse_early(self, goal: Goal, scope: _Scope, bindings: _Bindings) -> None:
        """Of the field one asks for, Oso knows the name; any other unknown satisfies what is negated, and so denies."""
        early = [free.name for free in self._unknown(goal, scope, bindings) if free is not self._asked]
        if early:
            raise Unreadable(
                f"not … {early[0]}: {early[0]} stands for nothing in particular before; say first what it is"
            )

    def _solve_all(self, goals: Sequence[Goal], scope: _Scope, answer: _Answer) -> Iterator[_Answer]:
        if not goals:
            yield answer
        elif len(goals) == 1:
            yield from self._solve(goals[0], scope, answer)
        else:
            for one in self._solve(goals[0], scope, answer):
                yield from self._solve_all(goals[1:], scope, one)

    def _closed(self, goal: Goal, scope: _Scope, bindings: _Bindings) -> Requirement:
        """A goal without unknown variables, as what it asks."""
        return either([every(residual) for _, residual, _ in self._settled(goal, scope, (bindings, (), ()))])

    def _call(self, name: str, values: tuple[Given, ...]) -> Requirement:
        """What a rule asks whose arguments are known; found once for each."""
        key = (name, *map(key_of, values))
        if key in self._calls:
            known = self._calls[key]
            if known is None:
                raise Unreadable(f"{name} calls itself; a rule may not")
            return known
        self._calls[key] = None
        try:
            answers = [
                every(residual)
                for one in self._enumerate(name, values, _NOTHING)
                for _, residual, _ in self._settle(one)
            ]
        except Unreadable:
            del self._calls[key]
            raise
        found = self._calls[key] = either(answers)
        return found

    def _enumerate(self, name: str, values: tuple[Given, ...], answer: _Answer) -> Iterator[_Answer]:
        """The answers of all facts and rules of a name."""
        if name == "permit":
            raise Unreadable("permit(…) decides and is not asked; put what both need into a rule of its own")
        yield from self._facts_like(name, values, answer)
        for clause in self._clauses_of(name):
            if len(clause.parameters) == len(values):
                yield from self._enter(clause, values, answer)

    def _clauses_of(self, name: str) -> tuple[Clause, ...]:
        clauses = self._clauses.get(name)
        if clauses is None:
            clauses = tuple(read_clause(statement) for statement in self._statements.get(name, ()))
            self._clauses[name] = clauses
        return clauses

    def _facts_like(self, name: str, values: tuple[Given, ...], answer: _Answer) -> Iterator[_Answer]:
        facts = self._facts.get(name)
        if facts is None:
            return
        bindings, residual, waiting = answer
        known = tuple(keyed(value.value) for value in values if isinstance(value, Constant))
        if len(known) == len(values):
            if known in facts:
                yield answer
            return
        if not all(isinstance(value, Constant | Free) for value in values):
            for fact in facts.values():
                yield from self._unify_all([Constant(each) for each in fact], values, answer)
            return
        for fact in self._candidates(name, values):
            added = dict(bindings)
            for value, given in zip(values, fact, strict=True):
                found = _walk(value, added)
                if isinstance(found, Free):
                    added[found] = Constant(given)
                elif not isinstance(found, Constant) or not same(found.value, given):
                    break
            else:
                yield added, residual, waiting

    def _candidates(self, name: str, values: tuple[Given, ...]) -> Iterable[tuple[Value, ...]]:
        """The facts that agree with the last known argument; an index is made when it is first asked for."""
        facts = self._facts[name]
        for place in reversed(range(len(values))):
            value = values[place]
            if isinstance(value, Constant):
                index = self._by_place.get((name, len(values), place))
                if index is None:
                    index = self._by_place[name, len(values), place] = {}
                    for fact in facts.values():
                        if len(fact) == len(values):
                            index.setdefault(keyed(fact[place]), []).append(fact)
                return index.get(keyed(value.value), ())
        return [fact for fact in facts.values() if len(fact) == len(values)]

    def _enter(self, clause: Clause, values: tuple[Given, ...], answer: _Answer) -> Iterator[_Answer]:
        """One rule with these arguments."""
        scope: _Scope = {}
        answers: Iterable[_Answer] = (answer,)
        for parameter, value in zip(clause.parameters, values, strict=True):
            answers = self._match(parameter, value, scope, answers)
        for one in list(answers):
            yield from self._solve(clause.body, scope, one)

    def _match(
        self, parameter: Parameter, value: Given, scope: _Scope, answers: Iterable[_Answer]
    ) -> list[_Answer]:
        matched: list[_Answer] = []
        for answer in answers:
            found = _walk(value, answer[0])
            if parameter.kind is not None:
                if parameter.kind != "Person" and parameter.kind not in RESOURCES:
                    raise Unreadable(
                        f"class {parameter.kind} in a rule's head: there are Person, {', '.join(RESOURCES)}"
                    )
                if isinstance(found, Free | Attribute):
                    raise Unreadable(f"what is given for a {parameter.kind} is not known to be one")
                if found != Thing(parameter.kind):
                    continue
            if isinstance(parameter.term, Variable) and parameter.term.name not in scope:
                if parameter.term.name != "_":
                    scope[parameter.term.name] = found
                matched.append(answer)
            else:
                term = self._value(parameter.term, scope, answer[0])
                matched += self._relate("=", term, found, answer)
        return matched

    def _unify_all(self, left: Sequence[Given], right: Sequence[Given], answer: _Answer) -> Iterator[_Answer]:
        if len(left) != len(right):
            return
        if not left:
            yield answer
            return
        # A variable that stands twice may be known by now
        for one in self._relate("=", left[0], _walk(right[0], answer[0]), answer):
            yield from self._unify_all(left[1:], right[1:], one)

    def _value(self, term: Term, scope: _Scope, bindings: _Bindings) -> Given:
        match term:
            case Constant():
                return term
            case Variable("_"):
                return Free("_")
            case Variable(name):
                if name not in scope:
                    scope[name] = Free(name)
                return _walk(scope[name], bindings)
            case Items(terms):
                values = [self._value(one, scope, bindings) for one in terms]
                if not all(isinstance(value, Constant) for value in values):
                    raise Unreadable("a list is made of constants")
                return Listed(tuple(scalar(value.value) for value in values if isinstance(value, Constant)))
            case Dot(variable, attribute):
                owner = _walk(scope.get(variable, Free(variable)), bindings)
                if not isinstance(owner, Thing):
                    raise Unreadable(
                        f"{variable}.{attribute}: only attributes of the person and of the row are compiled"
                    )
                known = {*PERSON_LISTS, *OWN_ID.values()} if owner.kind == "Person" else RESOURCES[owner.kind]
                if attribute not in known:
                    raise Unreadable(
                        f"{owner.kind} has no attribute {attribute}; known are {', '.join(sorted(known))}",
                        code="unknown-attribute",
                    )
                return Attribute(owner.kind, attribute)

    def _unknown(self, goal: Goal, scope: _Scope, bindings: _Bindings) -> list[Free]:
        """The variables of a goal that nothing is known of."""
        match goal:
            case Both(goals) | OneOf(goals):
                return [free for one in goals for free in self._unknown(one, scope, bindings)]
            case Negation(negated):
                return self._unknown(negated, scope, bindings)
            case Relation(_, left, right):
                terms: Sequence[Term] = (left, right)
            case Call(_, arguments):
                terms = arguments
        found = [self._value(term, scope, bindings) for term in terms if isinstance(term, Variable)]
        return [value for value in found if isinstance(value, Free)]

    def _must_wait(self, goal: Goal, scope: _Scope, bindings: _Bindings) -> bool:
        """Whether a comparison can be decided only once more is known; `=` and a choice from a list tell what is."""
        if isinstance(goal, Relation):
            if goal.op in ("=", ":=") or (isinstance(goal.left, Constant) and isinstance(goal.right, Dot)):
                return False
            if goal.op == "in" and isinstance(self._value(goal.right, scope, bindings), Listed):
                return False
        return bool(self._unknown(goal, scope, bindings))

    def _relate(self, op: str, left: Given, right: Given, answer: _Answer) -> Iterator[_Answer]:
        bindings, residual, waiting = answer
        if op in ("=", ":="):
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Free):
                    if one is not other:
                        bindings = {**bindings, one: other}
                    yield bindings, residual, waiting
                    return
        if op == "in" and isinstance(left, Free) and isinstance(right, Listed):
            for value in {keyed(each): each for each in right.values}.values():
                yield {**bindings, left: Constant(value)}, residual, waiting
            return
        yield from _asking(compared(op, left, right), answer)

    def _negated(self, goal: Goal, scope: _Scope, bindings: _Bindings) -> Requirement:
        match goal:
            case Both(goals):
                return either([self._negated(one, scope, bindings) for one in goals])
            case OneOf(goals):
                return every([self._negated(one, scope, bindings) for one in goals])
            case Negation(inner):
                return self._closed(inner, scope, bindings)
            case Call(name, _):
                raise Unreadable(
                    f"not … {name}(…): the negation of a rule is not compiled; write the positive rule"
                )
            case Relation(":=", _, _):
                raise Unreadable("not … :=: a name is given, not denied; compare with =")
            case Relation(op, left, right):
                one, other = self._value(left, scope, bindings), self._value(right, scope, bindings)
                if op != "in":
                    return compared("=" if op == "!=" else "!=", one, other)
                if isinstance(other, Listed):
                    return every([compared("!=", one, Constant(value)) for value in other.values])
                asked = compared(op, one, other)
                if isinstance(asked, PersonHas):
                    return PersonHas(asked.attribute, asked.value, negated=True)
                raise Unreadable(
                    f"not {spelled(one)} in {spelled(other)}: this negation is not compiled; "
                    "say it with != or positively"
                )


def _walk(value: Given, bindings: _Bindings) -> Given:
    while isinstance(value, Free) and value in bindings:
        value = bindings[value]
    return value


def _asking(requirement: Requirement, answer: _Answer) -> Iterator[_Answer]:
    if requirement == NEVER:
        return
    bindings, residual, waiting = answer
    if requirement == Every(()):
        yield answer
    else:
        yield bindings, (*residual, requirement), waiting


def read_rules(
    reader: Reader, rules: Iterable[tuple[Rule, Statement]]
) -> tuple[dict[tuple[str, str], list[Reading]], list[Problem]]:
    """All rules by action and resource in the order of the files, and what is wrong with those that cannot be read."""
    found: dict[tuple[str, str], list[Reading]] = {}
    problems: list[Problem] = []
    for rule, statement in rules:
        try:
            found.setdefault((rule.action, rule.resource), []).extend(reader.read(rule, statement))
        except Unreadable as unreadable:
            problems.append(Problem(rule.file, rule.line, unreadable.code, unreadable.message))
        except RecursionError:
            message = (
                f"rule {rule.id}, or one that it calls, calls itself or is nested too deeply; a rule may not"
            )
            problems.append(Problem(rule.file, rule.line, "cannot-compile", message))
    return found, problems
