"""Somebody of whom every domain holds something, and privacy over the real tables and the real journal."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, text

from okno.audit.records import ActorRef, Event, SubjectRef
from okno.audit.service import Journal
from okno.clock import ManualClock
from okno.identity.model import employee_uuid
from okno.identity.models import AccountRow, MembershipRow, SessionRow, TokenRow
from okno.limits.models import AttemptRow
from okno.people.service import People
from okno.privacy.digests import Digests
from okno.privacy.model import CorporateSystem
from okno.privacy.service import Bars, Privacy
from okno.settings import RetentionSettings
from okno.storage.engine import Database
from okno.usage.models import UsageCountRow
from tests.integration.audit_stage import open_journal
from tests.integration.people_sources import MemorySources, account, person

NUMBER, LOGIN, NAME = "41", "ivan.grozny", "Иван Грозный"
OTHER = ActorRef(UUID(int=9), "person", "olga.other", "Ольга Другая")
KEY = b"p" * 32
SYSTEMS = [CorporateSystem("hr", {"en": "HR", "ru": "Кадры"}, [{"en": "Salary", "ru": "Оклад"}])]


@dataclass
class Stage:
    """The company of two: Ivan, who has left, and Olga."""

    db: Database
    clock: ManualClock
    journal: Journal
    sources: MemorySources
    people: People
    privacy: Privacy
    account_id: UUID
    data_dir: Path

    @property
    def ivan(self) -> ActorRef:
        return ActorRef(self.account_id, "person", LOGIN, NAME)

    @property
    def employee(self) -> UUID:
        return employee_uuid(NUMBER)

    async def text(self) -> str:
        """All that the database holds, as PostgreSQL writes rows out."""
        async with self.db.transaction() as session:
            names = await session.scalars(
                text(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                    " AND has_table_privilege(format('%I.%I', schemaname, tablename), 'SELECT') ORDER BY 1"
                )
            )
            return "\n".join(
                [
                    row
                    for name in list(names)
                    for row in await session.scalars(text(f'SELECT t::text FROM "{name}" t ORDER BY 1'))
                ]
            )

    async def count(self, table: str, where: str = "true", **values: Any) -> int:
        async with self.db.transaction() as session:
            return int(await session.scalar(text(f"SELECT count(*) FROM {table} WHERE {where}"), values) or 0)

    async def give_token(self, **times: Any) -> UUID:
        now = self.clock.now()
        token = {
            "id": uuid4(),
            "account_id": self.account_id,
            "team_id": "identity",
            "scopes": [],
            "secret_hash": uuid4().bytes,
            "created_at": now,
            "expires_at": now + timedelta(days=1),
            **times,
        }
        async with self.db.transaction() as session:
            await session.execute(insert(TokenRow).values(token))
        return UUID(str(token["id"]))


@contextlib.asynccontextmanager
async def stage_of(
    db: Database,
    clock: ManualClock,
    data_dir: Path,
    *,
    state: str = "DISMISSED",
    journal_db: Database | None = None,
    **days: int,
) -> AsyncIterator[Stage]:
    """Ivan with a row in every table, and records as actor, as subject and of a failed sign-in."""
    async with open_journal(journal_db or db, clock, data_dir) as journal:
        digests = Digests(KEY)
        sources = MemorySources(
            [
                person(int(NUMBER), NAME, "Ivan Grozny", state=state, work_phone="+79001112233"),
                person(42, "Ольга Другая"),
            ],
            [account(int(NUMBER), LOGIN)],
        )
        people = People(db, sources, clock, admission=Bars(digests))
        await people.refresh_index()
        account_id = uuid4()
        privacy = Privacy(db, journal, clock, digests, RetentionSettings(**days), systems=SYSTEMS)
        stage = Stage(db, clock, journal, sources, people, privacy, account_id, data_dir)
        await _live(stage)
        yield stage


async def _live(stage: Stage) -> None:
    now, account_id = stage.clock.now(), stage.account_id
    async with stage.db.transaction() as session:
        account = {"id": account_id, "login": LOGIN, "display_name": NAME, "employee_id": stage.employee}
        await session.execute(
            insert(AccountRow).values(
                **account,
                created_at=now,
                last_sign_in_at=now,
                issuer="https://sso.okno.example",
                subject="s-41",
            )
        )
        await session.execute(
            insert(MembershipRow).values(
                account_id=account_id, team_id="identity", origin="database", created_at=now
            )
        )
        await session.execute(
            insert(SessionRow).values(
                id=uuid4(),
                account_id=account_id,
                method="oidc",
                key_hash=b"k" * 32,
                secret_hash=b"s" * 32,
                rotated_at=now,
                started_at=now,
                last_seen_at=now,
                ends_at=now + timedelta(hours=8),
            )
        )
        await session.execute(
            insert(UsageCountRow).values(
                coordinate="Employee.login",
                day=now.date(),
                client=LOGIN,
                version="",
                principal_kind="person",
                principal=LOGIN,
                operations=3,
                last_seen_at=now,
            )
        )
        await session.execute(
            insert(AttemptRow).values(
                login=LOGIN, address="203.0.113.7", failures=1, failed_at=now, free_at=now
            )
        )
    token = await stage.give_token()
    journal, employee = stage.journal, SubjectRef("Employee", stage.employee, NAME)
    olga = SubjectRef("Employee", employee_uuid("42"), "olga.other")
    await journal.record(Event("session.failed", None, detail={"login": LOGIN, "code": "NO_TEAM"}))
    await journal.record(Event("session.started", stage.ivan, detail={"session": "1"}))
    await journal.record(Event("sensitive.read", OTHER, employee, {"fields": ["HrSection.salary"]}))
    await journal.record(Event("sensitive.read", stage.ivan, olga, {"fields": ["HrSection.birthDate"]}))
    async with journal.command(
        actor=OTHER,
        event_type="token.issued",
        subject=SubjectRef("Token", token, LOGIN),
        detail={},
        idempotency_key=None,
        policy_version=None,
        rule=None,
    ) as command:
        command.succeeded({"holder": LOGIN})
