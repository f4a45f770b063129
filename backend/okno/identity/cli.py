"""`okno token`: bearer tokens for people and services, and who the demo people are."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import click

from okno.errors import OknoError
from okno.identity.service import Identity
from okno.identity.teams import DemoPerson
from okno.identity.tokens import IssuedToken

T = TypeVar("T")

OpenIdentity = Callable[[], AbstractAsyncContextManager[Identity]]
ListPeople = Callable[[], Sequence[DemoPerson]]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType[timedelta]):
    """`90s`, `30m`, `1h` or `7d`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is no duration; write a number and s, m, h or d, such as 1h", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


def token_group(open_identity: OpenIdentity, list_people: ListPeople) -> click.Group:
    """The commands.

    Args:
        open_identity: opens identity with its database and journal for the time of one command.
        list_people: the demo people, read from the configuration alone; empty in production.
    """

    def run(work: Callable[[Identity], Awaitable[T]]) -> T:
        async def opened() -> T:
            async with open_identity() as identity:
                return await work(identity)

        try:
            return asyncio.run(opened())
        except OknoError as error:
            raise click.ClickException(error.message) from error

    @click.group("token", help="Bearer tokens for the API.")
    def group() -> None:
        pass

    @group.command("issue")
    @click.option("--as", "login", metavar="LOGIN", help="The person in whose name the token acts.")
    @click.option("--team", metavar="TEAM", help="The person's team to act for, if there are several.")
    @click.option(
        "--service", metavar="NAME", help="The service principal whose token it is; created when new."
    )
    @click.option(
        "--scope", "scopes", metavar="SCOPE", multiple=True, help="What the service may do; repeatable."
    )
    @click.option("--ttl", type=Duration(), required=True, help="How long it is valid, such as 1h or 30d.")
    def issue(
        login: str | None, team: str | None, service: str | None, scopes: tuple[str, ...], ttl: timedelta
    ) -> None:
        """Issue a token and print it on the last line. It cannot be shown again."""
        if (login is None) == (service is None):
            raise click.UsageError("give either --as LOGIN or --service NAME")

        async def work(identity: Identity) -> IssuedToken:
            if login is not None:
                return await identity.issue_token(login, ttl, team_id=team)
            assert service is not None
            return await identity.issue_service_token(service, scopes, ttl)

        if login is not None and scopes:
            raise click.UsageError(
                "--scope is for services: a person's token has the rights of the person's team"
            )
        if service is not None and team is not None:
            raise click.UsageError("--team is for people: a service has scopes and no team")
        issued = run(work)
        what = f"team {issued.team}" if issued.team else f"scopes {', '.join(issued.scopes)}"
        click.echo(f"token {issued.id} for {issued.holder}, {what}, valid for {ttl}", err=True)
        click.echo(issued.token)

    @group.command("people")
    def people() -> None:
        """List the demo logins: login, roles, team and name, separated by tabs."""
        found = list_people()
        if not found:
            click.echo("There are no demo people: they exist in development mode only.", err=True)
        for person in found:
            roles = ", ".join(dict.fromkeys(role for team in person.teams for role in team.roles))
            teams = ", ".join(team.id for team in person.teams)
            click.echo(f"{person.login}\t{roles}\t{teams}\t{person.display_name}")

    @group.command("list")
    def list_() -> None:
        """List the valid tokens: id, holder, team or scopes, expiry, last use. Never the tokens."""

        async def work(identity: Identity) -> None:
            for info in await identity.list_tokens():
                rights = info.team or " ".join(info.scopes)
                used = info.last_used_at.isoformat(timespec="minutes") if info.last_used_at else "never used"
                until = info.expires_at.isoformat(timespec="minutes")
                click.echo(f"{info.id}\t{info.kind}\t{info.holder}\t{rights}\tuntil {until}\t{used}")

        run(work)

    @group.command("revoke")
    @click.argument("token_id", type=click.UUID)
    def revoke(token_id: UUID) -> None:
        """Revoke a token by its id, as `okno token list` shows it."""
        if run(lambda identity: identity.revoke(token_id)):
            click.echo(f"revoked {token_id}")
        else:
            click.echo(f"{token_id} was revoked before")

    return group
