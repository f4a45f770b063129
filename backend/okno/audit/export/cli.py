"""`okno audit export`, once and now; `okno audit exports`, how far the continuous ones have come."""

import asyncio
import contextlib
import getpass
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from okno.audit.chain import instant
from okno.audit.export.formats import FORMATS
from okno.audit.export.service import Progress, list_progress
from okno.audit.export.told import Exported
from okno.audit.records import SYSTEM, Record
from okno.audit.rows import Filter
from okno.audit.search import Search
from okno.audit.service import Journal
from okno.errors import OknoError
from okno.storage.engine import Database
from okno.storage.keyset import Window

_PAGE = 1000

Connect = Callable[[], AbstractAsyncContextManager[Database]]
#: Opens the database with a journal to record in.
Recording = Callable[[], AbstractAsyncContextManager[tuple[Database, Journal]]]


class _Moment(click.ParamType):  # type: ignore[type-arg]  # generic for type checkers only
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """A date or a moment of ISO 8601; without a zone it is in UTC."""
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; give one like 2026-11-02 or 2026-11-02T09:00:00+05:00")
        return at if at.tzinfo else at.replace(tzinfo=UTC)


def add_export_commands(group: click.Group, connect: Connect, recording: Recording) -> None:
    """Adds `export` and `exports` to the group `audit`."""

    @group.command(
        "export", help="Write records to a file or to the standard output, oldest first. Is itself recorded."
    )
    @click.option("--format", "format_", type=click.Choice(sorted(FORMATS)), required=True)
    @click.option("--since", type=_Moment(), help="Only what was written then or later.")
    @click.option("--until", type=_Moment(), help="Only what was written before.")
    @click.option(
        "--to", type=click.Path(dir_okay=False, path_type=Path), help="A new file; by default the output."
    )
    @click.option(
        "--personal", is_flag=True, help="With names, labels and details. What is erased stays erased."
    )
    def export_command(
        format_: str, since: datetime | None, until: datetime | None, to: Path | None, personal: bool
    ) -> None:
        count = _run(_export(recording, format_, Filter(since=since, until=until), to, personal=personal))
        click.echo(f"{count} records exported.", err=True)

    @group.command(
        "exports", help="How far the continuous exports have come. Exit code 1: one of them fails."
    )
    @click.option("--json", "as_json", is_flag=True)
    def exports_command(as_json: bool) -> None:
        found = _run(_progress(connect))
        if as_json:
            click.echo(json.dumps([_document(each) for each in found], indent=2))
        else:
            for each in found:
                click.echo(progress_line(each))
            if not found:
                click.echo("No export has begun; [audit.export.NAME] of okno.toml configures one.")
        if any(each.failure for each in found):
            raise SystemExit(1)


def progress_line(progress: Progress) -> str:
    """An export in one line."""
    line = f"{progress.name}: {progress.position} sent, {progress.behind} behind"
    if progress.sent_at is not None:
        line += f", last at {instant(progress.sent_at)}"
    if progress.failure is not None and progress.failed_at is not None:
        line += f"; FAILS since {instant(progress.failed_at)}: {progress.failure}"
    return line


async def _export(
    recording: Recording, format_: str, asked: Filter, to: Path | None, *, personal: bool
) -> int:
    write = FORMATS[format_]
    async with recording() as (db, journal):
        detail = {
            "format": format_,
            "since": asked.since,
            "until": asked.until,
            "personal": personal,
            "to": "-" if to is None else to.name,
            "by": getpass.getuser(),
        }
        # the intent is there before the first byte leaves
        async with journal.command(
            actor=SYSTEM,
            event_type="journal.exported",
            subject=None,
            detail=detail,
            idempotency_key=None,
            policy_version=None,
            rule=None,
        ) as command:
            count = 0
            with _opened(to) as file:
                async for page in _pages(Search(db), asked):
                    file.write(
                        "".join(f"{write(Exported(each, None, personal))}\n" for each in page).encode()
                    )
                    count += len(page)
                file.flush()
                if to is not None:
                    os.fsync(file.fileno())
            command.succeeded({"records": count})
    return count


async def _pages(search: Search, asked: Filter) -> AsyncIterator[list[Record]]:
    """The records in pages, oldest first."""
    window: Window[Any] = Window(_PAGE, backwards=True)
    while True:
        page = await search.list_records(window, asked)
        if page.records:
            yield page.records[::-1]
        if not page.has_previous:
            return
        window = Window(_PAGE, before=page.records[0].place, backwards=True)


@contextlib.contextmanager
def _opened(to: Path | None) -> Iterator[BinaryIO]:
    if to is None:
        yield sys.stdout.buffer
        return
    try:
        with open(to, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            yield file
    except FileExistsError:
        raise click.ClickException(f"{to} is there already; give the name of a new file") from None
    except OSError as error:
        raise click.ClickException(f"{to} cannot be written: {error.strerror}") from error


async def _progress(connect: Connect) -> list[Progress]:
    async with connect() as db:
        return await list_progress(db)


def _document(progress: Progress) -> dict[str, Any]:
    return {
        name: instant(value) if isinstance(value, datetime) else value
        for name, value in asdict(progress).items()
    }


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except OknoError as error:
        raise click.ClickException(error.message) from error
