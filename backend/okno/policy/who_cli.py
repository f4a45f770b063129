"""`okno policy who`: which teams, roles, services and people may do one thing."""

from collections.abc import Iterable, Sequence
from typing import Any

import click

from okno.errors import OknoError
from okno.policy import printing
from okno.policy.deployment import Deployment, Members, told
from okno.policy.matrix import holders
from okno.policy.names import HolderKind, SchemaNames
from okno.policy.service import Policy
from okno.policy.who import Asked, HolderMay, MemberMay, Way, find_holders, find_members


def who_command(deployment: Deployment) -> click.Command:
    @click.command(
        "who", help="Which teams, roles, services and people may do something, and under which condition."
    )
    @click.option(
        "--can", "operation", metavar="OPERATION", help="Run this ready-made action, such as domain.unlock."
    )
    @click.option("--sees", "field", metavar="TYPE.FIELD", help="Read this field, in full or masked.")
    @click.option(
        "--on", "employee", metavar="EMPLOYEE", help="Of this employee: login, personnel number or id."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
    def who(operation: str | None, field: str | None, employee: str | None, as_json: bool) -> None:
        if (operation is None) == (field is None):
            raise click.UsageError("Give either --can OPERATION or --sees TYPE.FIELD.")
        try:
            policy, names = deployment.load_policy(), deployment.schema_names()
            asked = _asked(policy, names, operation, field)
            if employee is not None:
                if asked.resource != "Employee":
                    raise click.UsageError(f"{asked.thing} is not decided by an employee; leave --on out.")
                asked = Asked(asked.action, asked.resource, asked.thing, deployment.load_facts(employee))
            teams = deployment.load_teams(None)
            held = find_holders(policy, names, asked, holders(policy, teams))
            members = deployment.load_members()
            people = find_members(policy, names, asked, teams, members.known)
        except OknoError as error:
            raise told(error) from error
        if as_json:
            click.echo(printing.as_json(_who_json(policy, asked, employee, held, people, members)))
        else:
            printing.echo(_who_lines(policy, asked, employee, held, people, members))

    return who


def _asked(policy: Policy, names: SchemaNames, operation: str | None, field: str | None) -> Asked:
    if operation is not None:
        if operation not in names.operations:
            known = ", ".join(sorted(names.operations))
            raise click.ClickException(f"there is no operation {operation}; there are {known}")
        return Asked("run", "Employee", operation)
    assert field is not None
    if field not in names.fields or policy.level_of(field) is None:
        raise click.ClickException(
            f"there is no field {field} with a level; write Type.field, such as Employee.email"
        )
    return Asked("read", policy.resource_of(field.partition(".")[0]), field)


def _who_lines(
    policy: Policy,
    asked: Asked,
    employee: str | None,
    held: Sequence[HolderMay],
    people: Sequence[MemberMay],
    members: Members,
) -> Iterable[str]:
    level = policy.level_of(asked.thing) if asked.action == "read" else None
    verb = "sees" if asked.action == "read" else "may run"
    yield f"who {verb} {asked.thing}{f' ({level})' if level else ''}{f' of {employee}' if employee else ''}"
    for kind, title in (
        (HolderKind.EVERYBODY, "everybody"),
        (HolderKind.TEAM, "teams"),
        (HolderKind.ROLE, "roles, each alone"),
        (HolderKind.SERVICE, "services, by scope"),
    ):
        rows = [
            (each.holder.name, *printing.way_text(way))
            for each in held
            if each.holder.kind is kind
            for way in each.ways
        ]
        if rows:
            yield ""
            yield title
            yield from printing.columns(rows, "  ")
    yield ""
    yield "people"
    teams = {each.holder.name: each.ways for each in held if each.holder.kind is HolderKind.TEAM}
    people_rows = []
    for each in people:
        member = each.member
        who = (member.login, member.display_name, member.team, member.origin)
        if each.ways == teams.get(member.team):
            people_rows.append((*who, "as the team"))
            continue
        people_rows += [(*who, "  ".join(printing.way_text(way)).rstrip()) for way in each.ways]
    if people_rows:
        yield from printing.columns(people_rows, "  ")
    else:
        yield "  nobody"
    if members.unasked is not None:
        yield f"  the database was not asked: {members.unasked}"


def _way_json(way: Way) -> dict[str, Any]:
    return {"manner": way.manner, "rules": list(way.rules), "when": way.when or "always"}


def _who_json(
    policy: Policy,
    asked: Asked,
    employee: str | None,
    held: Sequence[HolderMay],
    people: Sequence[MemberMay],
    members: Members,
) -> dict[str, Any]:
    return {
        "policyVersion": policy.version,
        "action": asked.action,
        "thing": asked.thing,
        "of": employee,
        "holders": [
            {
                "kind": each.holder.kind.value,
                "name": each.holder.name,
                "ways": [_way_json(way) for way in each.ways],
            }
            for each in held
        ],
        "people": [
            {
                "login": each.member.login,
                "name": each.member.display_name,
                "team": each.member.team,
                "origin": each.member.origin,
                "ways": [_way_json(way) for way in each.ways],
            }
            for each in people
        ],
        "databaseNotAsked": members.unasked,
    }
