"""Finding people by what one knows and may not read: by the whole of it, by nothing less, and only where the right reaches."""

import random

import pytest

from okno.clock import ManualClock
from okno.people.folding import fold, searchable_phone, sort_name
from okno.people.model import Knowing, Known, Match, Matching, Page, Person, Place
from okno.people.query import parse
from okno.people.service import People
from okno.policy.condition import AnyOf, Compare, Condition, evaluate
from okno.storage.engine import Database
from okno.storage.keyset import Window
from tests.integration.people_sources import MemorySources
from tests.integration.test_people_search import PEOPLE, numbers

MANY: Window[Place] = Window(50)
NOTHING: Matching = {}
EVERYTHING: Knowing = dict.fromkeys(Known)
WHOLE = {
    Known.NAME: ("Иван Петров", 1),
    Known.LATIN_NAME: ("Ivan Petrov", 1),
    Known.LOGIN: ("olga_p", 3),
    Known.EMAIL: ("yl@okno.example", 15),
    Known.NUMBER: ("100008", 8),
    Known.PHONE: ("+7 900 123-45-67", 1),
}


@pytest.fixture
async def people(db: Database, clock: ManualClock) -> People:
    sources = MemorySources([hr for hr, _ in PEOPLE], [directory for _, directory in PEOPLE])
    sources.hr.page_size = sources.directory.page_size = 100
    service = People(db, sources, clock)
    await service.refresh_index()
    return service


async def find(people: People, text: str, *, matching: Matching = NOTHING, knowing: Knowing) -> Page:
    return await people.search(text, matching=matching, knowing=knowing, window=MANY)


async def test_each_thing_that_is_known_whole_finds_its_owner_by_its_own_right_alone(people: People) -> None:
    for known, (text, number) in WHOLE.items():
        for right in Known:
            found = numbers(await find(people, text, knowing={right: None}))
            assert found == ([number] if right is known else []), (known, right)


async def test_spelling_does_not_matter_to_who_knows_the_whole(people: People) -> None:
    for known, texts in {
        Known.NAME: ("петров иван", "ИВАН  ПЕТРОВ"),
        Known.LATIN_NAME: ("ivan  PETROV",),
        Known.LOGIN: ("OLGA_P",),
        Known.EMAIL: ("YL@okno.example",),
        Known.PHONE: ("8 (900) 123 45 67", "+79001234567"),
    }.items():
        for text in texts:
            assert numbers(await find(people, text, knowing={known: None})) == [WHOLE[known][1]], text


async def test_no_part_of_it_finds_anybody(people: People) -> None:
    """Who probes letter by letter learns nothing before having the whole."""
    for text, _ in WHOLE.values():
        for end in range(1, len(text)):
            for part in (text[:end], text[end:]):
                if part != text.removeprefix("+"):
                    assert not (await find(people, part, knowing=EVERYTHING)).items, part
        for wrong in (f"{text}x", f"x{text}", text[:-2] + text[-1], text[:3] + "0" + text[3:]):
            assert not (await find(people, wrong, knowing=EVERYTHING)).items, wrong


async def test_two_words_of_a_name_in_two_alphabets_are_no_whole_name(people: People) -> None:
    for text in ("иван ivan", "иван иван", "petrov петров", "Иван", "Иван Петров ivan"):
        assert not (await find(people, text, knowing=EVERYTHING)).items, text


async def test_without_the_right_and_without_reading_nobody_is_found(people: People) -> None:
    for text, _ in WHOLE.values():
        assert not (await find(people, text, knowing={})).items


async def test_a_known_number_beside_a_name_that_may_be_read_narrows_it(people: People) -> None:
    names: Matching = {Match.NAMES: None}
    knowing: Knowing = {Known.PHONE: None}
    assert numbers(await find(people, "петр 79001234567", matching=names, knowing=knowing)) == [1]
    assert not numbers(await find(people, "ольга 79001234567", matching=names, knowing=knowing))
    assert not numbers(await find(people, "петр 7900123456", matching=names, knowing=knowing))


async def test_search_finds_what_the_rights_say_and_nothing_else(people: People) -> None:
    """At random: what may be read, what may be matched, for which rows, and what is typed."""
    everybody = (await people.search(None, matching=dict.fromkeys(Match), window=MANY)).items
    persons = [found.person for found in everybody]
    rng = random.Random(20261123)
    exact = probes = 0
    for _ in range(120):
        where = rng.choice([None, None, None, *_CONDITIONS])
        matching = {match: rng.choice([None, *_CONDITIONS]) for match in Match if rng.random() < 0.3}
        knowing = {known: rng.choice([None, None, *_CONDITIONS]) for known in Known if rng.random() < 0.8}
        text = _typed(rng, rng.choice(persons))
        usual = await people.search(text, matching=matching, where=where, window=MANY)
        found = await people.search(text, matching=matching, knowing=knowing, where=where, window=MANY)
        owners = {
            each.id
            for each in persons
            if _holds(where, each)
            and any(_is_whole(known, text, each) and _holds(at, each) for known, at in knowing.items())
        }
        if owners:
            exact += 1
            ids = {each.person.id for each in found.items}
            assert owners <= ids <= owners | {each.person.id for each in usual.items}, text
        else:
            probes += 1
            assert found == usual, text
    assert min(exact, probes) > 15


_CONDITIONS: tuple[Condition, ...] = (
    Compare("country", "=", "RU"),
    Compare("protected", "=", False),
    Compare("country", "in", ("AE", "BR", "KZ", "NG")),
    AnyOf(()),
)


def _holds(condition: Condition | None, person: Person) -> bool:
    return condition is None or evaluate(condition, person.facts(), None)


def _typed(rng: random.Random, person: Person) -> str:
    values = (
        person.full_name,
        person.latin_name,
        person.login,
        person.email,
        person.personnel_number,
        person.work_phone,
    )
    text = rng.choice([value for value in values if value])
    if rng.random() < 0.4:
        start = rng.randrange(len(text))
        text = text[start : rng.randint(start, len(text))] or text
    return rng.choice([text, text.upper()])


def _is_whole(known: Known, text: str, person: Person) -> bool:
    if known is Known.NAME:
        return sort_name(text) == sort_name(person.full_name)
    if known is Known.LATIN_NAME:
        return " ".join(text.lower().split()) == (person.latin_name or "").lower()
    if known is Known.PHONE:
        (single,) = word if len(word := parse(text).words) == 1 else (None,)
        own = searchable_phone(person.work_phone, person.country)
        return single is not None and own is not None and own in single.phones
    value = {
        Known.LOGIN: person.login,
        Known.EMAIL: person.email,
        Known.NUMBER: person.personnel_number,
    }[known]
    return value is not None and fold(value) == fold(text)
