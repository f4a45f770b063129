"""Whom the index may hold, and how much of them: the law of some countries keeps people's data where it is."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

#: What is held of people whose country's data may not be copied here: what says who it is without a name, and what the
#: policy and the refresh have to know before any system is asked.
HELD_OF_ALL = frozenset({"personnel_number", "country", "state", "protected"})


class Admission(Protocol):
    """Says who is never taken in, whatever HR lists."""

    async def barred(self, session: AsyncSession, personnel_numbers: Collection[str]) -> Collection[str]:
        """Those of the numbers that are barred, as this transaction sees it."""


class NobodyBarred:
    """For an index that takes in all that HR lists."""

    async def barred(self, session: AsyncSession, personnel_numbers: Collection[str]) -> Collection[str]:
        return ()


class Residency:
    """The countries whose people's data the index may copy; None is all."""

    def __init__(self, countries: Collection[str] | None) -> None:
        self._countries = None if countries is None else frozenset(countries)

    @property
    def limited(self) -> bool:
        return self._countries is not None

    def admits(self, country: object) -> bool:
        """An unknown country is none of those that were allowed."""
        return self._countries is None or country in self._countries

    def narrowed(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """A record of HR without what may not be copied."""
        return {name: value for name, value in record.items() if name in HELD_OF_ALL}
