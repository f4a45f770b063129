"""What of a list is asked for, and the cursors that name places in it."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.errors import InvalidInput
from okno.graph.connections import Cursors, window
from okno.storage.keyset import Window

CURSORS = Cursors(b"k" * 32)
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()


@given(st.lists(VALUES, max_size=5), st.text())
def test_a_cursor_comes_back_as_it_went_at_every_process_of_the_deployment(place: list[Any], of: str) -> None:
    cursor = CURSORS.sealer(of)(place)
    assert cursor.isascii()
    assert Cursors(b"k" * 32).open(of, cursor, field="after") == place
    assert Cursors(b"k" * 32).sealer(of)(place) == cursor


def test_a_cursor_tells_nothing_of_what_the_list_is_ordered_by() -> None:
    cursor = CURSORS.sealer("employees")([0, False, "петров иван", "1"])
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert "петров".encode() not in raw
    assert b"false" not in raw


def test_a_cursor_of_another_list_search_or_deployment_is_refused_by_name() -> None:
    cursor = CURSORS.sealer("employees abc")([1])
    for cursors, of in ((CURSORS, "employees abd"), (CURSORS, "auditRecords "), (Cursors(), "employees abc")):
        with pytest.raises(
            InvalidInput, match=r"before is no cursor of this list.*begin with the first page"
        ) as no:
            cursors.open(of, cursor, field="before")
        assert no.value.field == "before"


@given(st.data())
def test_a_cursor_that_was_changed_in_any_place_is_refused(data: st.DataObject) -> None:
    cursor = CURSORS.sealer("a")([7, "name"])
    place = data.draw(st.integers(0, len(cursor) - 2))  # of the last character not all bits count
    other = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda c: c != cursor[place]))
    with pytest.raises(InvalidInput):
        CURSORS.open("a", cursor[:place] + other + cursor[place + 1 :], field="after")


@given(st.text(max_size=80) | st.just("A" * 100_000))
def test_any_text_as_a_cursor_is_refused_not_a_fault(text: str) -> None:
    with pytest.raises(InvalidInput):
        CURSORS.open("a", text, field="after")


def ask(
    first: int | None = None, after: str | None = None, last: int | None = None, before: str | None = None
) -> Window[str]:
    return window("employees", first=first, after=after, last=last, before=before, place=lambda text, _: text)


def test_forwards_and_backwards_take_both_cursors() -> None:
    assert ask(first=1) == Window(1)
    assert ask(first=100, after="a", before="b") == Window(100, "a", "b")
    assert ask(last=5, after="a", before="b") == Window(5, "a", "b", backwards=True)


@pytest.mark.parametrize(
    ("given_sizes", "field", "message"),
    [
        ({}, "first", "employees is a bounded list; give first or last, 1 to 100."),
        ({"after": "a"}, "first", "employees is a bounded list; give first or last, 1 to 100."),
        ({"first": 0}, "first", "employees was given first: 0; give 1 to 100."),
        ({"first": 101}, "first", "employees was given first: 101; give 1 to 100."),
        ({"last": -1}, "last", "employees was given last: -1; give 1 to 100."),
        (
            {"first": 2, "last": 3},
            "last",
            "employees was given first: 2 and last: 3; give one of them, first to go forwards, last backwards.",
        ),
    ],
    ids=["neither", "a cursor alone", "none", "too many", "negative", "both"],
)
def test_a_window_without_one_size_from_1_to_100_is_refused_with_what_to_give(
    given_sizes: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        ask(**given_sizes)
    assert (refused.value.field, refused.value.message) == (field, message)
