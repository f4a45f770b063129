"""The committed tables of rights, `policies/tests/access/`: a change of rights is a readable change of these files."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from okno.errors import ConfigurationError
from okno.policy.condition import FALSE, TRUE
from okno.policy.matrix import Access, Given, holders, matrix
from okno.policy.model import ACTIONS, Outcome
from okno.policy.names import Holder, HolderKind, SchemaNames
from okno.policy.service import Policy
from okno.policy.spelling import of_member, read, resource_of, spell

_HEAD = """\
# {what}
# Written by `okno policy matrix --update`, compared by `okno policy test`: whatever changes here is a change of rights.
"""
_EVERYBODY = "What everybody who signed in may do, without any role. The other tables say what comes on top."
_BEYOND = {
    HolderKind.TEAM: 'The rights of the team "{name}" beyond those of everybody: {title}.',
    HolderKind.ROLE: 'What the role "{name}" gives beyond the rights of everybody: {title}.',
    HolderKind.SERVICE: 'What a service\'s token with the scope "{name}" gives: {title}.',
}
_FOLDERS = {
    HolderKind.EVERYBODY: "",
    HolderKind.TEAM: "",
    HolderKind.ROLE: "roles/",
    HolderKind.SERVICE: "services/",
}


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One rule that gives one thing; `when` None: always."""

    action: str
    rule: str
    when: str | None
    thing: str


@dataclass(frozen=True, slots=True)
class Committed:
    """A table as a file has it, with what everybody may do put in."""

    kind: HolderKind
    name: str
    file: Path
    lines: frozenset[Line]

    @property
    def accesses(self) -> list[Access]:
        """The table thing by thing."""
        return accesses(self.lines)


def lines(table: Iterable[Access]) -> frozenset[Line]:
    """A table as lines."""
    return frozenset(
        Line(each.action, given.rule, given.when, each.thing) for each in table for given in each.given
    )


def accesses(found: Iterable[Line]) -> list[Access]:
    """Lines as a table."""
    things: dict[tuple[str, str], list[Given]] = {}
    for line in sorted(found, key=lambda each: (each.action, each.rule, each.when or "", each.thing)):
        things.setdefault((line.action, line.thing), []).append(Given(line.rule, line.when))
    order = {action: place for place, action in enumerate(ACTIONS)}
    return [
        Access(
            action,
            thing,
            Outcome.ALLOW if any(each.when is None for each in given) else Outcome.CONDITIONAL,
            tuple(given),
        )
        for (action, thing), given in sorted(
            things.items(), key=lambda each: (order.get(each[0][0], 9), each[0][1])
        )
    ]


def file_of(holder: Holder) -> str:
    """Where a holder's table is, below the folder of the tables."""
    # a team's name cannot begin so
    name = "_everybody" if holder.kind is HolderKind.EVERYBODY else holder.name
    return f"{_FOLDERS[holder.kind]}{name}.yaml"


def current(policy: Policy, names: SchemaNames, teams: Iterable[Holder]) -> dict[Holder, list[Access]]:
    """The tables as the policy gives them now, everybody's first."""
    return {holder: matrix(policy, names, holder) for holder in holders(policy, teams)}


def written(tables: Mapping[Holder, Iterable[Access]]) -> dict[str, str]:
    """The texts of all files, by their names below the folder.

    Args:
        tables: as `current` gives them.
    """
    everybody = next(lines(table) for each, table in tables.items() if each.kind is HolderKind.EVERYBODY)
    order = {rule: place for place, rule in enumerate(_rules(tables))}
    texts = {}
    for holder, table in tables.items():
        own = lines(table)
        shared = frozenset[Line]()
        if holder.kind is HolderKind.ROLE:
            shared = everybody
        elif holder.kind is HolderKind.TEAM:
            shared = _of_member(everybody, holder.rights.countries, holder.name)
        more, less = own - shared, shared - own
        texts[file_of(holder)] = _head(holder) + "".join(
            f"{key}:{_block(part, order)}"
            for key, part in (("may", more), ("may_not", less))
            if part or key == "may"
        )
    return texts


def _of_member(everybody: Iterable[Line], countries: Collection[str], team: str) -> frozenset[Line]:
    """What everybody may do, as it is for members of a team."""
    found = set()
    for line in everybody:
        if line.when is not None:
            condition = of_member(read(line.when), countries, team)
            if condition == FALSE:
                continue
            when = None if condition == TRUE else spell(condition, resource_of(line.when))
            found.add(replace(line, when=when))
        else:
            found.add(line)
    return frozenset(found)


