"""What the policy has to cover: the schema's fields and mutations, the sources' operations, the pages."""

from collections.abc import Iterable, Mapping

from graphql import GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLString

from okno.graph.schema import Graph
from okno.identity.teams import Team
from okno.policy.names import SchemaNames
from okno.sources.manifest import SourceManifest

# what the action "use" may name: pages of the application and abilities of the API
PAGES = frozenset(
    {"people.search", "sources.read", "audit.read", "schema.usage", "graphiql.use", "introspection.use"}
)


def names_of(
    graph: Graph, manifests: Mapping[str, SourceManifest], teams: Iterable[Team] | None = None
) -> SchemaNames:
    """The names of a deployment; without its teams, what they hold stays unchecked."""
    known = None if teams is None else list(teams)
    mutation = graph.core.mutation_type
    return SchemaNames(
        fields=frozenset(graph.fields()),
        mutations=frozenset(f"Mutation.{name}" for name in mutation.fields) if mutation else frozenset(),
        operations=frozenset(
            operation.id for manifest in manifests.values() for operation in manifest.operations
        ),
        pages=PAGES,
        texts=frozenset(name for name in graph.fields() if _is_text(graph, name)),
        roles=None if known is None else frozenset(role for team in known for role in team.roles),
        teams=None if known is None else frozenset(team.id for team in known),
    )


def _is_text(graph: Graph, name: str) -> bool:
    """Whether a field is a String or a list of them: nothing else can be shown masked."""
    type_name, _, field = name.partition(".")
    owner = graph.core.type_map[type_name]
    assert isinstance(owner, GraphQLObjectType)
    kind = owner.fields[field].type
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if isinstance(kind, GraphQLList):
        kind = kind.of_type
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
    return kind is GraphQLString
