"""What was typed into the search box, read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.errors import InvalidInput
from okno.people.query import Query, Word, parse


@pytest.mark.parametrize("text", [None, "", "   ", "\t\n"])
def test_nothing_typed_asks_for_everybody(text: str | None) -> None:
    assert parse(text) == Query(())


def test_each_word_may_be_a_name_or_an_identifier() -> None:
    assert parse("Ivan.Petrov ИВ") == Query(
        (
            Word(names=("ivan", "petrov"), identifier="ivan.petrov", phones=()),
            Word(names=("ив",), identifier="ив", phones=()),
        )
    )


@pytest.mark.parametrize(
    ("text", "spellings"),
    [
        ("+7 (900) 123-45-67", ("79001234567",)),
        ("8 900 123-45-67", ("89001234567", "79001234567")),
        ("0803 123 4567", ("08031234567", "8031234567")),
        ("0079001234567", ("0079001234567", "79001234567")),
        ("4567", ("4567",)),
        ("8900", ("8900", "7900")),
        ("٤٥٦٧", ("4567",)),
    ],
)
def test_a_phone_number_is_read_in_any_spelling(text: str, spellings: tuple[str, ...]) -> None:
    (word,) = parse(text).words
    assert word.phones == spellings


def test_plain_digits_may_be_a_personnel_number_too() -> None:
    (word,) = parse("100001").words
    assert word.identifier == "100001"
    (phone,) = parse("100-001").words
    assert phone.identifier == ""


def test_three_digits_are_no_phone() -> None:
    (word,) = parse("123").words
    assert word.phones == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x" * 201, "201 characters"),
        ("a " * 11, "11 words"),
        ("iv\x00an", "not text"),
        ("iv\ud800an", "not text"),
    ],
)
def test_what_cannot_be_searched_for_is_refused_clearly(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        parse(text)
    assert refused.value.field == "search"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        query = parse(text)
    except InvalidInput:
        return
    assert len(query.words) <= 10
