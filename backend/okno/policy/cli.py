"""`okno policy check` and `okno policy explain`. What they need of other domains the wiring hands in."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import NoReturn, Protocol

import click

from okno.errors import OknoError
from okno.policy.explain import Explanation
from okno.policy.model import PolicyError, Problem
from okno.policy.names import Asker, SchemaNames
from okno.policy.service import Policy
from okno.policy.witness import disagreements

__all__ = ["Asker", "SchemaNames", "policy_commands"]


class LoadRights(Protocol):
    """Gives the rights that a login has when it signs in now, or then, for its first team or that one. Raises NotFound."""

    def __call__(self, login: str, *, team: str | None = None, at: datetime | None = None) -> Asker: ...


class Moment(click.ParamType[datetime]):
    """A time with its zone: `2026-11-23T03:00+03:00`, or `…Z`."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            self.fail(f"{value!r} is no time with a zone; write it as 2026-11-23T03:00+03:00", param, ctx)
        return at


_DEPENDS = {"Employee": "depends on the employee", "JournalRecord": "depends on the record"}


def policy_commands(
    *,
    load_policy: Callable[[], Policy],
    load_rights: LoadRights,
    load_facts: Callable[[str], Mapping[str, object]],
    schema_names: Callable[[], SchemaNames],
) -> click.Group:
    """Builds the command group.

    Args:
        load_policy: Loads the policy of the deployment; may raise PolicyError.
        load_rights: The rights that a login has when it signs in; raises NotFound.
        load_facts: The facts of an employee, by login, personnel number or id; raises NotFound.
        schema_names: What the running schema and the sources' manifests consist of.
    """

    @click.group("policy", help="Who may do what, and why: checks and explains the files in policies/.")
    def group() -> None:
        pass

    @group.command("check", help="Finds what the policy does not cover, names wrongly or cannot be compiled.")
    @click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
    def check(as_json: bool) -> None:
        _check(load_policy, schema_names, as_json=as_json)

    @group.command("explain", help="Says which rule allows, or which rules come nearest and what they miss.")
    @click.option("--as", "login", required=True, help="Login of the person who asks.")
    @click.option(
        "--field", help="A field such as Employee.email, or a mutation such as Mutation.operationRun."
    )
    @click.option("--match", help="A field whose exact value is searched for, such as Employee.workPhone.")
    @click.option("--operation", help="A ready-made action such as domain.unlock.")
    @click.option("--page", help="A page such as people.search.")
    @click.option("--of", "employee", help="Login, personnel number or id of the employee it is about.")
    @click.option("--team", metavar="TEAM", help="The team acted for, if the person is in several.")
    @click.option(
        "--at", type=Moment(), metavar="TIME", help="As at this time, such as 2026-11-23T03:00+03:00."
    )
    @click.option(
        "--second-factor/--no-second-factor",
        default=None,
        help="As with, or without, a second factor proven lately.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
    def explain(
        login: str,
        field: str | None,
        match: str | None,
        operation: str | None,
        page: str | None,
        employee: str | None,
        team: str | None,
        at: datetime | None,
        second_factor: bool | None,
        as_json: bool,
    ) -> None:
        if sum(name is not None for name in (field, match, operation, page)) != 1:
            raise click.UsageError("Give one of --field, --match, --operation and --page.")
        try:
            policy = load_policy()
            action, resource, name = _target(policy, schema_names(), field or match, operation, page)
            action = "match" if match is not None else action
            asker = _signed_in(load_rights(login, team=team, at=at), second_factor)
            facts = None if employee is None else load_facts(employee)
        except OknoError as error:
            raise click.ClickException(error.message) from error
        me = asker.actor_id if resource == "JournalRecord" else asker.employee_id
        explanation = policy.explain(asker.rights, action, resource, name, facts, me)
        if as_json:
            answer = {"policyVersion": policy.version, "as": login, "of": employee, **explanation.as_json()}
            click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        else:
            _print(explanation, login, employee)

    return group


def _check(
    load_policy: Callable[[], Policy], schema_names: Callable[[], SchemaNames], *, as_json: bool
) -> None:
    version = None
    problems: tuple[Problem, ...] = ()
    try:
        policy = load_policy()
        version = policy.version
        names = schema_names()
        problems = (*policy.problems(names), *disagreements(policy))
    except PolicyError as error:
        problems = error.problems
    except OknoError as error:
        raise click.ClickException(error.message) from error
    if as_json:
        listed = [{"file": p.file, "line": p.line, "code": p.code, "message": p.message} for p in problems]
        click.echo(json.dumps({"policyVersion": version, "problems": listed}, ensure_ascii=False, indent=2))
    else:
        for problem in problems:
            click.echo(str(problem))
        click.echo(
            f"{len(problems)} problem(s)"
            if problems
            else f"policy {version}: every field and action is covered"
        )
    if problems:
        _fail()


def _fail() -> NoReturn:
    raise click.exceptions.Exit(1)


def _target(
    policy: Policy, names: SchemaNames, field: str | None, operation: str | None, page: str | None
) -> tuple[str, str, str]:
    """Action, resource and name of the question. A name that does not exist is an error: "denied" would pass for a verdict."""
    if operation is not None:
        return "run", "Employee", _known("operation", operation, names.operations)
    if page is not None:
        return "use", "Okno", page if names.pages is None else _known("page", page, names.pages)
    assert field is not None
    if field.startswith("Mutation."):
        known = frozenset(f"Mutation.{name.removeprefix('Mutation.')}" for name in names.mutations)
        return "write", "Okno", _known("mutation", field, known)
    if policy.level_of(field) is None:
        raise click.ClickException(
            f"{field} has no level: the policy knows no such field, so nobody may read it."
        )
    return "read", policy.resource_of(field.partition(".")[0]), field


def _known(kind: str, name: str, names: frozenset[str]) -> str:
    if name not in names:
        raise click.ClickException(f"there is no {kind} {name}; there are {', '.join(sorted(names))}")
    return name


def _signed_in(asker: Asker, second_factor: bool | None) -> Asker:
    """Explains as if the person had signed in with a browser, unless it is said how."""
    facts = asker.rights.facts
    if not facts & {"session", "token", "service"}:
        facts |= {"session"}
    if second_factor is not None:
        facts = facts | {"second_factor"} if second_factor else facts - {"second_factor"}
    return replace(asker, rights=replace(asker.rights, facts=facts))


def _print(explanation: Explanation, login: str, employee: str | None) -> None:
    verdict = {True: "allowed", False: "denied", None: _DEPENDS.get(explanation.resource, "depends")}[
        explanation.allowed
    ]
    level = f" ({explanation.level})" if explanation.level else ""
    about = f" of {employee}" if employee else ""
    may = "may not" if explanation.allowed is False else "may"
    if explanation.allowed is False and explanation.masked is True:
        verdict, may = "masked", "sees masked, may not"
    if explanation.allowed is False and explanation.masked is None:
        verdict, may = "denied or masked", "on some rows sees masked, may not"
    click.echo(f"{verdict}: {login} {may} {explanation.action} {explanation.field}{level}{about}")
    for grant in explanation.grants:
        click.echo(f"  rule       {grant.rule.id}: {grant.rule.sentence}")
        click.echo(f"  where      {grant.rule.file}:{grant.rule.line}")
        if grant.condition is not None:
            click.echo(f"  condition  {grant.condition}")
    for mask in explanation.masks:
        click.echo(f"  masked     {mask.rule.id}: {mask.rule.sentence}")
        click.echo(f"  where      {mask.rule.file}:{mask.rule.line}")
        click.echo(f"  form       {explanation.form}")
        if mask.condition is not None:
            click.echo(f"  condition  {mask.condition}")
    if explanation.missing is not None:
        click.echo(f"  it lacks   {explanation.missing}, and nothing else")
    if not explanation.grants and not explanation.nearest:
        click.echo("  no rule is about it; what no rule allows is denied")
    for near in (*explanation.nearest, *explanation.nearest_masks):
        click.echo(f"  nearest    {near.rule.id}: {near.rule.sentence}")
        click.echo(f"  where      {near.rule.file}:{near.rule.line}")
        for term in near.failed:
            click.echo(f"  missing    {term}")
