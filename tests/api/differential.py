"""A schema of everything that the executor completes, and documents and data at random for it, the same for the same seed."""

import enum
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry
from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)
from strawberry import relay
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from okno.graph.gate import Gate, RowDecision
from okno.graph.scalars import SCALARS
from okno.policy.condition import ME, AllOf, Compare
from okno.policy.masking import FORMS, Mask
from okno.policy.service import Alternative, Decision, Outcome
from okno.scalars import Int64

ACTOR = UUID(int=7)


@strawberry.enum
class Colour(enum.Enum):
    RED = "red"
    BLUE = strawberry.enum_value("blue")


class Later:
    """A value that has to be awaited; more than once, too."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Any:
        yield
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Row:
    """What all rows have besides their fields: facts to be decided by."""

    facts: Mapping[str, object] | None
    subject_label: str


@strawberry.interface
class Named:
    name: str | None
    colour: Colour | None


@strawberry.type
class Cat(Named, Row):
    lives: int
    owner: "Item | None"


@strawberry.type
class Dog(Named, Row):
    tricks: list[str | None] | None
    friend: Named | None


@strawberry.type
class Stone(Row):
    weight: float
    under: "Item | None"


Thing = Annotated[Cat | Stone, strawberry.union("Thing")]


@strawberry.type
class Item(relay.Node, Row):
    key: relay.NodeID[UUID]
    text: str | None
    sure: str
    whole: int | None
    real: float | None
    yes: bool | None
    ident: strawberry.ID | None
    big: Int64 | None
    day: date | None
    at: datetime | None
    anything: JSON | None
    colour: Colour | None
    words: list[str] | None
    grid: list[list[int | None]] | None
    child: "Item | None"
    must: "Item"
    children: "list[Item | None] | None"
    strict: "list[Item]"
    blocks: "list[list[Item | None]] | None"
    pet: Named | None
    pets: list[Named] | None
    thing: Thing | None
    things: list[Thing | None] | None
    given: strawberry.Private[Any] = None

    @strawberry.field
    def computed(self) -> str | None:
        return cast(str | None, _given(self.given, self.text))

    @strawberry.field
    async def later(self) -> "Item | None":
        return cast("Item | None", _given(self.given, self.child))

    @strawberry.field
    async def later_must(self) -> "Item":
        return cast(Item, _given(self.given, self.child))

    @strawberry.field
    def echo(self, text: str | None = None, times: int = 1) -> str | None:
        return None if text is None else text * times


def _given(given: Any, otherwise: Any) -> Any:
    if isinstance(given, Exception):
        raise given
    return otherwise


@dataclass
class Scene:
    """What one operation is executed against."""

    item: Any
    items: Any
    pets: Any
    things: Any
    gate: Any = None
    services: Any = None
    sections: Mapping[str, Any] = field(default_factory=dict)


@strawberry.type
class Query:
    @strawberry.field
    def item(self, info: strawberry.Info[Any]) -> Item | None:
        return cast(Item | None, info.context.item)

    @strawberry.field
    def items(self, info: strawberry.Info[Any], first: int | None = None) -> list[Item | None] | None:
        items = cast(list[Item | None], info.context.items)
        return items if first is None else items[:first]

    @strawberry.field
    async def async_items(self, info: strawberry.Info[Any]) -> list[Item]:
        return cast(list[Item], info.context.items)

    @strawberry.field
    def pets(self, info: strawberry.Info[Any]) -> list[Named | None] | None:
        return cast(list[Named | None], info.context.pets)

    @strawberry.field
    def things(self, info: strawberry.Info[Any]) -> list[Thing | None] | None:
        return cast(list[Thing | None], info.context.things)


def build() -> GraphQLSchema:
    """The schema, as graphql-core has it."""
    config = StrawberryConfig(scalar_map=SCALARS)
    return strawberry.Schema(Query, types=[Cat, Dog, Stone, Item], config=config)._schema


class Documents:
    """Writes one valid document at random, with the variables for it."""

    def __init__(self, schema: GraphQLSchema, rng: random.Random, *, fields: int = 30) -> None:
        self._schema = schema
        self._rng = rng
        self._left = fields
        self._fragments: list[str] = []
        self._names = 0
        self._asked: dict[str, str] = {}  # response name → what was asked under it, so that no two conflict
        self.variables = {name: rng.random() < 0.5 for name in ("yes", "no", "maybe")}
        self.variables["text"] = rng.choice(["a", "b", None])  # type: ignore[assignment]

    def write(self) -> str:
        """The document."""
        query = self._schema.query_type
        assert query is not None
        body = self._selection(query, 0)
        head = "query ($yes: Boolean!, $no: Boolean!, $maybe: Boolean = true, $text: String)"
        used = (
            "a: __typename @include(if: $yes) b: __typename @include(if: $no) c: __typename @skip(if: $maybe)"
        )
        used += " d: items(first: 0) { e: echo(text: $text) }"
        return f"{head} {{ {used} {body} }} {' '.join(self._fragments)}"

    def write_employees(self, ids: str, one: str) -> str:
        """A document about employees of the real schema, in a list, in a connection and alone."""
        self.variables.pop("text")
        employee = self._schema.type_map["Employee"]
        chosen = []
        for around in self._rng.sample(
            (
                f"nodes(ids: [{ids}]) {{ __typename ... on Employee {{ %s }} }}",
                "employees(first: 5) { edges { cursor node { %s } } }",
                f"employee(id: {one}) {{ %s }}",
            ),
            self._rng.randint(1, 2),
        ):
            self._left = 12
            chosen.append(around % self._selection(employee, 2))
        used = (
            "a: __typename @include(if: $yes) b: __typename @include(if: $no) c: __typename @skip(if: $maybe)"
        )
        head = "query ($yes: Boolean!, $no: Boolean!, $maybe: Boolean = true)"
        return f"{head} {{ {used} {' '.join(chosen)} }} {' '.join(self._fragments)}"

    def _selection(self, of: GraphQLNamedType, depth: int) -> str:
        rng = self._rng
        parts = []
        for _ in range(rng.randint(2, 5 if depth else 3)):
            roll = rng.random()
            if roll < 0.12:
                parts.append(f"...{self._directive()} {{ {self._selection(of, depth + 1)} }}")
            elif roll < 0.20:
                self._names += 1
                name = f"F{self._names}"
                self._fragments.append(f"fragment {name} on {of.name} {{ {self._selection(of, depth + 1)} }}")
                parts.append(f"...{name}{self._directive()}")
            elif roll < 0.35 and is_abstract_type(of):
                concrete = rng.choice(self._schema.get_possible_types(of))
                parts.append(f"... on {concrete.name} {{ {self._selection(concrete, depth + 1)} }}")
            elif roll < 0.28:
                parts.append(f"{self._alias('__typename')}__typename{self._directive()}")
            else:
                parts.append(self._field(of, depth))
        return " ".join(part for part in parts if part) or "__typename"

    def _field(self, of: GraphQLNamedType, depth: int) -> str:
        if not isinstance(of, GraphQLObjectType | GraphQLInterfaceType):
            return "__typename"
        rng = self._rng
        fields = list(of.fields.items())
        if of.name == "Employee" and rng.random() < 0.5:
            fields = [each for each in fields if not is_leaf_type(get_named_type(each[1].type))]
        elif rng.random() < 0.25:  # what may be masked
            fields = [each for each in fields if get_named_type(each[1].type) is GraphQLString] or fields
        name, definition = rng.choice(fields)
        named = get_named_type(definition.type)
        self._left -= 1
        if not is_leaf_type(named) and (self._left < 0 or depth > 5):
            return "__typename"
        given = ""
        if name == "echo":
            given = rng.choice(["(text: $text)", '(text: "x", times: 2)', "(text: $text, times: 3)"])
        if "first" in definition.args and rng.random() < 0.3:
            given = "(first: 2)"
        inner = "" if is_leaf_type(named) else f" {{ {self._selection(named, depth + 1)} }}"
        alias = self._alias(f"{of.name}.{name}{given}", always=bool(given) or not is_leaf_type(named))
        return f"{alias}{name}{given}{self._directive()}{inner}"

    def _alias(self, asked: str, *, always: bool = False) -> str:
        if (
            not always
            and self._rng.random() < 0.6
            and self._asked.setdefault(asked.split(".")[-1], asked) == asked
        ):
            return ""
        self._names += 1
        return f"x{self._names}: "

    def _directive(self) -> str:
        if self._rng.random() < 0.85:
            return ""
        kind, name = (
            self._rng.choice(["include", "skip"]),
            self._rng.choice(["$yes", "$no", "$maybe", "true"]),
        )
        return f" @{kind}(if: {name})"


class Data:
    """Makes rows at random: mostly of the right types, now and then of wrong ones, failing, or to be awaited."""

    def __init__(self, rng: random.Random, *, wrong: float, awaited: float) -> None:
        self._rng = rng
        self._wrong = wrong
        self._awaited = awaited
        self._left = 1  # how many more rows to make, about

    def scene(self) -> Scene:
        """A whole world."""
        return Scene(
            item=self._few(self._item),
            items=self._several(self._item),
            pets=self._several(self._pet),
            things=self._several(self._thing),
        )

    def _several(self, make: Any) -> Any:
        self._left = 1
        return self._list(lambda: self._few(make), 4)

    def _few(self, make: Any) -> Any:
        self._left = 6
        return make(0)

    def _list(self, make: Any, most: int, *, none: float = 0.05) -> Any:
        rng = self._rng
        if rng.random() < self._wrong:
            return rng.choice([7, "text", None, {"a": 1}, ValueError("no list"), (), {3}])
        number = rng.randint(0, most) if self._left > 0 else 0
        found = [None if rng.random() < none * self._wrong * 20 else make() for _ in range(number)]
        return tuple(found) if rng.random() < 0.1 else self._maybe(found)

    def _maybe(self, value: Any) -> Any:
        return Later(value) if self._rng.random() < self._awaited else value

    def _value(self, *right: Any) -> Any:
        rng = self._rng
        if rng.random() < self._wrong:
            return self._maybe(
                rng.choice(
                    [
                        None,
                        "w",
                        "1",
                        3,
                        2**40,
                        2**70,
                        1.5,
                        float("nan"),
                        True,
                        ValueError("broken"),
                        object,
                        b"x",
                        Colour.RED,
                        datetime(2020, 1, 1),  # noqa: DTZ001
                        [],
                        {},
                        {"a": [1]},
                    ]
                )
            )
        return self._maybe(rng.choice(right))

    def _item(self, depth: int) -> Any:
        rng = self._rng
        if rng.random() < self._wrong / 2:
            return rng.choice([None, "no item", ValueError("no item"), self._pet(depth), Later(None)])
        self._left -= 1
        deeper = depth < 3 and self._left > 0

        def child() -> Any:
            return self._item(depth + 1)

        moment = datetime(2026, 1, 2, 3, 4, 5, rng.choice([0, 120]), UTC) + timedelta(
            hours=rng.randint(0, 99)
        )
        found = Item(
            key=rng.choice([UUID(int=rng.randint(0, 9)), "k", 5, self._value("z")]),
            text=self._value("a", "+7 (495) 123-45-67", "ivan@example.com", "", None),
            sure=self._value("s", "Петров"),
            whole=self._value(0, -1, 2**31 - 1, None),
            real=self._value(0.5, -0.0, 1e300, 3, None),
            yes=self._value(True, False, None),
            ident=self._value(strawberry.ID("i"), "j", 5, None),
            big=self._value(2**40, -(2**63), None),
            day=self._value(date(2026, 1, 2), None),
            at=self._value(moment, moment.astimezone(timezone(timedelta(hours=5, minutes=30))), None),
            anything=self._value({"a": [1, None]}, [1], "x", 1, None),
            colour=self._value(Colour.RED, Colour.BLUE, None, "red"),
            words=self._list(lambda: self._value("w", "N-12345678"), 3),
            grid=self._list(lambda: self._list(lambda: self._value(1, None), 3), 2),
            child=child() if deeper else None,
            must=child() if deeper else None,  # type: ignore[arg-type]
            children=self._list(child, 3, none=0.2) if deeper else None,
            strict=self._list(child, 2) if deeper else [],
            blocks=self._list(lambda: self._list(child, 2), 2) if deeper else None,
            pet=self._pet(depth + 1),
            pets=self._list(lambda: self._pet(depth + 1), 2) if deeper else [],
            thing=self._thing(depth + 1),
            things=self._list(lambda: self._thing(depth + 1), 2) if deeper else None,
            given=rng.choice([None] * 5 + [ValueError("given")]) if self._wrong else None,
        )
        return self._maybe(self._with_facts(found))

    def _pet(self, depth: int) -> Any:
        rng = self._rng
        if rng.random() < self._wrong / 2:
            return rng.choice([None, 5, ValueError("no pet"), Stone(weight=1.0, under=None)])
        pet: Any
        if rng.random() < 0.5:
            owner = self._item(depth + 1) if depth < 3 and self._left > 0 else None
            pet = Cat(
                name=self._value("c", None),
                colour=self._value(Colour.BLUE),
                lives=self._value(9),
                owner=owner,
            )
        else:
            friend = self._pet(depth + 1) if depth < 3 else None
            tricks = self._list(lambda: self._value("sit", None), 2)
            pet = Dog(name=self._value("d"), colour=self._value(None), tricks=tricks, friend=friend)
        if rng.random() < self._wrong / 4:
            pet.__as_strawberry_type__ = rng.choice([Cat, Dog, Named])
        return self._with_facts(pet)

    def _thing(self, depth: int) -> Any:
        if self._rng.random() < 0.5:
            under = self._item(depth + 1) if depth < 3 and self._left > 0 else None
            return self._with_facts(Stone(weight=self._value(1.5, 2), under=under))
        return self._pet(depth)

    def _with_facts(self, row: Any) -> Any:
        row.facts = self._rng.choice(_FACTS)
        row.subject_label = "row"
        return row


_FACTS: list[Mapping[str, object] | None] = [
    None,
    *(
        {"id": UUID(int=number), "country": country, "protected": protected}
        for number in (1, ACTOR.int)
        for country in ("RU", "KZ")
        for protected in (True, False)
    ),
]

OPEN = Decision(Outcome.ALLOW, (Alternative("open", "everybody", None),))
_CONDITIONS = (
    (Alternative("here", "in RU", Compare("country", "=", "RU")),),
    (
        Alternative("mine", "my own", Compare("id", "=", ME)),
        Alternative("free", "not protected", Compare("protected", "!=", True)),
    ),
    (
        Alternative(
            "both", "in KZ, free", AllOf((Compare("country", "=", "KZ"), Compare("protected", "=", False)))
        ),
    ),
)
_CERTAIN = (Alternative("always", "everywhere", None),)
_CONDITIONAL = [Decision(Outcome.CONDITIONAL, each) for each in _CONDITIONS]
_MASKED = [
    Decision(Outcome.MASK, (), _CERTAIN),
    *(Decision(Outcome.CONDITIONAL, each, _CERTAIN) for each in _CONDITIONS),
    *(Decision(Outcome.CONDITIONAL, (), each) for each in _CONDITIONS),
    *(Decision(Outcome.CONDITIONAL, full, masks) for full in _CONDITIONS for masks in _CONDITIONS),
]


def texts_of(schema: GraphQLSchema) -> frozenset[tuple[str, str]]:
    """The fields of texts and lists of them, by type and name."""
    return frozenset(
        (kind.name, name)
        for kind in schema.type_map.values()
        if isinstance(kind, GraphQLObjectType)
        for name, field in kind.fields.items()
        if get_named_type(field.type) is GraphQLString
    )


class TableGate(Gate):
    """A gate that decides by a table at random; without one it lets everything through and records nothing.

    Args:
        never_null: leaves fields that are never null, whose refusal takes the whole list away, to everybody.
        texts: fields that may be masked, which are so more often than others, of which nothing comes.
    """

    def __init__(
        self,
        rng: random.Random | None = None,
        never_null: frozenset[tuple[str, str]] = frozenset(),
        texts: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._rng = rng
        self._open = never_null
        self._texts = texts
        self._drawn: dict[tuple[str, str], Decision] = {}
        self._recorded: dict[tuple[str, str], bool] = {}
        self._rows = {}
        self._known_rows = {}

    def lacks(self, type_name: str, field_name: str) -> str | None:
        return None

    def decide(self, type_name: str, field_name: str) -> Decision:
        key = (type_name, field_name)
        if self._rng is None or key in self._open:
            return OPEN
        if key not in self._drawn:
            # By the names alone, so that the order of questions does not matter
            own = random.Random(f"{self._rng.getstate()[1][0]} {key}")
            roll = own.random()
            if key in self._texts:
                roll = 0.4 + roll / 1.6
            self._drawn[key] = (
                OPEN
                if roll < 0.6 or type_name == "Query"
                else Decision(Outcome.DENY)
                if roll < 0.7
                else own.choice(_CONDITIONAL)
                if roll < 0.8
                else own.choice(_MASKED)
            )
            self._recorded[key] = own.random() < 0.2
        return self._drawn[key]

    def rows(self, type_name: str, decision: Decision) -> Any:
        known = self._known_rows.get((id(decision), False))
        if known is None:
            known = self._known_rows[id(decision), False] = (decision, RowDecision(decision, ACTOR))
        return known[1]

    def resource_of(self, type_name: str) -> str:
        return "Employee"

    def mask_of(self, type_name: str, field_name: str) -> Mask:
        names = sorted(FORMS)
        return FORMS[names[len(f"{type_name}.{field_name}") % len(names)]]

    def is_recorded(self, type_name: str, field_name: str) -> bool:
        self.decide(type_name, field_name)
        return self._recorded.get((type_name, field_name), False)

    def reads(self, facts: Any, type_name: str, field_name: str) -> bool:
        return True
