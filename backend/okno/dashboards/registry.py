"""Reads `widgets/*/` against the schema: all problems of all widgets at once, each with its file and key."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from okno.dashboards.model import DocumentFacts, DocumentReader, WidgetDefinition, WidgetManifest
from okno.errors import ConfigurationError


def load_widgets(
    directory: Path, *, read_document: DocumentReader, operation_ids: Collection[str]
) -> dict[str, WidgetDefinition]:
    """All widgets by id.

    Args:
        directory: holds one folder for each widget: `widget.yaml`, `query.graphql`, and `Widget.tsx` for the view custom.
        read_document: says what a document selects, or what is wrong with it.
        operation_ids: the operations that the sources declare; actions have to be among them.

    Raises:
        ConfigurationError: lists every problem of every widget.
    """
    widgets: dict[str, WidgetDefinition] = {}
    problems: list[str] = []
    for folder in sorted(path for path in directory.glob("*") if path.is_dir()) if directory.is_dir() else []:
        found = _Folder(folder, read_document, operation_ids)
        widget = found.read()
        problems += found.problems
        if widget is not None:
            widgets[widget.manifest.id] = widget
    if not widgets and not problems:
        problems.append(f"{directory}: holds no widget; put one into {directory.name}/<id>/widget.yaml")
    if problems:
        raise ConfigurationError("Widgets are wrong:\n  " + "\n  ".join(problems))
    return widgets


class _Folder:
    """One widget's folder, and what is wrong in it."""

    def __init__(self, folder: Path, read_document: DocumentReader, operation_ids: Collection[str]) -> None:
        self._folder = folder
        self._read_document = read_document
        self._operation_ids = operation_ids
        self.problems: list[str] = []

    def read(self) -> WidgetDefinition | None:
        """The widget; None when something is wrong with it."""
        manifest = self._manifest()
        document = self._text("query.graphql")
        facts = self._read_document(document) if document is not None else None
        if facts is not None:
            self.problems += [f"{self._folder / 'query.graphql'}: {problem}" for problem in facts.problems]
        if manifest is not None:
            self._check(manifest, facts)
        if self.problems or manifest is None or document is None or facts is None:
            return None
        return WidgetDefinition(manifest, document, facts.leaves, facts.trusted_text, facts.document_id)

    def _manifest(self) -> WidgetManifest | None:
        text = self._text("widget.yaml")
        if text is None:
            return None
        try:
            return WidgetManifest.model_validate(yaml.safe_load(text))
        except yaml.YAMLError as error:
            self._problem("(whole file)", f"is not YAML: {' '.join(str(error).split())}")
        except ValidationError as error:
            for each in error.errors(include_url=False, include_input=False):
                self._problem(_key(each["loc"]), each["msg"])
        return None

    def _check(self, manifest: WidgetManifest, facts: DocumentFacts | None) -> None:
        if manifest.id != self._folder.name:
            self._problem("id", f"is {manifest.id}; it has to be the name of the folder, {self._folder.name}")
        for place, action in enumerate(manifest.actions):
            if action not in self._operation_ids:
                known = ", ".join(sorted(self._operation_ids)) or "none"
                self._problem(
                    f"actions.{place}", f"no source declares the operation {action}; declared are {known}"
                )
        if manifest.view == "custom" and not (self._folder / "Widget.tsx").is_file():
            self._problem("view", f"custom draws with {self._folder.name}/Widget.tsx, which is missing")
        if facts is None or facts.problems:
            return
        for key, path in _paths(manifest):
            if path not in facts.selected:
                self._problem(key, f"query.graphql does not select {path}")

    def _text(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self.problems.append(f"{self._folder / name}: cannot be read: {reason}")
            return None

    def _problem(self, key: str, message: str) -> None:
        self.problems.append(f"{self._folder / 'widget.yaml'}, key {key}: {message}")


def _paths(manifest: WidgetManifest) -> Iterable[tuple[str, str]]:
    """The keys of a manifest that name a path in the document's data, with the path."""
    if manifest.section is not None:
        yield "section", f"{manifest.section}.meta.state"
    for place, field in enumerate(manifest.fields):
        yield f"fields.{place}.path", field.path
    if manifest.rows is not None:
        yield "rows", manifest.rows
        for place, column in enumerate(manifest.columns):
            yield f"columns.{place}.path", f"{manifest.rows}.{column.path}"


def _key(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location) or "(whole file)"
