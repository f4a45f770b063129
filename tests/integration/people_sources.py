"""Corporate systems for tests of the people index: pages from memory, which fail where the test wants."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from okno.sources.errors import Code, SourceError
from okno.sources.model import ScanPage

HR_COLUMNS = (
    "personnel_number",
    "full_name",
    "latin_name",
    "position",
    "department",
    "office",
    "country",
    "city",
    "time_zone",
    "state",
    "protected",
    "manager_personnel_number",
    "work_phone",
)


@dataclass
class MemorySource:
    """One source. `fails_at`: the number of records after which the next page fails with `code`."""

    index: Mapping[str, str]
    records: list[Mapping[str, Any]]
    can_scan: bool = True
    page_size: int = 2
    fails_at: int | None = None
    code: Code = "UNREACHABLE"
    asked: list[str | None] = field(default_factory=list)


class MemorySources:
    """What the index asks of `Sources`."""

    def __init__(
        self,
        people: Sequence[Mapping[str, Any]],
        directory: Sequence[Mapping[str, Any]] = (),
        domain: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.hr = MemorySource(dict.fromkeys(HR_COLUMNS, "@"), list(people))
        self.directory = MemorySource(
            dict.fromkeys(("personnel_number", "login", "email"), "@"), list(directory)
        )
        self.domain = MemorySource(dict.fromkeys(("personnel_number", "login", "dn"), "@"), list(domain))

    @property
    def manifests(self) -> Mapping[str, MemorySource]:
        return {"directory": self.directory, "domain": self.domain, "hr": self.hr}

    async def scan(self, source_id: str, *, cursor: str | None = None) -> AsyncIterator[ScanPage]:
        source = self.manifests[source_id]
        source.asked.append(cursor)
        start = int(cursor or 0)
        while True:
            if source.fails_at is not None and start >= source.fails_at:
                raise SourceError(source.code, f"{source_id} fails at {start}")
            records = source.records[start : start + source.page_size]
            start += source.page_size
            last = start >= len(source.records)
            yield ScanPage(records, None if last else str(start))
            if last:
                return


def person(number: int, name: str, latin: str | None = None, **facts: Any) -> dict[str, Any]:
    """A record of HR."""
    return {
        "personnel_number": str(number),
        "full_name": name,
        "latin_name": latin or name,
        "country": "RU",
        "state": "WORKS",
        "protected": False,
        **facts,
    }


def account(number: int, login: str, **facts: Any) -> dict[str, Any]:
    """A record of the directory."""
    return {"personnel_number": str(number), "login": login, "email": f"{login}@okno.example", **facts}
