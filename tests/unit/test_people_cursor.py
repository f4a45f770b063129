"""The opaque cursor of a search."""

import base64
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okno.errors import InvalidInput
from okno.people.cursor import Cursor


@given(st.integers(0, 2**31 - 1), st.uuids())
def test_a_cursor_comes_back_as_it_went(rank: int, person_id: UUID) -> None:
    cursor = Cursor("abc", rank, person_id)
    assert Cursor.decode(cursor.encode(), "abc") == cursor


def test_a_cursor_of_another_search_is_refused() -> None:
    with pytest.raises(InvalidInput, match="another search"):
        Cursor.decode(Cursor("abc", 1, uuid4()).encode(), "def")


@pytest.mark.parametrize(
    "packed", ["", "1", "[]", '["a",1]', '["a",-1,"x"]', '["a",1e400,"' + "0" * 32 + '"]', "[" * 5000]
)
def test_a_forged_cursor_is_refused(packed: str) -> None:
    with pytest.raises(InvalidInput, match="none of a search"):
        Cursor.decode(base64.urlsafe_b64encode(packed.encode()).decode(), "a")


@given(st.text(max_size=80))
def test_any_text_as_a_cursor_is_refused_not_a_fault(text: str) -> None:
    with pytest.raises(InvalidInput):
        Cursor.decode(text, "abc")
