"""What of a record an export tells: its personal values only where the export says so, and what is erased never."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from okno.audit.records import Record
from okno.audit.registry import EVENT_TYPES

# Words of Okno's own in a detail: ids of operations, fields and errors. What else stands there may have been typed by anybody.
_OWN = ("operation", "action", "code", "fields", "mutations", "process", "export", "format")
_OWN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Exported:
    """A record on its way out.

    `position`: its number in this export, from 1 without gaps, the same whenever it is sent again; None when it is not part of
    a continuous one. `personal`: whether names, labels and details go out too. `short`: without its detail, which was too
    long.
    """

    record: Record
    position: int | None = None
    personal: bool = False
    short: bool = False

    @property
    def id(self) -> str:
        """By which the receiver knows a record that is sent again."""
        return str(self.record.ref)

    @property
    def title(self) -> str:
        """The type of the event in English."""
        kind = EVENT_TYPES.get(self.record.event_type)
        return self.record.event_type if kind is None else kind.sentence["en"]

    @property
    def actor_login(self) -> str | None:
        return self.record.actor_login if self.personal else None

    @property
    def actor_name(self) -> str | None:
        return self.record.actor_name if self.personal else None

    @property
    def subject_label(self) -> str | None:
        return self.record.subject_label if self.personal else None

    @property
    def detail(self) -> Mapping[str, Any] | None:
        """The detail, or what of it is not personal; None when there is nothing to tell."""
        if self.short or not self.record.detail:
            return None
        if self.personal:
            return self.record.detail
        return {name: value for name in _OWN if _is_own(value := self.record.detail.get(name))} or None

    @property
    def operation(self) -> str | None:
        """Which operation the record is about."""
        value = (self.record.detail or {}).get("operation")
        return value if isinstance(value, str) and _is_own(value) else None

    @property
    def team(self) -> str | None:
        return self.record.team


def _is_own(value: object) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, str) and _is_own(each) for each in value)
    return isinstance(value, str) and _OWN_WORD.fullmatch(value) is not None
