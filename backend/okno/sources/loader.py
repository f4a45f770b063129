"""Reads config/sources/*.yaml. Every problem of every file is reported at once, each with file, line and key."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from okno.errors import ConfigurationError
from okno.sources.manifest import SourceManifest

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one manifest."""

    file: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key + ': ' if self.key else ''}{self.message}"


class ManifestError(ConfigurationError):
    """Some manifests are wrong; `problems` holds every problem, the message lists them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (str(problem.file), problem.line, problem.key))
        super().__init__("Source manifests are wrong:\n  " + "\n  ".join(map(str, self.problems)))


def load_manifests(directory: Path, models: Mapping[str, type[SourceManifest]]) -> dict[str, SourceManifest]:
    """All manifests of the folder by id, in the order of the file names.

    Args:
        models: the manifest model of each kind.

    Raises:
        ManifestError: anything is wrong with any of them.
    """
    problems: list[Problem] = []
    loaded: list[tuple[SourceManifest, _Lines]] = []
    for file in sorted(directory.glob("*.yaml")):
        found = _load(file, models, problems)
        if found is not None:
            loaded.append(found)
    _check_together(loaded, problems)
    if problems:
        raise ManifestError(problems)
    return {manifest.id: manifest for manifest, _ in loaded}


class _Lines:
    """Where each key of a YAML file stands."""

    def __init__(self, file: Path, root: yaml.Node, problems: list[Problem]) -> None:
        self.file = file
        self._lines: dict[Location, int] = {(): root.start_mark.line + 1}
        self._walk(root, (), problems)

    def find(self, location: Location) -> int:
        """The line of the key, or of the nearest key around it."""
        while location not in self._lines:
            location = location[:-1]
        return self._lines[location]

    def problem(self, location: Location, message: str) -> Problem:
        key = ""
        for part in location:
            key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
        return Problem(self.file, self.find(location), key, message)

    def _walk(self, node: yaml.Node, at: Location, problems: list[Problem]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                place = (*at, str(key.value))
                if place in self._lines:
                    problems.append(
                        Problem(self.file, key.start_mark.line + 1, str(key.value), "the key is given twice")
                    )
                self._lines[place] = key.start_mark.line + 1
                self._walk(value, place, problems)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._lines[(*at, index)] = value.start_mark.line + 1
                self._walk(value, (*at, index), problems)


def _load(
    file: Path, models: Mapping[str, type[SourceManifest]], problems: list[Problem]
) -> tuple[SourceManifest, _Lines] | None:
    try:
        text = file.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        cause = getattr(error, "problem", None) or "unreadable"
        problems.append(Problem(file, mark.line + 1 if mark else 1, "", f"not YAML: {cause}"))
        return None
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(file, 1, "", f"cannot be read as UTF-8 text: {type(error).__name__}"))
        return None
    if root is None or not isinstance(data, dict):
        problems.append(Problem(file, 1, "", "a manifest is a mapping with id, kind, title, …"))
        return None
    lines = _Lines(file, root, problems)
    kind = data.get("kind")
    model = models.get(kind) if isinstance(kind, str) else None
    if model is None:
        problems.append(lines.problem(("kind",), f"the kind is one of {', '.join(sorted(models))}"))
        return None
    try:
        manifest = model.model_validate(data)
    except ValidationError as error:
        problems.extend(_describe(model, found, lines) for found in _own_errors(error))
        return None
    if manifest.id != file.stem:
        problems.append(
            lines.problem(("id",), f"the file is named after the id: rename it to {manifest.id}.yaml")
        )
        return None
    return manifest, lines


def _own_errors(error: ValidationError) -> list[Any]:
    # A list whose items are all wrong is reported as too short as well; the items are the cause.
    found = error.errors(include_url=False, include_input=False)
    return [
        one
        for one in found
        if one["type"] != "too_short"
        or not any(_within(other["loc"], one["loc"]) for other in found if other is not one)
    ]


def _within(inner: Location, outer: Location) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _describe(model: type[BaseModel], error: Mapping[str, Any], lines: _Lines) -> Problem:
    location = _real(error["loc"])
    kind, message = error["type"], str(error["msg"]).removeprefix("Value error, ")
    if kind == "missing":
        message = "required key is missing"
    elif kind == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        nearest = get_close_matches(str(location[-1]), known, n=1)
        message = "unknown key" + (
            f"; did you mean {nearest[0]}?"
            if nearest
            else f"; known here: {', '.join(known)}"
            if known
            else ""
        )
    return lines.problem(location, message)


def _real(location: Location) -> Location:
    # Pydantic adds the name of the union member or the validator; those are no keys of the file.
    return tuple(
        part for part in location if isinstance(part, int) or not ("[" in part or part[:1].isupper())
    )


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if current is not None else None
        current = _model_in(field.annotation) if field is not None else None
    return sorted(current.model_fields) if current is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None


def _check_together(loaded: list[tuple[SourceManifest, _Lines]], problems: list[Problem]) -> None:
    owners: dict[tuple[str, str], str] = {}
    for manifest, lines in loaded:
        names = [("field", manifest.section.field), ("type", manifest.section.type)]
        for what, name in names:
            owner = owners.setdefault((what, name), manifest.id)
            if owner != manifest.id:
                problems.append(
                    lines.problem(("section", what), f"{name} is already taken by source {owner}")
                )
