"""What is checked once for each class of objects rather than for each object."""

from typing import Any
from uuid import UUID

from graphql import GraphQLInterfaceType, GraphQLObjectType
from strawberry.execution import optimized_is_awaitable
from strawberry.relay import to_base64

from okno.graph.compiled.leaves import Mismatch
from okno.graph.compiled.shapes import Node, ObjectOf, Value, class_of, names_ids_as_relay
from okno.graph.sections import SectionValue

_MAX_CLASSES = 64
_MAX_IDS = 20_000


class Vouch:
    """Lets a class of objects pass as values of a node. Raises Mismatch for what the stock executor has to look at."""

    __slots__ = ("_needs_relay", "_needs_section", "_type", "known")

    def __init__(self, node: Node) -> None:
        reads = [each.read for each in node.fields if isinstance(each, Value)]
        self._type = node.type
        self._needs_relay = any(read.way == "relay" for read in reads)
        self._needs_section = any(read.way == "entry" for read in reads)
        self.known: set[type] = set()

    def __call__(self, value: Any) -> None:
        cls = type(value)
        if not _is_plain(value) or not _is_of(self._type, value):
            raise Mismatch
        if self._needs_section and cls is not SectionValue:
            raise Mismatch
        if self._needs_relay and not names_ids_as_relay(cls):
            raise Mismatch
        if len(self.known) < _MAX_CLASSES:
            self.known.add(cls)


class Classifier:
    """Which of the possible types of an interface or union a class of objects is of, from 1."""

    __slots__ = ("_abstract", "_known", "_possible", "get")

    def __init__(self, shape: ObjectOf) -> None:
        self._abstract = shape.abstract
        self._possible = [(class_of(node.type), Vouch(node)) for node in shape.nodes]
        self._known: dict[type, int] = {}
        self.get = self._known.get

    def classify(self, value: Any) -> int:
        """The number, remembered for the class.

        Raises:
            Mismatch: it does not follow from the class alone, or the stock executor would refuse it.
        """
        cls = type(value)
        numbers = [
            number for number, (own, _) in enumerate(self._possible, 1) if own and issubclass(cls, own)
        ]
        if len(numbers) != 1 or self._possible[numbers[0] - 1][0] is not cls:
            raise Mismatch
        if isinstance(self._abstract, GraphQLInterfaceType) and not _is_plain(value):
            raise Mismatch
        self._possible[numbers[0] - 1][1](value)
        if len(self._known) < _MAX_CLASSES:
            self._known[cls] = numbers[0]
        return numbers[0]


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, Exception) and not optimized_is_awaitable(value)


def _is_of(object_type: GraphQLObjectType, value: Any) -> bool:
    check = object_type.is_type_of
    return check is None or check(value, None) is True  # type: ignore[arg-type]  # Strawberry's own reads no info


_ids: dict[str, dict[int, str]] = {}


def ids_of(type_name: str) -> dict[int, str]:
    """The Relay ids of a type that are remembered, by the numbers of their UUIDs."""
    return _ids.setdefault(type_name, {})


def relay_id(type_name: str, key: Any) -> str:
    """The Relay id of an object, as Strawberry's `Node.id` gives it.

    Those of UUIDs are remembered, at most _MAX_IDS of a type: to write one costs more than the rest of a row.
    """
    if type(key) is str or type(key) is int:
        return to_base64(type_name, key)
    if not isinstance(key, UUID):
        raise Mismatch
    known = ids_of(type_name)
    found = known.get(key.int)
    if found is None:
        if len(known) >= _MAX_IDS:
            known.clear()
        found = known[key.int] = to_base64(type_name, str(key))
    return found
