"""Generated loops against the executors they stand for: whatever document and data, the answers are the same."""

import asyncio
import os
import random
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import pytest
from graphql import ExecutionResult, GraphQLSchema, is_non_null_type, parse, validate
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from okno.graph.compiled import site
from okno.graph.executor import GatedExecutor
from okno.graph.ids import employee_id
from okno.graph.plans import PlanCache
from okno.sources.model import SourceFailure
from tests.api.differential import Data, Documents, TableGate, build, texts_of
from tests.api.fakes import FakeSources
from tests.api.reference import Reference
from tests.api.world import PEOPLE, Parts, World

EVERYBODY = [employee_id(each.id) for each in PEOPLE]

# `OKNO_EXAMPLES=20000 pytest tests/api/test_differential.py` looks longer
EXAMPLES = int(os.environ.get("OKNO_EXAMPLES", "150"))
seeds = st.integers(0, 2**63)
search = settings(
    max_examples=EXAMPLES,
    # the checks against vacuous runs count what was met: the same cases each time, unless somebody looks longer
    derandomize="OKNO_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # a smaller seed is no smaller document
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class PerField(GatedExecutor):
    """The gate without generated code."""

    compiles = False


# A coroutine that waits for others and is cancelled before it began leaves them alone, in graphql-core as well
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build()


@pytest.fixture(autouse=True)
def _compile_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "ENOUGH_ROWS", 1)


class Case:
    """One document with its data, executed as often as one likes."""

    def __init__(self, schema: GraphQLSchema, seed: int) -> None:
        rng = random.Random(seed)
        documents = Documents(schema, rng)
        self.text = documents.write()
        self.variables = documents.variables
        self.schema = schema
        self.document = parse(self.text)
        if seed % 10 == 0:  # what is written is valid; to ask each time would take most of the time
            assert validate(schema, self.document) == [], self.text
        self.wrong = rng.choice([0.0, 0.0, 0.05, 0.2])
        self.awaited = rng.choice([0.0, 0.0, 0.1])
        self.fill(seed)

    def fill(self, seed: int) -> None:
        """Other data."""
        self.scene = Data(random.Random(seed), wrong=self.wrong, awaited=self.awaited).scene()

    def execute(self, executor_class: Any, gate: TableGate, **options: Any) -> tuple[Any, Any]:
        """The result and the executor."""
        scene = replace(self.scene, gate=gate)
        executor = executor_class.build(
            self.schema,
            self.document,
            context_value=scene,
            raw_variable_values=dict(self.variables),
            is_awaitable=optimized_is_awaitable,
        )
        assert not isinstance(executor, list), executor
        if isinstance(executor, GatedExecutor):
            executor.prepare(**options)
        return asyncio.run(_await(executor)), executor


async def _await(executor: Any) -> ExecutionResult:
    result = executor.execute_operation()
    if not isinstance(result, ExecutionResult):
        result = await result
    while executor.background_futures:  # what a failed sibling has left
        await asyncio.wait(list(executor.background_futures))
    assert isinstance(result, ExecutionResult)
    return result


def told(result: ExecutionResult) -> list[str]:
    """The errors as clients see them. Of what runs side by side no order is promised."""
    return sorted(
        f"{error.path} {error.message} {[(at.line, at.column) for at in error.locations or ()]}"
        for error in result.errors or ()
    )


def test_generated_loops_answer_as_the_stock_executor_does(schema: GraphQLSchema) -> None:
    completed = fallen_back = failed = 0

    @search
    @given(seeds)
    def check(seed: int) -> None:
        nonlocal completed, fallen_back, failed
        case = Case(schema, seed)
        stock, _ = case.execute(StrawberryGraphQLCoreExecutionContext, TableGate())
        mine, executor = case.execute(GatedExecutor, TableGate())
        assert repr(mine.data) == repr(stock.data), case.text
        assert told(mine) == told(stock), case.text
        for program in executor._template.sites.programs:
            completed += program.completed
            fallen_back += program.fallen_back
        failed += bool(stock.errors)

    check()
    assert completed > EXAMPLES / 2, "the loops were hardly used"
    assert fallen_back > EXAMPLES / 10, "nothing fell back"
    assert failed > EXAMPLES / 10, "there were hardly any errors"


