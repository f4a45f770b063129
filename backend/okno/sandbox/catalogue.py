"""What the demo company is made of: countries, departments, positions, applications, equipment (data/*.yaml)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_DATA = Path(__file__).with_name("data")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class City:
    """`phone` is a pattern: each # is a digit."""

    name: str
    zone: str
    weight: int
    phone: str
    offices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Country:
    """`male`, `female` and `surnames` are "native" or "native|Latin"; `salary` is lowest and highest, major units a
    month; `minor` is how many minor units the currency's unit has."""

    code: str
    weight: int
    language: str
    locale: str
    currency: str
    salary: tuple[int, int]
    street: str
    streets: tuple[str, ...]
    mobile: tuple[str, ...]
    cities: tuple[City, ...]
    male: tuple[str, ...]
    female: tuple[str, ...]
    surnames: tuple[str, ...]
    patronymics: tuple[str, ...] = ()
    minor: int = 100


@dataclass(frozen=True, slots=True)
class Department:
    name: str
    family: str
    share: int


@dataclass(frozen=True, slots=True)
class Division:
    name: str
    family: str
    share: int
    departments: tuple[Department, ...]


@dataclass(frozen=True, slots=True)
class Position:
    share: int
    titles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """Related positions; `head` is the title of who leads them, by language."""

    head: Mapping[str, str]
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Application:
    """A domain group that opens an application to `share` percent of the people of `families` (empty: of everybody)."""

    group: str
    share: int
    description: str
    families: frozenset[str]


@dataclass(frozen=True, slots=True)
class EquipmentKind:
    kind: str
    share: int
    serial: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    countries: Mapping[str, Country]
    divisions: tuple[Division, ...]
    families: Mapping[str, Family]
    applications: tuple[Application, ...]
    equipment: tuple[EquipmentKind, ...]


@cache
def load_catalogue() -> Catalogue:
    """Reads the data files of this package."""
    countries = {}
    for file in sorted((_DATA / "countries").glob("*.yaml")):
        raw: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in _read(file).items()
        }
        raw["cities"] = tuple(City(**{**city, "offices": tuple(city["offices"])}) for city in raw["cities"])
        countries[file.stem] = Country(code=file.stem, **raw)
    divisions = tuple(
        Division(**{**raw, "departments": tuple(Department(**each) for each in raw["departments"])})
        for raw in _read(_DATA / "departments.yaml")
    )
    families = {
        name: Family(
            head=raw["head"],
            positions=tuple(
                Position(share=each["share"], titles={k: v for k, v in each.items() if k != "share"})
                for each in raw["positions"]
            ),
        )
        for name, raw in _read(_DATA / "positions.yaml").items()
    }
    applications = tuple(
        Application(**{**raw, "families": frozenset(raw.get("families", ()))})
        for raw in _read(_DATA / "applications.yaml")
    )
    equipment = tuple(
        EquipmentKind(kind=kind, **{**raw, "models": tuple(raw["models"])})
        for kind, raw in _read(_DATA / "equipment.yaml").items()
    )
    return Catalogue(countries, divisions, families, applications, equipment)


def _read(file: Path) -> Any:
    return yaml.load(file.read_text(encoding="utf-8"), _LOADER)  # noqa: S506 (a safe loader, in C where there is one)
