"""`okno privacy`: what is held about a person, erased or let in again."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import click

from okno.errors import OknoError
from okno.privacy.model import Counts, Plan
from okno.privacy.registry import DOMAINS
from okno.privacy.service import Privacy

T = TypeVar("T")

OpenPrivacy = Callable[[], AbstractAsyncContextManager[Privacy]]


def privacy_group(open_privacy: OpenPrivacy) -> click.Group:
    """The commands.

    Args:
        open_privacy: opens privacy with its database and journal for the time of one command.
    """

    def run(work: Callable[[Privacy], Awaitable[T]]) -> T:
        async def opened() -> T:
            async with open_privacy() as privacy:
                return await work(privacy)

        try:
            return asyncio.run(opened())
        except OknoError as error:
            raise click.ClickException(error.message) from error

    @click.group(
        "privacy", help="What Okno itself holds about people. PERSON: login, personnel number, e-mail or id."
    )
    def group() -> None:
        pass

    @group.command("export")
    @click.argument("person")
    @click.option(
        "--to",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write to FILE, readable by its owner only.",
    )
    def export(person: str, file: Path | None) -> None:
        """Print as JSON all that Okno itself holds about PERSON, and name the systems that hold more."""
        text = json.dumps(run(lambda privacy: privacy.export(person)), ensure_ascii=False, indent=2)
        if file is None:
            click.echo(text)
        else:
            _write(file, text + "\n")
            click.echo(f"written to {file}", err=True)

    @group.command("erase")
    @click.argument("person")
    @click.option("--confirm", is_flag=True, help="Erase. Without it only what would be erased is told.")
    @click.option(
        "--reason", default="request of the person", show_default=True, help="For the journal; no names."
    )
    @click.option("--although-working", is_flag=True, help="Also somebody whom HR lists as working.")
    @click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
    def erase(person: str, confirm: bool, reason: str, although_working: bool, as_json: bool) -> None:
        """Erase what Okno itself holds about PERSON and keep the index from taking them in again."""
        if not confirm:
            plan = run(lambda privacy: privacy.plan(person))
            _print(
                {"erased": False, "rows": plan.counts, "kept": plan.kept, "working": plan.working},
                _plan_lines(plan),
                as_json=as_json,
            )
            return
        erased = run(lambda privacy: privacy.erase(person, reason=reason, although_working=although_working))
        lines = [
            *_count_lines(erased.counts),
            f"{'Finished' if erased.resumed else 'Erased'}; the record is {erased.record}.",
        ]
        _print({"erased": True, "rows": erased.counts, "record": erased.record}, lines, as_json=as_json)

    @group.command("lift")
    @click.argument("personnel_number")
    def lift(personnel_number: str) -> None:
        """Let the index take an erased person in again, by the personnel number in HR."""
        run(lambda privacy: privacy.lift(personnel_number))
        click.echo("lifted; the next refresh of the index takes the person in, if HR lists them")

    @group.command("tables")
    @click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
    def tables(as_json: bool) -> None:
        """List which tables and columns hold personal data, what they tell, and how long they keep it."""
        found = [
            {
                "domain": domain.domain,
                "table": table.name,
                "columns": {name: kind.value for name, kind in table.columns.items()},
                "kept": table.kept,
            }
            for domain in DOMAINS
            for table in domain.tables
        ]
        _print(found, _table_lines(), as_json=as_json)

    return group


def _write(file: Path, text: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(descriptor, 0o600)
            stream.write(text)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error


def _print(document: Any, lines: Iterator[str] | list[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    for line in lines:
        click.echo(line)


def _plan_lines(plan: Plan) -> Iterator[str]:
    yield from _count_lines(plan.counts)
    if plan.kept:
        yield (
            f"{plan.kept} records of what the person did to others keep their values until {plan.kept_until:%Y-%m-%d} at the "
            "latest (privacy.retention.erased_deeds_days)."
        )
    if plan.working:
        yield "HR lists the person as working: --although-working is needed."
    yield "Nothing was erased. Say --confirm to erase."


def _count_lines(counts: Counts) -> Iterator[str]:
    for domain, tables in counts.items():
        for table, count in tables.items():
            yield f"{domain:<10} {table:<22} {count}"


def _table_lines() -> Iterator[str]:
    for domain in DOMAINS:
        for table in domain.tables:
            yield f"{table.name}, kept {table.kept}"
            for name, kind in table.columns.items():
                yield f"  {name:<20} {kind.value}"
        for name, reason in (domain.others or {}).items():
            yield f"{name}: not personal, {reason}"