def test_generated_loops_and_the_gate_field_by_field_give_what_the_policy_says(schema: GraphQLSchema) -> None:
    completed = counted = noted = masked = 0
    texts = texts_of(schema)

    @search
    @given(seeds)
    def check(seed: int) -> None:
        nonlocal completed, counted, noted, masked
        case = Case(schema, seed)
        gates = (TableGate(random.Random(seed), texts=texts) for _ in range(3))
        stock, slow = case.execute(PerField, next(gates))
        mine, fast = case.execute(GatedExecutor, next(gates))
        assert repr(mine.data) == repr(stock.data), case.text
        assert told(mine) == told(stock), case.text
        assert fast.plan.report() == slow.plan.report(), case.text
        assert fast.sensitive_reads == slow.sensitive_reads, case.text
        plain, reference = case.execute(Reference, next(gates))
        assert repr(plain.data) == repr(stock.data), case.text
        assert agrees(reference, plain, slow, stock), case.text
        masked += reference.masked.total()
        completed += sum(program.completed for program in fast._template.sites.programs)
        counted += sum(line.get("allowed", 0) + line.get("denied", 0) for line in slow.plan.report())
        noted += len(slow.sensitive_reads)

    check()
    assert completed > EXAMPLES / 2, "the loops were hardly used"
    assert counted > EXAMPLES, "hardly anything was conditional"
    assert noted > EXAMPLES / 10, "hardly anything was recorded"
    assert masked > EXAMPLES / 2, "hardly anything was masked"


def agrees(reference: Reference, plain: ExecutionResult, slow: Any, gated: ExecutionResult) -> bool:
    """Whether errors, counts of masked rows and recorded reads are those of the reference."""
    masked: Counter[str] = Counter()
    for selection in slow._template.selections:
        masked[f"{selection.type_name}.{selection.field_name}"] += slow.plan.masked[selection.index]
    reads = {subject: fields for subject, (_, fields) in slow.sensitive_reads.items()}
    return (
        sorted(map(str, (error.path for error in plain.errors or ())))
        == sorted(map(str, (error.path for error in gated.errors or ())))
        and +masked == reference.masked
        and reads == reference.recorded
    )


def test_sections_loaded_for_whole_lists_are_those_of_every_row(parts: Parts) -> None:
    completed = fallen_back = asked = denied = masked = 0
    core = parts.graph.core
    # Where the refusal of one row takes the list away, what the other rows have cost is a matter of order
    never_null = frozenset(
        (type_name, field_name)
        for type_name, field_name in (name.split(".") for name in parts.graph.fields())
        if is_non_null_type(core.type_map[type_name].fields[field_name].type)  # type: ignore[attr-defined]
        and (type_name, field_name) not in {("Employee", section) for section in parts.graph.sections}
    )

    texts = texts_of(core)
    world = World(parts)
    whole = deepcopy(world.sources.data)

    @search
    @given(seeds)
    def check(seed: int) -> None:
        nonlocal completed, fallen_back, asked, denied, masked
        rng = random.Random(seed)
        documents = Documents(core, rng, fields=20)
        ids = ", ".join(f'"{rng.choice(EVERYBODY)}"' for _ in range(rng.randint(0, 5)))
        text = documents.write_employees(ids, f'"{rng.choice(EVERYBODY)}"')
        document = parse(text)
        answers = []
        executor: Any = None
        executed = []
        refers = seed % 3 == 0  # for time: what it says is compared once more in the test before
        for executor_class in (*([Reference] if refers else []), PerField, GatedExecutor):
            world.sources.data, world.sources.down, world.sources.calls = deepcopy(whole), {}, []
            _break(world.sources, random.Random(seed))
            context = world.server.context(world.actor("anna.sorokina"), "request")
            context.gate = TableGate(random.Random(seed), never_null, texts)
            context.forget_reads()
            executor = executor_class.build(
                core,
                document,
                context_value=context,
                raw_variable_values=documents.variables,
                is_awaitable=cast(Any, optimized_is_awaitable),
            )
            assert not isinstance(executor, list), (executor, text)
            if isinstance(executor, GatedExecutor):
                executor.prepare()
            result = asyncio.run(_await(executor))
            executed.append((executor, result))
            if executor_class is Reference:
                continue
            calls = sorted(set(world.sources.calls))
            reads = executor.sensitive_reads
            answers.append((repr(result.data), told(result), executor.plan.report(), reads, calls))
        for slow, fast in zip(*answers, strict=True):
            assert fast == slow, text
        if refers:
            (reference, plain), (per_field, gated), _ = executed
            assert repr(plain.data) == repr(gated.data), text
            assert agrees(reference, plain, per_field, gated), text
            masked += reference.masked.total()
        completed += sum(program.completed for program in executor._template.sites.programs)
        fallen_back += sum(program.fallen_back for program in executor._template.sites.programs)
        asked += len(answers[1][4])
        denied += answers[1][0].count("DENIED")

    check()
    assert completed > EXAMPLES / 2, "the loops were hardly used"
    assert asked > EXAMPLES / 4, "the sources were hardly asked"
    assert denied, "no section was denied"
    assert masked > EXAMPLES / 20, "hardly anything was masked"
    assert fallen_back, "nothing fell back"


