"""Compares policy files with a schema. Default deny hides a forgotten field; this makes the build name it."""

from collections.abc import Iterable, Mapping

from okno.policy.model import FACTS, Problem
from okno.policy.requirement import PersonHas, Symbolic, leaves
from okno.policy.rulebook import RuleBook


def check(
    book: RuleBook,
    symbolic: Mapping[tuple[str, str], list[Symbolic]],
    fields: Iterable[str],
    mutations: Iterable[str],
    operations: Iterable[str],
    pages: Iterable[str] | None,
    texts: Iterable[str] | None = None,
) -> list[Problem]:
    """All problems, in the order of the files. See `Policy.check` for the arguments."""
    all_fields = set(fields)
    writes = {name for name in all_fields if name.startswith("Mutation.")}
    reads = all_fields - writes
    writes |= {name if "." in name else f"Mutation.{name}" for name in mutations}
    runs = set(operations)
    problems = [
        *_uncovered_fields(book, symbolic, reads),
        *_uncovered(book, symbolic, "write", writes, "mutation"),
        *_uncovered(book, symbolic, "run", runs, "operation"),
        *_unknown_names(book, reads),
        *_unknown_literals(
            book,
            symbolic,
            {"read": reads, "write": writes, "run": runs, "mask": reads, "match": reads},
        ),
        *_unknown_person_values(book, symbolic),
        *_unknown_roles(book),
        *_masks(book, symbolic, reads, None if texts is None else set(texts)),
    ]
    if pages is not None:
        known = set(pages)
        problems += _uncovered(book, symbolic, "use", known, "page")
        problems += _unknown_literals(book, symbolic, {"use": known})
    return sorted(set(problems))


def _place(book: RuleBook, type_name: str) -> tuple[str, int]:
    """Where a reader would add the missing line: at the type's declaration, else at the first level."""
    for facts in (book.resources, book.structural):
        if type_name in facts:
            return facts[type_name].file, facts[type_name].line
    for fact in book.levels.values():
        return fact.file, fact.line
    for rule in book.rules.values():
        return rule.file, rule.line
    return "policies", 1


def _uncovered_fields(
    book: RuleBook, symbolic: Mapping[tuple[str, str], list[Symbolic]], reads: set[str]
) -> Iterable[Problem]:
    covered = {key[1]: {a.field for a in answers} for key, answers in symbolic.items() if key[0] == "read"}
    undeclared: set[str] = set()
    for name in sorted(reads):
        type_name = name.partition(".")[0]
        file, line = _place(book, type_name)
        if type_name in book.structural:
            continue
        if type_name not in book.resources:
            if type_name not in undeclared:
                undeclared.add(type_name)
                message = f'type {type_name} is not declared: add resource_of("{type_name}", …) or structural("{type_name}")'
                yield Problem(file, line, "undeclared-type", message)
            continue
        level = book.levels.get(name)
        if level is None:
            yield Problem(file, line, "no-level", f'field {name} has no level: add level("{name}", …)')
        elif name not in covered.get(book.resources[type_name].value, set()):
            message = f"field {name} ({level.value}) is covered by no rule: nobody can ever read it"
            yield Problem(level.file, level.line, "no-rule", message)


def _uncovered(
    book: RuleBook,
    symbolic: Mapping[tuple[str, str], list[Symbolic]],
    action: str,
    names: set[str],
    kind: str,
) -> list[Problem]:
    covered = {a.field for key, answers in symbolic.items() if key[0] == action for a in answers}
    file, line = _place(book, "Mutation")
    message = "{} {} is covered by no rule: nobody can ever {} it"
    return [
        Problem(file, line, "no-rule", message.format(kind, name, action)) for name in sorted(names - covered)
    ]


def _unknown_names(book: RuleBook, reads: set[str]) -> Iterable[Problem]:
    types = {name.partition(".")[0] for name in reads}
    for name, fact in book.levels.items():
        if name not in reads:
            yield Problem(
                fact.file, fact.line, "unknown-field", f"level of {name}: the schema has no such field"
            )
    for facts in (book.resources, book.structural):
        for name, fact in facts.items():
            if name not in types and name != "Mutation":
                yield Problem(
                    fact.file, fact.line, "unknown-type", f"type {name}: the schema has no such type"
                )


