"""The command `okno`. Each command imports what it needs when it is called, so that every one starts fast."""

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from okno.clock import SystemClock
from okno.errors import OknoError
from okno.logging import configure_logging
from okno.settings import Settings, load_settings

# command -> (where its click object is made, what it is for)
GROUPS: Mapping[str, tuple[str, str]] = {
    "access": ("okno.commands:access", "Failed sign-ins, locks, and sessions."),
    "audit": ("okno.commands:audit", "Read and verify the journal."),
    "privacy": ("okno.commands:privacy", "Export, erase and forget what is held about people."),
    "policy": (
        "okno.commands:policy",
        "Who may do what: check, test, explain, compare and replay the policy files.",
    ),
    "sandbox": ("okno.sandbox.cli:sandbox", "The demo company and its simulated systems."),
    "source": ("okno.sources.cli:source", "The connected corporate systems."),
    "token": ("okno.commands:token", "Issue and revoke access tokens."),
}


# the same of the commands of `okno schema` that ask the database
SCHEMA_COMMANDS: Mapping[str, tuple[str, str]] = {
    "breaks": ("okno.commands:schema_breaks", "Who would break if a part of the schema were taken away."),
    "usage": ("okno.commands:schema_usage", "Who uses which part of the schema."),
}


class _Lazy(click.Group):
    """Finds a command's module when its name is used."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._lazy and cmd_name not in self.commands:
            module, _, name = self._lazy[cmd_name][0].partition(":")
            command = getattr(importlib.import_module(module), name)
            assert isinstance(command, click.Command)
            self.add_command(command, cmd_name)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = {name: command.get_short_help_str() for name, command in self.commands.items()}
        lazy = {name: sentence for name, (_, sentence) in self._lazy.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**lazy, **own}.items()))


class _Schema(_Lazy):
    """What compares files needs no running deployment; what asks the database needs its address."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in self._lazy:
            _read_run_environment(f"schema {name}")
        return name, command, rest


class _Commands(_Lazy):
    """Turns errors of the domains into one line and exit code 1."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        _read_run_environment(name)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OknoError as error:
            raise click.ClickException(error.message) from error


@click.group(cls=_Commands, lazy=GROUPS)
def main() -> None:
    """Okno: a company's CRM in one window."""
    if "OKNO_SUPERVISED" in os.environ:
        from okno.processes import die_with_parent

        die_with_parent()
    configure_logging(load_settings().log_level)


# these get their whole environment from whoever starts them
_SELF_CONTAINED = frozenset({"up", "api", "worker", "check", "schema"})


def _read_run_environment(command: str | None) -> None:
    """Makes the addresses of a running `okno up` the defaults of other commands on the same data folder."""
    if command in _SELF_CONTAINED or "OKNO_SUPERVISED" in os.environ:
        return
    file = load_settings().data_dir / "run.env"
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            os.environ.setdefault(name, value)


def _serve(work: Callable[[Settings], Any]) -> None:
    import uvloop

    uvloop.run(work(load_settings()))


@main.command()
def up() -> None:
    """Start everything on this machine: PostgreSQL, the demo company, the API, the worker."""
    from okno.supervisor import Progress
    from okno.supervisor import up as supervise

    settings = load_settings()

    def ready(progress: Progress) -> None:
        progress.say(f"\nOkno is up: {settings.public_url}  ({progress.seconds:.1f} s)\n")
        for line in _demo_people(settings):
            progress.say(line)
        progress.say(f"\nLogs are in {os.path.relpath(settings.data_dir / 'logs')}. Ctrl-C stops everything.")

    asyncio.run(supervise(settings, SystemClock(), ready))


def _demo_people(settings: Settings) -> Iterator[str]:
    """Whom one may sign in as, for the end of `okno up`."""
    from okno.identity.teams import Teams  # okno.commands knows as much, but takes seconds to import

    people = (
        Teams.load(settings.config_dir / "roles").list_demo_people() if settings.mode == "development" else ()
    )
    if people:
        yield "Sign in as one of the demo people (no password, development only):"
    width = max((len(person.login) for person in people), default=0)
    for person in people:
        team = person.teams[0]
        yield f"  {person.login:<{width}}  {team.title.en}: {', '.join(team.roles)}"


@main.command()
def api() -> None:
    """Serve the API and the web application."""
    from okno.app import serve

    _serve(serve)


@main.command()
def worker() -> None:
    """Refresh the index of people, settle unknown outcomes."""
    from okno.worker import work

    _serve(work)


@main.command()
def migrate() -> None:
    """Bring the database to the newest revision; let okno_app sign in where OKNO_APP_DATABASE_URL says so."""
    from okno.errors import ConfigurationError
    from okno.storage import migrate as migrations

    settings = load_settings()
    if settings.database.url is None:
        raise ConfigurationError("DATABASE_URL is not set; the embedded database is migrated by `okno up`")
    owner_url, app_url = settings.database.url, settings.database.app_url

    async def run() -> tuple[str | None, str]:
        revisions = await migrations.upgrade(owner_url)
        if app_url is not None:
            await migrations.give_login(owner_url, app_url)
        return revisions

    before, after = asyncio.run(run())
    click.echo(f"{before or 'empty'} -> {after}" if before != after else f"{after}, nothing to do")


@main.command()
def check() -> None:
    """Check schema.graphql, migrations, manifests, widgets, roles and policies against the code."""
    from okno.checks import run_checks

    problems = run_checks(load_settings())
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(1)


@main.group(cls=_Schema, lazy=SCHEMA_COMMANDS)
def schema() -> None:
    """The GraphQL schema of this deployment, and who uses it."""


@schema.command("print")
def schema_print() -> None:
    """Print the schema that follows from the code and from config/."""
    from okno.wiring import schema_text

    click.echo(schema_text(load_settings()), nl=False)


@schema.command("check")
@click.argument("file", type=click.Path(path_type=Path, exists=True), default=Path("schema.graphql"))
def schema_check(file: Path) -> None:
    """Compare FILE with the schema of this deployment."""
    from okno.wiring import schema_text

    if file.read_text(encoding="utf-8") != schema_text(load_settings()):
        raise click.ClickException(f"{file} is not what the code says; write it anew with `make schema`")


if __name__ == "__main__":
    main()
