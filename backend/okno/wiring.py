"""Builds the services of a process from its settings, and hands to each domain what it needs from those above it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from okno.audit.fanout import Fanout
from okno.audit.feed import Announcer, Feed
from okno.audit.search import Search
from okno.audit.service import Journal
from okno.audit.sink import S3Sink, Sink
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
from okno.identity.teams import Teams
from okno.limits.service import RequestLimits
from okno.network import NetworkGuard
from okno.operations.service import Operations
from okno.operations.tokens import load_key
from okno.people.index.admission import Residency
from okno.people.service import People
from okno.policy.current import CurrentPolicy
from okno.policy.model import Problem
from okno.policy.names import SchemaNames
from okno.policy.recorded import RecordedDecisions
from okno.policy.service import Policy
from okno.privacy.digests import Digests
from okno.privacy.service import Bars, Privacy, systems_of
from okno.schema_names import names_of
from okno.settings import GraphqlSettings, Settings, read_secret
from okno.sources.manifest import SourceManifest
from okno.sources.service import Sources, load_sources_manifests
from okno.storage.embedded import DATABASE, OWNER, EmbeddedPostgres
from okno.storage.engine import APP_ROLE, Database
from okno.usage.service import Usage


@dataclass(frozen=True)
class Services:
    """All that a process serves or works with."""

    settings: Settings
    clock: Clock
    db: Database
    policy: CurrentPolicy
    journal: Journal
    feed: Feed
    identity: Identity
    sources: Sources
    people: People
    operations: Operations
    dashboards: Dashboards
    usage: Usage
    decisions: RecordedDecisions
    privacy: Privacy
    graph: Graph
    cursors: Cursors
    limits: RequestLimits

    @property
    def for_graph(self) -> GraphServices:
        return GraphServices(
            policy=self.policy,
            people=self.people,
            sources=self.sources,
            journal=self.journal,
            search=Search(self.db),
            operations=self.operations,
            dashboards=self.dashboards,
            teams=self.identity.teams,
            usage=self.usage,
            decisions=self.decisions.counts,
            clock=self.clock,
            cursors=self.cursors,
            fanout=self.feed.fanout,
            limits=self.limits,
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
    network = NetworkGuard(settings.allowed_networks)
    sources = Sources(manifests, clock, network=network)
    async with AsyncExitStack() as stack:
        db = open_database(settings, application_name)
        stack.push_async_callback(db.dispose)
        # connections of its own: a request that holds one while it records would wait for itself in a full pool, and those
        # who only read the journal must not keep it from being written
        journal_db = open_database(settings, f"{application_name}-journal", pool_size=2)
        stack.push_async_callback(journal_db.dispose)
        digests = Digests.load(settings.data_dir)
        people = People(
            db,
            sources,
            clock,
            admission=Bars(digests),
            residency=Residency(settings.privacy.residency),
        )
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
            sink=_sink(settings, clock, network),
        )
        await journal.start()
        stack.push_async_callback(journal.close)
        current = CurrentPolicy(
            policy,
            settings.policies_dir,
            journal=journal,
            process=application_name,
            check=lambda new: _problems(new, names_of(graph, manifests, identity.teams), identity.teams),
        )
        usage = Usage(db, clock, schema_members(graph.core))
        usage.start()
        stack.push_async_callback(usage.close)
        decisions = RecordedDecisions(db, clock)
        decisions.start()
        stack.push_async_callback(decisions.close)
        await sources.start()
        stack.push_async_callback(sources.close)

        async def find_employee(login: str) -> UUID | None:
            person = await people.find_by_key("login", login)
            return None if person is None else person.id

        # a connection of its own: when all others are taken is when limits matter
        limits_db = open_database(settings, f"{application_name}-limits", pool_size=1)
        stack.push_async_callback(limits_db.dispose)
        limits = RequestLimits(limits_db, clock, settings)
        stack.push_async_callback(limits.close)
        identity = Identity.of_settings(
            settings,
            db,
            clock,
            JournalRecorder(journal),
            known_roles=policy.roles,
            known_widgets=widgets,
            find_employee=find_employee,
            attempts=limits.attempts,
            incompatible=lambda: current.get().incompatible,
        )
        stack.push_async_callback(identity.close)
        await current.start()
        stack.push_async_callback(current.close)
        key = load_key(settings.data_dir)
        yield Services(
            settings=settings,
            clock=clock,
            db=db,
            policy=current,
            journal=journal,
            feed=feed,
            identity=identity,
            sources=sources,
            people=people,
            operations=Operations(
                policy=current,
                people=people,
                sources=sources,
                journal=journal,
                clock=clock,
                key=key,
                decisions=decisions.counts,
            ),
            dashboards=Dashboards(widgets=widgets, teams=identity.teams, policy=current),
            usage=usage,
            decisions=decisions,
            privacy=Privacy(
                db, journal, clock, digests, settings.privacy.retention, systems=systems_of(manifests)
            ),
            graph=graph,
            cursors=Cursors(key),
            limits=limits,
        )


def _sink(settings: Settings, clock: Clock, network: NetworkGuard) -> Sink | None:
    """The second place of the journal's checkpoints, if the deployment has one."""
    s3 = settings.audit.s3
    if s3 is None:
        return None
    return S3Sink(
        endpoint=s3.endpoint,
        bucket=s3.bucket,
        prefix=s3.prefix,
        region=s3.region,
        access_key=read_secret(s3.access_key),
        secret_key=read_secret(s3.secret_key),
        clock=clock,
        network=network,
    )


def open_owner_database(settings: Settings, application_name: str) -> Database:
    """Okno's database as its owner, for what the application may not do: retention of the journal. Never in the API process.

    Raises:
        ConfigurationError: this process does not know the owner.
    """
    server = EmbeddedPostgres(settings.data_dir / "postgres")
    if settings.database.url is not None:
        url = settings.database.url
    elif server.exists:
        url = server.url(DATABASE, OWNER)
    else:
        raise ConfigurationError(
            "records are cut off as the owner of the database only; run `okno audit cut` where DATABASE_URL is set"
        )
    return Database.connect(url, role=None, pool_size=2, application_name=application_name)


def _problems(policy: Policy, names: SchemaNames, teams: Teams) -> list[Problem]:
    """What keeps a changed policy from coming into force: it does not cover the schema, or the teams do not fit it."""
    found = policy.problems(names)
    for team in teams:
        for role in sorted(set(team.roles) - policy.roles.keys()):
            message = f"team {team.id} holds the role {role}, which is declared nowhere"
            found.append(Problem(f"config/roles/{team.id}.yaml", 1, "unknown-role", message))
        for pair in policy.incompatible:
            if pair.roles <= set(team.roles):
                message = f"team {team.id} holds {' and '.join(sorted(pair.roles))} together: {pair.why}"
                found.append(Problem(pair.file, pair.line, "incompatible-roles", message))
    return found


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
