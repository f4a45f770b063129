"""What a resolver finds in `info.context`: the actor, the services, and this request's gate and loaders."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from okno.audit.fanout import Fanout
from okno.audit.records import ActorRef
from okno.audit.search import Search
from okno.audit.service import Journal
from okno.clock import Clock
from okno.dashboards.service import Dashboards
from okno.graph.connections import Cursors
from okno.graph.gate import Gate
from okno.graph.loaders import Loaders
from okno.graph.sections import SectionSpec
from okno.identity.model import Actor
from okno.identity.teams import Teams
from okno.limits.service import RequestLimits
from okno.operations.service import Operations
from okno.people.service import People
from okno.policy.current import PolicySource
from okno.policy.decisions import DecisionCounts
from okno.policy.service import Policy
from okno.sources.service import Sources
from okno.usage.model import Client
from okno.usage.service import Usage


@dataclass(frozen=True, slots=True)
class Services:
    """The services that the graph stands on; one set for each process."""

    policy: PolicySource
    people: People
    sources: Sources
    journal: Journal
    search: Search
    operations: Operations
    dashboards: Dashboards
    teams: Teams
    usage: Usage
    clock: Clock
    fanout: Fanout
    cursors: Cursors = field(default_factory=Cursors)
    limits: RequestLimits | None = None
    decisions: DecisionCounts = field(default_factory=DecisionCounts)


@dataclass(slots=True)
class Context:
    """One request. Loaders and decisions live as long as it does and belong to its actor alone.

    `policy` is the one that was in force when the request came; all of it is decided by that.
    """

    actor: Actor
    services: Services
    sections: Mapping[str, SectionSpec]
    request_id: str
    client: Client
    policy: Policy = field(init=False)
    gate: Gate = field(init=False)
    _loaders: Loaders | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.policy = self.services.policy.get()
        self.gate = Gate(self.policy, self.actor)

    @property
    def loaders(self) -> Loaders:
        """What reads rows and sections, each once in a request; made when something is to be read."""
        if self._loaders is None:
            self._loaders = Loaders(
                self.actor, self.gate, self.services.people, self.services.sources, self.services.journal
            )
        return self._loaders

    def forget_reads(self) -> None:
        """Begins with empty loaders: what was read before a change may no longer be so."""
        self._loaders = None

    @property
    def people(self) -> People:
        return self.services.people

    @property
    def sources(self) -> Sources:
        return self.services.sources

    @property
    def journal(self) -> Journal:
        return self.services.journal

    @property
    def search(self) -> Search:
        return self.services.search

    @property
    def operations(self) -> Operations:
        return self.services.operations

    @property
    def dashboards(self) -> Dashboards:
        return self.services.dashboards

    @property
    def cursors(self) -> Cursors:
        return self.services.cursors

    @property
    def usage(self) -> Usage:
        return self.services.usage

    @property
    def clock(self) -> Clock:
        return self.services.clock

    @property
    def actor_ref(self) -> ActorRef:
        """The actor as the journal names them."""
        actor = self.actor
        return ActorRef(actor.id, actor.kind, actor.login, actor.display_name, actor.team)
