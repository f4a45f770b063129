"""The assembled schema: complete, described, and the one that is committed."""

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    is_introspection_type,
)
from graphql import (
    build_schema as build_core_schema,
)

from okno.errors import ConfigurationError
from okno.graph import schema as assembling
from okno.graph.schema import Graph, build_schema, schema_sdl
from okno.policy.service import Policy
from okno.sources.manifest import SourceManifest
from okno.sources.service import load_sources_manifests

ROOT = Path(__file__).parents[2]
# Federation's own, without a place for a description
UNDESCRIBED = ("_", "link__")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(ROOT / "policies")


@pytest.fixture(scope="module")
def graph(policy: Policy) -> Graph:
    return build_schema(load_sources_manifests(ROOT / "config" / "sources"), policy.level_of)


def manifest(source_id: str, field: str, kind: str) -> SourceManifest:
    title = {"en": source_id.title(), "ru": source_id.title()}
    fields = [{"name": "name", "type": "string", "path": "name", "title": title}]
    section = {"field": field, "type": kind, "fields": fields}
    return SourceManifest.model_validate(
        {"id": source_id, "kind": "rest", "title": title, "key": "login", "section": section}
    )


def test_the_committed_schema_is_that_of_the_code(graph: Graph) -> None:
    committed = (ROOT / "schema.graphql").read_text(encoding="utf-8")
    assert schema_sdl(graph) == committed, "run `make schema` and commit schema.graphql"


def test_every_type_field_argument_and_value_is_described(graph: Graph) -> None:
    missing = []
    for name, kind in graph.core.type_map.items():
        if is_introspection_type(kind) or name.startswith(UNDESCRIBED):
            continue
        if not kind.description:
            missing.append(name)
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field_name, field in kind.fields.items():
                if not field.description:
                    missing.append(f"{name}.{field_name}")
                missing += [
                    f"{name}.{field_name}({argument})"
                    for argument, value in field.args.items()
                    if not value.description and argument != "representations"
                ]
        elif isinstance(kind, GraphQLInputObjectType):
            missing += [f"{name}.{part}" for part, value in kind.fields.items() if not value.description]
        elif isinstance(kind, GraphQLEnumType):
            missing += [f"{name}.{part}" for part, value in kind.values.items() if not value.description]
    assert missing == []


def test_the_policy_covers_every_field(graph: Graph, policy: Policy) -> None:
    mutation = graph.core.mutation_type
    assert mutation is not None
    operations = [
        operation.id
        for each in load_sources_manifests(ROOT / "config" / "sources").values()
        for operation in each.operations
    ]
    assert policy.check(fields=graph.fields(), mutations=mutation.fields, operations=operations) == []


def test_every_level_is_printed_as_a_directive(graph: Graph, policy: Policy) -> None:
    printed = schema_sdl(graph)
    assert "salary: Money @sensitivity(level: SECRET)" in printed
    assert "birthDate: Date @sensitivity(level: CONFIDENTIAL)" in printed
    assert 'type Employee implements Node @key(fields: "id")' in printed
    build_core_schema(printed, assume_valid_sdl=True)


def test_a_new_source_is_a_new_section_without_any_code() -> None:
    graph = build_schema({"badges": manifest("badges", "badges", "BadgesSection")})
    assert "BadgesSection.name" in graph.fields()
    assert "Employee.badges" in graph.fields()
    assert "Employee.hr" not in graph.fields()


def test_two_sources_may_not_claim_one_name() -> None:
    manifests = {"a": manifest("a", "badges", "ASection"), "b": manifest("b", "badges", "BSection")}
    with pytest.raises(ConfigurationError, match="a and b both add 'badges'"):
        build_schema(manifests)


def test_a_mutation_without_an_event_type_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembling, "EVENT_TYPES", {"operationRun": "operation.run"})
    with pytest.raises(ConfigurationError, match="operationPreview"):
        build_schema({})


def test_a_mutation_with_an_unregistered_event_type_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        assembling, "EVENT_TYPES", {"operationRun": "operation.run", "operationPreview": "no.such"}
    )
    with pytest.raises(ConfigurationError, match=r"no\.such"):
        build_schema({})
