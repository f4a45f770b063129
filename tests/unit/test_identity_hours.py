"""Working hours: the wall clock of the team's zone, through midnight, weekends and changes of daylight saving."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from okno.errors import ConfigurationError
from okno.identity.hours import DAYS, Hours
from okno.identity.teams import Teams


def hours(begin: str, end: str, *, zone: str = "UTC", days: str = "mon tue wed thu fri") -> Hours:
    return Hours.model_validate({"zone": zone, "days": days.split(), "from": begin, "to": end})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# 2026-11-02 is a Monday
@pytest.mark.parametrize(
    ("shift", "moment", "inside"),
    [
        (hours("09:00", "18:00"), "2026-11-02 09:00", True),
        (hours("09:00", "18:00"), "2026-11-02 08:59:59.999999", False),
        (hours("09:00", "18:00"), "2026-11-02 17:59:59.999999", True),
        (hours("09:00", "18:00"), "2026-11-02 18:00", False),
        (hours("09:00", "18:00"), "2026-11-07 12:00", False),
        (hours("00:00", "24:00", days="sat"), "2026-11-07 00:00", True),
        (hours("00:00", "24:00", days="sat"), "2026-11-07 23:59:59.999999", True),
        (hours("00:00", "24:00", days="sat"), "2026-11-08 00:00", False),
        # over midnight: Friday's night shift ends on Saturday, and none begins on Sunday
        (hours("22:00", "06:00"), "2026-11-06 23:00", True),
        (hours("22:00", "06:00"), "2026-11-07 05:59", True),
        (hours("22:00", "06:00"), "2026-11-07 06:00", False),
        (hours("22:00", "06:00"), "2026-11-07 23:00", False),
        (hours("22:00", "06:00"), "2026-11-09 03:00", False),
        (hours("22:00", "06:00"), "2026-11-09 22:00", True),
        # the day is that of the zone: Sunday evening here is Monday morning there
        (hours("09:00", "18:00", zone="Asia/Almaty"), "2026-11-02 04:00", True),
        (hours("00:00", "02:00", zone="Asia/Almaty", days="mon"), "2026-11-01 20:00", True),
        (hours("09:00", "18:00", zone="America/Sao_Paulo"), "2026-11-02 11:59", False),
        (hours("09:00", "18:00", zone="America/Sao_Paulo"), "2026-11-02 12:00", True),
        # New York leaves out 02:00 to 03:00 on 2026-03-08, a Sunday, and has 01:00 to 02:00 twice on 2026-11-01
        (hours("01:30", "02:30", zone="America/New_York", days="sun"), "2026-03-08 06:59", True),
        (hours("01:30", "02:30", zone="America/New_York", days="sun"), "2026-03-08 07:00", False),
        (hours("02:15", "02:45", zone="America/New_York", days="sun"), "2026-03-08 07:00", False),
        (hours("01:15", "01:45", zone="America/New_York", days="sun"), "2026-11-01 05:30", True),
        (hours("01:15", "01:45", zone="America/New_York", days="sun"), "2026-11-01 06:00", False),
        (hours("01:15", "01:45", zone="America/New_York", days="sun"), "2026-11-01 06:30", True),
        # the same wall clock, an hour apart in UTC
        (hours("09:00", "18:00", zone="Europe/Berlin"), "2026-07-01 07:00", True),
        (hours("09:00", "18:00", zone="Europe/Berlin"), "2026-12-01 07:00", False),
        (hours("09:00", "18:00", zone="Europe/Berlin"), "2026-12-01 08:00", True),
    ],
    ids=str,
)
def test_a_moment_is_inside_when_the_clock_on_the_wall_says_so(
    shift: Hours, moment: str, inside: bool
) -> None:
    assert shift.include(at(moment)) is inside


@settings(max_examples=60)
@given(
    begin=st.integers(0, 1439),
    end=st.integers(1, 1440),
    minutes=st.integers(0, 2 * 366 * 1440),
    day=st.sampled_from(DAYS),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]),
)
def test_one_s_shift_and_the_rest_of_the_day_divide_the_day(
    begin: int, end: int, minutes: int, day: str, zone: str
) -> None:
    assume(begin < end and (begin, end) != (0, 1440))
    shift = hours(clock(begin), clock(end), zone=zone, days=day)
    rest = [hours("00:00", clock(begin), zone=zone, days=day)] if begin else []
    rest += [hours(clock(end), "24:00", zone=zone, days=day)] if end < 1440 else []
    whole = hours("00:00", "24:00", zone=zone, days=day)
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)

    assert sum(part.include(moment) for part in (shift, *rest)) == whole.include(moment)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{zone: Moscow, days: [mon], from: "09:00", to: "18:00"}', "hours.zone: "),
        ('{zone: UTC, days: [], from: "09:00", to: "18:00"}', "hours.days: "),
        ('{zone: UTC, days: [mon, mon], from: "09:00", to: "18:00"}', "each day at most once"),
        ('{zone: UTC, days: [monday], from: "09:00", to: "18:00"}', "each day at most once"),
        ('{zone: UTC, days: [mon], from: 19:30, to: "18:00"}', 'a time in quotes, as in "09:30"'),
        ('{zone: UTC, days: [mon], from: "9:30", to: "18:00"}', "hours.from: "),
        ('{zone: UTC, days: [mon], from: "09:00", to: "24:30"}', "hours.to: "),
        ('{zone: UTC, days: [mon], from: "24:00", to: "02:00"}', "begins at"),
        ('{zone: UTC, days: [mon], from: "09:00", to: "09:00"}', "round the clock is"),
        ('{zone: UTC, days: [mon], from: "09:00"}', "hours.to: "),
    ],
)
def test_wrong_hours_of_a_team_are_told_with_file_key_and_fix(tmp_path: Path, text: str, cause: str) -> None:
    team = {"id": "mail", "title": {"en": "Mail", "ru": "Почта"}, "roles": ["support"], "countries": "all", "card": ["directory"]}  # fmt: skip
    (tmp_path / "mail.yaml").write_text(f"{yaml.safe_dump(team)}hours: {text}\n", encoding="utf-8")

    with pytest.raises(ConfigurationError) as error:
        Teams.load(tmp_path)

    assert f"{tmp_path / 'mail.yaml'}, key hours" in error.value.message
    assert cause in error.value.message


def test_a_team_without_hours_is_never_within_them(tmp_path: Path) -> None:
    team = {"id": "mail", "title": {"en": "Mail", "ru": "Почта"}, "roles": ["support"], "countries": "all", "card": ["directory"]}  # fmt: skip
    (tmp_path / "mail.yaml").write_text(yaml.safe_dump(team), encoding="utf-8")
    (found,) = Teams.load(tmp_path)

    assert found.facts_at(at("2026-11-02 12:00")) == frozenset()
