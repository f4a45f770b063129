"""Finding people: what is found by what, in which order, and by whom."""

from uuid import uuid4

import pytest

from okno.clock import ManualClock
from okno.errors import NotFound
from okno.identity.model import employee_uuid
from okno.people.model import Match, Matching, Page, Place
from okno.people.service import People
from okno.policy.condition import AllOf, AnyOf, Compare, Condition
from okno.storage.engine import Database
from okno.storage.keyset import Window
from tests.integration.people_sources import MemorySources, account, person

ALL: Matching = dict.fromkeys(Match)
TWENTY: Window[Place] = Window(20)
PEOPLE = [
    (
        person(100001, "Иван Петров", "Ivan Petrov", work_phone="+7 900 123-45-67"),
        account(100001, "ivan.petrov"),
    ),
    (
        person(100002, "Пётр Иванов", "Petr Ivanov", work_phone="8 (900) 765-43-21"),
        account(100002, "p.ivanov"),
    ),
    (person(100003, "Ольга Петровская", "Olga Petrovskaya", state="ON_LEAVE"), account(100003, "olga_p")),
    (person(100004, "Анна Петрова", "Anna Petrova", state="DISMISSED"), account(100004, "a.petrova")),
    (person(100005, "Кузьма Распетров", "Kuzma Raspetrov", protected=True), account(100005, "kuzma")),
    (
        person(100006, "Максимилиана Константинопольская", "Maximiliana Konstantinopolskaya"),
        account(100006, "max.k"),
    ),
    (
        person(100007, "Amina Okafor", country="NG", work_phone="+234 803 123 4567"),
        account(100007, "amina.okafor"),
    ),
    (person(100008, "João Gonçalves", country="BR"), account(100008, "joao.g")),
    (person(100009, "דוד כהן", "David Cohen", country="IL"), account(100009, "david.cohen")),
    (person(100010, "محمد الهاشمي", "Mohammed Al Hashimi", country="AE"), account(100010, "m.hashimi")),
    (person(100011, "გიორგი ბერიძე", "Giorgi Beridze", country="GE"), account(100011, "giorgi")),
    (person(100012, "Արմեն Պետրոսյան", "Armen Petrosyan", country="AM"), account(100012, "armen")),
    (person(100013, "Қайрат Әбдіров", "Qairat Abdirov", country="KZ"), account(100013, "q100.50%")),
    (person(100014, "Дмитрий Мамин-Сибиряк", "Dmitry Mamin-Sibiryak"), account(100014, "mamin")),
    (person(100015, "Ян Ли", "Yan Li"), account(100015, "yanli", email="yl@okno.example")),
]


@pytest.fixture
async def people(db: Database, clock: ManualClock) -> People:
    sources = MemorySources([hr for hr, _ in PEOPLE], [directory for _, directory in PEOPLE])
    sources.hr.page_size = sources.directory.page_size = 100
    service = People(db, sources, clock)
    await service.refresh_index()
    return service


def numbers(page: Page) -> list[int]:
    return [int(found.person.personnel_number) - 100000 for found in page.items]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # names in both alphabets, in any order, by beginnings and by parts
        ("Иван Петров", [1]),
        ("петров иван", [1]),
        ("петр ив", [2, 1]),
        ("ivan p", [2, 1]),
        ("petrov", [1, 3, 4, 5]),
        ("ПЕТРОВ", [1, 3, 4, 5]),
        ("етров", [1, 3, 5, 4]),
        ("ли", [15]),
        ("я", [15]),
        ("мамин-сиб", [14]),
        ("сибиряк мамин", [14]),
        ("маминсиб", [14]),
        ("кайрат абдиров", [13]),
        ("joao goncalves", [8]),
        ("gonç", [8]),
        ("כהן", [9]),
        ("הן", []),
        ("الهاشمي", [10]),
        ("მ", []),
        ("ბერ", [11]),
        ("Պետրոս", [12]),
        ("պ", [12]),
        ("konstantinopol", [6]),
        # logins, mail
        ("ivan.petrov", [1]),
        ("IVAN.PETROV@okno.example", [1]),
        ("ivan.petrov@other.example", []),
        ("olga_p", [3]),
        ("okno", []),
        # personnel number, phones
        ("100007", [7]),
        ("1000", list(range(1, 16))),
        ("+7 (900) 123-45-67", [1]),
        ("89001234567", [1]),
        ("8900", [2, 1]),
        ("4567", [7, 1]),
        ("08031234567", [7]),
        ("петров 4567", [1]),
        # typing errors
        ("pertov", [1, 3, 4]),
        ("петрвоа", [1, 4]),
        ("констнатинопольская", [6]),
        ("ivan pertov", [1]),
        ("okafro", [7]),
        ("zzzzzz", []),
        ("я" * 200, []),
    ],
)
async def test_people_are_found_by_what_they_are_known_by(
    people: People, text: str, found: list[int]
) -> None:
    page = await people.search(text, matching=ALL, window=Window(50))
    result = numbers(page)
    if len(found) > 3:
        assert set(result) == set(found)
    else:
        assert result == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%", [13]),
        ("%%", []),
        ("q100.50%", [13]),
        ("q100_50", []),
        ("a_p", [3]),
        ("max_k", []),
        ("\\", []),
        ("_", [3]),
    ],
)
async def test_characters_that_mean_something_to_like_stand_for_themselves(
    people: People, text: str, found: list[int]
) -> None:
    assert numbers(await people.search(text, matching={Match.LOGIN: None}, window=TWENTY)) == found


