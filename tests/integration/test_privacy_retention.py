"""Each kind of personal data goes when its time is over, not a day before, and the journal says so."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from okno.audit.records import Outcome, Phase
from okno.clock import ManualClock
from okno.errors import Unavailable
from okno.storage.engine import Database
from tests.integration.privacy_stage import LOGIN, Stage, stage_of

DAY = timedelta(days=1)


async def recorded(stage: Stage) -> list[tuple[Phase, Outcome | None]]:
    records = [each for each in await stage.journal.tail(50) if each.event_type == "privacy.forgotten"]
    return [(each.phase, each.outcome) for each in sorted(records, key=lambda each: each.ref)]


async def test_a_token_is_forgotten_so_many_days_after_it_could_be_used(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path, tokens_days=10, accounts_days=1000) as stage:
        expires = clock.now() + 30 * DAY
        kept = await stage.give_token(expires_at=expires)
        await stage.give_token(expires_at=expires, revoked_at=clock.now())
        clock.advance(9 * DAY)
        assert await stage.privacy.apply_retention() == {}
        clock.advance(2 * DAY + timedelta(seconds=1))
        # the stage's own token expired after a day, the revoked one was revoked at once
        assert await stage.privacy.apply_retention() == {"tokens_days": {"identity_token": 2}}
        assert await stage.count("identity_token", "id = :id", id=kept) == 1
        clock.advance(29 * DAY)
        assert await stage.privacy.apply_retention() == {"tokens_days": {"identity_token": 1}}
        assert await recorded(stage) == [(Phase.INTENT, None), (Phase.OUTCOME, Outcome.SUCCEEDED)] * 2


async def test_an_account_goes_when_nobody_has_used_it_and_nothing_of_it_can_be_used(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path, tokens_days=5, accounts_days=20) as stage:
        token = await stage.give_token(expires_at=clock.now() + 40 * DAY)
        clock.advance(21 * DAY)
        assert await stage.privacy.apply_retention() == {"tokens_days": {"identity_token": 1}}
        async with emptied_db.transaction() as session:
            await session.execute(text("DELETE FROM identity_session"))
        assert await stage.privacy.apply_retention() == {}, "its other token still opens something"
        clock.advance(25 * DAY)
        # a token is forgotten in the run in which its account then is due too
        assert await stage.privacy.apply_retention() == {
            "tokens_days": {"identity_token": 1},
            "accounts_days": {"identity_account": 1},
        }
        assert await stage.count("identity_token", "id = :id", id=token) == 0
        assert await stage.count("identity_account", "login = :login", login=LOGIN) == 0


async def test_an_employee_whom_hr_lists_no_longer_is_forgotten_with_all_keys(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(
        emptied_db, clock, tmp_path, vanished_people_days=100, tokens_days=9999, accounts_days=9999
    ) as stage:
        stage.sources.hr.records.pop(0)
        clock.advance(DAY)
        await stage.people.refresh_index()
        clock.advance(99 * DAY)
        assert await stage.privacy.apply_retention() == {}
        assert await stage.people.find_by_key("login", LOGIN) is not None
        clock.advance(2 * DAY)
        assert await stage.privacy.apply_retention() == {
            "vanished_people_days": {"people_key": 2, "people_person": 1}
        }
        assert await stage.people.find_by_key("login", LOGIN) is None
        assert await stage.people.count() == 1


async def test_without_its_record_nothing_is_forgotten(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path, tokens_days=1) as stage:
        clock.advance(10 * DAY)
        await stage.journal.close()
        with pytest.raises(Unavailable):
            await stage.privacy.apply_retention()
        assert await stage.count("identity_token") == 1


async def test_a_clock_moved_back_forgets_nothing(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path, tokens_days=1) as stage:
        clock.set_wall(clock.now() - 365 * DAY)
        assert await stage.privacy.apply_retention() == {}
