"""`okno policy diff`: what a change of policy or teams changes, before it ships."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from okno.errors import OknoError
from okno.policy import difference, printing
from okno.policy.deployment import Deployment, told
from okno.policy.difference import Change, ChangeKind
from okno.policy.folders import opened
from okno.policy.matrix import holders, matrix
from okno.policy.names import Holder, HolderKind, SchemaNames
from okno.policy.rulebook import Fact
from okno.policy.service import Policy


def diff_command(deployment: Deployment) -> click.Command:
    @click.command(
        "diff", help="Who gains and loses what from OLD to NEW: folders, or REVISION:FOLDER of git."
    )
    @click.argument("old")
    @click.argument("new")
    @click.option(
        "--old-teams",
        metavar="FOLDER",
        help="The teams that go with OLD, such as main:config/roles; by default those of the deployment.",
    )
    @click.option("--exit-code", is_flag=True, help="Exit with 1 if anything changes.")
    @click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
    def diff(old: str, new: str, old_teams: str | None, exit_code: bool, as_json: bool) -> None:
        try:
            with opened(old) as before, opened(new) as after:
                policies = Policy.load(before), Policy.load(after)
            now = deployment.load_teams(None)
            then = now
            if old_teams is not None:
                with opened(old_teams) as folder:
                    then = deployment.load_teams(folder)
            changes = compare_policies(*policies, deployment.schema_names(), then, now)
        except OknoError as error:
            raise told(error) from error
        facts = _fact_changes(*policies, then, now)
        if as_json:
            click.echo(printing.as_json(_diff_json(*policies, changes, facts)))
        else:
            printing.echo(_diff_lines(old, new, *policies, changes, facts))
        if exit_code and (changes or facts):
            raise click.exceptions.Exit(1)

    return diff


def compare_policies(
    old: Policy, new: Policy, names: SchemaNames, then: Sequence[Holder], now: Sequence[Holder]
) -> list[Change]:
    """All changes for everybody, each team, role and scope. Countries stay `p.countries` in conditions."""
    fields = names.fields
    for policy in (old, new):
        fields |= {*policy.levels, *(f"{name}.*" for name in policy.structural)}
    names = SchemaNames(fields, names.mutations, names.operations, names.pages)
    before = {(each.kind, each.name): each for each in holders(old, then)}
    after = {(each.kind, each.name): each for each in holders(new, now)}
    tables = {
        key: (
            matrix(old, names, before[key], own_lists=True) if key in before else None,
            matrix(new, names, after[key], own_lists=True) if key in after else None,
        )
        for key in {**after, **before}
    }
    shared = tables[HolderKind.EVERYBODY, "everybody"]
    changes: list[Change] = []
    for key, (was, is_) in tables.items():
        # whoever is new, or goes, had or keeps what everybody may do
        one = shared[0] if was is None and key[0] is not HolderKind.SERVICE else was
        other = shared[1] if is_ is None and key[0] is not HolderKind.SERVICE else is_
        holder = after.get(key) or before[key]
        compared = difference.compare(holder, one or (), other or ())
        changes += (each for each in compared if _matters(each))
        changes += _other_countries(before.get(key), after.get(key))
    return changes


def _matters(change: Change) -> bool:
    """Whether it is more than another wording: the same rules admit the same rows, whatever one of them says."""
    if change.kind is not ChangeKind.OTHER_RULE:
        return True
    return {each.rule for each in change.before} != {each.rule for each in change.after}


def _other_countries(was: Holder | None, is_: Holder | None) -> list[Change]:
    """A team that serves other countries, which conditions do not show."""
    if was is None or is_ is None or was.rights.countries == is_.rights.countries:
        return []
    more = is_.rights.countries - was.rights.countries
    less = was.rights.countries - is_.rights.countries
    kinds = ((ChangeKind.GAINS, more), (ChangeKind.LOSES, less))
    return [
        Change(is_, kind, "countries", country, (), ())
        for kind, countries in kinds
        for country in sorted(countries)
    ]


def _fact_changes(
    old: Policy, new: Policy, then: Sequence[Holder], now: Sequence[Holder]
) -> list[tuple[str, str, str | None, str | None]]:
    """What changes of levels, masks, roles and scopes: (kind, name, before, after)."""
    found: list[tuple[str, str, str | None, str | None]] = []
    stores: tuple[tuple[str, Mapping[str, Fact], Mapping[str, Fact]], ...] = (
        ("level", old.book.levels, new.book.levels),
        ("masked", old.book.masked, new.book.masked),
        ("role", old.book.roles, new.book.roles),
        ("scope", old.book.scopes, new.book.scopes),
    )
    for kind, before, after in stores:
        for name in sorted({*before, *after}):
            one, other = before.get(name), after.get(name)
            values = (one.value if one else None, other.value if other else None)
            if values[0] != values[1]:
                found.append((kind, name, *values))
    titles = [{each.name: each.title for each in teams} for teams in (then, now)]
    for name in sorted(titles[0].keys() ^ titles[1].keys()):
        found.append(("team", name, titles[0].get(name), titles[1].get(name)))
    pairs = [
        {" and ".join(sorted(each.roles)): each.why for each in policy.incompatible} for policy in (old, new)
    ]
    for name in sorted({*pairs[0], *pairs[1]}):
        if pairs[0].get(name) != pairs[1].get(name):
            found.append(("incompatible", name, pairs[0].get(name), pairs[1].get(name)))
    return found


def _diff_lines(
    old: str,
    new: str,
    before: Policy,
    after: Policy,
    changes: Sequence[Change],
    facts: Sequence[tuple[str, str, str | None, str | None]],
) -> Iterable[str]:
    yield f"{old} ({before.version}) → {new} ({after.version})"
    if facts:
        yield ""
        yield from printing.columns(
            [(kind, name, f"{one or '-'} → {other or '-'}") for kind, name, one, other in facts]
        )
    for group in difference.grouped(changes):
        yield ""
        yield from printing.group_lines(group)
    yield ""
    counts = {kind: sum(each.kind is kind for each in changes) for kind in ChangeKind}
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    who = {(each.holder.kind, each.holder.name) for each in changes}
    yield f"{len(who)} of teams, roles and scopes: {told}" if changes else "nobody gains or loses anything"


def _diff_json(
    before: Policy,
    after: Policy,
    changes: Sequence[Change],
    facts: Sequence[tuple[str, str, str | None, str | None]],
) -> dict[str, Any]:
    def given(each: Iterable[Any]) -> list[dict[str, str]]:
        return [{"rule": one.rule, "when": one.when or "always"} for one in each]

    return {
        "old": before.version,
        "new": after.version,
        "facts": [
            {"kind": kind, "name": name, "before": one, "after": other} for kind, name, one, other in facts
        ],
        "changes": [
            {
                "kind": each.holder.kind.value,
                "name": each.holder.name,
                "change": each.kind.value,
                "action": each.action,
                "thing": each.thing,
                "before": given(each.before),
                "after": given(each.after),
            }
            for each in changes
        ],
    }