def _break(sources: FakeSources, rng: random.Random) -> None:
    """Some sources are down, and some have told nonsense; some are known already, of everybody or of a few."""
    sources.warm = set()
    for source, records in sources.data.items():
        few = [number for number in records if rng.random() < 0.5]
        known: list[str | None] = rng.choice([[], [None], [*few]])
        sources.warm.update((source, number) for number in known)
        if rng.random() < 0.1:
            sources.down[source] = SourceFailure("TIMEOUT", f"{source} is late")
        for record in records.values():
            for name in record:
                if rng.random() < 0.1:
                    record[name] = rng.choice([None, 5, "x", [], object(), {}])


def test_templates_shared_by_requests_let_nothing_of_one_into_another(schema: GraphQLSchema) -> None:
    """The same documents again and again, with other variables and data each time, from one cache of plans."""
    plans = PlanCache()
    cases: list[Case] = [Case(schema, seed) for seed in range(40)]
    rng = random.Random(11)
    for turn in range(300):
        case = rng.choice(cases)
        case.fill(turn)
        case.variables = {name: rng.random() < 0.5 for name in ("yes", "no", "maybe")}
        case.variables["text"] = f"text {turn}"  # type: ignore[assignment]
        stock, _ = case.execute(StrawberryGraphQLCoreExecutionContext, TableGate())
        gate = TableGate()
        gate.policy, gate.actor = POLICY, ACTOR_OF_TESTS
        mine, _ = case.execute(GatedExecutor, gate, plans=plans, document=case.text.encode())
        assert repr(mine.data) == repr(stock.data), case.text
        assert told(mine) == told(stock), case.text
    assert 40 < len(plans) < 300


POLICY: Any = object()
ACTOR_OF_TESTS: Any = type("Someone", (), {"rights": "all"})()


QUESTION = """
query ($id: ID!, $more: Boolean!) {
  employee(id: $id) { id login hr @include(if: $more) { meta { state } position salary { minorUnits } } }
  employees(first: 5) { edges { node { id login birth: hr { birthDate } } } }
}
"""


async def test_people_share_a_template_and_never_an_answer(parts: Parts) -> None:
    """One document, side by side, for people of equal and of other rights, about other people, with and without a part."""
    logins = [each.login for each in parts.teams.list_demo_people()][:6]
    asked = [(login, one, more) for login in logins for one in EVERYBODY[:3] for more in (True, False)]
    shared = World(parts)
    alone = [await World(parts).ask(login, QUESTION, id=one, more=more) for login, one, more in asked[::4]]
    for _ in range(2):  # the second time by what was compiled the first time
        bodies = await asyncio.gather(
            *(shared.ask(login, QUESTION, id=one, more=more) for login, one, more in asked)
        )
        assert bodies[::4] == alone
    rights = {shared.actor(login).rights for login in logins}
    assert len(rights) >= 2
    assert len(shared.server._plans) == 2 * len(rights)
