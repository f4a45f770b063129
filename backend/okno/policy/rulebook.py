"""The facts and the heads of rules, read as text: levels, types, roles, where each rule stands, and what is
written in a way that the compiler, or a reviewer, could misread.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from okno.policy.masking import FORMS
from okno.policy.model import (
    ACTIONS,
    LEVELS,
    OWN_ID,
    PERSON_LISTS,
    RESOURCES,
    Incompatible,
    Problem,
    Rule,
)
from okno.policy.scan import Statement, Token

_TEXT = re.compile(r"(?P<id>[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)+): (?P<sentence>\S.*)", re.DOTALL)
_FIELD = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")
_TYPE = re.compile(r"[A-Za-z_]\w*")
_FACTS = {
    "level": 2,
    "resource_of": 2,
    "structural": 1,
    "role": 2,
    "scope": 2,
    "masked": 2,
    "incompatible": 3,
}
# Facts whose fields rules need not tell apart
_OF_FIELDS = {"level", "masked"}
_DERIVED = {"part_of"}
_PERSON = frozenset({*PERSON_LISTS, *OWN_ID.values()})
_IGNORED = {"allow", "allow_field", "allow_request", "has_permission", "has_role", "has_relation"}
_OPERATORS = {"<", ">", "<=", ">=", "+", "-", "*", "/"}
_FORBIDDEN = {
    "cut": "its effect depends on the order of rules",
    "forall": "it is evaluated before the row is known",
    "new": "rules make no objects",
    "print": "rules have no output",
    "debug": "rules have no debugger",
    "matches": "say in the rule's head what a term is",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """The value of a fact and where it stands."""

    value: str
    file: str
    line: int


@dataclass(slots=True)
class RuleBook:
    """What the files declare. `problems` are those that can be seen without a schema."""

    levels: dict[str, Fact] = field(default_factory=dict)
    resources: dict[str, Fact] = field(default_factory=dict)
    structural: dict[str, Fact] = field(default_factory=dict)
    roles: dict[str, Fact] = field(default_factory=dict)
    scopes: dict[str, Fact] = field(default_factory=dict)
    masked: dict[str, Fact] = field(default_factory=dict)
    incompatible: list[Incompatible] = field(default_factory=list)
    rules: dict[str, Rule] = field(default_factory=dict)
    permits: list[Statement] = field(default_factory=list)
    spelled: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def resource_of(self, type_name: str) -> str:
        """The resource by whose row facts the fields of a GraphQL type are decided; "Okno" has none."""
        fact = self.resources.get(type_name)
        return fact.value if fact else "Okno"

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Fields that no rule can tell apart, by a name that stands for them.

        Rules see a field's type, level and mask, and the fields that they spell out. So a rule is read
        once for all internal fields of a type, and not once for each.
        """
        groups: dict[str, list[str]] = {}
        for name, fact in self.levels.items():
            form = self.masked.get(name)
            kind = f"{fact.value}, {form.value}" if form else fact.value
            key = name if name in self.spelled else self._unspelled(f"{name.partition('.')[0]}.<{kind}>")
            groups.setdefault(key, []).append(name)
        for name in self.structural:
            whole = f"{name}.*"
            key = whole if whole in self.spelled else self._unspelled("<structural>")
            groups.setdefault(key, []).append(whole)
        return {key: tuple(names) for key, names in groups.items()}

    def _unspelled(self, key: str) -> str:
        """The key, other than every string of the files: a rule that spells it out names no field."""
        while key in self.spelled:
            key += "'"
        return key

    def derived(self, *, grouped: bool) -> str:
        """The facts of `derived_facts` as Polar, and what Oso needs where there is none."""
        # Rules that exist even where no file has one: Oso refuses to be asked for what is not defined.
        lines = [
            "part_of(_, _) if false;",
            "level(_, _) if false;",
            "masked(_, _) if false;",
            "permit(_, _, _, _, _) if false;",
        ]
        facts = self.derived_facts(grouped=grouped)
        lines += [f"{name}({', '.join(map(_quoted, arguments))});" for name, arguments in facts]
        return "\n".join(lines)

    def derived_facts(self, *, grouped: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The facts that rules use and that follow from the declared ones, as name and arguments.

        Args:
            grouped: of groups, in place of all levels and masks of the files; else of fields, beside them.
        """
        for key, names in self.groups().items():
            for name in (key,) if grouped else names:
                level, form = self.levels.get(names[0]), self.masked.get(names[0])
                if level is not None:
                    yield "part_of", (name, names[0].partition(".")[0])
                if level is None or grouped:
                    yield "level", (name, level.value if level else "public")
                if form is not None and grouped:
                    yield "masked", (name, form.value)


def _quoted(text: str) -> str:
    return f'"{text}"'


def read(statements: Iterable[Statement]) -> RuleBook:
    """Reads the statements of all files."""
    book = RuleBook()
    for statement in statements:
        if statement.name in _FACTS:
            _fact(book, statement)
            if statement.name not in _OF_FIELDS:
                book.spelled.update(statement.strings())
            continue
        book.spelled.update(statement.strings())
        if statement.name == "permit":
            _permit(book, statement)
            _body(book, statement)
        elif not statement.name:
            if statement.body[0].text != "?=":
                _problem(book, statement, "syntax", "expected a rule, a fact or a test (?= …)")
        elif statement.name in _IGNORED:
            message = f"{statement.name} has no effect here: only permit rules decide"
            _problem(book, statement, "no-effect", message)
        elif statement.name in _DERIVED:
            _problem(
                book, statement, "no-effect", f"{statement.name} is derived from the levels; remove the line"
            )
        else:
            _body(book, statement)
    return book


def _problem(book: RuleBook, at: Statement | Token, code: str, message: str, file: str = "") -> None:
    book.problems.append(Problem(file or getattr(at, "file", ""), at.line, code, message))


def _fact(book: RuleBook, statement: Statement) -> None:
    name, arity = statement.name, _FACTS[statement.name]
    values = [statement.literal(position) for position in range(arity)]
    if len(statement.arguments) != arity or None in values or statement.body:
        _problem(book, statement, "bad-fact", f"{name} takes {arity} string(s) and no condition")
        return
    key, value = values[0] or "", (values[1] or "") if arity > 1 else ""
    if name == "incompatible":
        _incompatible(book, statement, key, value, values[2] or "")
        return
    if name in ("level", "masked") and not _FIELD.fullmatch(key):
        hint = "; types without data of their own are declared structural(…)" if key.endswith(".*") else ""
        _problem(book, statement, "bad-fact", f'{name} of "{key}": expected "Type.field"{hint}')
        return
    if name == "masked" and value not in FORMS:
        _problem(book, statement, "bad-fact", f'mask "{value}" of {key}: masks are {", ".join(FORMS)}')
        return
    if name == "level" and value not in LEVELS:
        _problem(book, statement, "bad-fact", f'level "{value}" of {key}: levels are {", ".join(LEVELS)}')
        return
    if name == "resource_of" and value not in RESOURCES:
        _problem(book, statement, "bad-fact", f'resource "{value}": resources are {", ".join(RESOURCES)}')
        return
    if name in ("resource_of", "structural") and not _TYPE.fullmatch(key):
        _problem(book, statement, "bad-fact", f'"{key}" is not the name of a type')
        return
    store = {
        "level": book.levels,
        "resource_of": book.resources,
        "structural": book.structural,
        "role": book.roles,
        "scope": book.scopes,
        "masked": book.masked,
    }[name]
    other = store.get(key) or (
        {"resource_of": book.structural, "structural": book.resources}.get(name, {}).get(key)
    )
    if other is not None:
        message = f'"{key}" is declared twice, first at {other.file}:{other.line}'
        _problem(book, statement, "duplicate-fact", message)
        return
    store[key] = Fact(value, statement.file, statement.line)


def _incompatible(book: RuleBook, statement: Statement, one: str, other: str, why: str) -> None:
    if one == other or not why.strip():
        message = "incompatible takes two different roles and why one person must not hold both"
        _problem(book, statement, "bad-fact", message)
        return
    roles = frozenset((one, other))
    first = next((known for known in book.incompatible if known.roles == roles), None)
    if first is not None:
        message = f'"{one}" and "{other}" are declared incompatible twice, first at {first.file}:{first.line}'
        _problem(book, statement, "duplicate-fact", message)
        return
    book.incompatible.append(Incompatible(roles, why, statement.file, statement.line))


def _permit(book: RuleBook, statement: Statement) -> None:
    if len(statement.arguments) != 5:
        message = f'permit takes (p: Person, "action", e: Resource, field, "id: sentence"), not {len(statement.arguments)} terms'
        _problem(book, statement, "no-sentence", message)
        return
    person, action, resource = statement.typed(0), statement.literal(1), statement.typed(2)
    if person is None or person[1] != "Person":
        _problem(book, statement, "bad-head", "the first term must be written `p: Person`")
    if action not in ACTIONS:
        _problem(
            book, statement, "bad-head", f"the second term must be one of {', '.join(ACTIONS)} in quotes"
        )
    if resource is None or resource[1] not in RESOURCES:
        _problem(
            book, statement, "bad-head", f"the third term must be `x: Class`, one of {', '.join(RESOURCES)}"
        )
    wanted = statement.arguments[3]
    if len(wanted) != 1 or wanted[0].kind not in ("text", "name") or wanted[0].text == "_":
        _problem(book, statement, "bad-head", "the fourth term must be a name in quotes or a variable")
    text = statement.literal(4)
    match = _TEXT.fullmatch(text) if text is not None else None
    if match is None:
        _problem(
            book,
            statement,
            "no-sentence",
            'the fifth term must be "rule.id: a sentence that says who may do what"',
        )
        return
    if action not in ACTIONS or resource is None or resource[1] not in RESOURCES:
        return
    rule_id = match["id"]
    if rule_id in book.rules:
        first = book.rules[rule_id]
        message = f"rule id {rule_id} is used twice, first at {first.file}:{first.line}"
        _problem(book, statement, "duplicate-id", message)
        return
    book.permits.append(statement)
    book.rules[rule_id] = Rule(
        rule_id, match["sentence"], action, resource[1], statement.file, statement.line
    )


def _body(book: RuleBook, statement: Statement) -> None:
    """Finds, in a rule's condition, what Oso would accept and the compiler could not be sure of."""
    classes = dict(filter(None, (statement.typed(i) for i in range(len(statement.arguments)))))
    for position in range(len(statement.arguments)):
        if any(token.text == "{" for token in statement.arguments[position]):
            _problem(
                book, statement, "bad-head", "conditions on attributes belong behind `if`, not into the head"
            )
    body = statement.body
    negates = any(token.text == "not" for token in body)
    for index, token in enumerate(body):
        if token.kind == "sign":
            if token.text in _OPERATORS:
                message = f"{token.text}: only =, != and in are compiled"
                _problem(book, token, "cannot-compile", message, statement.file)
            continue
        if token.kind != "name" or (index and body[index - 1].text == "."):
            continue
        if token.text in _FORBIDDEN:
            reason = _FORBIDDEN[token.text]
            _problem(book, token, "cannot-compile", f"{token.text} is not allowed: {reason}", statement.file)
        after = body[index + 1].text if index + 1 < len(body) else ""
        if after == "(" and negates and _under_not(body, token):
            message = (
                f"not … {token.text}(…): the negation of a rule is not compiled; write the positive rule"
            )
            _problem(book, token, "cannot-compile", message, statement.file)
        if after == "." and index + 2 < len(body) and body[index + 2].kind == "name":
            _attribute(book, statement, token, body[index + 2], classes)


def _attribute(
    book: RuleBook, statement: Statement, variable: Token, attribute: Token, classes: dict[str, str]
) -> None:
    owner = classes.get(variable.text)
    if owner is None:
        message = f"{variable.text}.{attribute.text}: say in the head what {variable.text} is, e.g. {variable.text}: Employee"
        _problem(book, variable, "unknown-attribute", message, statement.file)
        return
    known = _PERSON if owner == "Person" else RESOURCES.get(owner, frozenset[str]())
    if attribute.text not in known:
        message = f"{owner} has no attribute {attribute.text}; known are {', '.join(sorted(known)) or 'none'}"
        _problem(book, attribute, "unknown-attribute", message, statement.file)


def _under_not(tokens: tuple[Token, ...], call: Token) -> bool:
    """Whether a call stands directly behind `not`, or in parentheses behind one."""
    if call.text in ("if", "and", "or", "not", "in"):
        return False
    depth_of_not: list[int] = []
    depth = 0
    before: Token | None = None
    for token in tokens:
        if token is call:
            return bool(depth_of_not) or (before is not None and before.text == "not")
        if token.text == "(":
            depth += 1
            if before is not None and before.text == "not":
                depth_of_not.append(depth)
        if token.text == ")":
            if depth_of_not and depth_of_not[-1] == depth:
                depth_of_not.pop()
            depth -= 1
        before = token
    return False
