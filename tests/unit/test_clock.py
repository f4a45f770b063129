"""The injected clock."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from okno.clock import ManualClock, SystemClock


def test_the_system_clock_is_aware_and_monotonic() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() <= clock.monotonic()


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=3))))
    assert clock.now() == clock.now() == datetime(2026, 3, 1, 9, tzinfo=UTC)
    clock.advance(timedelta(minutes=5))
    assert (clock.now(), clock.monotonic()) == (datetime(2026, 3, 1, 9, 5, tzinfo=UTC), 300.0)


def test_setting_the_wall_back_leaves_deadlines_alone() -> None:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    clock.advance(timedelta(seconds=10))
    clock.set_wall(datetime(2025, 1, 1, tzinfo=UTC))
    assert (clock.now().year, clock.monotonic()) == (2025, 10.0)


def test_naive_and_negative_times_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 3, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="set_wall"):
        ManualClock(datetime(2026, 3, 1, tzinfo=UTC)).advance(timedelta(seconds=-1))
