"""The life of a session's cookie, judged without a database: idle, end, rotation, lost answers, replay."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from okno.identity.credentials import digest
from okno.identity.models import SessionRow
from okno.identity.sessions import GRACE, LOST_ANSWER, Judgement, Verdict, judge
from okno.settings import IdentitySettings

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SETTINGS = IdentitySettings(
    session_idle_seconds=3600, session_lifetime_seconds=86400, session_rotate_seconds=900
)
CURRENT, PREVIOUS, FOREIGN = digest("current"), digest("previous"), digest("foreign")


def session(**changes: Any) -> SessionRow:
    values: dict[str, Any] = {
        "secret_hash": CURRENT,
        "previous_hash": None,
        "grace_until": None,
        "rotated_at": NOW,
        "last_seen_at": NOW,
        "ends_at": NOW + timedelta(days=1),
    }
    return SessionRow(**(values | changes))


def judged(row: SessionRow, shown: bytes = CURRENT, **after: int) -> Judgement:
    return judge(row, shown, now=NOW + timedelta(**after), settings=SETTINGS)


def test_a_fresh_session_is_valid_and_nothing_has_to_be_written() -> None:
    assert judged(session(), seconds=5) == Judgement(Verdict.VALID)


def test_use_is_noted_at_most_once_a_minute() -> None:
    assert not judged(session(), seconds=59).touch
    assert judged(session(), seconds=60).touch


def test_a_session_ends_when_nobody_used_it_for_the_idle_time() -> None:
    assert judged(session(), seconds=3599).verdict is Verdict.VALID
    assert judged(session(), seconds=3600).verdict is Verdict.EXPIRED


def test_a_session_ends_at_its_end_however_busy_it_was() -> None:
    busy = session(
        last_seen_at=NOW + timedelta(hours=23, minutes=59), rotated_at=NOW + timedelta(hours=23, minutes=59)
    )
    assert judged(busy, hours=23, minutes=59, seconds=59).verdict is Verdict.VALID
    assert judged(busy, hours=24).verdict is Verdict.EXPIRED


def test_the_cookie_rotates_after_its_time() -> None:
    assert not judged(session(), seconds=899).rotate
    assert judged(session(), seconds=900).rotate


def test_a_clock_that_was_moved_back_neither_ends_nor_rotates_a_session() -> None:
    assert judged(session(), seconds=-5000) == Judgement(Verdict.VALID)


def test_showing_the_new_secret_confirms_the_rotation_once() -> None:
    assert judged(session(previous_hash=PREVIOUS)).confirm
    assert not judged(session(previous_hash=PREVIOUS, grace_until=NOW + GRACE)).confirm


def test_the_previous_secret_is_good_until_the_new_one_was_shown_and_a_grace_longer() -> None:
    unconfirmed = session(previous_hash=PREVIOUS)
    assert judged(unconfirmed, PREVIOUS, seconds=3) == Judgement(Verdict.VALID)
    confirmed = session(previous_hash=PREVIOUS, grace_until=NOW + GRACE)
    assert judged(confirmed, PREVIOUS, seconds=29).verdict is Verdict.VALID
    assert judged(confirmed, PREVIOUS, seconds=30).verdict is Verdict.REPLAYED


def test_a_client_that_never_got_the_new_secret_is_given_another() -> None:
    unconfirmed = session(previous_hash=PREVIOUS)
    assert not judged(unconfirmed, PREVIOUS, seconds=59).rotate
    assert judged(unconfirmed, PREVIOUS, seconds=int(LOST_ANSWER.total_seconds())).rotate


@pytest.mark.parametrize(
    "row",
    [session(), session(previous_hash=PREVIOUS), session(previous_hash=PREVIOUS, grace_until=NOW + GRACE)],
)
def test_any_other_secret_with_the_right_key_is_a_replay(row: SessionRow) -> None:
    assert judged(row, FOREIGN).verdict is Verdict.REPLAYED
