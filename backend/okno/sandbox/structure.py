"""Who sits where: divides a number of seats into divisions, departments, cities and teams, each with a manager."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from okno.sandbox.catalogue import Catalogue, City, Country, Department, Division
from okno.sandbox.fixed import FIXED_PEOPLE

COMPANY = "Okno"
FIRST_GENERATED = 100_101
_TEAM = 10
_SPAN = 12


@dataclass(slots=True)
class Seat:
    """A place in the company. `level` is 1 for heads of divisions, 2 of departments, 3 of groups of teams, 4 of teams, 5 for the rest."""

    country: Country
    city: City
    office: str
    family: str
    path: tuple[str, ...]
    level: int
    manager: str
    number: str = ""

    @property
    def leads(self) -> bool:
        return self.level < 5


def seats_of(catalogue: Catalogue, count: int, rng: random.Random) -> list[Seat]:
    """Makes `count` seats besides those of FIXED_PEOPLE, seniors first; numbers follow the order.

    The first are the heads of divisions (100101…), in the order of departments.yaml, except where a fixed person is one.
    """
    country_list = list(catalogue.countries.values())
    country_weights = [country.weight for country in country_list]
    russia = catalogue.countries["RU"]
    fixed_heads = {
        each.division: each.personnel_number for each in FIXED_PEOPLE if each.division and not each.department
    }
    fixed_department_heads = {
        each.department: each.personnel_number
        for each in FIXED_PEOPLE
        if each.department and each.team is None
    }
    heads: list[Seat] = []
    head_of: dict[str, str] = dict(fixed_heads)
    for division in catalogue.divisions:
        if division.name not in head_of:
            head_of[division.name] = str(FIRST_GENERATED + len(heads))
            heads.append(
                Seat(
                    russia,
                    russia.cities[0],
                    _office(russia.cities[0], rng),
                    division.family,
                    (COMPANY, division.name),
                    1,
                    "100001",
                )
            )
    pairs = [
        (division, department) for division in catalogue.divisions for department in division.departments
    ]
    sizes = _apportion(
        [d.share * e.share / sum(each.share for each in d.departments) for d, e in pairs], count - len(heads)
    )

    seniors: list[Seat] = []
    by_team: list[tuple[str | Seat, list[Seat]]] = []
    for (division, department), size in zip(pairs, sizes, strict=True):
        above: str | Seat = fixed_department_heads.get(department.name, head_of[division.name])
        if size > 3 and department.name not in fixed_department_heads:
            place = _place(country_list, country_weights, rng)
            seat = _seat(place, division, department, None, 2, rng)
            seat.manager = head_of[division.name]
            seniors.append(seat)
            above = seat
            size -= 1
        leads, teams = _teams(division, department, size, country_list, country_weights, rng)
        by_team += _chain(leads, above)
        by_team += [(lead if lead is not None else above, members) for lead, members in teams]
    order = (
        heads
        + seniors
        + [seat for level in (3, 4, 5) for _, group in by_team for seat in group if seat.level == level]
    )
    for index, seat in enumerate(order):
        seat.number = str(FIRST_GENERATED + index)
    for manager, group in by_team:
        for seat in group:
            seat.manager = manager if isinstance(manager, str) else manager.number
    return order


def _teams(
    division: Division,
    department: Department,
    size: int,
    countries: list[Country],
    weights: list[int],
    rng: random.Random,
) -> tuple[list[Seat], list[tuple[Seat | None, list[Seat]]]]:
    """Splits a department by city, then into teams of about ten: (the leads, each team with its lead or none)."""
    places: dict[tuple[str, str], list[tuple[Country, City]]] = defaultdict(list)
    for _ in range(size):
        country, city = _place(countries, weights, rng)
        places[country.code, city.name].append((country, city))
    leads: list[Seat] = []
    teams: list[tuple[Seat | None, list[Seat]]] = []
    for key in sorted(places):
        group = places[key]
        count = max(1, round(len(group) / _TEAM))
        for index in range(count):
            name = f"{department.name}, {key[1]}" + (f" {index + 1}" if count > 1 else "")
            members = [_seat(place, division, department, name, 5, rng) for place in group[index::count]]
            if len(members) < 3:
                teams.append((None, members))
                continue
            members[0].level = 4
            leads.append(members[0])
            teams.append((members[0], members[1:]))
    return leads, teams


def _chain(leads: list[Seat], above: str | Seat) -> list[tuple[str | Seat, list[Seat]]]:
    """Puts leads under their superiors, so that nobody has more than about twice a dozen reports."""
    result: list[tuple[str | Seat, list[Seat]]] = []
    while len(leads) > _SPAN:
        chunks = [leads[start : start + _SPAN] for start in range(0, len(leads), _SPAN)]
        for chunk in chunks:
            chunk[0].level = 3
            result.append((chunk[0], chunk[1:]))
        leads = [chunk[0] for chunk in chunks]
    return [*result, (above, leads)]


def _seat(
    place: tuple[Country, City],
    division: Division,
    department: Department,
    team: str | None,
    level: int,
    rng: random.Random,
) -> Seat:
    country, city = place
    path = (COMPANY, division.name, department.name) + ((team,) if team else ())
    return Seat(country, city, _office(city, rng), department.family, path, level, "")


def _place(countries: list[Country], weights: list[int], rng: random.Random) -> tuple[Country, City]:
    country = rng.choices(countries, weights)[0]
    cities = country.cities
    return country, cities[0] if len(cities) == 1 else rng.choices(cities, [city.weight for city in cities])[
        0
    ]


def _office(city: City, rng: random.Random) -> str:
    return f"{city.name}, {city.offices[0] if len(city.offices) == 1 else rng.choice(city.offices)}"


def _apportion(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers in proportion to `shares` that add up to `total` (largest remainder)."""
    whole = sum(shares)
    exact = [share * total / whole for share in shares]
    result = [int(value) for value in exact]
    for index in sorted(range(len(exact)), key=lambda i: result[i] - exact[i])[: total - sum(result)]:
        result[index] += 1
    return result
