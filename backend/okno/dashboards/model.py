"""What a widget is: its manifest, its document, and what the document reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Format = Literal[
    "text",
    "copy",
    "datetime",
    "date",
    "boolean",
    "money",
    "list",
    "phone",
    "email",
    "tag",
    "country",
    "number",
    "alert",
]
Tone = Literal["warning", "danger", "info", "positive"]


def _check_texts(texts: dict[str, str]) -> dict[str, str]:
    missing = [language for language in ("en", "ru") if not texts.get(language)]
    if missing:
        raise ValueError(f"a text is needed in {' and '.join(missing)}; write {{en: …, ru: …}}")
    return texts


Texts = Annotated[dict[str, str], AfterValidator(_check_texts)]
Path = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldManifest(_Part):
    """One line of facts, or one column of a table. Paths start at the document's data, columns' at the row."""

    path: Path
    label: Texts
    format: Format = "text"
    tones: dict[Tone, tuple[bool | int | str, ...]] | None = None
    """For the format alert: which values have to stand out, and how; a value without a tone is plain text."""

    @model_validator(mode="after")
    def _tones_belong_to_alerts(self) -> Self:
        if (self.format == "alert") != bool(self.tones):
            raise ValueError(
                "the format alert needs tones such as {warning: [true]}; no other format has them"
            )
        return self


class Size(_Part):
    """Columns of 12, and rows of the grid."""

    w: int = Field(ge=1, le=12)
    h: int = Field(ge=1, le=40)


class WidgetManifest(_Part):
    """`widgets/<id>/widget.yaml`."""

    id: str = Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")
    version: int = Field(ge=1)
    title: Texts
    slot: Literal["employee-card"]
    view: Literal["facts", "table", "custom"]
    section: Path | None = None
    fields: tuple[FieldManifest, ...] = ()
    rows: Path | None = None
    columns: tuple[FieldManifest, ...] = ()
    actions: tuple[str, ...] = ()
    size: Size

    @model_validator(mode="after")
    def _view_has_what_it_draws(self) -> Self:
        if self.view == "facts" and not self.fields:
            raise ValueError("the view facts draws fields; list at least one")
        if self.view == "table" and not (self.rows and self.columns):
            raise ValueError("the view table draws rows and columns; give both")
        if self.view != "table" and (self.rows or self.columns):
            raise ValueError(f"rows and columns belong to the view table, this view is {self.view}")
        if self.view == "table" and self.fields:
            raise ValueError("fields belong to the view facts; a table has columns")
        return self


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What the schema says about a document.

    Attributes:
        problems: why it is not valid; the rest is empty then.
        selected: response paths of all selections, lists without an index: `employee.equipment.items.kind`.
        leaves: the (type, field) pairs whose values it reads, those of a section's `meta` left out.
        trusted_text: the document as clients run it, with `__typename` where they need it.
        document_id: what clients name it by: sha256:<hex of `trusted_text`>.
    """

    problems: tuple[str, ...] = ()
    selected: frozenset[str] = frozenset()
    leaves: tuple[tuple[str, str], ...] = ()
    trusted_text: str = ""
    document_id: str = ""


class DocumentReader(Protocol):
    """Reads documents against the schema; handed in by the wiring, since the schema stands above this domain."""

    def __call__(self, text: str) -> DocumentFacts:
        """What the schema says about the document."""


@dataclass(frozen=True, slots=True)
class WidgetDefinition:
    """A widget that fits the schema."""

    manifest: WidgetManifest
    document: str
    leaves: tuple[tuple[str, str], ...]
    trusted_text: str = ""
    document_id: str = ""

    def as_json(self) -> Mapping[str, Any]:
        """The manifest for the web application."""
        return self.manifest.model_dump(mode="json", exclude_none=True)