async def test_the_exact_login_comes_before_all_others(
    people: People, db: Database, clock: ManualClock
) -> None:
    sources = MemorySources([person(1, "Petrov Petrov"), person(2, "Zoe Last")], [account(2, "petrov")])
    await People(db, sources, clock).refresh_index()
    page = await people.search("petrov", matching=ALL, window=TWENTY)
    assert page.items[0].person.personnel_number == "2"


async def test_those_who_work_come_before_those_who_left(people: People) -> None:
    assert numbers(await people.search("петров", matching=ALL, window=TWENTY)) == [1, 3, 4, 5]
    last_but_one = await people.search(
        "петров", matching=ALL, where=Compare("protected", "=", False), window=TWENTY
    )
    assert numbers(last_but_one) == [1, 3, 4]


@pytest.mark.parametrize("text", [None, "", "  "])
async def test_everybody_is_listed_by_family_name_those_who_left_at_the_end(
    people: People, text: str | None
) -> None:
    page = await people.search(text, matching=ALL, window=Window(50))
    assert len(page.items) == len(PEOPLE)
    assert page.items[-1].person.full_name == "Анна Петрова"
    working = [found.person.full_name.split()[-1].casefold() for found in page.items[:-1]]
    assert working[:3] == ["gonçalves", "okafor", "әбдіров"]


@pytest.mark.parametrize("text", [None, "петр", "pertov", "e", "8"])
async def test_pages_follow_one_another_without_gap_or_overlap(people: People, text: str | None) -> None:
    whole = await people.search(text, matching=ALL, window=Window(100))
    assert not whole.has_next
    seen: list[int] = []
    after = None
    for _ in whole.items:
        page = await people.search(text, matching=ALL, window=Window(1, after))
        seen += numbers(page)
        after = page.items[-1].place
        assert page.has_next == (len(seen) < len(whole.items))
    assert seen == numbers(whole)


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("Қайрат", Match.NAMES),
        ("yanli", Match.LOGIN),
        ("a.petrova@okno.example", Match.EMAIL),
        ("100007", Match.NUMBER),
        ("+7 900 123-45-67", Match.PHONE),
    ],
)
async def test_what_may_not_be_read_cannot_be_found_by(people: People, text: str, needs: Match) -> None:
    without: Matching = {match: None for match in Match if match is not needs}
    assert numbers(await people.search(text, matching={needs: None}, window=TWENTY)) != []
    assert numbers(await people.search(text, matching=without, window=TWENTY)) == []
    assert numbers(await people.search(text, matching={}, window=TWENTY)) == []


async def test_what_may_be_read_of_some_finds_only_those(people: People) -> None:
    russians = Compare("country", "=", "RU")
    assert numbers(await people.search("4567", matching={Match.PHONE: russians}, window=TWENTY)) == [1]
    mixed: Matching = {Match.NAMES: russians, Match.LOGIN: None}
    assert numbers(await people.search("okafor", matching=mixed, window=TWENTY)) == [7]
    assert numbers(await people.search("amina o", matching=mixed, window=TWENTY)) == []
    assert numbers(await people.search("pertosyan", matching=mixed, window=TWENTY)) == []


@pytest.mark.parametrize("text", [None, "100", "amina.okafor"])
async def test_rows_are_chosen_before_the_page_is_cut(people: People, text: str | None) -> None:
    where = AllOf((Compare("country", "in", ("NG", "BR")), Compare("protected", "=", False)))
    page = await people.search(text, matching=ALL, where=where, window=Window(1))
    assert [found.person.country for found in page.items] == ["BR" if text != "amina.okafor" else "NG"]
    assert page.has_next == (text != "amina.okafor")


