"""The entries of a section as an answer shows them, completed once for each answer of a source rather than for each request."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from graphql import GraphQLObjectType, is_leaf_type, is_list_type, is_non_null_type

from okno.graph.compiled.leaves import Mismatch, exact_completer
from okno.sources.model import SectionData

Completer = Callable[[Any], Any]
Completers = Mapping[str, Completer]
#: Completed values by the names of their fields. Shared by answers, and not to be changed.
Entries = dict[str, Any]
_NOTHING: Mapping[str, Any] = {}
# Section types of a process, and of the schemas that tests make
_MAX_TYPES = 256


@lru_cache(maxsize=_MAX_TYPES)
def completers_of(section_type: GraphQLObjectType) -> Completers:
    """What completes the entries of a section: its fields of scalars, enums, and lists of them."""
    found = {name: _completer(field.type) for name, field in section_type.fields.items()}
    return {name: completer for name, completer in found.items() if completer is not None}


def entries_of(completers: Completers, data: Mapping[str, Any] | None) -> Entries:
    """The entries of what a source said, which keeps them. What the stock executor has to look at is not among them."""
    if type(data) is not SectionData:
        return _complete(completers, data or _NOTHING)
    known = data.completed
    if known is None or known[0] is not completers:
        known = data.completed = completers, _complete(completers, data)
    return known[1]


def _complete(completers: Completers, data: Mapping[str, Any]) -> Entries:
    found = {}
    for name, completer in completers.items():
        try:
            found[name] = completer(data.get(name))
        except Exception:  # noqa: S112 -- whoever reads it falls back, and the executor says what is wrong
            continue
    return found


def _completer(of: Any) -> Completer | None:
    nullable = not is_non_null_type(of)
    bare = of if nullable else of.of_type
    completer: Completer
    if is_leaf_type(bare):
        completer = exact_completer(bare)
    elif is_list_type(bare):
        item = _completer(bare.of_type)
        if item is None:
            return None
        completer = _list_of(item)
    else:
        return None
    return _or_null(completer) if nullable else completer


def _list_of(item: Completer) -> Completer:
    def complete(value: Any) -> list[Any]:
        if type(value) is not list and type(value) is not tuple:
            raise Mismatch
        return [item(each) for each in value]

    return complete


def _or_null(completer: Completer) -> Completer:
    return lambda value: None if value is None else completer(value)
