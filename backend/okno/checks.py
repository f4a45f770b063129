"""`okno check`: what has to agree before a deployment starts, each problem as a line with its place."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from okno.commands import schema_names
from okno.errors import OknoError
from okno.graph.documents import DocumentReader
from okno.graph.trusted import TrustedDocuments
from okno.identity.teams import Teams
from okno.policy.model import PolicyError
from okno.policy.service import Policy
from okno.policy.witness import disagreements
from okno.settings import Settings
from okno.storage import migrate
from okno.storage.embedded import EmbeddedPostgres
from okno.storage.models import Base
from okno.wiring import read_graph, read_widgets, schema_text

SCHEMA_FILE = Path("schema.graphql")


def run_checks(settings: Settings) -> list[str]:
    """All checks; a check that cannot run because of an earlier problem says so by its own error."""
    problems: list[str] = []
    checks: list[Callable[[Settings], Iterator[str]]] = [
        _manifests,
        _policies,
        _schema,
        _documents,
        _migrations,
    ]
    for check in checks:
        try:
            problems += check(settings)
        except PolicyError as error:
            problems += [str(problem) for problem in error.problems]
        except OknoError as error:
            problems.append(error.message)
    return list(dict.fromkeys(problems))


def _manifests(settings: Settings) -> Iterator[str]:
    graph, policy, manifests = read_graph(settings)
    widgets = read_widgets(settings.widgets_dir, graph, manifests, settings.graphql)
    Teams.load(
        settings.config_dir / "roles",
        known_roles=policy.roles,
        known_widgets=widgets,
        incompatible=policy.incompatible,
    )
    yield from ()


def _policies(settings: Settings) -> Iterator[str]:
    names = schema_names(settings)
    policy = Policy.load(settings.policies_dir)
    yield from (str(problem) for problem in (*policy.problems(names), *disagreements(policy)))


def _schema(settings: Settings) -> Iterator[str]:
    if not SCHEMA_FILE.exists() or SCHEMA_FILE.read_text(encoding="utf-8") != schema_text(settings):
        yield f"{SCHEMA_FILE} is not what the code says; write it anew with `make schema`"


def _documents(settings: Settings) -> Iterator[str]:
    """The operations of the built front end, if it is built, fit the schema and their budget."""
    graph, _, _ = read_graph(settings)
    TrustedDocuments.load(DocumentReader(graph.core, settings.graphql), frontend_dir=settings.frontend_dir)
    yield from ()


def _migrations(settings: Settings) -> Iterator[str]:
    """Migrates an empty database on a server of its own and compares it with the models."""
    with tempfile.TemporaryDirectory(prefix="okno-check-") as directory:
        server = EmbeddedPostgres(Path(directory) / "postgres", settings={"fsync": "off"})
        server.start()
        try:
            yield from asyncio.run(_drift(server))
        finally:
            server.stop()


async def _drift(server: EmbeddedPostgres) -> list[str]:
    await server.ensure_roles()
    await server.ensure_database("okno")
    await migrate.upgrade(server.url("okno"))
    found = await migrate.differences(server.url("okno"), Base.metadata)
    return [f"migrations differ from the models: {difference}" for difference in found]
