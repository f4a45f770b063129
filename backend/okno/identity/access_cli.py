"""`okno access`: who is kept from signing in after failures, letting them in again, and ending all sessions of somebody."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import click

from okno.errors import OknoError
from okno.identity.service import Identity

T = TypeVar("T")


def access_group(open_identity: Callable[[], AbstractAsyncContextManager[Identity]]) -> click.Group:
    """The commands.

    Args:
        open_identity: opens identity with its database and journal for the time of one command.
    """

    def run(work: Callable[[Identity], Awaitable[T]]) -> T:
        async def opened() -> T:
            async with open_identity() as identity:
                return await work(identity)

        try:
            return asyncio.run(opened())
        except OknoError as error:
            raise click.ClickException(error.message) from error

    @click.group("access", help="Failed sign-ins, locks, and sessions.")
    def group() -> None:
        pass

    @group.command("locks")
    def locks() -> None:
        """List who has to wait after failed sign-ins: login, address, failures, until when."""
        held = run(lambda identity: identity.list_locks())
        for each in held:
            until = each.free_at.isoformat(timespec="seconds")
            click.echo(f"{each.login}\t{each.address}\t{each.failures} failures\tuntil {until}")
        if not held:
            click.echo("Nobody has to wait.", err=True)

    @group.command("unlock")
    @click.argument("login", required=False)
    @click.option("--address", metavar="ADDRESS", help="Only what came from this address, or all from there.")
    @click.option("--all", "everybody", is_flag=True, help="Everybody.")
    def unlock(login: str | None, address: str | None, everybody: bool) -> None:
        """Let LOGIN sign in again at once, from wherever it failed."""
        if everybody == (login is not None or address is not None):
            raise click.UsageError("give a login, --address ADDRESS or both; or --all")
        count = run(lambda identity: identity.unlock(login=login, address=address))
        click.echo(f"{count} unlocked")

    @group.command("sign-out")
    @click.argument("login")
    @click.option("--tokens", is_flag=True, help="Revoke the person's tokens as well.")
    def sign_out(login: str, tokens: bool) -> None:
        """End all sessions of LOGIN on all devices, within two seconds."""
        sessions, revoked = run(lambda identity: identity.end_access(login, tokens=tokens))
        click.echo(f"{sessions} sessions ended" + (f", {revoked} tokens revoked" if tokens else ""))

    return group
