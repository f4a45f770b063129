"""Generated code: what it is made for, what it looks like, and that it is kept within bounds."""

import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from graphql import ExecutionResult, GraphQLField, GraphQLObjectType, GraphQLSchema, parse
from strawberry.execution import optimized_is_awaitable

from okno.graph import compiled
from okno.graph.compiled import program, site, vouching
from okno.graph.compiled.entries import completers_of, entries_of
from okno.graph.compiled.leaves import Mismatch
from okno.graph.compiled.program import Program
from okno.graph.compiled.shapes import Node, is_read_as_attribute, is_relay_id, is_section_resolver
from okno.graph.compiled.vouching import relay_id
from okno.graph.executor import GatedExecutor
from okno.graph.plans import PlanCache, estimated_size
from okno.policy.condition import ME, Compare
from okno.policy.masking import FORMS, Mask
from okno.policy.service import Alternative, Decision, Outcome
from okno.sources.model import SectionData
from tests.api.differential import Cat, Colour, Scene, TableGate, build
from tests.api.world import Parts

SEEN = Decision(Outcome.CONDITIONAL, (Alternative("here", "in RU", Compare("country", "=", "RU")),))


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build()


@pytest.fixture(scope="module")
def parts() -> Parts:
    return Parts.load()


@pytest.fixture(autouse=True)
def _compile_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "ENOUGH_ROWS", 1)


class OneGate(TableGate):
    """Conditional for one field, open for all others."""

    def __init__(self, type_name: str = "", field_name: str = "") -> None:
        super().__init__()
        self._asked = (type_name, field_name)
        self.policy = cast(Any, "policy")
        self.actor = cast(Any, Someone("all"))

    def decide(self, type_name: str, field_name: str) -> Decision:
        return SEEN if (type_name, field_name) == self._asked else super().decide(type_name, field_name)


class Someone:
    """An actor, as far as a cache of plans looks."""

    def __init__(self, rights: str) -> None:
        self.rights = rights


def cat(name: Any, country: str = "RU") -> Cat:
    made = Cat(name=name, colour=Colour.RED, lives=9, owner=None)
    made.facts = {"id": UUID(int=1), "country": country}
    made.subject_label = "cat"
    return made


def run(
    schema: GraphQLSchema,
    text: str,
    gate: OneGate,
    *,
    plans: PlanCache | None = None,
    variables: dict[str, Any] | None = None,
    pets: Any = (),
) -> tuple[Any, GatedExecutor]:
    executor = GatedExecutor.build(
        schema,
        parse(text),
        context_value=replace(Scene(None, [], list(pets), []), gate=gate),
        raw_variable_values=variables,
        is_awaitable=cast(Any, optimized_is_awaitable),
    )
    assert isinstance(executor, GatedExecutor), executor
    executor.prepare(plans=plans, document=text.encode())
    result = executor.execute_operation()
    assert isinstance(result, ExecutionResult)
    assert result.errors is None, result.errors
    return result.data, executor


def only_program(executor: GatedExecutor) -> Program:
    (program,) = (each for each in executor._template.sites.programs if each.many is not None)
    return program


CATS = "{ pets { ... on Cat { name colour lives } } }"


def test_the_text_in_the_documentation_is_the_text_that_is_written(schema: GraphQLSchema) -> None:
    _, executor = run(schema, "{ items { child { name: text colour } } }", OneGate("Item", "colour"))
    program = Program(
        executor._template, executor._template.selections[0], schema.type_map["Item"], schema, of_list=True
    )
    shown = "".join(f"    {line}\n" if line else "\n" for line in program.source.splitlines())
    assert shown in (compiled.__doc__ or ""), f"show this in okno/graph/compiled/__init__.py:\n{shown}"
    assert repr(program).endswith(program.source)


