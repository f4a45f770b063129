"""What the commands of the policy print: aligned for people, and the matrix in four formats."""

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from okno.policy.difference import ChangeKind, Group
from okno.policy.matrix import Access, Given
from okno.policy.model import Outcome, Rights
from okno.policy.names import Holder, HolderKind
from okno.policy.replay import Changed
from okno.policy.who import Way

_MARKS = {Outcome.ALLOW: "+", Outcome.CONDITIONAL: "?", Outcome.MASK: "m", Outcome.DENY: "."}
_LEGEND = "+ allowed   ? under a condition   m masked only   . denied"
Tables = Mapping[Holder, Sequence[Access]]


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> Iterator[str]:
    """The rows with their columns aligned; the last one is as long as it is."""
    lines = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in lines), strict=True)]
    for row in lines:
        cells = [f"{cell:<{width}}" for cell, width in zip(row[:-1], widths, strict=True)]
        yield f"{indent}{'  '.join([*cells, row[-1]])}".rstrip()


def as_json(document: object) -> str:
    """The document as the commands print it."""
    return json.dumps(document, ensure_ascii=False, indent=2)


def echo(lines: Iterable[str]) -> None:
    """Prints the lines."""
    for line in lines:
        click.echo(line)


def label(holder: Holder) -> str:
    """The holder with its kind, where the name alone could be taken for another's."""
    return holder.name if holder.kind is HolderKind.EVERYBODY else f"{holder.kind} {holder.name}"


def holders_text(holders: Iterable[Holder]) -> str:
    """`team a, b; role c`; where everybody is among them, teams and roles go without saying."""
    by_kind: dict[HolderKind, list[str]] = {}
    found = list(holders)
    if any(holder.kind is HolderKind.EVERYBODY for holder in found):
        found = [holder for holder in found if holder.kind in (HolderKind.EVERYBODY, HolderKind.SERVICE)]
    for holder in found:
        by_kind.setdefault(holder.kind, []).append(holder.name)
    return "; ".join(
        kind.value if kind is HolderKind.EVERYBODY else f"{kind} {', '.join(names)}"
        for kind, names in by_kind.items()
    )


def rights_text(rights: Rights) -> str:
    """Recorded rights by what people know them by: the team, or a service's scopes, and the facts of the request."""
    who = ", ".join(sorted(rights.teams)) or ", ".join(f"scope {each}" for each in sorted(rights.scopes))
    return f"{who or 'no team'} ({', '.join(sorted(rights.facts)) or 'not signed in'})"


def when_text(given: Iterable[Given]) -> str:
    """`condition [rule]`, the rules of equal conditions together."""
    by_condition: dict[str, list[str]] = {}
    for each in given:
        by_condition.setdefault(each.when or "always", []).append(each.rule)
    return " or ".join(f"{when} [{', '.join(rules)}]" for when, rules in by_condition.items())


def way_text(way: Way) -> tuple[str, str, str]:
    """Manner, rules and condition of a way."""
    return (
        "in full" if way.manner == "full" else "masked",
        f"[{', '.join(way.rules)}]",
        f"if {way.when}" if way.when else "",
    )


# The matrix


def matrix_lines(tables: Tables, form: str) -> Iterator[str]:
    """The tables side by side, in the format."""
    if form == "json":
        yield as_json([_json(holder, table) for holder, table in tables.items()])
    elif form == "csv":
        yield _csv(tables).rstrip("\n")
    elif form == "markdown":
        yield from _markdown(tables)
    elif len(tables) == 1:
        yield from _alone(*next(iter(tables.items())))
    else:
        yield from _side_by_side(tables)


def access_json(access: Access) -> dict[str, Any]:
    """One line of a table."""
    return {
        "action": access.action,
        "thing": access.thing,
        "outcome": access.outcome.value,
        "given": [{"rule": each.rule, "when": each.when or "always"} for each in access.given],
    }


def _json(holder: Holder, table: Iterable[Access]) -> dict[str, Any]:
    return {"kind": holder.kind.value, "name": holder.name, "may": [access_json(each) for each in table]}


def _csv(tables: Tables) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("kind", "name", "action", "thing", "outcome", "rule", "when"))
    for holder, table in tables.items():
        for access in table:
            for given in access.given:
                writer.writerow(
                    (
                        holder.kind.value,
                        holder.name,
                        access.action,
                        access.thing,
                        access.outcome.value,
                        given.rule,
                        given.when or "always",
                    )
                )
    return text.getvalue()


