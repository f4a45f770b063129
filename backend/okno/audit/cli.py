"""`okno audit`: prove the journal, read it."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click

from okno.audit import store
from okno.audit.chain import instant
from okno.audit.keys import read_public_key
from okno.audit.proof import numbers
from okno.audit.records import Phase, Record
from okno.audit.registry import EVENT_TYPES
from okno.audit.verify import Report, verify
from okno.errors import OknoError
from okno.storage.engine import Database
from okno.storage.keyset import Window

# A record becomes visible at its commit, up to a write deadline after the moment it carries.
_LOOK_BACK = timedelta(seconds=30)
_POLL_SECONDS = 0.5
_PAGE = 1000

Result = TypeVar("Result")


def audit_commands(
    connect: Callable[[], AbstractAsyncContextManager[Database]], data_dir: Callable[[], Path]
) -> click.Group:
    """The group `audit`, to be mounted. `connect` opens the database; both are called when a command runs."""

    @click.group("audit", help="The journal: prove that it is whole, read it.")
    def group() -> None:
        pass

    @group.command(
        "verify", help="Recompute all chains and compare them with the signed heads. Exit code 1: not whole."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
    @click.option(
        "--since",
        type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
        help="Read only records from then on (UTC).",
    )
    @click.option(
        "--key",
        "key_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="One of the journal's public keys, kept elsewhere: says whether the keys were replaced.",
    )
    @click.option(
        "--checkpoints",
        "checkpoint_files",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Checkpoints from the second place: says whether those here were. May be given again.",
    )
    def verify_command(
        as_json: bool, since: datetime | None, key_file: Path | None, checkpoint_files: tuple[Path, ...]
    ) -> None:
        lines = [line for file in checkpoint_files for line in file.read_bytes().splitlines() if line]
        report = _run(_verify(connect, data_dir, since, key_file, lines))
        if as_json:
            click.echo(json.dumps(report.document(), indent=2))
        else:
            for line in report_lines(report):
                click.echo(line)
        if not report.whole:
            raise SystemExit(1)

    @group.command("tail", help="Print the newest records, oldest of them first.")
    @click.option("-n", "count", type=click.IntRange(1, 10_000), default=20, show_default=True)
    @click.option("-f", "--follow", is_flag=True, help="Go on printing what is added, until interrupted.")
    def tail_command(count: int, follow: bool) -> None:
        _run(_tail(connect, count, follow=follow))

    return group


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except OknoError as error:
        raise click.ClickException(error.message) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


async def _verify(
    connect: Callable[[], AbstractAsyncContextManager[Database]],
    data_dir: Callable[[], Path],
    since: datetime | None,
    key_file: Path | None,
    checkpoints: Sequence[bytes],
) -> Report:
    key = None if key_file is None else read_public_key(key_file)
    since = None if since is None else since.replace(tzinfo=UTC)
    async with connect() as db:
        return await verify(db, data_dir(), since=since, key=key, checkpoints=checkpoints)


async def _tail(
    connect: Callable[[], AbstractAsyncContextManager[Database]], count: int, *, follow: bool
) -> None:
    async with connect() as db:
        async with db.transaction() as session:
            records = (await store.list_records(session, Window(count))).records[::-1]
        seen: dict[UUID, int] = {}
        newest: datetime | None = None
        while True:
            for record in records:
                seen[record.ref.chain] = max(record.ref.seq, seen.get(record.ref.chain, -1))
                newest = max(record.at, newest or record.at)
                click.echo(record_line(record))
            if not follow:
                return
            await asyncio.sleep(_POLL_SECONDS)
            records = [
                each for each in await _since(db, newest) if each.ref.seq > seen.get(each.ref.chain, -1)
            ]


async def _since(db: Database, newest: datetime | None) -> list[Record]:
    """Records from shortly before `newest` on, oldest first."""
    since = None if newest is None else newest - _LOOK_BACK
    found: list[Record] = []
    async with db.transaction() as session:
        while True:
            after = found[-1].place if found else None
            page = await store.list_records(session, Window(_PAGE, after), since=since)
            found += page.records
            if not page.has_next:
                return found[::-1]


def record_line(record: Record) -> str:
    """A record as one readable line. What could move the cursor of a terminal is replaced: anybody may have typed it."""
    sentence = (
        EVENT_TYPES[record.event_type].sentence["en"]
        if record.event_type in EVENT_TYPES
        else record.event_type
    )
    who = record.actor_login or (f"{record.actor_kind} {record.actor_id}" if record.actor_id else "nobody")
    parts = [f"{record.at:%Y-%m-%d %H:%M:%S}Z", who, sentence]
    if record.phase != Phase.EVENT or record.outcome is not None:
        parts.append(f"[{record.phase}{f': {record.outcome}' if record.outcome else ''}]")
    if record.subject_id is not None:
        parts.append(f"{record.subject_kind} {record.subject_label or record.subject_id}")
    if record.erased:
        parts.append("(values erased)")
    elif record.detail:
        parts.append(json.dumps(record.detail, ensure_ascii=False, sort_keys=True))
    line = "  ".join([*parts, f"#{record.ref.seq} of {str(record.ref.chain)[:8]}"])
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)


def report_lines(report: Report) -> Iterator[str]:
    """The report in sentences."""
    for each in report.findings:
        place = "" if each.chain is None else f"chain {each.chain}: "
        yield f"{each.kind.upper()}  {place}{each.message}"
    if report.found > len(report.findings):
        yield f"… and {report.found - len(report.findings)} more"
    for ref, by in report.erased:
        yield f"erased  values of record {ref}, by record {by}"
    if report.erased_count > len(report.erased):
        yield f"… and {report.erased_count - len(report.erased)} more erased"
    for cut in report.cuts:
        kept = "" if cut.archive is None else f", kept in {cut.archive[0]}"
        yield (
            f"cut  {cut.records} records of {len(cut.chains)} chains before {instant(cut.before)}, by record {cut.record}"
            f" at {instant(cut.at)}{kept}"
        )
    for part in report.unproven_parts:
        yield f"unproven  {numbers(part.seq, part.until, 'behind the signed head')} of chain {part.chain}: whoever can write to"
        yield "          the database can have added them; everything else below is vouched for by a signature."
    since = "" if report.since is None else f" since {instant(report.since)}"
    yield f"{report.records} records in {report.chains} chains read{since}."
    if report.whole and report.checkpoint_at is not None and report.proven_until is not None:
        whole = "WHOLE SINCE THE CUT" if report.cuts else "WHOLE"
        yield f"{whole}: no chain is missing up to {instant(report.checkpoint_at)}, the last checkpoint;"
        yield f"       no record is missing or altered up to {instant(report.proven_until)}, proven by key {report.key} and those before it."
    else:
        yield f"NOT WHOLE: {report.found} findings."
