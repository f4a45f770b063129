"""Answers about several people at once: which record is whose, and who is left to be asked about alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from okno.sources.errors import SourceError

#: For each key its record, or the fault that costs this one alone (NOT_FOUND among them). A key that is absent was not
#: answered: it is read alone.
Many = dict[str, Any | SourceError]


def assign(
    source: str,
    key_name: str,
    keys: Sequence[str],
    records: Iterable[tuple[Sequence[str], Any | SourceError]],
) -> Many:
    """Gives each person the record that bears their key.

    A key stands for its exact letters. Where a record bears none of the keys, the system compares in another way than we
    do (in any letter case, say), so that nobody may be taken for unknown: who has no record yet stays unanswered. So does
    whoever differs by letter case or blanks alone from another who was asked for: one record could have answered both.

    Args:
        records: each with the keys that it bears.
    """
    found: Many = {}
    asked = set(keys)
    strangers = False
    for bears, record in records:
        claimed = asked.intersection(bears)
        strangers = strangers or not claimed
        for key in claimed:
            found[key] = (
                SourceError("BAD_ANSWER", f"{source}: several records have this {key_name}")
                if key in found
                else record
            )
    if not strangers and len(found) < len(asked):
        alike = Counter(map(_alike, asked))
        for key in keys:
            if key not in found and alike[_alike(key)] == 1:
                found[key] = SourceError("NOT_FOUND", f"{source}: no such record")
    return found


def _alike(key: str) -> str:
    return " ".join(key.split()).casefold()
