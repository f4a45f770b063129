"""What Okno holds about a person is shown whole, erased whole, and does not come back."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from okno.audit.command import Command
from okno.audit.records import Outcome
from okno.clock import ManualClock
from okno.errors import ConfigurationError, Conflict, NotFound, Unavailable, UnknownOutcome
from okno.people.folding import fold
from okno.privacy import store
from okno.privacy.digests import Digests
from okno.privacy.service import Bars, Privacy
from okno.storage.engine import Database
from tests.conftest import Cloned
from tests.integration.audit_stage import Line
from tests.integration.privacy_stage import KEY, LOGIN, NAME, NUMBER, OTHER, Stage, stage_of

TRACES = (LOGIN, NAME, "Ivan Grozny", "79001112233", "s-41", fold("Грозный"))


def traces(stored: str) -> list[str]:
    """Those of the traces that are there, also as JSON with escapes in a row that PostgreSQL wrote out."""
    stored = stored.replace("\\\\", "\\")
    return [trace for trace in TRACES if trace in stored or json.dumps(trace).strip('"') in stored]


async def events(stage: Stage, event_type: str) -> list[tuple[str, Outcome | None]]:
    records = [each for each in await stage.journal.tail(200) if each.event_type == event_type]
    return [(each.phase.value, each.outcome) for each in sorted(records, key=lambda each: each.ref)]


@pytest.mark.parametrize("asked", [LOGIN, NUMBER, f"{LOGIN}@okno.example", LOGIN.upper()])
async def test_an_export_holds_every_domain_and_is_recorded_before_it_is_given(
    emptied_db: Database, clock: ManualClock, tmp_path: Path, asked: str
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:
        found = await stage.privacy.export(asked)
        okno = found["okno"]
        assert {table: len(rows) for domain in okno.values() for table, rows in domain.items()} == {
            "identity_account": 1,
            "identity_membership": 1,
            "identity_session": 1,
            "identity_token": 1,
            "limits_allowance": 0,
            "limits_attempt": 1,
            "usage_count": 1,
            "people_person": 1,
            "people_key": 2,
            "audit_record": 6,
            "audit_command": 0,
            "privacy_erasure": 0,
        }
        assert okno["people"]["people_person"][0]["work_phone"] == "+79001112233"
        as_who = sorted(record["as"] for record in okno["audit"]["audit_record"])
        assert as_who == ["actor", "actor", "subject", "subject", "subject", "subject"]
        assert found["corporateSystems"] == [
            {"id": "hr", "title": {"en": "HR", "ru": "Кадры"}, "holds": [{"en": "Salary", "ru": "Оклад"}]}
        ]
        (newest,) = await stage.journal.tail(1)
        assert (newest.event_type, newest.subject_id, newest.subject_label) == (
            "privacy.exported",
            str(stage.employee),
            None,
        )


async def test_an_export_holds_neither_secrets_nor_other_people(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:
        given = json.dumps(await stage.privacy.export(LOGIN), ensure_ascii=False)
    assert (b"k" * 32).hex() not in given
    assert "secret_hash" not in given.replace('"column": "secret_hash"', "")
    assert OTHER.login not in given, "who looked is another person's data"
    assert "birthDate" not in given, "what Ivan read of Olga is hers"
    assert "HrSection.salary" in given


async def test_without_its_record_nothing_is_given_out(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:
        await stage.journal.close()
        with pytest.raises(Unavailable):
            await stage.privacy.export(LOGIN)
        with pytest.raises(Unavailable):
            await stage.privacy.erase(LOGIN, reason="asked")
        assert await stage.count("identity_account", "login = :login", login=LOGIN) == 1


async def test_an_erasure_that_is_only_planned_tells_the_counts_and_changes_nothing(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:
        before = await stage.text()
        plan = await stage.privacy.plan(LOGIN)
        assert await stage.text() == before
        done = await stage.privacy.erase(LOGIN, reason="asked")
        assert plan.counts == done.counts
        assert (plan.kept, plan.working) == (2, False)


async def test_after_an_erasure_no_table_names_the_person_and_the_journal_is_whole(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path, erased_deeds_days=0) as stage:
        clock.advance(timedelta(minutes=1))  # deeds are older than no days
        assert set(traces(await stage.text())) == set(TRACES), "the test looks for what is there"
        done = await stage.privacy.erase(LOGIN, reason="asked")
        assert done.counts == {
            "identity": {
                "identity_account": 1,
                "identity_session": 1,
                "identity_token": 1,
                "identity_membership": 1,
            },
            "limits": {"limits_attempt": 1},
            "usage": {"usage_count": 1},
            "people": {"people_key": 2, "people_person": 1},
            "audit": {"audit_value": 6},
        }
        assert traces(await stage.text()) == []
        report = await stage.journal.verify()
        assert (report.whole, report.erased_count) == (True, 6)
        assert await events(stage, "privacy.erased") == [("intent", None), ("outcome", Outcome.SUCCEEDED)]
        assert await stage.count("people_person") == 1, "others stay"
        assert await stage.count("identity_account", "disabled_at IS NOT NULL AND login LIKE 'erased-%'") == 1


async def test_what_an_erased_operator_did_to_others_stays_until_nobody_may_ask_for_it(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path, erased_deeds_days=30) as stage:
        await stage.privacy.erase(LOGIN, reason="asked")
        deeds = [each for each in await stage.journal.tail(200) if each.actor_id == stage.account_id]
        assert sorted((each.event_type, each.erased) for each in deeds) == [
            ("sensitive.read", False),
            ("session.started", False),
        ]
        clock.advance(timedelta(days=29))
        assert await stage.privacy.apply_retention() == {}
        clock.advance(timedelta(days=2))
        assert await stage.privacy.apply_retention() == {"erased_deeds_days": {"audit_value": 2}}
        assert await stage.privacy.apply_retention() == {}
        assert traces(await stage.text()) == []
        assert (await stage.journal.verify()).whole
        assert await events(stage, "privacy.forgotten") == [("intent", None), ("outcome", Outcome.SUCCEEDED)]


async def test_the_index_does_not_take_an_erased_person_in_again_until_it_may(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:
        await stage.privacy.erase(NUMBER, reason="asked")
        await stage.people.refresh_index()
        assert await stage.people.find_by_key("personnel_number", NUMBER) is None
        assert await stage.people.find_by_key("login", LOGIN) is None
        assert await stage.people.find_by_key("personnel_number", "42") is not None
        with pytest.raises(NotFound):
            await stage.privacy.erase(LOGIN, reason="again")
        with pytest.raises(NotFound):
            await stage.privacy.lift("42")
        await stage.privacy.lift(NUMBER)
        await stage.people.refresh_index()
        back = await stage.people.find_by_key("login", LOGIN)
        assert back is not None
        assert back.full_name == NAME
        assert await events(stage, "privacy.lifted") == [("intent", None), ("outcome", Outcome.SUCCEEDED)]


async def test_a_list_of_the_erased_tells_nothing_without_its_key_and_without_it_nobody_is_taken_in(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:
        await stage.privacy.erase(NUMBER, reason="asked")
        async with emptied_db.transaction() as session:
            row = await session.scalar(text("SELECT t::text FROM privacy_erasure t"))
        assert Digests(KEY).of_number(NUMBER).hex() in str(row)
        assert Digests(b"o" * 32).of_number(NUMBER) != Digests(KEY).of_number(NUMBER)
        assert str(stage.employee) not in str(row), "an id follows from the number"
        stage.people._admission = Bars(Digests(b"o" * 32))
        with pytest.raises(ConfigurationError, match="restore the key"):
            await stage.people.refresh_index()
        assert await stage.people.find_by_key("personnel_number", NUMBER) is None


async def test_somebody_who_works_is_not_erased_by_mistake(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path, state="WORKS") as stage:
        assert (await stage.privacy.plan(LOGIN)).working
        with pytest.raises(Conflict, match="--although-working"):
            await stage.privacy.erase(LOGIN, reason="asked")
        assert await events(stage, "privacy.erased") == []
        await stage.privacy.erase(LOGIN, reason="asked", although_working=True)
        await stage.people.refresh_index()
        assert await stage.people.find_by_key("personnel_number", NUMBER) is None


async def test_a_name_that_fits_two_people_erases_nobody(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:
        stage.sources.domain.records.append({"personnel_number": "42", "login": LOGIN, "dn": "uid=x"})
        await stage.people.refresh_index()
        with pytest.raises(Conflict, match="give the personnel number"):
            await stage.privacy.erase(LOGIN, reason="asked")
        done = await stage.privacy.erase(NUMBER, reason="asked")
        assert done.counts["identity"]["identity_account"] == 1
        assert await stage.people.find_by_key("personnel_number", "42") is not None


class _Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    ("step", "asked_again"),
    [("identity", NUMBER), ("usage", None), ("people", LOGIN), ("audit", NUMBER), ("finish", None)],
)
async def test_an_erasure_that_lost_its_process_is_finished_by_whoever_comes_next(
    emptied_db: Database,
    clock: ManualClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    asked_again: str | None,
) -> None:
    """Killed at the beginning of each step: what has committed stays, what has not is done again."""
    async with stage_of(emptied_db, clock, tmp_path, erased_deeds_days=0) as stage:
        clock.advance(timedelta(seconds=1))
        with monkeypatch.context() as broken:
            _kill_at(broken, stage, step)
            with pytest.raises(_Killed):
                await stage.privacy.erase(LOGIN, reason="asked")
        assert await stage.count("privacy_erasure", "finished_at IS NULL") == 1
        await stage.people.refresh_index()
        if step in ("audit", "finish"):
            assert await stage.people.find_by_key("personnel_number", NUMBER) is None, (
                "barred from the first moment"
            )
        if asked_again is None:
            assert await stage.privacy.finish_erasures() == 0, "somebody may be at it still"
            clock.advance(timedelta(minutes=2))
            assert await stage.privacy.finish_erasures() == 1
            assert await stage.privacy.finish_erasures() == 0
        else:
            done = await stage.privacy.erase(asked_again, reason="again")
            assert done.resumed
            assert done.counts["people"]["people_person"] == 1, "counted over both tries"
        assert traces(await stage.text()) == []
        assert await stage.count("privacy_erasure", "finished_at IS NOT NULL AND known IS NULL") == 1
        assert (await events(stage, "privacy.erased"))[-1] == ("outcome", Outcome.SUCCEEDED)
        assert (
            await stage.count("audit_command", "event_type = 'privacy.erased' AND state = 'succeeded'") == 1
        )
        assert (await stage.journal.verify()).whole


def _kill_at(broken: pytest.MonkeyPatch, stage: Stage, step: str) -> None:
    async def killed(*given: Any, **more: Any) -> Any:
        raise _Killed

    if step == "finish":
        broken.setattr(Command, "commit", killed)
    elif step == "audit":
        broken.setattr(stage.journal, "erase", killed)
    else:
        from dataclasses import replace

        domains = [
            replace(each, erase=killed) if each.domain == step else each for each in stage.privacy._domains
        ]
        broken.setattr(stage.privacy, "_domains", domains)


async def test_an_erasure_that_was_cut_off_is_unknown_and_then_finished(
    committed: Cloned, clock: ManualClock, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    socket = Path(unquote(committed.app_url.partition("?host=")[2])) / ".s.PGSQL.5432"
    async with Line(str(socket), tmp_path_factory.mktemp("line")) as line:
        far = Database.connect(line.url(committed.app_url), role=None)
        async with stage_of(committed.db, clock, tmp_path) as stage:
            privacy = Privacy(far, stage.journal, clock, Digests(KEY), stage.privacy._retention)

            async def cut(session: AsyncSession, *given: Any) -> dict[str, int]:
                line.refusing = True
                line.cut()
                await session.execute(text("SELECT 1"))
                return {}

            from dataclasses import replace

            privacy._domains = [
                replace(each, erase=cut) if each.domain == "people" else each for each in privacy._domains
            ]
            with pytest.raises(UnknownOutcome, match="worker finishes it"):
                await privacy.erase(LOGIN, reason="asked")
            assert await events(stage, "privacy.erased") == [("intent", None), ("outcome", Outcome.UNKNOWN)]
            clock.advance(timedelta(minutes=2))
            assert await stage.privacy.finish_erasures() == 1
            assert await events(stage, "privacy.erased") == [
                ("intent", None),
                ("outcome", Outcome.UNKNOWN),
                ("outcome", Outcome.SUCCEEDED),
            ]
        await far.dispose()


async def test_an_erasure_that_never_began_is_settled_as_failed(
    emptied_db: Database, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:

        async def killed(*given: Any, **more: Any) -> None:
            raise _Killed

        with monkeypatch.context() as broken:
            broken.setattr(store, "begin", killed)
            with pytest.raises(_Killed):
                await stage.privacy.erase(LOGIN, reason="asked")
        clock.advance(timedelta(minutes=6))
        assert await stage.privacy.finish_erasures() == 1
        assert (await events(stage, "privacy.erased"))[-1] == ("outcome", Outcome.FAILED)
        assert await stage.count("identity_account", "login = :login", login=LOGIN) == 1


async def test_a_page_of_the_index_that_is_being_written_does_not_bring_the_person_back(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    """The page had looked who is barred before the erasure began: the erasing waits for it."""
    async with stage_of(committed.db, clock, tmp_path) as stage:
        reached, go_on = asyncio.Event(), asyncio.Event()
        bars = Bars(Digests(KEY))

        class Slow:
            async def barred(self, session: Any, numbers: Any) -> Any:
                found = await bars.barred(session, numbers)
                if not reached.is_set():
                    reached.set()
                    await go_on.wait()
                return found

        stage.people._admission = Slow()
        refreshing = asyncio.create_task(stage.people.refresh_index())
        await reached.wait()
        erasing = asyncio.create_task(stage.privacy.erase(NUMBER, reason="asked"))
        while not await stage.count("pg_locks", "locktype = 'advisory' AND NOT granted"):
            await stage.count("pg_sleep(0.005)")
        go_on.set()
        await asyncio.gather(refreshing, erasing)
        assert await stage.people.find_by_key("personnel_number", NUMBER) is None


async def test_who_has_an_account_and_is_no_employee_is_erased_too(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:
        async with emptied_db.transaction() as session:
            await session.execute(text("DELETE FROM people_person"))
            await session.execute(text("DELETE FROM people_key"))
            await session.execute(text("UPDATE identity_account SET employee_id = NULL"))
        done = await stage.privacy.erase(str(stage.account_id), reason="asked")
        assert done.counts["identity"]["identity_account"] == 1
        assert await stage.count("privacy_erasure", "NOT bars_index") == 1


async def test_nobody_is_found_under_what_nobody_is_known_by(
    emptied_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with stage_of(emptied_db, clock, tmp_path) as stage:
        for asked in ("nobody", "", "\x00", "%", str(OTHER.id)):
            with pytest.raises(NotFound):
                await stage.privacy.plan(asked.replace("\x00", ""))
