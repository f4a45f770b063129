"""The policy of one version: loaded and checked as a whole, then asked for tables of decisions."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product
from pathlib import Path
from threading import Lock
from uuid import UUID

from okno.policy import check as checking
from okno.policy.compiler import Compiler
from okno.policy.condition import (
    ME,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Facts,
    evaluate,
)
from okno.policy.engine import BrokenPolicy, Engine
from okno.policy.explain import Explanation, Question, explain
from okno.policy.masking import Mask, mask
from okno.policy.model import (
    ACTIONS,
    DENY,
    PASSING_FACTS,
    RESOURCES,
    Alternative,
    Decision,
    Incompatible,
    Outcome,
    PolicyError,
    Problem,
    Rights,
    Rule,
    Table,
)
from okno.policy.names import SchemaNames
from okno.policy.reach import Held, unclear, unreachable
from okno.policy.reading import Reader, Reading, read_rules
from okno.policy.requirement import Requirement, Symbolic
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
    "Incompatible",
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
_WARMED = 64
_DERIVED = "(derived facts)"
_GROUPED = frozenset({"level", "masked"})


def read_sources(directory: Path) -> tuple[list[tuple[str, str]], str]:
    """The *.polar files of a folder as (name, text), and the version that follows from them.

    Raises:
        PolicyError: there are none, or one cannot be read.
    """
    sources = []
    for path in sorted(directory.glob("*.polar")):
        name = f"{directory.name}/{path.name}"
        try:
            sources.append((name, path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            message = f"the file cannot be read: {error}"
            raise PolicyError((Problem(name, 1, "unreadable", message),)) from error
    if not sources:
        message = "no *.polar file here; without policy nothing is allowed"
        raise PolicyError((Problem(str(directory), 1, "unreadable", message),))
    digest = hashlib.sha256()
    for name, text in sources:
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    return sources, digest.hexdigest()[:12]


class Policy:
    """Immutable; a new version is a new object. Safe to use from several threads."""

    def __init__(
        self,
        version: str,
        book: RuleBook,
        readings: Mapping[tuple[str, str], list[Reading]],
        sources: Sequence[tuple[str, str]],
    ) -> None:
        self.version = version
        self.book = book
        self.readings = readings
        self._compiler = Compiler(book, readings)
        self._groups = self._compiler.groups
        self._group_of = {name: group for group, names in self._groups.items() for name in names}
        self._sources = sources
        self._tables: OrderedDict[tuple[Rights, str, str], Table] = OrderedDict()
        self._lock = Lock()
        self.levels: Mapping[str, str] = {name: fact.value for name, fact in book.levels.items()}
        self.structural = frozenset(book.structural)
        self._symbolic: dict[tuple[str, str], list[Symbolic]] = {}

    @classmethod
    def load(cls, directory: Path) -> "Policy":
        """Reads every *.polar file of a folder.

        Raises:
            PolicyError: they are not a policy as a whole; every problem with file and line.
        """
        return cls.from_sources(*read_sources(directory))

    @classmethod
    def from_sources(cls, sources: list[tuple[str, str]], version: str) -> "Policy":
        """The same from texts given as (name, text).

        Raises:
            PolicyError: as `load`.
        """
        statements = {name: scan(name, text) for name, text in sources}
        book = read(statement for found in statements.values() for statement in found)
        grouped = [
            (name, without(text, [s for s in statements[name] if s.name in _GROUPED]))
            for name, text in sources
        ]
        try:
            Engine([*grouped, (_DERIVED, book.derived(grouped=True))])
        except BrokenPolicy as broken:
            own = (
                broken.problem.file != _DERIVED
            )  # else the cause is a line of the files, which the book names
            raise PolicyError(
                (*([broken.problem] if own or not book.problems else []), *book.problems)
            ) from broken
        if book.problems:
            raise PolicyError(tuple(sorted(book.problems)))
        rules = [s for found in statements.values() for s in found if s.name not in _GROUPED]
        reader = Reader(rules, book.derived_facts(grouped=True))
        readings, problems = read_rules(reader, zip(book.rules.values(), book.permits, strict=True))
        if problems:
            raise PolicyError(tuple(sorted(problems)))
        book.permits.clear()  # their tokens are most of what a policy would take
        return cls(version, book, readings, sources)

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
        table = self._compiler.table(rights, action, resource)
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > _MAX_TABLES:
                self._tables.popitem(last=False)
        return table

    def get(self) -> "Policy":
        """Itself: a policy that nobody watches is its own source, see `okno.policy.current`."""
        return self

    @property
    def digests(self) -> Mapping[str, str]:
        """The hash of each file, by name."""
        return {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in self._sources}

    def warm(self, old: "Policy") -> None:
        """Makes the tables that were asked of another policy last.

        Raises:
            PolicyError: a rule cannot be compiled for rights that are in use.
        """
        with old._lock:
            keys = list(old._tables)[-_WARMED:]
        for key in keys:
            self.table(*key)

    def resource_of(self, type_name: str) -> str:
        """The resource by whose row facts the fields of a GraphQL type are decided; "Okno" has none."""
        return self.book.resource_of(type_name)

    def level_of(self, field: str) -> str | None:
        """The sensitivity of "Type.field"; None for a field that the policy does not know."""
        level = self.levels.get(field)
        return "public" if level is None and field.partition(".")[0] in self.structural else level

    def mask_of(self, field: str) -> Mask:
        """How "Type.field" is shown where it is masked; a field without a declared form is hidden."""
        fact = self.book.masked.get(field)
        return mask(fact.value if fact else None)

    @property
    def masked(self) -> Mapping[str, str]:
        """The form of each field that may be shown masked, by "Type.field"."""
        return {name: fact.value for name, fact in self.book.masked.items()}

    @property
    def incompatible(self) -> tuple[Incompatible, ...]:
        """Pairs of roles that one person must not hold together, in the order of the files."""
        return tuple(self.book.incompatible)

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
        if not self._compiler.is_about(field, action, resource):
            return False
        return self._oso.permits(rights, action, resource, field, facts, own_id=own_id)

    def permits_by(
        self, rule: Rule, rights: Rights, field: str, facts: Facts, *, own_id: UUID | None
    ) -> bool:
        """Likewise, whether this one rule allows."""
        text = f"{rule.id}: {rule.sentence}"
        return self._oso.permits(rights, rule.action, rule.resource, field, facts, own_id=own_id, text=text)

    @cached_property
    def _oso(self) -> Engine:
        return Engine([*self._sources, (_DERIVED, self.book.derived(grouped=False))])

    def names_of(self, group: str) -> tuple[str, ...]:
        """The fields that a name in `readings` stands for."""
        return self._groups.get(group, (group,))

    def symbolic(self, action: str, resource: str) -> list[Symbolic]:
        """Every rule for an action and resource with what it asks of the person and of the row, for each field."""
        known = self._symbolic.get((action, resource))
        if known is None:
            known = self._symbolic[action, resource] = [
                Symbolic(name, f"{reading.rule.id}: {reading.rule.sentence}", reading.requirement)
                for reading in self.readings.get((action, resource), ())
                for group in reading.fields
                for name in self._groups.get(group, (group,))
            ]
        return known

    def check(
        self,
        *,
        fields: Iterable[str],
        mutations: Iterable[str] = (),
        operations: Iterable[str] = (),
        pages: Iterable[str] | None = None,
        texts: Iterable[str] | None = None,
        roles_held: Iterable[str] | None = None,
        teams: Iterable[str] | None = None,
    ) -> list[Problem]:
        """Compares the policy with a schema: what is not covered, and what is named but does not exist.

        Args:
            fields: "Type.field" of every object type; those of Mutation are taken as mutations.
            mutations: "Mutation.field" or just the field.
            operations: ids of ready-made actions.
            pages: ids of "use" permissions; None leaves them unchecked.
            texts: the fields of type String or list of String, which alone can be masked; None leaves that unchecked.
            roles_held, teams: the roles that any team holds, and the ids of the teams; None leaves them unchecked.
        """
        symbolic = {key: self.symbolic(*key) for key in product(ACTIONS, RESOURCES)}
        held = Held(
            roles=None if roles_held is None else frozenset(roles_held),
            teams=None if teams is None else frozenset(teams),
        )
        found = checking.check(self.book, symbolic, fields, mutations, operations, pages, texts)
        return sorted({*found, *unreachable(self.book, self.readings, held), *unclear(self.book)})

    def problems(self, names: SchemaNames) -> list[Problem]:
        """`check` for what a deployment consists of."""
        return self.check(
            fields=names.fields,
            mutations=names.mutations,
            operations=names.operations,
            pages=names.pages,
            texts=names.texts,
            roles_held=names.roles,
            teams=names.teams,
        )

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

        def requirements(of: str) -> Iterator[tuple[Rule, Requirement]]:
            """The rules that are about the field; those of its structural type, where it is of one."""
            for name in (field, f"{field.partition('.')[0]}.*"):
                group = self._group_of.get(name, name)
                for reading in self.readings.get((of, resource), ()):
                    if group in reading.fields:
                        yield reading.rule, reading.requirement

        question = Question(rights, action, resource, field, facts, me)
        missing = self.missing_fact(rights, action, resource, field, facts, me)
        return explain(self.book, question, decision, requirements, missing=missing)

    def missing_fact(
        self,
        rights: Rights,
        action: str,
        resource: str,
        field: str,
        facts: Facts | None = None,
        me: UUID | None = None,
    ) -> str | None:
        """The passing fact of the request, "second_factor" or "working_hours", that alone keeps what is denied from
        being allowed; without `facts`, on some row at least. None, if none does or nothing is denied."""

        def allows(asking: Rights) -> bool:
            decision = self.table(asking, action, resource).decide(field)
            if facts is None:
                return bool(decision.alternatives)
            return decision.allows(facts, me) is not None

        if allows(rights):
            return None
        absent = (fact for fact in PASSING_FACTS if fact not in rights.facts)
        return next((fact for fact in absent if allows(replace(rights, facts=rights.facts | {fact}))), None)
