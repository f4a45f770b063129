"""The formats of exports. A new one is a module with a function `line` and an entry here."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from okno.audit.export import cef, jsonl, ocsf
from okno.audit.export.told import Exported

#: A record as one line without its end.
Format = Callable[[Exported], str]

FORMATS: Mapping[str, Format] = {"jsonl": jsonl.line, "ocsf": ocsf.line, "cef": cef.line}


def fitting(write: Format, exported: Exported, most_bytes: int | None) -> str:
    """The line; without the record's detail where it would be longer than this with it."""
    text = write(exported)
    if most_bytes is None or len(text.encode("utf-8", "replace")) <= most_bytes:
        return text
    return write(replace(exported, short=True))
