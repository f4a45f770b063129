"""`okno audit key | rotate-key | cut | check-archive`: what keeps the journal provable for years."""

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from okno.audit.chain import instant
from okno.audit.cut import Plan, cut, find_cut, plan_cut, verify_archive
from okno.audit.cuts import Cut
from okno.audit.keys import Signer, prepare_rotation
from okno.audit.records import SYSTEM, SubjectRef
from okno.audit.service import Journal
from okno.clock import Clock
from okno.errors import InvalidInput, OknoError
from okno.storage.engine import Database

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the commands need of the deployment, opened when one runs.

    `owner`: the database as its owner, who alone may remove records. `archive`: the folder for what is cut off, if it is kept.
    `exports`: the names of those that have to have taken what is cut off.
    """

    data_dir: Callable[[], Path]
    journal: Callable[[], AbstractAsyncContextManager[Journal]]
    owner: Callable[[], AbstractAsyncContextManager[Database]]
    keep_days: Callable[[], int | None]
    archive: Callable[[], Path | None]
    clock: Clock
    exports: Callable[[], Collection[str]] = tuple


def add_keeping_commands(group: click.Group, keeping: Keeping) -> None:
    """Adds the commands to the group `audit`."""

    @group.command(
        "key",
        help="Print the journal's public key. Keep it elsewhere: `okno audit verify --key FILE` believes no other.",
    )
    def key_command() -> None:
        try:
            signer = Signer.load(keeping.data_dir())
        except OknoError as error:
            raise click.ClickException(error.message) from error
        click.echo(signer.public_pem, nl=False)
        click.echo(f"key {signer.key_id}", err=True)

    @group.command(
        "rotate-key",
        help="Take a new key into use. The old one is destroyed; what it signed stays provable, and both keys sign the change.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
    def rotate_command(as_json: bool) -> None:
        old, new = _run(_rotate(keeping))
        if as_json:
            click.echo(json.dumps({"old": old, "new": new}))
        else:
            click.echo(
                f"The journal signs with key {new}; {old} is gone. Running processes follow within seconds."
            )
            click.echo("Keep the new public key elsewhere: okno audit key > journal.pub.pem")

    @group.command(
        "cut",
        help="Cut old records off the journal, as the owner of the database, and sign what was cut. Months are the unit.",
    )
    @click.option(
        "--before",
        type=click.DateTime(["%Y-%m-%d"]),
        help="Only chains all of whose records are older; by default as [audit] keep_days says.",
    )
    @click.option("--dry-run", is_flag=True, help="Only say what would be cut, and what would stay and why.")
    @click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
    def cut_command(before: datetime | None, dry_run: bool, as_json: bool) -> None:
        _run(_cut(keeping, before, dry_run=dry_run, as_json=as_json))

    @group.command(
        "check-archive", help="Prove an archive of cut records against the signed cut that made it."
    )
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    def check_command(file: Path) -> None:
        try:
            found = find_cut(keeping.data_dir(), file)
        except OknoError as error:
            raise click.ClickException(error.message) from error
        problems = list(verify_archive(file, found.chains))
        for problem in problems:
            click.echo(problem)
        if problems:
            raise SystemExit(1)
        click.echo(
            f"WHOLE: {found.records} records of {len(found.chains)} chains, cut off {instant(found.at)} by record {found.record}."
        )


async def _rotate(keeping: Keeping) -> tuple[str, str]:
    data_dir = keeping.data_dir()
    async with keeping.journal() as journal:
        rotation = await asyncio.to_thread(prepare_rotation, data_dir, keeping.clock.now())
        detail = {"from": rotation.old.key_id, "to": rotation.new.key_id, "trail": rotation.digest}
        async with journal.command(
            actor=SYSTEM,
            event_type="journal.key_rotated",
            subject=SubjectRef("Journal", "key"),
            detail=detail,
            idempotency_key=None,
            policy_version=None,
            rule=None,
        ) as command:
            await asyncio.to_thread(rotation.carry_out)
            command.succeeded()
        return rotation.old.key_id, rotation.new.key_id


async def _cut(keeping: Keeping, given: datetime | None, *, dry_run: bool, as_json: bool) -> None:
    days = keeping.keep_days()
    if given is None and days is None:
        raise InvalidInput("give --before, or set keep_days under [audit] in okno.toml")
    now = keeping.clock.now()
    before = given.replace(tzinfo=UTC) if given is not None else now - timedelta(days=days or 0)
    if before > now:
        raise InvalidInput("--before lies in the future")
    # the journal first: it starts the embedded server, if that is the database
    async with keeping.journal() as journal, keeping.owner() as owner:
        if dry_run:
            plan = await plan_cut(owner, keeping.data_dir(), before, exports=keeping.exports())
            _tell_plan(plan, as_json=as_json)
            return
        done = await cut(
            journal,
            owner,
            keeping.data_dir(),
            keeping.clock,
            before,
            archive=keeping.archive(),
            exports=keeping.exports(),
        )
    _tell_cut(done, before, as_json=as_json)


def _tell_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        kept = [{"chain": str(chain.chain), "why": why} for chain, why in plan.kept]
        document = {
            "before": instant(plan.before),
            "chains": [each.document() for each in plan.chains],
            "records": plan.records,
            "kept": kept,
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(
        f"Would cut off {plan.records} records of {len(plan.chains)} chains before {instant(plan.before)}."
    )
    for chain, why in plan.kept:
        click.echo(f"stays  chain {chain.chain}: {why}")


def _tell_cut(done: Cut | None, before: datetime, *, as_json: bool) -> None:
    if as_json:
        document = None if done is None else {**done.document(None), "chains": len(done.chains)}
        click.echo(json.dumps({"cut": document}, indent=2))
    elif done is None:
        click.echo(f"There is nothing to cut off before {instant(before)}.")
    else:
        click.echo(f"Cut off {done.records} records of {len(done.chains)} chains, by record {done.record}.")
        if done.archive is not None:
            click.echo(f"They are kept in {done.archive[0]}, SHA-256 {done.archive[1]}.")


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except OknoError as error:
        raise click.ClickException(error.message) from error
