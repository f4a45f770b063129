"""Names and numbers in the one spelling in which they are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.people.folding import digits, fold, searchable_names, searchable_phone, sort_name, surname, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Пётр", "ПЕТР"),
        ("Алексей", "алексеи"),
        ("Қайрат", "кайрат"),
        ("João Gonçalves", "joao goncalves"),
        ("Łukasz Ørsted", "lukasz orsted"),
        ("İSMAİL Çağlar", "ismail caglar"),
        ("Straße", "STRASSE"),
        ("O’Brien", "obrien"),
        ("Oʻktam", "oktam"),
        ("فاطِمة", "فاطمه"),
        ("דָּוִד", "דוד"),
        ("ᲒᲘᲝᲠᲒᲘ", "გიორგი"),
        ("ԱՐՄԵՆ", "արմեն"),
        ("ｉｖａｎ", "IVAN"),
    ],
)
def test_what_people_type_for_one_another_folds_to_one(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(st.text(max_size=60))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=60))
def test_words_hold_letters_and_digits_only(text: str) -> None:
    assert all(word.isalnum() or not word.isascii() for word in words(text))


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Иван Петров", "петров"),
        ("Петров Иван Сергеевич", "петров"),
        ("Иван Сергеевич Петров", "петров"),
        ("Ахметова Айгуль Нурлан кызы", "ахметова"),
        ("Анна Рабинович", "рабинович"),
        ("Kwame Mensah", "mensah"),
        ("Дмитрий Мамин-Сибиряк", "маминсибиряк"),
        ("Мадонна", "мадонна"),
        ("", ""),
        (" - ", ""),
    ],
)
def test_the_family_name_is_recognised(name: str, family: str) -> None:
    assert surname(name) == family


def test_the_index_keeps_names_of_both_alphabets_with_family_names_marked() -> None:
    assert searchable_names("Иван Петров", "Ivan Petrov") == " ^петров ^petrov иван петров ivan petrov"
    assert searchable_names("Мамин-Сибиряк Д.", None) == " ^д мамин сибиряк маминсибиряк д"
    assert searchable_names(None, None) == ""


def test_lists_are_sorted_by_family_name() -> None:
    assert sort_name("Иван Петров") == "петров иван"
    assert len(sort_name("Х" * 500)) == 200


@pytest.mark.parametrize(
    ("phone", "country", "kept"),
    [
        ("+7 900 123-45-67", "RU", "79001234567"),
        ("8 (900) 123-45-67", "RU", "79001234567"),
        ("8 (700) 123-45-67", "KZ", "77001234567"),
        ("+86 10 1234 5678", "RU", "861012345678"),
        ("+971 4 123 4567", "AE", "97141234567"),
        ("٠٥٠١٢٣٤", "AE", "0501234"),
        ("extension", None, None),
        (None, None, None),
    ],
)
def test_phone_numbers_are_kept_as_digits_with_their_country(
    phone: str | None, country: str | None, kept: str
) -> None:
    assert searchable_phone(phone, country) == kept


@given(st.text(max_size=30))
def test_digits_are_ascii(text: str) -> None:
    assert all(c in "0123456789" for c in digits(text))
