"""`okno source …`: which systems are connected, and whether their manifests and connections are right."""

import asyncio
import sys
from pathlib import Path

import click

from okno.clock import SystemClock
from okno.errors import ConfigurationError
from okno.network import NetworkGuard
from okno.settings import load_settings
from okno.sources.errors import SourceError
from okno.sources.service import Sources, load_sources_manifests


@click.group("source")
def source() -> None:
    """The connected corporate systems."""


@source.command("list")
def list_sources() -> None:
    """One line for each system: id, kind, name, operations."""
    manifests = load_sources_manifests(_directory())
    for manifest in manifests.values():
        operations = ", ".join(operation.id for operation in manifest.operations) or "-"
        click.echo(f"{manifest.id}\t{manifest.kind}\t{manifest.title['en']}\t{operations}")


@source.command("check")
@click.argument("source_id", metavar="[ID]", required=False)
@click.option("--offline", is_flag=True, help="Check the manifests only; connect to nothing.")
def check(source_id: str | None, offline: bool) -> None:
    """Checks the manifests, the references to secrets, and asks each system (or the one named ID) something small."""
    manifests = load_sources_manifests(_directory())
    if source_id is not None and source_id not in manifests:
        raise ConfigurationError(f"no source {source_id}; there are {', '.join(manifests)}")
    chosen = {name: manifest for name, manifest in manifests.items() if source_id in (None, name)}
    if offline:
        click.echo(f"{len(chosen)} manifests are right")
        return
    network = NetworkGuard(load_settings().allowed_networks)
    outcomes = asyncio.run(_ping(Sources(chosen, SystemClock(), network=network)))
    for name, outcome in outcomes.items():
        click.echo(f"{name}\t{outcome or 'ok'}")
    if any(outcomes.values()):
        sys.exit(1)


async def _ping(sources: Sources) -> dict[str, str]:
    async def ask(source_id: str) -> str:
        try:
            await sources.ping(source_id)
        except SourceError as error:
            return f"{error.code}: {error.message}"
        return ""

    try:
        answers = await asyncio.gather(*(ask(source_id) for source_id in sources.manifests))
    finally:
        await sources.close()
    return dict(zip(sources.manifests, answers, strict=True))


def _directory() -> Path:
    return load_settings().config_dir / "sources"
