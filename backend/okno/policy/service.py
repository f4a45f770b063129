"""The policy of one version: loaded and checked as a whole, then asked for tables of decisions."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from uuid import UUID

from okno.policy import check as checking
from okno.policy.condition import ME, AllOf, AnyOf, Compare, Condition, Facts, any_of, evaluate
from okno.policy.engine import BrokenPolicy, Engine, Symbolic, Unreadable
from okno.policy.explain import Explanation, explain
from okno.policy.model import (
    ACTIONS,
    DENY,
    RESOURCES,
    Alternative,
    Decision,
    Outcome,
    PolicyError,
    Problem,
    Rights,
    Rule,
    Table,
    decide,
)
from okno.policy.rulebook import RuleBook, read
from okno.policy.scan import scan, without

__all__ = [
    "DENY",
    "ME",
    "AllOf",
    "Alternative",
    "AnyOf",
    "Compare",
    "Condition",
    "Decision",
    "Explanation",
    "Outcome",
    "Policy",
    "PolicyError",
    "Problem",
    "Rights",
    "Rule",
    "Table",
    "evaluate",
]

_MAX_TABLES = 1024
_DERIVED = "(derived facts)"


class Policy:
    """Immutable; a new version is a new object. Safe to use from several threads."""

    def __init__(
        self, version: str, book: RuleBook, engine: Engine, sources: Sequence[tuple[str, str]]
    ) -> None:
        self.version = version
        self.book = book
        self._engine = engine
        self._groups = book.groups()
        self._sources = sources
        self._reference: Engine | None = None
        self._tables: OrderedDict[tuple[Rights, str, str], Table] = OrderedDict()
        self._lock = Lock()
        self._order = {rule_id: place for place, rule_id in enumerate(book.rules)}
        self.levels: Mapping[str, str] = {name: fact.value for name, fact in book.levels.items()}
        self.structural = frozenset(book.structural)
        self._symbolic: dict[tuple[str, str], list[Symbolic]] = {}

    @classmethod
    def load(cls, directory: Path) -> "Policy":
        """Reads every *.polar file of a folder.

        Raises:
            PolicyError: they are not a policy as a whole; every problem with file and line.
        """
        paths = sorted(directory.glob("*.polar"))
        sources = []
        for path in paths:
            name = f"{directory.name}/{path.name}"
            try:
                sources.append((name, path.read_text(encoding="utf-8")))
            except (OSError, UnicodeDecodeError) as error:
                raise PolicyError(
                    (Problem(name, 1, "unreadable", f"the file cannot be read: {error}"),)
                ) from error
        if not sources:
            message = "no *.polar file here; without policy nothing is allowed"
            raise PolicyError((Problem(str(directory), 1, "unreadable", message),))
        digest = hashlib.sha256()
        for name, text in sources:
            digest.update(f"{name}\0{len(text)}\0{text}".encode())
        return cls.from_sources(sources, digest.hexdigest()[:12])

    @classmethod
    def from_sources(cls, sources: list[tuple[str, str]], version: str) -> "Policy":
        """The same from texts given as (name, text).

        Raises:
            PolicyError: as `load`.
        """
        statements = {name: scan(name, text) for name, text in sources}
        book = read(statement for found in statements.values() for statement in found)
        grouped = [
            (name, without(text, [s for s in statements[name] if s.name == "level"]))
            for name, text in sources
        ]
        try:
            engine = Engine([*grouped, (_DERIVED, book.derived(grouped=True))])
        except BrokenPolicy as broken:
            own = (
                broken.problem.file != _DERIVED
            )  # else the cause is a line of the files, which the book names
            raise PolicyError(
                (*([broken.problem] if own or not book.problems else []), *book.problems)
            ) from broken
        if book.problems:
            raise PolicyError(tuple(sorted(book.problems)))
        policy = cls(version, book, engine, sources)
        problems = policy._read_all_rules(sources[0][0])
        if problems:
            raise PolicyError(tuple(sorted(problems)))
        return policy

    def _read_all_rules(self, fallback: str) -> list[Problem]:
        """Compiles every rule with the person left open, so that no construct is met for the first time later."""
        problems: list[Problem] = []
        for action in ACTIONS:
            for resource in RESOURCES:
                try:
                    found = self._engine.symbolic(action, resource)
                except BrokenPolicy as broken:
                    problems.append(broken.problem)
                    continue
                except Unreadable as unreadable:
                    rule = self.book.rules.get((unreadable.rule or "").partition(":")[0])
                    file, line = (rule.file, rule.line) if rule else (fallback, 1)
                    problems.append(Problem(file, line, unreadable.code, unreadable.message))
                    continue
                self._symbolic[action, resource] = [
                    Symbolic(name, answer.text, answer.requirement)
                    for answer in found
                    for name in self._groups.get(answer.field or "", (answer.field,))
                ]
                for answer in found:
                    if answer.field is None:
                        rule = self.book.rules[answer.text.partition(":")[0]]
                        message = (
                            f"rule {rule.id} does not say which fields it is for; ask level(field, …) first"
                        )
                        problems.append(Problem(rule.file, rule.line, "cannot-compile", message))
        return problems

    def table(self, rights: Rights, action: str, resource: str) -> Table:
        """All decisions of these rights for one action and resource; cached, shared by people of equal rights.

        Raises:
            PolicyError: a rule cannot be compiled for these rights; treat as denied.
        """
        key = (rights, action, resource)
        with self._lock:
            table = self._tables.get(key)
            if table is not None:
                self._tables.move_to_end(key)
                return table
        table = self._compile(rights, action, resource)
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > _MAX_TABLES:
                self._tables.popitem(last=False)
        return table

    def _compile(self, rights: Rights, action: str, resource: str) -> Table:
        if action not in ACTIONS or resource not in RESOURCES:
            raise PolicyError((Problem("policies", 1, "unknown", f"no action {action} on {resource}"),))
        try:
            permissions = self._engine.permissions(rights, action, resource)
        except BrokenPolicy as broken:
            raise PolicyError((broken.problem,)) from broken
        except Unreadable as unreadable:
            rule = self.book.rules.get((unreadable.rule or "").partition(":")[0])
            file, line = (rule.file, rule.line) if rule else ("policies", 1)
            raise PolicyError((Problem(file, line, unreadable.code, unreadable.message),)) from unreadable
        found: dict[str, dict[str, list[Condition]]] = {}
        for permission in permissions:
            rule_id = permission.text.partition(":")[0]
            found.setdefault(permission.field, {}).setdefault(rule_id, []).append(permission.condition)
        decisions: dict[str, Decision] = {}
        for group, conditions in found.items():
            names = self._groups.get(group, (group,))
            if action == "read" and self.resource_of(names[0].partition(".")[0]) != resource:
                continue
            decision = self._decide(conditions)
            if decision is not DENY:
                decisions.update(dict.fromkeys(names, decision))
        decisions = dict(sorted(decisions.items()))
        return Table(decisions, self.structural if action == "read" else frozenset())

    def _decide(self, conditions: Mapping[str, list[Condition]]) -> Decision:
        alternatives = []
        for rule_id in sorted(conditions, key=self._order.__getitem__):
            condition = any_of(conditions[rule_id])
            if condition != AnyOf(()):
                rest = None if condition == AllOf(()) else condition
                alternatives.append(Alternative(rule_id, self.book.rules[rule_id].sentence, rest))
        return decide(tuple(alternatives))

    def resource_of(self, type_name: str) -> str:
        """The resource by whose row facts the fields of a GraphQL type are decided; "Okno" has none."""
        fact = self.book.resources.get(type_name)
        return fact.value if fact else "Okno"

    def level_of(self, field: str) -> str | None:
        """The sensitivity of "Type.field"; None for a field that the policy does not know."""
        level = self.levels.get(field)
        return "public" if level is None and field.partition(".")[0] in self.structural else level

    @property
    def roles(self) -> Mapping[str, str]:
        """The roles that rules may ask for, each with what it means."""
        return {name: fact.value for name, fact in self.book.roles.items()}

    @property
    def scopes(self) -> Mapping[str, str]:
        """The scopes that a service's token may be issued for, each with what it opens."""
        return {name: fact.value for name, fact in self.book.scopes.items()}

    @property
    def rules(self) -> Mapping[str, Rule]:
        """All rules by id, in the order of the files."""
        return self.book.rules

    def rule_line(self, rule_id: str) -> tuple[str, int]:
        """File and line of a rule.

        Raises:
            KeyError: no such rule.
        """
        rule = self.book.rules[rule_id]
        return rule.file, rule.line

    def permits(
        self, rights: Rights, action: str, resource: str, field: str, facts: Facts, *, own_id: UUID | None
    ) -> bool:
        """Asks Oso itself about one row, with the files as they stand: for tests that compare the two.

        About 1,000 times slower than a table, and it does not deny on unknown facts.
        """
        if action == "read" and self.resource_of(field.partition(".")[0]) != resource:
            return False
        if self._reference is None:
            self._reference = Engine([*self._sources, (_DERIVED, self.book.derived(grouped=False))])
        return self._reference.permits(rights, action, resource, field, facts, own_id=own_id)

    def symbolic(self, action: str, resource: str) -> list[Symbolic]:
        """Every rule for an action and resource with what it asks of the person and of the row."""
        return self._symbolic[action, resource]

    def check(
        self,
        *,
        fields: Iterable[str],
        mutations: Iterable[str] = (),
        operations: Iterable[str] = (),
        pages: Iterable[str] | None = None,
    ) -> list[Problem]:
        """Compares the policy with a schema: what is not covered, and what is named but does not exist.

        Args:
            fields: "Type.field" of every object type; those of Mutation are taken as mutations.
            mutations: "Mutation.field" or just the field.
            operations: ids of ready-made actions.
            pages: ids of "use" permissions; None leaves them unchecked.
        """
        return checking.check(self.book, self._symbolic, fields, mutations, operations, pages)

    def explain(
        self,
        rights: Rights,
        action: str,
        resource: str,
        field: str,
        facts: Facts | None = None,
        me: UUID | None = None,
    ) -> Explanation:
        """Why these rights may or may not; with `facts`, for one row. `me` as in `Decision.allows`."""
        decision = self.table(rights, action, resource).decide(field)
        return explain(
            self.book, self._symbolic[action, resource], decision, rights, action, resource, field, facts, me
        )
