"""Which attributes an answer carries: `attributes` and `excludedAttributes`, RFC 7644, 3.4.2.5."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from okno.sandbox.scim.errors import invalid_value
from okno.sandbox.scim.filter import split_path
from okno.sandbox.scim.schema import ResourceSchema

_ALWAYS = ("schemas", "id")
# (extension or None, attribute) -> its chosen sub-attributes, None for all
_Chosen = Mapping[tuple[str | None, str], frozenset[str] | None]


@dataclass(frozen=True, slots=True)
class Projection:
    """`only` None: everything except `without`."""

    only: _Chosen | None
    without: _Chosen

    @classmethod
    def parse(cls, attributes: Any, excluded: Any, schema: ResourceSchema) -> "Projection":
        """Reads both parameters: comma-separated text (query) or a list (.search). Unknown names choose nothing.

        Raises:
            ScimError: invalidValue, when both are given.
        """
        if attributes and excluded:
            raise invalid_value("attributes and excludedAttributes exclude each other.")
        return cls(
            _chosen(attributes, schema) if attributes else None, _chosen(excluded, schema) if excluded else {}
        )

    def wants(self, name: str) -> bool:
        """Whether a core attribute is in the answer at all: computed ones are not computed in vain."""
        if self.only is not None:
            return (None, name) in self.only
        return self.without.get((None, name), frozenset()) is not None

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        if self.only is None and not self.without:
            return document
        result: dict[str, Any] = {}
        for key, value in document.items():
            if key in _ALWAYS:
                result[key] = value
            elif isinstance(value, dict) and key.lower().startswith("urn:"):
                if inner := dict(self._filtered(key, value.items())):
                    result[key] = inner
            else:
                result.update(self._filtered(None, [(key, value)]))
        return result

    def _filtered(self, extension: str | None, items: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
        kept = []
        for name, value in items:
            if self.only is not None:
                if (extension, name) in self.only:
                    kept.append((name, _only(value, self.only[extension, name])))
            elif (subs := self.without.get((extension, name), frozenset())) is not None:
                kept.append((name, _without(value, subs)))
        return kept


def _only(value: Any, subs: frozenset[str] | None) -> Any:
    if subs is None:
        return value
    if isinstance(value, list):
        return [_only(each, subs) for each in value]
    return {key: inner for key, inner in value.items() if key in subs} if isinstance(value, dict) else value


def _without(value: Any, subs: frozenset[str]) -> Any:
    if not subs:
        return value
    if isinstance(value, list):
        return [_without(each, subs) for each in value]
    return (
        {key: inner for key, inner in value.items() if key not in subs} if isinstance(value, dict) else value
    )


def _chosen(raw: Any, schema: ResourceSchema) -> _Chosen:
    names = [str(each) for each in raw] if isinstance(raw, list) else str(raw).split(",")
    result: dict[tuple[str | None, str], frozenset[str] | None] = {}
    for text in filter(None, (each.strip() for each in names)):
        if extension := schema.extension_of(text):
            result |= {
                (extension, attribute.name): None for attribute in schema.extensions[extension].values()
            }
            continue
        found = schema.find(split_path(text))
        if found is None:
            continue
        key = (found.extension, found.attribute.name)
        if found.sub is None:
            result[key] = None
        elif result.get(key, frozenset()) is not None:
            result[key] = (result.get(key) or frozenset()) | {found.sub.name}
    return result
