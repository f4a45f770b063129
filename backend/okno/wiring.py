"""Builds the services of a process from its settings, and hands to each domain what it needs from those above it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from okno.audit.fanout import Fanout
from okno.audit.feed import Announcer, Feed
from okno.audit.service import Journal
from okno.clock import Clock, SystemClock
from okno.dashboards.model import WidgetDefinition
from okno.dashboards.registry import load_widgets
from okno.dashboards.service import Dashboards
from okno.errors import ConfigurationError
from okno.graph.connections import Cursors
from okno.graph.context import Services as GraphServices
from okno.graph.members import schema_members
from okno.graph.schema import Graph, build_schema, schema_sdl
from okno.graph.subscriptions.topics import forgetting
from okno.graph.widget_documents import WidgetDocuments
from okno.identity.recorder import JournalRecorder
from okno.identity.service import Identity
from okno.operations.service import Operations
from okno.operations.tokens import load_key
from okno.people.service import People
from okno.policy.service import Policy
from okno.settings import GraphqlSettings, Settings
from okno.sources.manifest import SourceManifest
from okno.sources.service import Sources, load_sources_manifests
from okno.storage.engine import APP_ROLE, Database
from okno.usage.service import Usage


@dataclass(frozen=True)
class Services:
    """All that a process serves or works with."""

    settings: Settings
    clock: Clock
    db: Database
    policy: Policy
    journal: Journal
    feed: Feed
    identity: Identity
    sources: Sources
    people: People
    operations: Operations
    dashboards: Dashboards
    usage: Usage
    graph: Graph
    cursors: Cursors

    @property
    def for_graph(self) -> GraphServices:
        return GraphServices(
            policy=self.policy,
            people=self.people,
            sources=self.sources,
            journal=self.journal,
            operations=self.operations,
            dashboards=self.dashboards,
            teams=self.identity.teams,
            usage=self.usage,
            clock=self.clock,
            cursors=self.cursors,
            fanout=self.feed.fanout,
        )


@asynccontextmanager
async def open_services(
    settings: Settings, *, application_name: str, clock: Clock | None = None
) -> AsyncIterator[Services]:
    """The services of one process, closed in order when the block ends.

    Raises:
        ConfigurationError: a file of the deployment is wrong; nothing was started.
        Unavailable: the database does not answer.
    """
    clock = clock or SystemClock()
    policy = Policy.load(settings.policies_dir)
    manifests = load_sources_manifests(settings.config_dir / "sources")
    graph = build_schema(manifests, policy.level_of)
    widgets = read_widgets(settings.widgets_dir, graph, manifests, settings.graphql)
    sources = Sources(manifests, clock)
    async with AsyncExitStack() as stack:
        db = open_database(settings, application_name)
        stack.push_async_callback(db.dispose)
        # connections of its own: a request that holds one while it records would wait for itself in a full pool, and those
        # who only read the journal must not keep it from being written
        journal_db = open_database(settings, f"{application_name}-journal", pool_size=2)
        stack.push_async_callback(journal_db.dispose)
        people = People(db, sources, clock)
        # The announcer ends after the journal, whose last record is told too
        feed_db = open_database(settings, f"{application_name}-feed", pool_size=3)
        stack.push_async_callback(feed_db.dispose)
        announcer = Announcer(feed_db)
        announcer.start()
        stack.push_async_callback(announcer.close)
        feed = Feed(feed_db, Fanout(), before_others=forgetting(people, sources))

        def committed(chain: UUID) -> None:
            announcer.committed(chain)
            feed.committed(chain)

        journal = Journal(
            journal_db,
            clock,
            settings.data_dir,
            reads=db,
            process=application_name,
            group_commit_milliseconds=settings.audit.group_commit_milliseconds,
            committed=committed,
        )
        await journal.start()
        stack.push_async_callback(journal.close)
        usage = Usage(db, clock, schema_members(graph.core))
        usage.start()
        stack.push_async_callback(usage.close)
        await sources.start()
        stack.push_async_callback(sources.close)

        async def find_employee(login: str) -> UUID | None:
            person = await people.find_by_key("login", login)
            return None if person is None else person.id

        identity = Identity.of_settings(
            settings,
            db,
            clock,
            JournalRecorder(journal),
            known_roles=policy.roles,
            known_widgets=widgets,
            find_employee=find_employee,
        )
        stack.push_async_callback(identity.close)
        key = load_key(settings.data_dir)
        yield Services(
            settings=settings,
            clock=clock,
            db=db,
            policy=policy,
            journal=journal,
            feed=feed,
            identity=identity,
            sources=sources,
            people=people,
            operations=Operations(
                policy=policy,
                people=people,
                sources=sources,
                journal=journal,
                clock=clock,
                key=key,
            ),
            dashboards=Dashboards(widgets=widgets, teams=identity.teams, policy=policy),
            usage=usage,
            graph=graph,
            cursors=Cursors(key),
        )


def open_database(settings: Settings, application_name: str, *, pool_size: int | None = None) -> Database:
    """Okno's database as the application sees it: as the role okno_app.

    Raises:
        ConfigurationError: neither DATABASE_URL is set nor has `okno up` made an embedded server.
    """
    if settings.database.app_url is not None:
        url, role = settings.database.app_url, None
    elif settings.database.url is not None:
        url, role = settings.database.url, APP_ROLE
    else:
        raise ConfigurationError("DATABASE_URL is not set; set it, or start everything with `okno up`")
    return Database.connect(
        url, role=role, pool_size=pool_size or settings.database.pool_size, application_name=application_name
    )


def read_graph(settings: Settings) -> tuple[Graph, Policy, Mapping[str, SourceManifest]]:
    """The schema, the policy and the manifests of a deployment, without connecting to anything.

    Raises:
        ConfigurationError: a file of the deployment is wrong.
    """
    policy = Policy.load(settings.policies_dir)
    manifests = load_sources_manifests(settings.config_dir / "sources")
    return build_schema(manifests, policy.level_of), policy, manifests


def read_widgets(
    directory: Path,
    graph: Graph,
    manifests: Mapping[str, SourceManifest],
    limits: GraphqlSettings,
) -> dict[str, WidgetDefinition]:
    """The widgets, checked against the schema, its budget for trusted documents and the operations of the sources.

    Raises:
        ConfigurationError: a widget is wrong.
    """
    operations = [operation.id for manifest in manifests.values() for operation in manifest.operations]
    read_document = WidgetDocuments(graph.core, limits)
    return load_widgets(directory, read_document=read_document, operation_ids=operations)


def schema_text(settings: Settings) -> str:
    """`schema.graphql` of the deployment."""
    return schema_sdl(read_graph(settings)[0])
