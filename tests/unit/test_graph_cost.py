"""What documents cost, by the directives of the repository's own schema."""

from typing import Any

import pytest
from graphql import get_introspection_query, parse, validate
from hypothesis import given
from hypothesis import strategies as st

from okno.graph.cost import DocumentCost, Prices, compile_cost, requested, spent
from okno.graph.schema import build_schema, schema_sdl
from okno.sources.service import load_sources_manifests
from tests.stack import ROOT

GRAPH = build_schema(load_sources_manifests(ROOT / "config" / "sources"))
PRICES = Prices(GRAPH.core)


def cost_of(text: str) -> DocumentCost:
    document = parse(text)
    assert not validate(GRAPH.core, document)
    return compile_cost(PRICES, document)


def asked(text: str, **variables: Any) -> int:
    return requested(cost_of(text).of(None), variables)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("{ __typename }", 0),
        ("{ me { id login } }", 1),
        ("{ me { employee { login } } }", 2),
        ("{ me { employee { hr { position salary { currency } } } } }", 2 + 5 + 1),
        ("{ me { employee { managers { login } } } }", 2 + 10),
        ("{ me { employee { managers { managers { login } } } } }", 2 + 10 * (1 + 10)),
        ("{ employees(first: 20) { pageInfo { hasNextPage } } }", 5 + 1),
        ("{ employees(first: 20) { edges { node { login } } } }", 5 + 20 * (1 + 1)),
        ("{ employees(last: 7) { edges { node { hr { position } } } } }", 5 + 7 * (1 + 1 + 5)),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', 3),
        ("{ employees(first: 0) { edges { cursor } } }", 5),
        ("{ employees(first: -5) { edges { cursor } } }", 5),
        ("{ operations(employee: 1) { id } }", 50),
        (
            'mutation { operationPreview(input: {operation: "a", employee: "b", idempotencyKey: "c"}) '
            "{ previewToken errors { code } } }",
            10 + 10,
        ),
    ],
)
def test_an_operation_asks_for_its_objects_as_often_as_lists_may_hold_them(text: str, points: int) -> None:
    assert asked(text) == points


def test_lists_are_sized_by_variables_and_by_their_defaults() -> None:
    sized = "query ($n: Int) { employees(first: $n) { edges { cursor } } }"
    assert asked(sized, n=30) == 5 + 30
    assert asked(sized, n=None) == asked(sized) == asked(sized, n="x") == 5 + 100, "unknown is the greatest"
    by_default = "query ($n: Int = 3) { employees(first: $n) { edges { cursor } } }"
    assert (asked(by_default), asked(by_default, n=4)) == (5 + 3, 5 + 4)
    by_length = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert asked(by_length, ids=["a", "b"]) == 2
    assert cost_of(by_default).greatest == 5 + 100, "a variable may be anything"


def test_a_field_that_is_selected_twice_costs_once() -> None:
    twice = """{ me { employee { login } ...A ... on Me { employee { id } } } }
        fragment A on Me { employee { manager { id } } }"""
    assert asked(twice) == asked("{ me { employee { login id manager { id } } } }") == 3
    assert asked("{ a: me { id } b: me { id } }") == 2


def test_of_types_that_exclude_each_other_both_count() -> None:
    assert asked("{ node(id: 1) { ... on Employee { manager { id } } ... on AuditRecord { id } } }") == 2


def test_operations_of_one_document_cost_each_their_own() -> None:
    cost = cost_of("query A { me { id } } query B { employees(first: 9) { edges { cursor } } }")
    assert (cost.of("A").greatest, cost.of("B").greatest, cost.greatest) == (1, 14, 14)


def test_introspection_costs_too_and_what_tools_ask_for_is_affordable() -> None:
    assert 500 < asked(get_introspection_query()) < 5_000
    assert asked("{ __schema { types { fields { type { fields { args { name } } } } } } }") > 5_000
    assert asked('{ __type(name: "Me") { name } }') == 1


def test_spent_counts_the_objects_of_the_answer() -> None:
    cost = cost_of(
        "{ employees(first: 50) { edges { node { login managers { login } hr { position } } } pageInfo { endCursor } } }"
    ).of(None)
    nobody = {"node": None}
    somebody = {
        "node": {"login": "a", "managers": [{"login": "b"}, None, {"login": "c"}], "hr": {"position": "x"}}
    }
    data = {"employees": {"edges": [somebody, nobody, somebody], "pageInfo": {"endCursor": None}}}
    assert spent(cost, data) == 5 + 3 + 2 * (1 + 2 + 5) + 1
    assert spent(cost, {"employees": None}) == spent(cost, None) == 0


@st.composite
def _people(draw: st.DrawFn, depth: int = 3) -> tuple[str, Any]:
    """A selection on Employee with data that could be its answer."""
    text = "login"
    data: dict[str, Any] = {"login": "x"}
    if depth and draw(st.booleans()):
        inner, value = draw(_people(depth - 1))
        text += f" manager {{ {inner} }}"
        data["manager"] = draw(st.sampled_from([None, value]))
    if depth and draw(st.booleans()):
        inner, value = draw(_people(depth - 1))
        text += f" managers {{ {inner} }}"
        data["managers"] = [value] * draw(st.integers(0, 10))
    return text, data


@given(_people(), st.integers(0, 5))
def test_an_answer_never_spends_more_than_was_asked_for(people: tuple[str, Any], first: int) -> None:
    selection, value = people
    cost = cost_of(f"query ($n: Int) {{ employees(first: $n) {{ edges {{ node {{ {selection} }} }} }} }}").of(
        None
    )
    data = {"employees": {"edges": [{"node": value}] * first}}
    assert spent(cost, data) <= requested(cost, {"n": first}) <= cost.greatest


def test_every_list_of_objects_has_a_size_in_the_schema() -> None:
    sdl = schema_sdl(GRAPH)
    assert 'import: ["@cost", "@key", "@listSize"]' in sdl
    unsized = [
        line.strip()
        for line in sdl.split("\n")
        if ": [" in line
        and "@listSize" not in line
        and not line.strip().startswith(("edges:", "ids:", "_entities("))
    ]
    assert all("[String!]" in line or "[ID!]" in line or "[_Any!]" in line for line in unsized), unsized
