"""When a team works: days and wall-clock times in its own zone, so that daylight saving moves with the team."""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MIDNIGHT = "24:00"


def _text(value: object) -> object:
    if isinstance(value, int):
        # YAML 1.1 reads 09:30 without quotes as a number to the base of sixty
        raise ValueError('write a time in quotes, as in "09:30"')
    return value


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name} is no time zone; write one of the IANA database, such as Africa/Lagos")
    return name


def _known_days(days: list[str]) -> list[str]:
    unknown = [day for day in days if day not in DAYS]
    if unknown or len(set(days)) != len(days):
        raise ValueError(f"write each day at most once, of {', '.join(DAYS)}")
    return days


_Time = Annotated[str, BeforeValidator(_text), Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class Hours(BaseModel):
    """`{zone, days, from, to}`. `to` is outside; up to 24:00 the day ends. A shift over midnight (`from` later than
    `to`) belongs to the day on which it begins. What stands on the wall clock counts: the hour that is repeated in
    autumn is inside twice, the one left out in spring never comes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    zone: Annotated[str, AfterValidator(_known_zone)]
    days: Annotated[list[str], Field(min_length=1), AfterValidator(_known_days)]
    begin: _Time = Field(alias="from")
    end: _Time = Field(alias="to")

    _zone: ZoneInfo = PrivateAttr()
    _days: frozenset[int] = PrivateAttr()
    _begin: time = PrivateAttr()
    _end: time = PrivateAttr()

    @model_validator(mode="after")
    def _prepare(self) -> Self:
        if self.begin == _MIDNIGHT:
            raise ValueError('from is "24:00"; a day begins at "00:00"')
        if self.begin == self.end:
            raise ValueError(
                'from and to are the same; round the clock is from "00:00" to "24:00"',
            )
        self._zone = ZoneInfo(self.zone)
        self._days = frozenset(DAYS.index(day) for day in self.days)
        self._begin = time.fromisoformat(self.begin)
        self._end = time.max if self.end == _MIDNIGHT else time.fromisoformat(self.end)
        return self

    def include(self, moment: datetime) -> bool:
        """Whether the team works at this moment, which is aware."""
        local = moment.astimezone(UTC).astimezone(self._zone)
        now, today = local.time(), local.weekday()
        if self._begin < self._end:
            whole = self._end == time.max
            return today in self._days and self._begin <= now and (whole or now < self._end)
        yesterday = (local - timedelta(days=1)).weekday()
        return (today in self._days and now >= self._begin) or (yesterday in self._days and now < self._end)
