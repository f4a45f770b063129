"""`okno schema usage` and `okno schema breaks`: who uses which part of the schema, and who would miss it."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from okno.errors import OknoError
from okno.usage.model import Asked, Breaks, Broken, Client, ClientUse, MemberUse, PrincipalKind, Uses
from okno.usage.service import Usage

T = TypeVar("T")

OpenUsage = Callable[[], AbstractAsyncContextManager[Usage]]
# the coordinates of a schema in the schema definition language
ReadSchema = Callable[[str], Iterable[str]]

# "Type.field.argument", as tools that compare schemas write an argument
_DOTTED_ARGUMENT = re.compile(r"(\w+\.\w+)\.(\w+)")


class Days(click.ParamType[int]):
    """`30d`, or the number alone."""

    name = "days"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,4})d?", str(value))
        if match is None or not 1 <= int(match[1]) <= 3650:
            self.fail(f"{value!r} is no number of days; write 1d to 3650d, such as 30d", param, ctx)
        return int(match[1])


def usage_command(open_usage: OpenUsage) -> click.Command:
    """`okno schema usage`.

    Args:
        open_usage: opens usage with its database for the time of one command.
    """

    @click.command(
        "usage",
        help="Who uses COORDINATE (Type, Type.field, Type.field(argument:), …; default: all of the schema).",
    )
    @click.argument("coordinates", metavar="[COORDINATE]...", nargs=-1)
    @click.option("--client", metavar="NAME[/VERSION]", help="Only what this client used.")
    @click.option(
        "--since", "days", type=Days(), default=30, metavar="DAYS", show_default="30d", help="How far back."
    )
    @click.option("--deprecated", is_flag=True, help="Only what is to be taken away.")
    @click.option("--unused", is_flag=True, help="Only what nobody, or not --client, used.")
    @click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
    def usage(
        coordinates: tuple[str, ...],
        client: str | None,
        days: int,
        deprecated: bool,
        unused: bool,
        as_json: bool,
    ) -> None:
        asked = Asked(coordinates, client=client, days=days, deprecated=deprecated, unused=unused)
        found = _run(open_usage, lambda service: service.list_uses(asked))
        if as_json:
            click.echo(_json(_uses_json(found, days)))
            return
        for line in _uses_lines(found, asked):
            click.echo(line)

    return usage


def breaks_command(open_usage: OpenUsage, read_schema: ReadSchema) -> click.Command:
    """`okno schema breaks`.

    Args:
        read_schema: the coordinates of a schema; raises OknoError when the text is none.
    """

    @click.command(
        "breaks",
        help="Who would break if COORDINATE were taken away. Exit code 1: somebody would.",
    )
    @click.argument("coordinates", metavar="[COORDINATE]...", nargs=-1)
    @click.option(
        "--from",
        "source",
        type=click.File(encoding="utf-8"),
        metavar="FILE",
        help="Read them from FILE, one a line; - is standard input.",
    )
    @click.option(
        "--schema",
        "file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="The schema that they are of, when this deployment's has them no longer.",
    )
    @click.option(
        "--since", "days", type=Days(), default=90, metavar="DAYS", show_default="90d", help="How far back."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
    def breaks(
        coordinates: tuple[str, ...],
        source: Iterable[str] | None,
        file: Path | None,
        days: int,
        as_json: bool,
    ) -> None:
        names = [*map(_coordinate, coordinates), *(_listed(source) if source is not None else ())]
        if not names and source is None:
            raise click.UsageError("give coordinates, or a list of them with --from FILE")
        try:
            known = list(read_schema(file.read_text(encoding="utf-8"))) if file is not None else []
        except OknoError as error:
            raise click.ClickException(f"{file}: {error.message}") from error
        found = _run(open_usage, lambda service: service.list_broken(names, days=days, known=known))
        if as_json:
            click.echo(_json(_breaks_json(found, days)))
        else:
            for line in _breaks_lines(found, days):
                click.echo(line)
        if found.clients:
            raise click.exceptions.Exit(1)

    return breaks


def _run(open_usage: OpenUsage, work: Callable[[Usage], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with open_usage() as usage:
            return await work(usage)

    try:
        return asyncio.run(opened())
    except OknoError as error:
        raise click.ClickException(error.message) from error


def _listed(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if name := line.partition("#")[0].strip():
            yield _coordinate(name)


def _coordinate(name: str) -> str:
    match = _DOTTED_ARGUMENT.fullmatch(name)
    return f"{match[1]}({match[2]}:)" if match else name


def _uses_lines(found: Uses, asked: Asked) -> Iterator[str]:
    width = max((len(use.member.coordinate) for use in found.items), default=0)
    for use in found.items:
        count = _operations(use.operations, use.last_seen_at) if use.last_seen_at else "nobody"
        deprecation = "" if use.member.deprecation is None else f"  deprecated: {use.member.deprecation}"
        yield f"{use.member.coordinate:<{width}}  {count}{deprecation}"
        for each in use.clients:
            yield f"    {_who(each.client)}: {_operations(each.operations, each.last_seen_at)}"
    yield f"{_number(found.total, 'part')} of the schema, {_period(asked.days, found.recorded_since)}"


def _breaks_lines(found: Breaks, days: int) -> Iterator[str]:
    for each in found.clients:
        yield f"{_who(each.client)}, last seen {_moment(each.last_seen_at)}, uses"
        for coordinate, operations in each.operations.items():
            yield f"    {coordinate}: {_number(operations, 'operation')}"
    would = f"{_number(len(found.clients), 'client')} would break" if found.clients else "nobody would break"
    yield f"{would}, {_period(days, found.recorded_since)}"


def _period(days: int, recorded_since: date | None) -> str:
    """How far back was looked, and how far there was anything to see."""
    since = f"recorded since {recorded_since}" if recorded_since else "nothing is recorded yet"
    return f"in the last {_number(days, 'day')}; {since}"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _who(client: Client) -> str:
    """The client, with whose credential it came when its name does not say so."""
    if client.kind is PrincipalKind.SESSION:
        return f"{client.label} ({f'session of {client.principal}' if client.principal else 'sessions'})"
    return f"{client.label} ({client.kind} {client.principal})"


def _operations(count: int, last: datetime) -> str:
    return f"{_number(count, 'operation')}, last {_moment(last)}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)


def _uses_json(found: Uses, days: int) -> dict[str, Any]:
    return {
        "days": days,
        "recordedSince": found.recorded_since.isoformat() if found.recorded_since else None,
        "members": [_use_json(use) for use in found.items],
    }


def _use_json(use: MemberUse) -> dict[str, Any]:
    member = use.member
    return {
        "coordinate": member.coordinate,
        "kind": member.kind,
        "deprecationReason": member.deprecation,
        "removalDate": member.removal.isoformat() if member.removal else None,
        "operations": use.operations,
        "lastSeenAt": use.last_seen_at.isoformat() if use.last_seen_at else None,
        "clients": [_client_use_json(each) for each in use.clients],
    }


def _client_use_json(use: ClientUse) -> dict[str, Any]:
    return {
        **_client_json(use.client),
        "operations": use.operations,
        "lastSeenAt": use.last_seen_at.isoformat(),
    }


def _breaks_json(found: Breaks, days: int) -> dict[str, Any]:
    return {
        "days": days,
        "recordedSince": found.recorded_since.isoformat() if found.recorded_since else None,
        "clients": [_broken_json(each) for each in found.clients],
    }


def _broken_json(broken: Broken) -> dict[str, Any]:
    return {
        **_client_json(broken.client),
        "lastSeenAt": broken.last_seen_at.isoformat(),
        "operations": broken.operations,
    }


def _client_json(client: Client) -> dict[str, Any]:
    return {
        "name": client.name,
        "version": client.version or None,
        "principalKind": client.kind,
        "principal": client.principal or None,
    }
