"""`okno policy matrix`: the rights of all, side by side, and the committed tables."""

import os
from collections.abc import Mapping, Sequence

import click

from okno.errors import OknoError
from okno.policy import printing, tables
from okno.policy.deployment import Deployment, told
from okno.policy.matrix import Access, holders, matrix
from okno.policy.names import Holder, HolderKind, SchemaNames
from okno.policy.service import Policy


def matrix_command(deployment: Deployment) -> click.Command:
    @click.command(
        "matrix", help="Who may do what: all teams, roles and scopes by all fields, operations and pages."
    )
    @click.option("--team", "teams", metavar="TEAM", multiple=True, help="Only this team; repeatable.")
    @click.option("--role", "roles", metavar="ROLE", multiple=True, help="Only this role; repeatable.")
    @click.option(
        "--type", "types", metavar="TYPE", multiple=True, help="Only fields of this type; repeatable."
    )
    @click.option(
        "--thing",
        "wanted",
        metavar="THING",
        multiple=True,
        help="Only this field, operation or page; repeatable.",
    )
    @click.option(
        "--format",
        "form",
        type=click.Choice(["table", "markdown", "csv", "json"]),
        default="table",
        show_default=True,
        help="How it is printed.",
    )
    @click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
    @click.option("--update", is_flag=True, help="Write policies/tests/access/ anew instead of printing.")
    def matrix_(
        teams: tuple[str, ...],
        roles: tuple[str, ...],
        types: tuple[str, ...],
        wanted: tuple[str, ...],
        form: str,
        as_json: bool,
        update: bool,
    ) -> None:
        if update and (teams or roles or types or wanted):
            raise click.UsageError("--update writes all tables; leave the filters out.")
        try:
            policy, names = deployment.load_policy(), deployment.schema_names()
            every = holders(policy, deployment.load_teams(None))
            if update:
                _update(deployment, {each: matrix(policy, names, each) for each in every})
                return
            chosen = _chosen(every, teams, roles)
            names = _narrowed(policy, names, types, wanted)
            found = {each: matrix(policy, names, each) for each in chosen}
        except OknoError as error:
            raise told(error) from error
        printing.echo(printing.matrix_lines(found, "json" if as_json else form))

    return matrix_


def _update(deployment: Deployment, found: Mapping[Holder, Sequence[Access]]) -> None:
    folder = deployment.policies_dir() / "tests" / "access"
    changed, removed = tables.update(folder, tables.written(found))
    for name in changed:
        click.echo(f"written  {os.path.relpath(folder / name)}")
    for name in removed:
        click.echo(f"removed  {os.path.relpath(folder / name)}")
    click.echo(f"{len(found)} tables, {len(changed)} written, {len(removed)} removed")


def _chosen(every: Sequence[Holder], teams: tuple[str, ...], roles: tuple[str, ...]) -> list[Holder]:
    if not teams and not roles:
        return list(every)
    wanted = {(HolderKind.TEAM, name) for name in teams} | {(HolderKind.ROLE, name) for name in roles}
    if unknown := wanted - {(each.kind, each.name) for each in every}:
        kind, name = min(unknown)
        known = ", ".join(each.name for each in every if each.kind is kind)
        raise click.ClickException(f"there is no {kind} {name}; there are {known}")
    return [each for each in every if (each.kind, each.name) in wanted]


def _narrowed(
    policy: Policy, names: SchemaNames, types: tuple[str, ...], wanted: tuple[str, ...]
) -> SchemaNames:
    if not types and not wanted:
        return names
    known = {each.partition(".")[0] for each in names.fields}
    if unknown := sorted(set(types) - known):
        raise click.ClickException(f"there is no type {unknown[0]} in the schema")
    pages = names.pages or frozenset[str]()
    every = names.fields | names.mutations | names.operations | pages
    if unknown := sorted(set(wanted) - every):
        raise click.ClickException(
            f"there is nothing called {unknown[0]}; write Type.field, Mutation.field, an operation or a page"
        )
    fields = {each for each in names.fields if each.partition(".")[0] in types} | (names.fields & set(wanted))
    return SchemaNames(
        fields=frozenset(fields),
        mutations=names.mutations & set(wanted),
        operations=names.operations & set(wanted),
        pages=pages & set(wanted),
    )
