"""Headers of any length cost nothing and are not remembered."""

import time

import pytest

from okno.graph import negotiation
from okno.graph.negotiation import JSON, LONGEST, accepts_events, is_json, negotiate, prefers_html

ENDLESS = "application/json," * 500_000


def test_a_header_that_is_too_long_is_neither_read_nor_remembered() -> None:
    for remembered in (negotiation._negotiate, negotiation._is_json, negotiation._accepts_events):
        remembered.cache_clear()
    start = time.thread_time()
    assert negotiate(ENDLESS) is None
    assert not accepts_events(ENDLESS + "text/event-stream")
    assert not is_json("application/json;" * 500_000)
    assert not prefers_html(ENDLESS + "text/html")
    assert time.thread_time() - start < 0.05
    assert negotiation._negotiate.cache_info().currsize == 0
    assert negotiation._is_json.cache_info().currsize == 0
    assert negotiation._accepts_events.cache_info().currsize == 0


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1], ids=["as long as allowed", "longer"])
def test_a_header_of_the_allowed_length_is_read(length: int) -> None:
    accept = JSON.ljust(length)
    assert negotiate(accept) == (JSON if length == LONGEST else None)
    assert is_json(accept) is (length == LONGEST)


def test_a_client_that_says_nothing_gets_json() -> None:
    assert negotiate(None) == negotiate("") == negotiate("*/*") == JSON
    assert not is_json(None)
    assert not accepts_events("*/*")