def test_a_condition_is_asked_once_for_each_row_however_many_fields_share_it(schema: GraphQLSchema) -> None:
    gate = OneGate("Cat", "name")
    text = "{ pets { ... on Cat { name a: name b: name lives } } }"
    data, executor = run(schema, text, gate, pets=[cat("a"), cat("b", "KZ"), cat("c")])
    assert [row["b"] for row in data["pets"]] == ["a", None, "c"]
    assert len(re.findall(r"facts\d+\.get\(", only_program(executor).source)) == 1
    lines = {line["path"]: line for line in executor.plan.report()}
    assert (lines["pets[].a"]["allowed"], lines["pets[].a"]["denied"]) == (2, 1)
    assert "allowed" not in lines["pets[].lives"]


def test_a_row_that_falls_back_leaves_the_others_compiled(schema: GraphQLSchema) -> None:
    class OwnCat(Cat):
        pass

    odd = OwnCat(name="odd", colour=Colour.BLUE, lives=9, owner=None)
    data, executor = run(schema, CATS, OneGate(), pets=[cat("a"), odd, cat(7)])
    assert [row["name"] for row in data["pets"]] == ["a", "odd", "7"]
    program = only_program(executor)
    assert (program.completed, program.fallen_back) == (2, 1)


def test_fields_that_are_only_read_are_recognised_and_no_others(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pins what Strawberry's converter makes of fields: after an upgrade that changes it nothing would be compiled."""
    employee = parts.graph.core.type_map["Employee"]
    assert isinstance(employee, GraphQLObjectType)
    plain = {name for name, field in employee.fields.items() if is_read_as_attribute(field)}
    assert {"displayName", "login", "state", "indexedAt"} <= plain
    assert plain & {"id", "manager", "managers", *parts.graph.sections} == set()
    assert is_relay_id(employee.fields["id"], employee) == "key"
    assert is_relay_id(employee.fields["login"], employee) is None
    assert all(is_section_resolver(employee.fields[name]) for name in parts.graph.sections)
    section = parts.graph.core.type_map["HrSection"]
    assert isinstance(section, GraphQLObjectType)
    assert all(is_read_as_attribute(field) for field in section.fields.values())
    for name in ("login", "id", "hr"):
        field: GraphQLField = employee.fields[name]
        own = field.resolve
        monkeypatch.setattr(field, "resolve", lambda *args, own=own, **kwargs: own(*args, **kwargs))
        assert not is_read_as_attribute(field)
        assert not is_relay_id(field, employee)
        assert not is_section_resolver(field)


def test_nothing_is_compiled_for_a_few_rows(schema: GraphQLSchema, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "ENOUGH_ROWS", 40)
    plans = PlanCache()
    for turn in range(3):
        _, executor = run(schema, CATS, OneGate(), plans=plans, pets=[cat(str(n)) for n in range(15)])
        assert len(executor._template.sites.programs) == (1 if turn == 2 else 0)


def test_what_was_compiled_for_one_request_serves_the_next(schema: GraphQLSchema) -> None:
    plans = PlanCache()
    _, first = run(schema, CATS, OneGate(), plans=plans, pets=[cat("a")])
    _, second = run(schema, CATS, OneGate(), plans=plans, pets=[cat("b")])
    assert first.plan is not second.plan
    assert first.plan.template is second.plan.template
    assert only_program(first).completed == 2


@pytest.mark.parametrize("changed", ["rights", "policy", "switch", "document", "introspection"])
def test_a_template_serves_those_only_who_would_plan_the_same(schema: GraphQLSchema, changed: str) -> None:
    plans = PlanCache()
    text = "query ($yes: Boolean!) { pets { name @include(if: $yes) __typename } }"
    gate, variables, other = OneGate(), {"yes": True}, text
    _, first = run(schema, text, gate, plans=plans, variables=variables, pets=[cat("a")])
    assert plans.find(plans.key(first, text.encode(), True)) is first.plan.template
    if changed == "rights":
        gate.actor = cast(Any, Someone("fewer"))
    elif changed == "policy":
        gate.policy = cast(Any, "newer")
    elif changed == "switch":
        variables = {"yes": False}
    elif changed == "document":
        other = text + " "
    else:
        assert plans.find(plans.key(first, text.encode(), False)) is None
        return
    data, second = run(schema, other, gate, plans=plans, variables=variables, pets=[cat("a")])
    assert second.plan.template is not first.plan.template
    assert ("name" in data["pets"][0]) is (changed != "switch")
    assert len(plans) == 2


def test_plans_of_policies_long_gone_are_let_go(schema: GraphQLSchema) -> None:
    plans, gate, text = PlanCache(), OneGate(), "{ pets { name } }"
    sizes = []
    for version in ("first", "second", "third", "third"):
        gate.policy = cast(Any, version)
        run(schema, text, gate, plans=plans, pets=[cat("a")])
        sizes.append(plans.size)

    assert len(plans) == 2
    assert sizes[0] < sizes[1] == sizes[2] == sizes[3]


def test_plans_are_bounded_in_number_and_in_size(schema: GraphQLSchema) -> None:
    plans = PlanCache(number=5)
    for number in range(20):
        run(schema, f"{{ pets {{ a{number}: name }} }}", OneGate(), plans=plans, pets=[cat("a")])
        assert len(plans) <= 5
    assert plans.size == sum(size for size, _ in plans._templates.values())
    _, executor = run(schema, CATS, OneGate(), pets=[cat("a")])
    one = estimated_size(executor._template)
    small = PlanCache(size=3 * one)
    for number in range(20):
        text = CATS.replace("name", f"n{number}: name")
        run(schema, text, OneGate(), plans=small, pets=[cat("a")])
        assert small.size <= 3 * one
    assert 1 <= len(small) <= 3


def test_long_texts_that_clients_choose_are_not_kept_apart_from_their_plans(schema: GraphQLSchema) -> None:
    program._kept_code.cache_clear()
    for length, kept in ((10, 1), (20_000, 0)):
        before = program._kept_code.cache_info().currsize
        text = f"{{ pets {{ {'n' * length}{before}: name }} }}"
        _, executor = run(schema, text, OneGate(), pets=[cat("a")])
        assert only_program(executor).completed == 1
        assert program._kept_code.cache_info().currsize == before + kept


def test_code_that_is_compiled_later_weighs_as_well(schema: GraphQLSchema) -> None:
    plans = PlanCache()
    run(schema, CATS, OneGate(), plans=plans)
    before = plans.size
    _, executor = run(schema, CATS, OneGate(), plans=plans, pets=[cat("a")])
    assert plans.size > before + len(only_program(executor).source)


def test_the_memories_of_classes_and_ids_are_bounded(
    schema: GraphQLSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vouching, "_MAX_CLASSES", 2)
    monkeypatch.setattr(vouching, "_MAX_IDS", 10)
    monkeypatch.setattr(vouching, "_ids", {})
    ids = [relay_id("Cat", UUID(int=number)) for number in range(25)]
    assert len(set(ids)) == 25
    assert len(vouching._ids) <= 10
    assert relay_id("Cat", UUID(int=3)) == ids[3]
    with pytest.raises(Mismatch):
        relay_id("Cat", True)
    vouch = vouching.Vouch(Node(cast(GraphQLObjectType, schema.type_map["Cat"])))
    for number in range(5):
        vouch(type(f"Cat{number}", (Cat,), {})(name="x", colour=None, lives=1, owner=None))
    assert len(vouch.known) == 2


def test_a_selection_too_large_to_be_worth_it_is_left_to_the_stock_executor(schema: GraphQLSchema) -> None:
    fields = " ".join(f"f{number}: name" for number in range(450))
    data, executor = run(schema, f"{{ pets {{ {fields} }} }}", OneGate(), pets=[cat("a")])
    assert len(data["pets"][0]) == 450
    assert executor._template.sites.programs == []


def test_generated_code_knows_nothing_of_the_rows(schema: GraphQLSchema) -> None:
    secret = f"secret {random.Random(1).random()}"
    text = f'{{ items {{ echo(text: "{secret}") sure }} pets {{ name }} }}'
    _, executor = run(schema, text, OneGate(), pets=[cat(secret)])
    assert executor._template.sites.programs
    assert all(secret not in program.source for program in executor._template.sites.programs)


@pytest.mark.parametrize("number", [1, 2])
def test_asking_for_one_person_decides_as_asking_row_by_row(number: int) -> None:
    me = UUID(int=1)
    alternatives = (
        Alternative("here", "in RU", Compare("country", "=", "RU")),
        Alternative("mine", "my own", Compare("id", "=", ME)),
    )[:number]
    decision = Decision(Outcome.CONDITIONAL, alternatives)
    ask = decision.for_person(me)
    for facts in ({}, {"country": "RU"}, {"id": me}, {"country": "KZ", "id": UUID(int=2)}):
        assert ask(facts) is decision.allows(facts, me)
    assert ask(None) is None
    for_everybody = Decision(Outcome.ALLOW, (Alternative("open", "everybody", None),)).for_person(None)
    assert for_everybody({}) is not None
    assert for_everybody(None) is None


def test_entries_of_a_section_are_completed_once_for_each_answer_of_its_source(parts: Parts) -> None:
    section = cast(GraphQLObjectType, parts.graph.core.type_map["DirectorySection"])
    completers = completers_of(section)
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    said = SectionData({"userName": "ivan", "modifiedAt": moment, "groups": ("a", "b"), "active": "yes"})
    entries = entries_of(completers, said)
    assert entries["userName"] == "ivan"
    assert entries["modifiedAt"] == "2026-11-01T12:00:00+00:00"
    assert entries["groups"] == ["a", "b"]
    assert entries["email"] is None
    assert "active" not in entries, "what is no yes or no is left to the stock executor"
    assert entries_of(completers, said) is entries
    assert entries_of(completers_of(section), said) is entries
    assert entries_of(dict(completers), said) is not entries
    assert entries_of(completers, None)["userName"] is None


MASKED = Decision(
    Outcome.CONDITIONAL,
    (Alternative("here", "in RU", Compare("country", "=", "RU")),),
    (Alternative("there", "in KZ", Compare("country", "=", "KZ")),),
)


class MaskGate(OneGate):
    """Reads one field in full in Russia, sees it masked in Kazakhstan, and not at all elsewhere."""

    def decide(self, type_name: str, field_name: str) -> Decision:
        decision = super().decide(type_name, field_name)
        return MASKED if decision is SEEN else decision

    def mask_of(self, type_name: str, field_name: str) -> Mask:
        return FORMS["first-letter"]

    def is_recorded(self, type_name: str, field_name: str) -> bool:
        return field_name == "name"


def test_a_masked_row_stays_compiled_is_counted_apart_and_records_nothing(schema: GraphQLSchema) -> None:
    pets = [cat("Murka"), cat("Barsik", "KZ"), cat("Kotik", "UZ"), cat(None, "KZ")]
    for number, each in enumerate(pets):
        each.facts = {**(each.facts or {}), "id": UUID(int=number)}
    data, executor = run(schema, CATS, MaskGate("Cat", "name"), pets=pets)
    assert [row["name"] for row in data["pets"]] == ["Murka", "B•••", None, None]
    assert only_program(executor).fallen_back == 0
    line = next(line for line in executor.plan.report() if line["path"] == "pets[].name")
    assert (line["allowed"], line["masked"], line["denied"]) == (1, 2, 1)
    assert (line["rule"], line["mask"]) == ("here", {"rule": "there", "reason": "in KZ"})
    assert list(executor.sensitive_reads) == [UUID(int=0)]


def test_what_is_no_text_is_not_shown_masked(schema: GraphQLSchema) -> None:
    data, executor = run(schema, CATS, MaskGate("Cat", "colour"), pets=[cat("a"), cat("b", "KZ")])
    assert [row["colour"] for row in data["pets"]] == ["RED", None]
    line = next(line for line in executor.plan.report() if line["path"] == "pets[].colour")
    assert "masked" not in line
