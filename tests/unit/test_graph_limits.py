"""Limits and documents, without a server."""

import itertools

import pytest
from graphql import build_schema, parse

from okno.graph.documents import DocumentCache, WidgetDocuments
from okno.graph.limits import DEFAULT_LIMITS, Limits, check_limits
from okno.graph.negotiation import GRAPHQL_JSON, JSON, negotiate, prefers_html

SCHEMA = build_schema(
    """
    type Query { employee(id: ID!): Employee }
    type Mutation { touch: Boolean }
    type Employee { id: ID! name: String friend: Employee hr: HrSection! }
    type HrSection { meta: SectionMeta! salary: Int items: [Item!] }
    type Item { kind: String }
    type SectionMeta { state: String }
    """
)


def test_a_document_within_the_limits_passes() -> None:
    assert check_limits(parse("{ a { b { c } } }"), DEFAULT_LIMITS) == []


def test_fragments_count_as_often_as_they_are_spread() -> None:
    document = parse("{ ...F ...F } fragment F on Query { a: x b: x }")
    assert check_limits(document, Limits(aliases=4)) == []
    (error,) = check_limits(document, Limits(aliases=3))
    assert error.message == "The operation exceeds the limit of aliases: 4, at most 3 are allowed."


def test_nested_fragments_are_measured_in_the_time_of_their_length() -> None:
    names = [f"F{n}" for n in range(200)]
    spreads = [f"fragment {a} on Query {{ x {{ ...{b} ...{b} }} }}" for a, b in itertools.pairwise(names)]
    document = parse("{ ...F0 } " + " ".join(spreads) + " fragment F199 on Query { a: x }")
    (error,) = check_limits(document, Limits(depth=500))
    assert error.message.startswith("The operation exceeds the limit of aliases: ")


def test_documents_are_read_once_and_the_oldest_are_forgotten() -> None:
    cache = DocumentCache(SCHEMA, size=2)
    first = cache.read("{ employee(id: 1) { id } }")
    assert cache.read("{ employee(id: 1) { id } }") is first
    cache.read("{ employee(id: 2) { id } }")
    cache.read("{ employee(id: 3) { id } }")
    assert cache.read("{ employee(id: 1) { id } }") is not first


def test_a_document_nested_beyond_reading_exceeds_a_limit() -> None:
    found = DocumentCache(SCHEMA).read("{" + "a{" * 450 + "a" + "}" * 451)
    assert (found.code, found.errors[0].message) == ("LIMIT_EXCEEDED", "The document is nested too deeply.")


def test_long_documents_are_forgotten_sooner() -> None:
    short, long = "{ me { id } }", "{ me { id } } #" + "x" * 500
    cache = DocumentCache(SCHEMA, characters=len(long) + 2 * len(short))
    kept = [cache.read(long), cache.read(short)]
    assert cache.read(short) is kept[1]
    cache.read("{ me { login } }")
    assert cache.read(short) is kept[1]
    assert cache.read(long) is not kept[0]
    beyond = long + "x" * len(long)
    assert cache.read(beyond) is not cache.read(beyond)


@pytest.mark.parametrize("text", ["", "{", "\ud800", "{ a }" * 3, "{" * 5_000, "query " + "(" * 5_000])
def test_reading_never_raises(text: str) -> None:
    found = DocumentCache(SCHEMA).read(text)
    assert found.node is None
    assert len(found.errors) == 1 or found.code == "GRAPHQL_VALIDATION_FAILED"


def test_a_widgets_document_tells_its_paths_and_leaves() -> None:
    facts = WidgetDocuments(SCHEMA)(
        "query ($employee: ID!) { employee(id: $employee) { id ...F } } "
        "fragment F on Employee { hr { meta { state } money: salary items { kind } } ... { name } }"
    )
    assert facts.problems == ()
    assert {
        "employee.hr.meta.state",
        "employee.hr.money",
        "employee.hr.items.kind",
        "employee.name",
    } <= facts.selected
    assert set(facts.leaves) == {("HrSection", "salary"), ("Item", "kind"), ("Employee", "name")}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{ nothing }", "Cannot query field 'nothing'"),
        ("mutation { touch }", "exactly one operation, a query"),
        ("query A { employee(id: 1) { id } } query B { employee(id: 1) { id } }", "exactly one operation"),
        ("query ($other: ID!) { employee(id: $other) { id } }", "the only variable of a widget is $employee"),
    ],
)
def test_what_is_wrong_with_a_widgets_document_is_told(text: str, problem: str) -> None:
    facts = WidgetDocuments(SCHEMA)(text)
    assert any(problem in each for each in facts.problems), facts.problems


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL_JSON),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", GRAPHQL_JSON),
        ("application/json, application/graphql-response+json", GRAPHQL_JSON),
        ("application/graphql-response+json, */*;q=0.1", GRAPHQL_JSON),
        ("application/json;q=0", None),
        ("text/html", None),
        ("application/json;q=x", None),
    ],
)
def test_the_best_of_both_types_is_chosen(accept: str | None, expected: str | None) -> None:
    assert negotiate(accept) == expected


def test_a_browser_is_told_from_a_tool() -> None:
    assert prefers_html("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
    assert not prefers_html("*/*")
    assert not prefers_html("application/json")
    assert not prefers_html(None)
    assert not prefers_html("application/json, text/html;q=0.5")
