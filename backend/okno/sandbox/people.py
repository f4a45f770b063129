"""Turns seats into people: names, logins, phones, dates, states. Everything follows from the seed."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from okno.sandbox.catalogue import Catalogue, Country
from okno.sandbox.fixed import FIXED_PEOPLE
from okno.sandbox.romanise import feminine, login_of, split_name
from okno.sandbox.structure import COMPANY, Seat

MAIL_DOMAIN = "okno.example"


@dataclass(slots=True)
class Human:
    """One employee as all systems know them; each system's own rows are made of this."""

    number: str
    login: str
    given: str
    surname: str
    middle: str | None
    given_latin: str
    surname_latin: str
    country: Country
    city: str
    zone: str
    office: str
    path: tuple[str, ...]
    family: str
    position: str
    manager: str | None
    work_phone: str
    personal_phone: str
    born: date
    hired: date
    home: str
    employment: str
    salary_minor: int
    protected: bool
    locked: bool
    state: str
    leave_until: date | None
    last_day: date | None
    rng: random.Random = field(repr=False)

    @property
    def full_name(self) -> str:
        return f"{self.given} {self.surname}"

    @property
    def latin_name(self) -> str:
        return f"{self.given_latin} {self.surname_latin}"

    @property
    def email(self) -> str:
        return f"{self.login}@{MAIL_DOMAIN}"

    @property
    def department(self) -> str:
        """The third name of the path; people above departments have the last one."""
        return self.path[min(2, len(self.path) - 1)]

    @property
    def dismissed(self) -> bool:
        return self.state == "DISMISSED"


