"""Assembles the schema: the domains' types, and the sections that the source manifests add to `Employee`."""

import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import strawberry
from graphql import GraphQLObjectType, GraphQLSchema, is_introspection_type
from strawberry.federation.schema import FederationAny
from strawberry.federation.schema_directives import Cost
from strawberry.printer import print_schema
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from okno.audit.api import AuditRecord
from okno.audit.registry import require
from okno.errors import ConfigurationError, InvalidInput
from okno.graph.directives import LINKED, SECTION_WEIGHT, Sensitivity, SensitivityLevel, cost_directives
from okno.graph.executor import GatedExecutor
from okno.graph.mutation import Mutation
from okno.graph.query import Query
from okno.graph.scalars import SCALARS
from okno.graph.sections import SectionSpec, SectionValue, build_sections
from okno.graph.subscription import Subscription
from okno.operations.model import EVENT_TYPES
from okno.people.api import Employee
from okno.sources.api import SectionMeta
from okno.sources.manifest import SourceManifest

# @theguild/federation-composition refuses strawberry's default, 2.11 (FACTS § GraphQL)
FEDERATION_VERSION = "2.9"
MAX_REPRESENTATIONS = 100

_BUILT_IN_DESCRIPTIONS = {
    ("Query", "_service"): "This subgraph's own schema, for a federation router.",
    (
        "Query",
        "_entities",
    ): "Objects by their keys, for a federation router; null for those that you may not know of.",
    ("_Service", "sdl"): "The schema in the schema definition language.",
}


@dataclass(frozen=True, slots=True)
class Graph:
    """A schema that can be served."""

    strawberry: "FederatedSchema"
    sections: Mapping[str, SectionSpec]

    @property
    def core(self) -> GraphQLSchema:
        """graphql-core's form of the schema, the one that documents are validated against and executed on."""
        return self.strawberry._schema

    def fields(self) -> list[str]:
        """All fields of all object types as "Type.field", sorted: what the policy has to cover."""
        return sorted(
            f"{name}.{field}"
            for name, kind in self.core.type_map.items()
            if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
            for field in kind.fields
        )


class FederatedSchema(strawberry.federation.Schema):
    """Strawberry's federation schema with the section fields on `Employee` and a level on every field."""

    def __init__(
        self, sections: Mapping[str, SectionSpec], level_of: Callable[[str], str | None], **kwargs: Any
    ) -> None:
        self._section_fields = [_section_field(spec) for spec in sections.values()]
        self._level_of = level_of
        super().__init__(**kwargs)

    @property
    def schema_directives_in_use(self) -> list[object]:
        """What a federation router is told to @link: also the directives that `get_fields` adds."""
        return [*super().schema_directives_in_use, *LINKED]

    def get_fields(self, type_definition: StrawberryObjectDefinition) -> list[StrawberryField]:
        """The type's fields with what this deployment adds; Strawberry asks here for each type that it converts."""
        fields = super().get_fields(type_definition)
        if type_definition.is_input or type_definition.is_interface:
            return fields
        if type_definition.origin is Employee:
            fields = [*fields, *self._section_fields]
        return [self._with_level(type_definition.name, field) for field in fields]

    def entities_resolver(
        self, info: strawberry.Info[Any], representations: list[FederationAny]
    ) -> list[FederationAny]:
        """Answers a federation router. A representation of another form is an error of its own entry."""
        if len(representations) > MAX_REPRESENTATIONS:
            raise InvalidInput(
                f"_entities answers at most {MAX_REPRESENTATIONS} representations, not {len(representations)}."
            )
        return [cast(FederationAny, _entity(info, cast(Any, each))) for each in representations]

    def _with_level(self, type_name: str, field: StrawberryField) -> StrawberryField:
        name = self.config.name_converter.get_graphql_name(field)
        level = self._level_of(f"{type_name}.{name}")
        own = copy.copy(field)
        own.description = own.description or _BUILT_IN_DESCRIPTIONS.get((type_name, name))
        if level is not None:
            own.directives = [*own.directives, Sensitivity(level=SensitivityLevel(level))]
        own.directives = [*own.directives, *cost_directives(type_name, name, own)]
        if (type_name, name) == ("_Service", "sdl"):
            own.base_resolver = StrawberryResolver(self._tell)
        return own

    def _tell(self) -> str:
        return self._sdl

    @cached_property
    def _sdl(self) -> str:
        """Printed once: it takes 16 ms, and would be printed for every alias of the field."""
        return print_schema(self)


def build_schema(
    manifests: Mapping[str, SourceManifest],
    level_of: Callable[[str], str | None] = lambda _field: None,
    *,
    query: type[Query] = Query,
) -> Graph:
    """The schema of a deployment.

    Args:
        manifests: the sources, by id.
        level_of: the policy's level of "Type.field", printed as `@sensitivity`; None prints nothing.
        query: the root of reading; a bench adds fields to it.

    Raises:
        ConfigurationError: two sources claim one name, or a mutation has no registered event type.
    """
    sections = build_sections(manifests)
    schema = FederatedSchema(
        sections,
        level_of,
        query=query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Employee, AuditRecord, *(spec.type for spec in sections.values())],
        execution_context_class=GatedExecutor,
        config=StrawberryConfig(scalar_map=SCALARS),
        federation_version=FEDERATION_VERSION,
    )
    graph = Graph(schema, sections)
    _require_event_types(graph)
    return graph


def schema_sdl(graph: Graph) -> str:
    """The schema as `schema.graphql` has it."""
    return print_schema(graph.strawberry) + "\n"


def _require_event_types(graph: Graph) -> None:
    mutation = graph.core.mutation_type
    names = list(mutation.fields) if mutation else []
    if missing := [name for name in names if name not in EVENT_TYPES]:
        raise ConfigurationError(
            f"mutations without an event type: {', '.join(missing)}; add them to operations.model.EVENT_TYPES"
        )
    require(EVENT_TYPES[name] for name in names)


def _section_field(spec: SectionSpec) -> StrawberryField:
    async def resolve(root: Any, info: strawberry.Info[Any]) -> Any:
        return await read_section(spec, root, info)

    title = spec.title.get("en") or next(iter(spec.title.values()))
    field = strawberry.field(
        resolver=resolve,
        name=spec.field,
        graphql_type=spec.type,
        description=f"What {title} knows. Never null: `meta` says what it is worth.",
        directives=[Cost(weight=SECTION_WEIGHT)],
    )
    field.python_name = spec.field
    return cast(StrawberryField, field)


async def read_section(spec: SectionSpec, employee: Employee, info: strawberry.Info[Any]) -> SectionValue:
    """Asks the source for the employee's section; a fault of the source is in `meta`."""
    context = info.context
    result = await context.loaders.section(spec.source_id, employee.person)
    meta = SectionMeta.of_result(context.sources.manifests[spec.source_id], result)
    return spec.value(meta, result.data, employee.facts, employee.subject_label)


def _entity(info: strawberry.Info[Any], representation: Any) -> Awaitable[Employee | None] | Exception:
    if not isinstance(representation, Mapping) or representation.get("__typename") != "Employee":
        return InvalidInput(
            "A representation names a type with a key of this subgraph: Employee.", field="representations"
        )
    key = representation.get("id")
    if not isinstance(key, str):
        return InvalidInput("A representation of Employee has its id, a text.", field="representations")
    return Employee.resolve_reference(info, strawberry.ID(key))
