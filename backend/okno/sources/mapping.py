"""Records of a source into the typed values of its section and of the people index.

A value of another type than the manifest declares is an error that names the field and the type, never a guess.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from okno.sources.errors import SourceError
from okno.sources.manifest import INDEX_COLUMNS, FieldManifest, FieldType, SourceManifest
from okno.sources.paths import Path, PathError

_GENERALIZED_TIME = re.compile(
    r"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)?)?(?:[.,](\d+))?(Z|[+-]\d\d(?:\d\d)?)", re.ASCII
)
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


class _WrongType(Exception):
    """Carries what was expected and what came instead (its type, never its value)."""

    def __init__(self, field: str, expected: str, got: str) -> None:
        super().__init__(field)
        self.field, self.expected, self.got = field, expected, got


class Mapper:
    """Applies the mapping of one manifest."""

    def __init__(self, manifest: SourceManifest, *, textual: bool) -> None:
        """
        Args:
            textual: the protocol knows only text (LDAP), so numbers, booleans and times are read from it.
        """
        self._source = manifest.id
        self._textual = textual
        self._section = tuple(self._compile(field) for field in manifest.section.fields)
        self._index = tuple(
            (column, Path(path), self._converter(INDEX_COLUMNS[column]))
            for column, path in manifest.index.items()
        )

    def section(self, record: Any) -> dict[str, Any]:
        """All fields of the section; what the record does not have is None.

        Raises:
            SourceError: BAD_ANSWER naming the field, the expected type and the type that came.
        """
        try:
            return {name: convert(record) for name, convert in self._section}
        except _WrongType as wrong:
            raise self._bad_answer(wrong) from None

    def index_row(self, record: Any) -> dict[str, Any]:
        """The columns of the people index that this source fills.

        Raises:
            SourceError: as for `section`.
        """
        row = {}
        try:
            for column, path, convert in self._index:
                value = _find(path, record, f"index.{column}", INDEX_COLUMNS[column])
                row[column] = None if value is None else convert(value, f"index.{column}")
        except _WrongType as wrong:
            raise self._bad_answer(wrong) from None
        return row

    def _bad_answer(self, wrong: _WrongType) -> SourceError:
        return SourceError(
            "BAD_ANSWER", f"{self._source}: field {wrong.field}: expected {wrong.expected}, got {wrong.got}"
        )

    def _compile(self, field: FieldManifest, prefix: str = "") -> tuple[str, Callable[[Any], Any]]:
        path, name = Path(field.path), prefix + field.name
        if field.type == "objects":
            items = tuple(self._compile(item, f"{name}[].") for item in field.items)
            convert: Callable[[Any, str], Any] = lambda value, at: [  # noqa: E731
                {item: read(entry) for item, read in items} for entry in _objects(value, at)
            ]
        else:
            convert = self._converter(field.type)

        def read(record: Any) -> Any:
            value = _find(path, record, name, field.type)
            return None if value is None else convert(value, name)

        return field.name, read

    def _converter(self, kind: FieldType) -> Callable[[Any, str], Any]:
        return (_TEXTUAL if self._textual else _TYPED).get(kind) or _TYPED[kind]


def parse_generalized_time(text: str) -> datetime | None:
    """LDAP's time (RFC 4517, section 3.3.13) in UTC; None when it is none, or no moment of the calendar."""
    match = _GENERALIZED_TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    offset = UTC
    if zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[3:5] or 0)
        offset = timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))
    unit = timedelta(seconds=1) if second else timedelta(minutes=1) if minute else timedelta(hours=1)
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute or 0), int(second or 0), tzinfo=offset
        )
        return (moment + unit * float(f"0.{fraction or 0}")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _find(path: Path, record: Any, name: str, kind: FieldType) -> Any:
    try:
        return path.search(record)
    except PathError:
        raise _WrongType(name, kind, "a record that the path does not fit") from None


def _string(value: Any, name: str) -> str:
    if type(value) is not str:
        raise _WrongType(name, "string", _type_name(value))
    return value


def _int(value: Any, name: str) -> int:
    if type(value) is not int:
        raise _WrongType(name, "int", _type_name(value))
    if not -(2**63) <= value < 2**63:
        raise _WrongType(name, "int", "a number beyond 64 bits")
    return value


def _bool(value: Any, name: str) -> bool:
    if type(value) is not bool:
        raise _WrongType(name, "bool", _type_name(value))
    return value


def _datetime(value: Any, name: str) -> datetime:
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _WrongType(name, "datetime (ISO 8601 with an offset)", "other text") from None
    if not isinstance(moment, datetime):
        raise _WrongType(name, "datetime (ISO 8601 with an offset)", _type_name(value))
    if moment.tzinfo is None:
        raise _WrongType(name, "datetime (ISO 8601 with an offset)", "a time without an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _WrongType(
            name, "datetime (ISO 8601 with an offset)", "a moment outside the calendar"
        ) from None


def _date(value: Any, name: str) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise _WrongType(name, "date (YYYY-MM-DD)", "other text") from None
    if type(value) is not date:
        raise _WrongType(name, "date (YYYY-MM-DD)", _type_name(value))
    return value


def _money(value: Any, name: str) -> dict[str, Any] | None:
    expected = "money ({minorUnits: int, currency: three capital letters})"
    if not isinstance(value, dict):
        raise _WrongType(name, expected, _type_name(value))
    units, currency = value.get("minorUnits"), value.get("currency")
    if units is None and currency is None:
        return None  # a multi-select hash over an absent amount
    if type(units) is not int or not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise _WrongType(name, expected, "another object")
    return {"minorUnits": units, "currency": currency}


def _strings(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or any(type(item) is not str for item in value):
        raise _WrongType(
            name, "list of strings", _type_name(value) if not isinstance(value, list) else "another list"
        )
    return value


def _objects(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or any(not isinstance(item, dict) for item in value):
        raise _WrongType(
            name, "list of objects", _type_name(value) if not isinstance(value, list) else "another list"
        )
    return value


def _text_int(value: Any, name: str) -> int:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise _WrongType(name, "int", "other text")
        value = int(value)
    return _int(value, name)


def _text_bool(value: Any, name: str) -> bool:
    if isinstance(value, str):
        if value.upper() not in ("TRUE", "FALSE"):
            raise _WrongType(name, "bool (TRUE or FALSE)", "other text")
        return value.upper() == "TRUE"
    return _bool(value, name)


def _text_datetime(value: Any, name: str) -> datetime:
    moment = parse_generalized_time(value) if isinstance(value, str) else None
    if moment is None:
        raise _WrongType(
            name, "datetime (GeneralizedTime)", "other text" if isinstance(value, str) else _type_name(value)
        )
    return moment


_TYPED: Mapping[FieldType, Callable[[Any, str], Any]] = {
    "string": _string,
    "int": _int,
    "bool": _bool,
    "datetime": _datetime,
    "date": _date,
    "money": _money,
    "strings": _strings,
}
_TEXTUAL: Mapping[FieldType, Callable[[Any, str], Any]] = {
    "int": _text_int,
    "bool": _text_bool,
    "datetime": _text_datetime,
}


def _type_name(value: Any) -> str:
    names = {
        str: "string",
        int: "int",
        float: "float",
        bool: "bool",
        list: "list",
        dict: "object",
        bytes: "binary",
    }
    return names.get(type(value), type(value).__name__)
