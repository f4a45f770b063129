"""What a manifest in config/sources/ may say; the parts that every kind shares. `loader` reads the files.

Each kind adds its own `endpoint`, `auth`, `read` and, where it can write, `operations`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from okno.settings import read_secret
from okno.sources.paths import Path, PathError
from okno.sources.template import Template, TemplateError

KeyName = Literal["personnel_number", "login", "email", "dn"]
FieldType = Literal["string", "int", "bool", "datetime", "date", "money", "strings", "objects"]

# Columns of the people index that a source may fill, with the type of the value.
INDEX_COLUMNS: Mapping[str, FieldType] = {
    "personnel_number": "string",
    "login": "string",
    "email": "string",
    "dn": "string",
    "full_name": "string",
    "latin_name": "string",
    "position": "string",
    "department": "string",
    "office": "string",
    "country": "string",
    "city": "string",
    "time_zone": "string",
    "state": "string",
    "protected": "bool",
    "manager_personnel_number": "string",
    "work_phone": "string",
}


class Part(BaseModel):
    """A part of a manifest: unknown keys are errors, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def _check_jmespath(expression: str) -> str:
    try:
        Path(expression)
    except PathError as error:
        raise ValueError(str(error)) from error
    return expression


def _check_texts(texts: Mapping[str, str]) -> Mapping[str, str]:
    missing = [language for language in ("en", "ru") if not texts.get(language)]
    if missing:
        raise ValueError(f"a text is needed in {' and '.join(missing)}; write {{en: …, ru: …}}")
    return texts


def check_template(text: str, allowed: Iterable[str]) -> Template:
    """The parsed template.

    Raises:
        ValueError: it is malformed or uses a placeholder that is not allowed there.
    """
    try:
        template = Template(text)
    except TemplateError as error:
        raise ValueError(str(error)) from error
    allowed = sorted(allowed)
    if unknown := sorted(set(template.names) - set(allowed)):
        known = ", ".join(f"{{{name}}}" for name in allowed) or "none"
        raise ValueError(f"unknown placeholder {{{unknown[0]}}}; allowed here: {known}")
    return template


JmesPath = Annotated[str, AfterValidator(_check_jmespath)]
Texts = Annotated[dict[str, str], AfterValidator(_check_texts)]


class Reference(Part):
    """A value that stands elsewhere: {env: NAME} or {file: PATH}. Never the value itself."""

    env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")
    file: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("give either {env: NAME} or {file: PATH}")
        return self

    def resolve(self, environment: Mapping[str, str] | None = None) -> str:
        """The value.

        Raises:
            ConfigurationError: it is missing; the message names the reference only.
        """
        return read_secret(f"env:{self.env}" if self.env is not None else f"file:{self.file}", environment)


class Freshness(Part):
    """Ages in seconds. A failing source counts as degraded until its last success is `warn_after` old, then as down. While
    it fails, the last good answer is shown as stale until it is `error_after` old."""

    warn_after: float = Field(default=300, gt=0)
    error_after: float = Field(default=3600, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warn_after > self.error_after:
            raise ValueError("warn_after must not exceed error_after")
        return self


class Breaker(Part):
    """After `failures` failed calls in a row the source is left alone for `open_seconds`; then one call tries."""

    failures: int = Field(default=5, ge=1)
    open_seconds: float = Field(default=10, gt=0)


class FieldManifest(Part):
    """One field of the section: where it stands in the record (JMESPath) and what type it must have."""

    name: str = Field(pattern=r"^[a-z][A-Za-z0-9]*$")
    type: FieldType
    path: JmesPath
    title: Texts
    items: tuple["FieldManifest", ...] = ()

    @model_validator(mode="after")
    def _items(self) -> Self:
        if (self.type == "objects") != bool(self.items):
            raise ValueError(
                f"items (the fields of each object) belong to type objects and only there; this field is of type {self.type}"
            )
        return self

    @field_validator("items")
    @classmethod
    def _flat(cls, items: tuple["FieldManifest", ...]) -> tuple["FieldManifest", ...]:
        if any(item.type == "objects" for item in items):
            raise ValueError("objects within objects are not supported")
        return _unique(items)

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name == "meta":
            raise ValueError("meta is the section's own field; take another name")
        return name


def _unique(fields: tuple[FieldManifest, ...]) -> tuple[FieldManifest, ...]:
    names = [field.name for field in fields]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"field name used twice: {', '.join(twice)}")
    return fields


class Section(Part):
    """What the source adds to `Employee`: the field there, the GraphQL type and its fields."""

    field: str = Field(pattern=r"^[a-z][A-Za-z0-9]*$")
    type: str = Field(pattern=r"^[A-Z][A-Za-z0-9]*Section$")
    fields: Annotated[tuple[FieldManifest, ...], Field(min_length=1), AfterValidator(_unique)]

    def find_field(self, name: str) -> FieldManifest | None:
        """The field of that name."""
        return next((field for field in self.fields if field.name == name), None)


