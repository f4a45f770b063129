"""The values of usage: who asks, what the schema is made of, and what came of putting the two together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

_DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")


class PrincipalKind(StrEnum):
    """By what the caller was known."""

    SESSION = "session"
    PERSON = "person"
    SERVICE = "service"


class Client(NamedTuple):
    """The program that asks, as it names itself, beside who vouches for it. A tuple, since one is hashed for every request.

    Args:
        name: of the header X-Okno-Client; else "web" for a browser's session, the holder of the token otherwise.
        version: "" when none was given.
        principal: login or service name of the holder; "" for the web application, whose every user is not of interest.
    """

    name: str
    version: str
    kind: PrincipalKind
    principal: str

    @property
    def label(self) -> str:
        """Name and version as the header has them."""
        return f"{self.name}/{self.version}" if self.version else self.name


class MemberKind(StrEnum):
    """What of the schema a coordinate names."""

    FIELD = "FIELD"
    ARGUMENT = "ARGUMENT"
    ENUM_VALUE = "ENUM_VALUE"
    INPUT_FIELD = "INPUT_FIELD"


@dataclass(frozen=True, slots=True)
class Member:
    """A part of the schema that a client can use, by its coordinate ("Type.field", "Type.field(argument:)", …)."""

    coordinate: str
    kind: MemberKind
    deprecation: str | None = None

    @property
    def type_name(self) -> str:
        """The type that it is part of."""
        return self.coordinate.partition(".")[0]

    @property
    def removal(self) -> date | None:
        """Until when it is promised: the day in the reason of the deprecation, "Until 2027-03-01: …" (docs/adr/0013)."""
        for text in _DATE.findall(self.deprecation or ""):
            try:
                return date.fromisoformat(text)
            except ValueError:
                continue
        return None


@dataclass(frozen=True, slots=True)
class ClientUse:
    """How often a client used one part of the schema."""

    client: Client
    operations: int
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class MemberUse:
    """Who used a part of the schema, the busiest client first."""

    member: Member
    operations: int
    last_seen_at: datetime | None
    clients: Sequence[ClientUse]


@dataclass(frozen=True, slots=True)
class Uses:
    """A page of the schema's parts, by coordinate.

    Args:
        total: of all pages.
        recorded_since: the oldest day that is still recorded; before it nothing is known. None: nothing is recorded.
    """

    items: Sequence[MemberUse]
    total: int
    has_next: bool
    has_previous: bool
    recorded_since: date | None


@dataclass(frozen=True, slots=True)
class Broken:
    """A client that uses what would be taken away, and how often it used each part."""

    client: Client
    last_seen_at: datetime
    operations: dict[str, int]


@dataclass(frozen=True, slots=True)
class Breaks:
    """Who would break, the client that uses most first; and since when anything is known."""

    clients: Sequence[Broken]
    recorded_since: date | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which parts of the schema are asked about, and over what time.

    Args:
        names: coordinates, or names of types, which stand for all that is in them; empty: the whole schema.
        search: part of a coordinate, letter case ignored.
        client: only what this client used, "name" or "name/version"; with `unused`, what it did not use.
        days: how far back, today included.
    """

    names: tuple[str, ...] = ()
    search: str | None = None
    client: str | None = None
    days: int = 30
    deprecated: bool = False
    unused: bool = False