def _rules(tables: Mapping[Holder, Iterable[Access]]) -> dict[str, None]:
    return dict.fromkeys(given.rule for table in tables.values() for each in table for given in each.given)


def _head(holder: Holder) -> str:
    if holder.kind is HolderKind.EVERYBODY:
        return _HEAD.format(what=_EVERYBODY)
    head = _HEAD.format(
        what=_BEYOND[holder.kind].format(name=holder.name, title=holder.title.rstrip(".").replace("\n", " "))
    )
    if holder.kind is HolderKind.TEAM:
        rights = holder.rights
        head += f"roles: [{', '.join(sorted(rights.roles))}]\ncountries: [{', '.join(sorted(rights.countries))}]\n"
    return head


def _block(part: Iterable[Line], order: Mapping[str, int]) -> str:
    text: list[str] = []
    found = sorted(
        part,
        key=lambda each: (
            ACTIONS.index(each.action),
            order[each.rule],
            each.rule,
            each.when or "",
            each.thing,
        ),
    )
    if not found:
        return " {}\n"
    last: tuple[str | None, ...] = ()
    for line in found:
        if last[:1] != (line.action,):
            text.append(f"  {line.action}:")
        if last[:2] != (line.action, line.rule):
            text.append(f"    {line.rule}:")
        if last != (line.action, line.rule, line.when):
            text.append(f"      - when: {_scalar(line.when)}")
            text.append("        things:")
        text.append(f"          - {line.thing}")
        last = (line.action, line.rule, line.when)
    return "\n" + "\n".join(text) + "\n"


def _scalar(when: str | None) -> str:
    if when is None:
        return "always"
    return "'" + when.replace("'", "''") + "'"


def update(directory: Path, texts: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Writes what differs and removes tables of whom there is no more; gives the names of both."""
    changed, removed = [], []
    for name, text in texts.items():
        file = directory / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            changed.append(name)
    for name in _files(directory):
        if name not in texts:
            (directory / name).unlink()
            removed.append(name)
    return changed, removed


def _files(directory: Path) -> Sequence[str]:
    return sorted(str(file.relative_to(directory)) for file in directory.rglob("*.yaml"))


def load(directory: Path) -> list[Committed]:
    """The committed tables, everybody's rights put into those of teams and roles.

    Raises:
        ConfigurationError: there is none, or one cannot be read.
    """
    files = _files(directory)
    if "_everybody.yaml" not in files:
        raise ConfigurationError(
            f"{directory} holds no tables of rights; write them with `okno policy matrix --update`"
        )
    loaded = {name: _read(directory / name) for name in files}
    everybody = frozenset(_lines(directory / "_everybody.yaml", loaded["_everybody.yaml"].get("may")))
    found = []
    for name in files:
        kind, file = _kind(name), directory / name
        own = frozenset(_lines(file, loaded[name].get("may")))
        if kind is HolderKind.TEAM:
            own |= _of_member(everybody, loaded[name].get("countries") or (), file.stem)
        elif kind is HolderKind.ROLE:
            own |= everybody
        own -= frozenset(_lines(file, loaded[name].get("may_not")))
        holder = "everybody" if kind is HolderKind.EVERYBODY else file.stem
        found.append(Committed(kind, holder, file, own))
    return found


def _kind(name: str) -> HolderKind:
    if name == "_everybody.yaml":
        return HolderKind.EVERYBODY
    folder = name.rpartition("/")[0]
    return {"roles": HolderKind.ROLE, "services": HolderKind.SERVICE}.get(folder, HolderKind.TEAM)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(loaded, Mapping):
        raise _malformed(file)
    return loaded


def _lines(file: Path, block: Any) -> Iterator[Line]:
    try:
        for action, rules in (block or {}).items():
            for rule, entries in rules.items():
                for entry in entries:
                    when = None if entry["when"] == "always" else str(entry["when"])
                    yield from (Line(action, rule, when, str(thing)) for thing in entry["things"])
    except (AttributeError, KeyError, TypeError) as error:
        raise _malformed(file) from error


def _malformed(file: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{file}: is no table of rights; write it anew with `okno policy matrix --update`"
    )