class PreviewLine(Part):
    """What an operation makes of one field of the section: `after` a literal, or a list with `add` or without `remove`."""

    title: Texts
    field: str
    after: Any = None
    add: str | None = None
    remove: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = self.model_fields_set & {"after", "add", "remove"}
        if len(given) != 1:
            raise ValueError(
                "give exactly one of after (a value), add or remove (a template for a member of a list)"
            )
        return self


class Requirement(Part):
    """What a field of the section must be for an operation to be allowed at all."""

    field: str
    equals: Any


class Operation(Part):
    """A ready-made change in the source. `request` is of the kind; templates take {input.NAME} and values of the record.

    The first line of `preview` is the purpose: whether an operation of unknown outcome took effect is read back there.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    title: Texts
    risk: Literal["low", "medium", "high"]
    input: dict[str, Any] = Field(
        default_factory=lambda: {"type": "object", "properties": {}, "additionalProperties": False}
    )
    requires: tuple[Requirement, ...] = ()
    preview: tuple[PreviewLine, ...] = Field(min_length=1)
    request: Any

    @field_validator("input")
    @classmethod
    def _schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from error
        if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
            raise ValueError(
                "the input is a closed object: write type: object and additionalProperties: false"
            )
        for name, definition in schema.get("properties", {}).items():
            try:
                _check_texts(definition.get("x-title", {}))
            except ValueError as error:
                raise ValueError(f"property {name}, x-title: {error}") from error
        return schema

    @property
    def input_names(self) -> frozenset[str]:
        """Names that templates may use as {input.NAME}."""
        return frozenset(self.input.get("properties", {}))


class ReadMany(Part):
    """How several people are read at once. Each kind adds how it is asked and how a record tells whose it is."""

    size: int = Field(default=100, ge=2, le=1000, description="people in one request, as the system allows")


class SourceManifest(Part):
    """One corporate system. Times in seconds."""

    KIND: ClassVar[str]

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: str
    title: Texts
    deadline_seconds: float = Field(default=2, gt=0, le=60)
    scan_page_seconds: float = Field(default=30, gt=0, le=600)
    concurrency: int = Field(default=16, ge=1, le=256)
    queue: int = Field(default=128, ge=0, le=10_000)
    freshness: Freshness = Freshness()
    cache_seconds: float = Field(default=0, ge=0)
    cache_entries: int = Field(default=2000, ge=0, le=1_000_000)
    breaker: Breaker = Breaker()
    key: KeyName
    section: Section
    index: dict[str, JmesPath] = Field(default_factory=dict)
    operations: tuple[Operation, ...] = ()

    @field_validator("cache_seconds")
    @classmethod
    def _fresh(cls, seconds: float, info: Any) -> float:
        freshness = info.data.get("freshness")
        if freshness is not None and seconds > freshness.warn_after:
            raise ValueError(
                "cache_seconds must not exceed freshness.warn_after: what is served as fresh must be fresh"
            )
        return seconds

    @field_validator("index")
    @classmethod
    def _columns(cls, index: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(index.keys() - INDEX_COLUMNS.keys()):
            raise ValueError(f"unknown column {', '.join(unknown)}; known: {', '.join(INDEX_COLUMNS)}")
        return index

    @field_validator("operations")
    @classmethod
    def _operations(cls, operations: tuple[Operation, ...], info: Any) -> tuple[Operation, ...]:
        source, section = info.data.get("id"), info.data.get("section")
        seen: set[str] = set()
        for operation in operations:
            if source is not None and not operation.id.startswith(f"{source}."):
                raise ValueError(f"operation {operation.id}: the id starts with the source's, {source}.…")
            if operation.id in seen:
                raise ValueError(f"operation {operation.id} is declared twice")
            seen.add(operation.id)
            if not isinstance(section, Section):
                continue
            for requirement in operation.requires:
                if section.find_field(requirement.field) is None:
                    raise ValueError(
                        f"operation {operation.id}, requires: the section has no field {requirement.field}"
                    )
            for line in operation.preview:
                field = section.find_field(line.field)
                if field is None:
                    raise ValueError(
                        f"operation {operation.id}, preview: the section has no field {line.field}"
                    )
                if (line.add or line.remove) and field.type != "strings":
                    raise ValueError(
                        f"operation {operation.id}, preview: add and remove need a field of type strings, {line.field} is {field.type}"
                    )
                for template in (line.add, line.remove):
                    check_template(template or "", {f"input.{name}" for name in operation.input_names})
        return operations

    @property
    def many_size(self) -> int:
        """How many people one request may ask for; 1 where the manifest declares no read.many."""
        many = getattr(getattr(self, "read", None), "many", None)
        return many.size if isinstance(many, ReadMany) else 1

    @property
    def can_scan(self) -> bool:
        """Whether the whole population can be listed for the people index."""
        raise NotImplementedError

    def find_operation(self, operation_id: str) -> Operation | None:
        """The operation of that id."""
        return next((operation for operation in self.operations if operation.id == operation_id), None)
