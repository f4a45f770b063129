"""Turns source manifests into the GraphQL types of an employee's sections, and source records into their values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.field import StrawberryField

from okno.errors import ConfigurationError
from okno.scalars import Int64
from okno.sources.api import Money, SectionMeta
from okno.sources.manifest import FieldManifest, SourceManifest

PYTHON_TYPES: Mapping[str, Any] = {
    "string": str,
    "int": Int64,
    "bool": bool,
    "datetime": datetime,
    "date": date,
    "money": Money,
    "strings": list[str],
}

VALUE_PREFIX = "value_"
NO_CONVERTERS: "Mapping[str, Converter]" = {}
MakeMeta = Callable[[], SectionMeta]


class SectionValue:
    """A section, or an object in it, of one employee. A field is the attribute `VALUE_PREFIX` + its GraphQL name.

    The prefix keeps a manifest free in its names: no field is taken for `facts` or for a keyword of Python. It carries the facts of its employee, so that the gate decides each field of it by the row it belongs to.
    """

    __slots__ = ("_meta", "converters", "data", "facts", "subject_label")

    def __init__(
        self,
        data: Mapping[str, Any],
        facts: Mapping[str, object],
        subject_label: str,
        meta: SectionMeta | MakeMeta | None = None,
        converters: "Mapping[str, Converter]" = NO_CONVERTERS,
    ) -> None:
        self.data = data
        self.facts = facts
        self.subject_label = subject_label
        self._meta = meta
        self.converters = converters

    @property
    def meta(self) -> SectionMeta | None:
        """The section's corner, made when it is asked for: most lists do without."""
        if callable(self._meta):
            self._meta = self._meta()
        return self._meta

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(VALUE_PREFIX):  # the executor asks objects for __await__ and the like
            raise AttributeError(name)
        name = name[len(VALUE_PREFIX) :]
        value = self.data.get(name)
        if value is None or name not in self.converters:
            return value
        return self.converters[name](value, self.facts, self.subject_label)


class MoneyValue:
    """An amount in a section, as the type `Money` reads it, with the facts of its employee."""

    __slots__ = ("currency", "facts", "minor_units", "subject_label")

    def __init__(self, amount: Mapping[str, Any], facts: Mapping[str, object], subject_label: str) -> None:
        self.minor_units = amount["minorUnits"]
        self.currency = amount["currency"]
        self.facts = facts
        self.subject_label = subject_label


Converter = Callable[[Any, Mapping[str, object], str], Any]


@dataclass(frozen=True, slots=True)
class SectionSpec:
    """One section of `Employee`: the field it adds, its type, and how records become values of it."""

    source_id: str
    field: str
    type_name: str
    title: Mapping[str, str]
    type: type
    converters: Mapping[str, Converter]

    def value(
        self,
        meta: SectionMeta | MakeMeta,
        data: Mapping[str, Any] | None,
        facts: Mapping[str, object],
        subject_label: str,
    ) -> SectionValue:
        """The section's value from what the source answered; without data every field is null.

        Args:
            meta: the section's corner, or what makes it.
        """
        return SectionValue(data or {}, facts, subject_label, meta, self.converters)


def build_sections(manifests: Mapping[str, SourceManifest]) -> dict[str, SectionSpec]:
    """The sections of all sources, by the field they add to `Employee`.

    Raises:
        ConfigurationError: two sources claim one field or type name.
    """
    specs: dict[str, SectionSpec] = {}
    owner: dict[str, str] = {}
    for source_id, manifest in sorted(manifests.items()):
        section = manifest.section
        items = (item_type_name(section.type, field.name) for field in section.fields if field.items)
        names = (section.field, section.type, *items)
        for name in names:
            if name in owner:
                raise ConfigurationError(
                    f"config/sources: the sources {owner[name]} and {source_id} both add {name!r} to the schema; rename one"
                )
            owner[name] = source_id
        title = dict(manifest.title)
        converters: dict[str, Converter] = {}
        fields: list[StrawberryField] = [
            _field(
                "meta",
                SectionMeta,
                "State of this section: where it comes from, how old it is, what went wrong.",
                attribute="meta",
            )
        ]
        for field in section.fields:
            fields.append(_section_field(section.type, field, converters))
        specs[section.field] = SectionSpec(
            source_id=source_id,
            field=section.field,
            type_name=section.type,
            title=title,
            type=_object(section.type, fields, f"What {_text(title)} knows about an employee."),
            converters=converters,
        )
    return specs


def _section_field(type_name: str, field: FieldManifest, converters: dict[str, Converter]) -> StrawberryField:
    description = _text(field.title)
    if field.items:
        item_name = item_type_name(type_name, field.name)
        nested: dict[str, Converter] = {}
        item = _object(
            item_name,
            [_section_field(item_name, part, nested) for part in field.items],
            f"One entry of the list “{description}” of an employee.",
        )
        converters[field.name] = lambda value, facts, label: [
            SectionValue(entry, facts, label, converters=nested) for entry in value
        ]
        return _field(field.name, list[item] | None, description)  # type: ignore[valid-type]
    if field.type == "money":
        converters[field.name] = MoneyValue
    python_type = PYTHON_TYPES[field.type]
    return _field(field.name, python_type | None, description)


def item_type_name(type_name: str, field_name: str) -> str:
    """`EquipmentSection.items` holds `EquipmentItem`, `PkiSection.certificates` holds `PkiCertificatesItem`."""
    stem = type_name.removesuffix("Section")
    return f"{stem}Item" if field_name == "items" else f"{stem}{field_name[:1].upper()}{field_name[1:]}Item"


def _text(title: Mapping[str, str]) -> str:
    return title.get("en") or next(iter(title.values()))


def _field(name: str, annotation: Any, description: str, *, attribute: str | None = None) -> StrawberryField:
    return StrawberryField(
        python_name=attribute or VALUE_PREFIX + name,
        graphql_name=name,
        type_annotation=StrawberryAnnotation(annotation),
        description=description,
        default=None,
    )


def _object(name: str, fields: Sequence[StrawberryField], description: str) -> type:
    namespace: dict[str, Any] = {field.python_name: field for field in fields}
    namespace["__annotations__"] = {
        field.python_name: field.type_annotation.annotation for field in fields if field.type_annotation
    }
    namespace["__doc__"] = description
    return strawberry.type(type(name, (), namespace), name=name, description=description)
