"""What terms stand for while rules are read, and what a comparison of two of them asks of the person or of the row."""

from dataclasses import dataclass

from okno.policy.condition import ME, Compare, Scalar
from okno.policy.model import FLAGS, OWN_ID, PERSON_LISTS
from okno.policy.requirement import Either, Every, InPersons, PersonHas, Requirement
from okno.policy.syntax import Constant, Unreadable, Value


@dataclass(frozen=True, slots=True)
class Thing:
    """The person, or the row of a resource: known by its class alone."""

    kind: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the person or of the row."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of constants."""

    values: tuple[Scalar, ...]


class Free:
    """A variable that nothing is known of yet."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


Known = Thing | Attribute | Listed | Constant
Given = Known | Free


def compared(op: str, left: Given, right: Given) -> Requirement:
    """A comparison of what is known, as what it asks of person or row."""
    if op == "in":
        return _among(left, right)
    wanted = op != "!="
    if isinstance(left, Constant) and isinstance(right, Constant):
        if not wanted and {type(left.value), type(right.value)} == {int, bool}:
            # Oso takes 0 for false here, and here only
            raise Unreadable(
                f"{spelled(left)} != {spelled(right)}: a number is not compared with true or false"
            )
        return Every(()) if same(left.value, right.value) is wanted else Either(())
    row, other = (left, right) if _is_of_row(left) else (right, left)
    if not isinstance(row, Attribute) or row.kind == "Person" or _is_of_row(other):
        raise Unreadable(
            f"{spelled(left)} {op} {spelled(right)}: one side must be an attribute of the row, the other a "
            'constant or the person\'s own id; lists of the person are asked with "in"'
        )
    if isinstance(other, Attribute):
        if other.name in PERSON_LISTS or OWN_ID.get(row.kind) != other.name:
            raise Unreadable(f"p.{other.name} is not compared with {row.kind}.{row.name}")
        return Compare(row.name, "=" if wanted else "!=", ME)
    if not isinstance(other, Constant):
        raise Unreadable(f'{spelled(left)} {op} {spelled(right)}: a list is asked with "in"')
    return Compare(row.name, "=" if wanted else "!=", _fit(row, scalar(other.value)))


def _among(item: Given, several: Given) -> Requirement:
    if isinstance(several, Listed):
        if isinstance(item, Constant):
            found = any(same(item.value, value) for value in several.values)
            return Every(()) if found else Either(())
        if _is_of_row(item):
            assert isinstance(item, Attribute)
            values = dict.fromkeys((type(value).__name__, value) for value in several.values)
            ordered = tuple(_fit(item, value) for _, value in sorted(values))
            if len(ordered) == 1:
                return Compare(item.name, "=", ordered[0])
            return Compare(item.name, "in", ordered) if ordered else Either(())
    if isinstance(several, Attribute) and several.kind == "Person" and several.name in PERSON_LISTS:
        if isinstance(item, Constant) and isinstance(item.value, str):
            return PersonHas(several.name, item.value)
        if _is_of_row(item):
            assert isinstance(item, Attribute)
            return InPersons(item.name, several.name)
    raise Unreadable(
        f'{spelled(item)} in {spelled(several)}: "in" is compiled for the lists of the person and for lists of constants'
    )


def _is_of_row(value: Given) -> bool:
    return isinstance(value, Attribute) and value.kind != "Person"


def same(one: Value, other: Value) -> bool:
    """Equality as Polar has it: true is not 1."""
    return type(one) is type(other) and one == other


def keyed(value: Value) -> object:
    """What the value is known by in a dict, where true would be 1."""
    return value if isinstance(value, str) else (type(value).__name__, value)


def key_of(value: Given) -> object:
    if isinstance(value, Constant):
        return keyed(value.value)
    return tuple(map(keyed, value.values)) if isinstance(value, Listed) else value


def _fit(row: Attribute, value: Scalar) -> Scalar:
    """The value, unless it is a number for a yes or no: in Python 1 is True, and two rules would pass for one."""
    if row.name in FLAGS and type(value) is int:
        raise Unreadable(f"{spelled(row)} is compared with {value}; it is true or false")
    return value


def scalar(value: Value) -> Scalar:
    if value is None:
        raise Unreadable("comparison with nil: an unknown fact always denies, so it says nothing")
    return value


def spelled(value: Given) -> str:
    match value:
        case Thing(kind):
            return "p" if kind == "Person" else "row"
        case Attribute(kind, name):
            return f"{'p' if kind == 'Person' else 'row'}.{name}"
        case Listed(values):
            return f"[{', '.join(spelled(Constant(one)) for one in values)}]"
        case Constant(value=constant):
            return f'"{constant}"' if isinstance(constant, str) else str(constant).lower()
    return value.name
