"""Limits and documents, without a server."""

import itertools
from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    parse,
    print_ast,
)
from hypothesis import given
from hypothesis import strategies as st

from okno.errors import ConfigurationError
from okno.graph.coordinates import coordinates
from okno.graph.documents import DocumentCache
from okno.graph.limits import DEFAULT_LIMITS, Allowance, LimitExceeded, Limits, check_limits
from okno.graph.negotiation import GRAPHQL_JSON, JSON, negotiate, prefers_html
from okno.graph.widget_documents import WidgetDocuments
from okno.settings import load_settings

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


def _selected(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, min_size=1, max_size=4).map(" ".join)
    return several | several.map("x {{ {} }}".format) | several.map("... {{ {} }}".format)


def _roots(document: DocumentNode) -> list[SelectionSetNode]:
    """The operation, and the fragments that it does not reach."""
    operation, *fragments = document.definitions
    text = print_ast(operation)
    reached = {"A", "B"} if "...B" in text else {"A"} if "...A" in text else set()
    unreached = [
        each
        for each in fragments
        if isinstance(each, FragmentDefinitionNode) and each.name.value not in reached
    ]
    assert isinstance(operation, OperationDefinitionNode)
    return [operation.selection_set, *(each.selection_set for each in unreached)]


def _naive_pairs(document: DocumentNode, *merged: SelectionSetNode) -> int:
    """Flattens one place after another, by recursion."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def flat(selection_set: SelectionSetNode) -> list[FieldNode]:
        found: list[FieldNode] = []
        for each in selection_set.selections:
            if isinstance(each, FieldNode):
                found.append(each)
            elif isinstance(each, FragmentSpreadNode):
                found += flat(fragments[each.name.value].selection_set)
            else:
                found += flat(each.selection_set)  # type: ignore[attr-defined]
        return found

    fields = [field for place in merged for field in flat(place)]
    names = [(field.alias or field.name).value for field in fields]
    pairs = sum(one == other for one, other in itertools.combinations(names, 2))
    for name in set(names):
        below = [f.selection_set for f, n in zip(fields, names, strict=True) if n == name and f.selection_set]
        pairs += _naive_pairs(document, *below) if below else 0
    return pairs


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
    (error,) = check_limits(document, DEFAULT_LIMITS.model_copy(update={"depth": 500, "fragments": 200}))
    assert error.message.startswith("The operation exceeds the limit of aliases: ")


def test_a_fragment_that_is_spread_nowhere_is_measured_all_the_same() -> None:
    unused = "{ a } fragment F on Query { " + "x { y } " * 60 + "}"
    (error,) = check_limits(parse(unused), DEFAULT_LIMITS)
    assert (error.extensions or {})["limit"] == "repeats"
    (error,) = check_limits(
        parse("{ a } fragment F on Query { " + "x { " * 20 + "y" + " }" * 21), DEFAULT_LIMITS
    )
    assert (error.extensions or {})["limit"] == "depth"


def test_fragments_may_be_spread_often_but_not_within_themselves() -> None:
    diamond = (
        "{ ...A ...B } fragment A on Query { ...C } fragment B on Query { ...C } fragment C on Query { a }"
    )
    assert check_limits(parse(diamond), DEFAULT_LIMITS) == []
    for cycle in (
        "{ a } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { x { ...B } } fragment B on Query { y { ... { ...A } } }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...C } fragment C on Query { ...B }",
    ):
        (error,) = check_limits(parse(cycle), DEFAULT_LIMITS)
        assert "spreads itself" in error.message
    assert check_limits(parse("{ ...Nowhere }"), DEFAULT_LIMITS) == [], "validation says what is missing"


@given(st.recursive(st.sampled_from(["a", "b", "b: a", "...A", "...B"]), _selected, max_leaves=12))
def test_pairs_are_those_that_a_naive_count_finds(selection: str) -> None:
    text = (
        f"{{ {selection} }} fragment A on Query {{ a x {{ b }} }} fragment B on Query {{ ...A x {{ a b }} }}"
    )
    document = parse(text)
    limits = DEFAULT_LIMITS.model_copy(update={"repeats": 0, "aliases": 100})
    found = check_limits(document, limits)
    value = (found[0].extensions or {})["value"] if found else 0
    assert value == sum(_naive_pairs(document, node) for node in _roots(document))


def test_what_a_request_may_use_is_shared_by_its_operations() -> None:
    allowance = Allowance(DEFAULT_LIMITS.model_copy(update={"tokens": 10, "cost": 10}))
    allowance.take_tokens(b"a", 6)
    allowance.take_tokens(b"a", 6)
    with pytest.raises(LimitExceeded, match="The batch exceeds the limit of tokens: more than "):
        allowance.take_tokens(b"b", 5)
    with pytest.raises(LimitExceeded):
        allowance.take_tokens(b"c", 0)
    allowance.take_tokens(b"a", 6)
    allowance.take_cost(7)
    with pytest.raises(
        LimitExceeded, match="The batch exceeds the limit of cost: 11, at most 10 are allowed"
    ):
        allowance.take_cost(4)
    allowance.take_cost(3)


def test_limits_are_settings_of_the_deployment(tmp_path: Path) -> None:
    file = tmp_path / "okno.toml"
    file.write_text("[graphql]\naliases = 3\n")
    settings = load_settings({"OKNO_CONFIG_DIR": str(tmp_path)})
    assert (settings.graphql.aliases, settings.graphql.depth) == (3, DEFAULT_LIMITS.depth)
    for wrong, told in (
        ("aliases = -1", "graphql.aliases"),
        ("alias = 3", "graphql.alias"),
        ('cost = "x"', "graphql.cost"),
    ):
        file.write_text(f"[graphql]\n{wrong}\n")
        with pytest.raises(ConfigurationError, match=told):
            load_settings({"OKNO_CONFIG_DIR": str(tmp_path)})


def test_a_document_tells_which_parts_of_the_schema_it_uses() -> None:
    schema = build_schema(
        """
        type Query { find(by: By, in: [Color!], of: Color): Thing, other: Thing }
        type Mutation { put(what: By!): Thing }
        input By { name: String, color: Color, and: By }
        enum Color { RED GREEN }
        interface Node { id: ID } type Thing implements Node { id: ID name: String next: Thing }
        """
    )
    literal = parse(
        "{ a: find(by: {name: 1, and: {color: RED}}, in: [GREEN]) { __typename ...F ... on Node { id } } } "
        "fragment F on Thing { next { name } }"
    )
    assert coordinates(schema, literal) == {
        "Query.find", "Query.find(by:)", "Query.find(in:)", "By.name", "By.and", "By.color", "Color.RED", "Color.GREEN",
        "Thing.next", "Thing.name", "Node.id",
    }  # fmt: skip
    by_variable = parse("mutation ($w: By!) { put(what: $w) { id } }")
    assert coordinates(schema, by_variable) == {
        "Mutation.put", "Mutation.put(what:)", "Thing.id", "By.name", "By.color", "By.and", "Color.RED", "Color.GREEN",
    }  # fmt: skip


def test_documents_are_read_once_and_the_oldest_are_forgotten() -> None:
    cache = DocumentCache(SCHEMA, size=2)
    first = cache.read("{ employee(id: 1) { id } }")
    assert cache.read("{ employee(id: 1) { id } }") is first
    cache.read("{ employee(id: 2) { id } }")
    cache.read("{ employee(id: 3) { id } }")
    assert cache.read("{ employee(id: 1) { id } }") is not first


def test_a_document_nested_beyond_reading_exceeds_a_limit() -> None:
    found = DocumentCache(SCHEMA).read("{" + "a{" * 450 + "a" + "}" * 451)
    assert (
        found.errors[0].message
        == "The document exceeds the limit of depth: more than 15, at most 15 are allowed."
    )
    assert found.errors[0].extensions == {
        "code": "LIMIT_EXCEEDED",
        "limit": "depth",
        "value": 16,
        "allowed": 15,
    }


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