class Numbers:
    """Phone numbers of a pattern that do not repeat until the pattern is used up, and that look random."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._next: dict[str, int] = {}

    def take(self, pattern: str) -> str:
        digits = pattern.count("#")
        space = 10**digits
        while True:
            index = self._next.get(pattern, 0)
            self._next[pattern] = index + 1
            # 7919 · 0.618 of the space is coprime to powers of ten: a permutation of all numbers
            scattered = iter(f"{(index * (int(space * 0.618) // 10 * 10 + 7) + 4241) % space:0{digits}d}")
            number = "".join(next(scattered) if letter == "#" else letter for letter in pattern)
            if number not in self._taken or index > space:
                return number


def fixed_people(catalogue: Catalogue, today: date) -> Iterator[Human]:
    """The people of FIXED_PEOPLE. Only their dates of leave and leaving depend on `today`."""
    for each in FIXED_PEOPLE:
        country = catalogue.countries[each.country]
        city = next(city for city in country.cities if city.name == each.city)
        rng = random.Random(int(each.personnel_number))
        path = tuple(part for part in (COMPANY, each.division, each.department, each.team) if part)
        yield Human(
            number=each.personnel_number,
            login=each.login,
            given=each.given,
            surname=each.surname,
            middle=each.middle,
            given_latin=each.given_latin,
            surname_latin=each.surname_latin,
            country=country,
            city=city.name,
            zone=city.zone,
            office=each.office,
            path=path,
            family=each.family,
            position=each.position,
            manager=each.manager,
            work_phone=each.work_phone,
            personal_phone=each.personal_phone,
            born=each.born,
            hired=each.hired,
            home=_home(country, city.name, rng),
            employment="FULL_TIME",
            salary_minor=_salary(country, 2 if each.protected else 4, rng),
            protected=each.protected,
            locked=each.locked,
            state=each.state,
            leave_until=_after(today, each.leave_days),
            last_day=_after(today, each.last_day_days),
            rng=rng,
        )


def generated_people(
    catalogue: Catalogue, seats: list[Seat], today: date, rng: random.Random
) -> Iterator[Human]:
    """A person for every seat, in the order of the seats. About 1 % of all (seniors first) are protected."""
    logins = {each.login: 1 for each in FIXED_PEOPLE}
    numbers = Numbers(
        {each.work_phone for each in FIXED_PEOPLE} | {each.personal_phone for each in FIXED_PEOPLE}
    )
    executives = max(
        0, math.ceil((len(seats) + len(FIXED_PEOPLE)) / 100) - sum(each.protected for each in FIXED_PEOPLE)
    )
    titles = {
        name: ([each.titles for each in family.positions], [each.share for each in family.positions])
        for name, family in catalogue.families.items()
    }
    for index, seat in enumerate(seats):
        country = seat.country
        female = rng.random() < 0.5
        given, given_latin = split_name(rng.choice(country.female if female else country.male), country.code)
        surname_entry = rng.choice(country.surnames)
        if female and country.language == "ru":
            surname_entry = feminine(surname_entry)
        surname, surname_latin = split_name(surname_entry, country.code)
        middle = rng.choice(country.patronymics).split("/")[female] if country.patronymics else None
        language = country.language
        if seat.leads:
            position = catalogue.families[seat.family].head[language]
        else:
            position = rng.choices(*titles[seat.family])[0][language]
        state, leave_until, last_day = _state(seat, today, rng)
        hired = _hired(seat, today, last_day, rng)
        yield Human(
            number=seat.number,
            login=_unique(login_of(given_latin, surname_latin), logins),
            given=given,
            surname=surname,
            middle=middle,
            given_latin=given_latin,
            surname_latin=surname_latin,
            country=country,
            city=seat.city.name,
            zone=seat.city.zone,
            office=seat.office,
            path=seat.path,
            family=seat.family,
            position=position,
            manager=seat.manager,
            work_phone=numbers.take(seat.city.phone),
            personal_phone=numbers.take(rng.choice(country.mobile)),
            born=hired - timedelta(days=rng.randrange(20 * 365, 45 * 365)),
            hired=hired,
            home=_home(country, seat.city.name, rng),
            employment=_employment(seat, rng),
            salary_minor=_salary(country, seat.level, rng),
            protected=index < executives,
            locked=state in ("WORKS", "ON_LEAVE") and not seat.level < 3 and rng.random() < 0.0155,
            state=state,
            leave_until=leave_until,
            last_day=last_day,
            rng=rng,
        )


def _state(seat: Seat, today: date, rng: random.Random) -> tuple[str, date | None, date | None]:
    """(state, leave until, last day): 3 % on leave, 2 % dismissed, 1 % leaving. Those who lead others stay."""
    chance = rng.random()
    if chance < 0.03:
        return "ON_LEAVE", today + timedelta(days=rng.randrange(1, 29)), None
    if not seat.leads:
        if chance < 0.0525:
            return "DISMISSED", None, today - timedelta(days=rng.randrange(1, 540))
        if chance < 0.0625:
            return "LEAVING", None, today + timedelta(days=rng.randrange(1, 30))
    return "WORKS", None, None


def _hired(seat: Seat, today: date, last_day: date | None, rng: random.Random) -> date:
    latest = last_day if last_day is not None and last_day < today else today
    # most people came lately; those who lead have been there for a while
    years = 14 * rng.random() ** 2 + (1.5 if seat.leads else 0.1)
    return latest - timedelta(days=int(years * 365))


def _employment(seat: Seat, rng: random.Random) -> str:
    if seat.leads:
        return "FULL_TIME"
    return rng.choices(("FULL_TIME", "PART_TIME", "CONTRACTOR", "INTERN"), (84, 8, 5, 3))[0]


def _salary(country: Country, level: int, rng: random.Random) -> int:
    """Minor units a month, round as salaries are."""
    low, high = country.salary
    share = (1.0, 0.8, 0.55, 0.35, 0.0)[level - 1] if level < 5 else rng.random() * 0.4
    step: int = 10 ** max(1, len(str(low)) - 2)
    return round((low + (high - low) * share * rng.uniform(0.9, 1.0)) / step) * step * country.minor


def _home(country: Country, city: str, rng: random.Random) -> str:
    return f"{city}, {country.street.format(rng.choice(country.streets))} {rng.randrange(1, 140)}-{rng.randrange(1, 200)}"


def _unique(login: str, logins: dict[str, int]) -> str:
    """`login`, or with the next free number behind it."""
    if login not in logins:
        logins[login] = 1
        return login
    while True:
        logins[login] += 1
        candidate = f"{login}{logins[login]}"
        if candidate not in logins:
            logins[candidate] = 1
            return candidate


def _after(today: date, days: int | None) -> date | None:
    return None if days is None else today + timedelta(days=days)