async def test_without_names_the_order_tells_nothing_of_names(people: People) -> None:
    page = await people.search(None, matching={}, window=Window(100))
    ids = [found.person.id for found in page.items]
    assert ids == sorted(ids)
    hidden: Condition = Compare("country", "!=", "RU")
    first = await people.search(None, matching={Match.NAMES: hidden, Match.STATE: None}, window=Window(100))
    countries = [found.person.country for found in first.items if not found.person.gone]
    assert countries[:7] == ["RU"] * 7
    assert "RU" not in countries[7:]
    again = await people.search(
        None,
        matching={Match.NAMES: hidden, Match.STATE: None},
        window=Window(100, first.items[4].place),
    )
    assert numbers(again) == numbers(first)[5:]


@pytest.mark.parametrize("text", [None, "петр"])
async def test_the_order_and_the_cursors_tell_who_left_only_to_those_who_may_read_it(
    people: People, text: str | None
) -> None:
    names: Matching = {Match.NAMES: None}
    last = await people.search(text, matching={**names, Match.STATE: None}, window=Window(100))
    behind = [found.person.gone for found in last.items].index(True)
    foreign: Condition = Compare("country", "!=", "RU")
    for matching in (names, {**names, Match.STATE: foreign}):
        page = await people.search(text, matching=matching, window=Window(100))
        place = [found.person.gone for found in page.items].index(True)
        assert place < behind
        rest = await people.search(text, matching=matching, window=Window(100, page.items[place].place))
        assert numbers(rest) == numbers(page)[place + 1 :]


async def test_a_condition_nobody_meets_finds_nobody(people: People) -> None:
    assert numbers(await people.search("петров", matching=ALL, where=AnyOf(()), window=TWENTY)) == []
    assert numbers(await people.search("петров", matching={Match.NAMES: AnyOf(())}, window=TWENTY)) == []


async def test_people_are_read_by_id_and_key(people: People) -> None:
    ivan = await people.get(employee_uuid("100001"))
    assert (ivan.full_name, ivan.login, ivan.facts()["country"]) == ("Иван Петров", "ivan.petrov", "RU")
    assert await people.find_by_key("login", " IVAN.Petrov ") == ivan
    assert await people.find_by_key("email", "ivan.petrov@okno.example") == ivan
    assert await people.find_by_key("personnel_number", "100001") == ivan
    assert await people.find_by_key("login", "nobody") is None
    assert await people.find_by_key("login", "\x00") is None
    assert await people.find_by_key("shoe_size", "43") is None
    unknown = uuid4()
    assert await people.get_many([ivan.id, unknown, ivan.id]) == {ivan.id: ivan}
    assert await people.get_many([]) == {}
    with pytest.raises(NotFound, match="No such employee"):
        await people.get(unknown)
    assert await people.count() == len(PEOPLE)


async def test_a_key_that_two_people_have_names_neither(db: Database, clock: ManualClock) -> None:
    sources = MemorySources([person(1, "A B"), person(2, "C D")], [account(1, "same"), account(2, "SAME")])
    service = People(db, sources, clock)
    await service.refresh_index()
    assert await service.find_by_key("login", "same") is None


async def test_the_chain_of_managers_goes_up_and_ends_where_it_would_come_round(
    db: Database, clock: ManualClock
) -> None:
    def under(number: int, manager: int | None) -> dict[str, object]:
        return person(
            number, f"P{number}", manager_personnel_number=None if manager is None else str(manager)
        )

    # 4 → 3 → 2 → 1; 5 ⇄ 6; 7 → itself; 8 → nobody known
    chain = [
        under(1, None),
        under(2, 1),
        under(3, 2),
        under(4, 3),
        under(5, 6),
        under(6, 5),
        under(7, 7),
        under(8, 99),
    ]
    service = People(db, MemorySources(chain), clock)
    await service.refresh_index()

    async def above(number: int, limit: int = 25) -> list[str]:
        return [m.personnel_number for m in await service.managers(employee_uuid(str(number)), limit=limit)]

    assert await above(4) == ["3", "2", "1"]
    assert await above(4, limit=2) == ["3", "2"]
    assert await above(1) == []
    assert await above(5) == ["6"]
    assert await above(7) == []
    assert await above(8) == []
    unknown = uuid4()
    many = await service.managers_of([employee_uuid("4"), employee_uuid("2"), unknown])
    assert [len(many[i]) for i in (employee_uuid("4"), employee_uuid("2"), unknown)] == [3, 1, 0]