def _rows(tables: Tables) -> dict[tuple[str, str], list[str]]:
    """By (action, thing) the mark of each table; what is masked for somebody is marked at the reading."""
    marks: dict[tuple[str, str], list[str]] = {}
    for place, table in enumerate(tables.values()):
        for access in table:
            action = "read" if access.action == "mask" else access.action
            cells = marks.setdefault((action, access.thing), ["."] * len(tables))
            if access.action != "mask":
                cells[place] = _MARKS[access.outcome]
            elif cells[place] == ".":
                cells[place] = "m"
    return dict(sorted(marks.items(), key=lambda each: (_ORDER.index(each[0][0]), each[0][1])))


_ORDER = ("read", "write", "run", "use", "match")


def _side_by_side(tables: Tables) -> Iterator[str]:
    rows = _rows(tables)
    for number, holder in enumerate(tables, 1):
        yield f"{number:>3}  {label(holder):<32}{holder.title.splitlines()[0] if holder.title else ''}".rstrip()
    yield ""
    yield _LEGEND
    width = max((len(thing) for _, thing in rows), default=0)
    last = ""
    for (action, thing), marks in rows.items():
        if action != last:
            last = action
            yield ""
            yield f"{action:<{width + 2}}" + "".join(f"{number:>3}" for number in range(1, len(tables) + 1))
        yield f"  {thing:<{width}}" + "".join(f"{mark:>3}" for mark in marks)


def _alone(holder: Holder, table: Sequence[Access]) -> Iterator[str]:
    """One table with its conditions: by action and condition, the things."""
    yield f"{label(holder)}: {holder.title}".rstrip(": ")
    groups: dict[str, dict[tuple[Given, ...], list[str]]] = {}
    for access in table:
        groups.setdefault(access.action, {}).setdefault(access.given, []).append(access.thing)
    for action, by_given in groups.items():
        yield ""
        yield action
        for given, names in by_given.items():
            yield f"  {when_text(given)}"
            yield from (f"    {name}" for name in names)
    if not table:
        yield "nothing"


def _markdown(tables: Tables) -> Iterator[str]:
    yield f"| | | {' | '.join(label(holder) for holder in tables)} |"
    yield f"|---|---|{'|'.join(':-:' for _ in tables)}|"
    for (action, thing), marks in _rows(tables).items():
        yield f"| {action} | `{thing}` | {' | '.join(mark if mark != '.' else ' ' for mark in marks)} |"
    yield ""
    yield f"`{_LEGEND}`"


# Differences

_WORDS = {
    ChangeKind.GAINS: "gains",
    ChangeKind.LOSES: "loses",
    ChangeKind.WIDER: "wider",
    ChangeKind.NARROWER: "narrower",
    ChangeKind.OTHER_ROWS: "other rows",
    ChangeKind.OTHER_RULE: "other rule",
}


def group_lines(group: Group, *, who: bool = True) -> Iterator[str]:
    """One entry of a review: what changes, for whom, and under which condition."""
    yield from _wrapped(_WORDS[group.kind], f"{group.action} {things_text(group.things)}", left=True)
    if who:
        yield from _wrapped("who", holders_text(group.holders))
    if group.before and group.after:
        yield from _wrapped("was", when_text(group.before))
        yield from _wrapped("now", when_text(group.after))
    elif group.before or group.after:
        yield from _wrapped("if" if group.after else "was", when_text(group.after or group.before))


def _wrapped(word: str, text: str, *, left: bool = False) -> Iterator[str]:
    head = f"{word:<10}" if left else f"{word:>10}"
    yield from textwrap.wrap(
        text,
        width=118,
        initial_indent=f"{head}  ",
        subsequent_indent=" " * 12,
        break_long_words=False,
        break_on_hyphens=False,
    )


def things_text(things: Iterable[str]) -> str:
    """`Employee.email, login; HrSection.salary`: the type once for its fields."""
    by_type: dict[str, list[str]] = {}
    for thing in things:
        # operations and pages are lower case: nothing is shortened of their names
        owner, dot, name = thing.partition(".") if thing[:1].isupper() else ("", "", thing)
        by_type.setdefault(f"{owner}{dot}", []).append(name)
    return "; ".join(f"{owner}{', '.join(names)}" for owner, names in by_type.items())


def changed_lines(changes: Iterable[Changed]) -> Iterator[str]:
    """Replayed decisions that would be others, one a line."""
    rows = []
    for each in changes:
        after = each.after or f"depends on {', '.join(each.missing)}, which was not recorded"
        facts = ", ".join(f"{name} {_value(value)}" for name, value in each.facts if value is not None)
        rows.append(
            (
                each.verdict.value,
                f"{each.decisions:,}",
                f"{each.action} {', '.join(each.things)}",
                f"{each.before} → {after}",
                rights_text(each.rights),
                facts or "-",
            )
        )
    yield from columns(rows)


def _value(value: str | int | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