def _unknown_literals(
    book: RuleBook, symbolic: Mapping[tuple[str, str], list[Symbolic]], known: Mapping[str, set[str]]
) -> list[Problem]:
    """Names that rules give, in their heads or by a list in their bodies, and that exist nowhere."""
    problems = []
    for (action, _resource), answers in symbolic.items():
        if action not in known:
            continue
        for answer in answers:
            name = answer.field or ""
            if name in known[action] or (action == "read" and (name in book.levels or name.endswith(".*"))):
                continue
            rule = book.rules[answer.text.partition(":")[0]]
            message = f"rule {rule.id} is for {name}, which does not exist"
            problems.append(Problem(rule.file, rule.line, f"unknown-{_KIND[action]}", message))
    return problems


_KIND = {
    "read": "field",
    "write": "mutation",
    "run": "operation",
    "use": "page",
    "mask": "field",
    "match": "field",
}


def _masks(
    book: RuleBook,
    symbolic: Mapping[tuple[str, str], list[Symbolic]],
    reads: set[str],
    texts: set[str] | None,
) -> Iterable[Problem]:
    """Whether each mask has a form and a use, is of a text, and whether what is matched is a text."""
    for name, fact in book.masked.items():
        if name not in reads:
            message = f"mask of {name}: the schema has no such field; correct the name or remove the line"
            yield Problem(fact.file, fact.line, "unknown-field", message)
        elif texts is not None and name not in texts:
            message = f"{name} is masked, but only a String or a list of them can be; remove the line"
            yield Problem(fact.file, fact.line, "not-a-text", message)
    used: set[str] = set()
    for (action, _resource), answers in symbolic.items():
        for answer in answers if action in ("mask", "match") else ():
            rule = book.rules[answer.text.partition(":")[0]]
            name = answer.field
            if action == "match":
                if texts is not None and name in reads and name not in texts:
                    message = f"rule {rule.id} lets {name} be matched, which is no text; leave it out"
                    yield Problem(rule.file, rule.line, "not-a-text", message)
                continue
            used.add(name)
            if name in reads and name not in book.masked:
                message = f'rule {rule.id} masks {name}, which has no form: add masked("{name}", …), or ask masked(field, _) in the rule'
                yield Problem(rule.file, rule.line, "no-mask", message)
    for name, fact in book.masked.items():
        if name in reads and name not in used:
            message = f"{name} has a masked form that no rule shows to anybody; add a rule for the action mask, or remove the line"
            yield Problem(fact.file, fact.line, "no-rule", message)


def _unknown_roles(book: RuleBook) -> Iterable[Problem]:
    """A misspelt role would be compatible with everything, silently."""
    for pair in book.incompatible:
        for role in sorted(pair.roles - book.roles.keys()):
            message = f'incompatible names the role "{role}", which is declared nowhere; add role("{role}", …) or correct it'
            yield Problem(pair.file, pair.line, "unknown-role", message)


def _unknown_person_values(
    book: RuleBook, symbolic: Mapping[tuple[str, str], list[Symbolic]]
) -> Iterable[Problem]:
    """A misspelt role would never match anyone, silently."""
    known = {"roles": set(book.roles), "scopes": set(book.scopes), "facts": set(FACTS)}
    for answers in symbolic.values():
        for answer in answers:
            for leaf in leaves(answer.requirement):
                if not isinstance(leaf, PersonHas) or leaf.value in known.get(leaf.attribute, {leaf.value}):
                    continue
                rule = book.rules[answer.text.partition(":")[0]]
                message = (
                    f'rule {rule.id} asks for "{leaf.value}" in {leaf.attribute}, which is declared nowhere'
                )
                yield Problem(rule.file, rule.line, f"unknown-{leaf.attribute[:-1]}", message)
