"""Widgets are checked as a whole when Okno starts."""

from pathlib import Path

import pytest

from okno.dashboards.model import DocumentFacts
from okno.dashboards.registry import load_widgets
from okno.errors import ConfigurationError

GOOD = """
id: domain-account
version: 1
title: {en: Domain account, ru: Учётная запись}
slot: employee-card
view: facts
section: employee.domain
fields:
  - {path: employee.domain.locked, label: {en: Locked, ru: Заблокирована}, format: boolean}
actions: [domain.unlock]
size: {w: 6, h: 4}
"""
FACTS = DocumentFacts(
    selected=frozenset(
        {
            "employee",
            "employee.domain",
            "employee.domain.meta.state",
            "employee.domain.locked",
            "employee.equipment.items",
            "employee.equipment.items.kind",
        }
    ),
    leaves=(("DomainSection", "locked"),),
)


def put(directory: Path, widget_id: str, manifest: str, document: str | None = "{ employee }") -> None:
    folder = directory / widget_id
    folder.mkdir(parents=True)
    (folder / "widget.yaml").write_text(manifest, encoding="utf-8")
    if document is not None:
        (folder / "query.graphql").write_text(document, encoding="utf-8")


def read(text: str) -> DocumentFacts:
    return DocumentFacts(problems=("Cannot query field 'x'.",)) if text == "{ x }" else FACTS


def problems(directory: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_widgets(directory, read_document=read, operation_ids=["domain.unlock"])
    return caught.value.message


def test_a_good_widget_is_loaded_with_its_document_and_leaves(tmp_path: Path) -> None:
    put(tmp_path, "domain-account", GOOD)
    widget = load_widgets(tmp_path, read_document=read, operation_ids=["domain.unlock"])["domain-account"]
    assert widget.document == "{ employee }"
    assert widget.leaves == (("DomainSection", "locked"),)
    assert widget.as_json()["fields"][0]["label"] == {"en": "Locked", "ru": "Заблокирована"}
    assert "rows" not in widget.as_json()


def test_all_problems_of_all_widgets_are_told_at_once_with_file_and_key(tmp_path: Path) -> None:
    put(
        tmp_path,
        "domain-account",
        GOOD.replace("[domain.unlock]", "[domain.erase]").replace("locked, label", "gone, label"),
    )
    put(tmp_path, "other", GOOD)
    put(tmp_path, "broken", "id: [", None)
    put(
        tmp_path,
        "invalid",
        GOOD.replace("ru: Учётная запись", "de: Konto").replace("version: 1", "version: x"),
        "{ x }",
    )
    told = problems(tmp_path)
    for expected in (
        "domain-account/widget.yaml, key actions.0: no source declares the operation domain.erase",
        "domain-account/widget.yaml, key fields.0.path: query.graphql does not select employee.domain.gone",
        "other/widget.yaml, key id: is domain-account; it has to be the name of the folder, other",
        "broken/widget.yaml, key (whole file): is not YAML",
        "broken/query.graphql: cannot be read: No such file or directory",
        "invalid/widget.yaml, key version: ",
        "invalid/widget.yaml, key title: ",
        "invalid/query.graphql: Cannot query field 'x'.",
    ):
        assert expected in told, told


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            GOOD.replace("view: facts", "view: custom").replace("fields:", "fields: []\nx-fields:"),
            "key x-fields",
        ),
        (GOOD.replace("view: facts", "view: table"), "the view table draws rows and columns"),
        (
            GOOD.replace("section: employee.domain", "rows: employee.equipment.items"),
            "rows and columns belong to the view table",
        ),
        (
            GOOD.replace("section: employee.domain", "section: employee.hr"),
            "does not select employee.hr.meta.state",
        ),
        (GOOD.replace("format: boolean", "format: colour"), "key fields.0.format"),
        (GOOD.replace("w: 6", "w: 13"), "key size.w"),
    ],
)
def test_a_manifest_that_does_not_fit_its_view_is_refused(
    tmp_path: Path, changed: str, expected: str
) -> None:
    put(tmp_path, "domain-account", changed)
    assert expected in problems(tmp_path)


def test_a_custom_view_needs_its_component(tmp_path: Path) -> None:
    manifest = GOOD.replace("view: facts", "view: custom")
    put(tmp_path, "domain-account", manifest)
    assert "Widget.tsx, which is missing" in problems(tmp_path)
    (tmp_path / "domain-account" / "Widget.tsx").write_text("export default null;", encoding="utf-8")
    assert load_widgets(tmp_path, read_document=read, operation_ids=["domain.unlock"])


def test_columns_are_paths_within_the_row(tmp_path: Path) -> None:
    table = GOOD.replace("view: facts", "view: table").replace(
        "fields:", "rows: employee.equipment.items\ncolumns:"
    )
    put(tmp_path, "domain-account", table.replace("employee.domain.locked", "kind"))
    assert load_widgets(tmp_path, read_document=read, operation_ids=["domain.unlock"])
    put(
        tmp_path,
        "second",
        table.replace("id: domain-account", "id: second").replace("employee.domain.locked", "colour"),
    )
    assert "does not select employee.equipment.items.colour" in problems(tmp_path)


def test_a_folder_without_widgets_is_told(tmp_path: Path) -> None:
    assert "holds no widget" in problems(tmp_path)
    assert "holds no widget" in problems(tmp_path / "missing")


@pytest.mark.parametrize("field", ["format: alert", "format: boolean, tones: {warning: [true]}"])
def test_tones_belong_to_alerts_and_alerts_have_some(tmp_path: Path, field: str) -> None:
    put(tmp_path, "domain-account", GOOD.replace("format: boolean", field))
    assert "tones" in problems(tmp_path)


def test_the_tones_of_an_alert_reach_the_web_application(tmp_path: Path) -> None:
    put(
        tmp_path, "domain-account", GOOD.replace("format: boolean", "format: alert, tones: {warning: [true]}")
    )
    widget = load_widgets(tmp_path, read_document=read, operation_ids=["domain.unlock"])["domain-account"]
    assert widget.as_json()["fields"][0]["tones"] == {"warning": [True]}
