"""The same API over the real journal in PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from okno.audit.records import Outcome
from okno.audit.search import Search
from okno.audit.service import Journal
from okno.graph.server import GraphServer
from okno.operations.service import Operations
from okno.sources.errors import SourceOutcomeUnknown
from okno.storage.engine import Database
from tests.api.test_operations import codes, preview, run
from tests.api.world import IVAN, IVAN_ID, Parts, World


class RecordedWorld(World):
    """A world whose journal is real."""

    def use(self, journal: Journal) -> None:
        operations = Operations(
            policy=self.parts.policy,
            people=cast(Any, self.people),
            sources=cast(Any, self.sources),
            journal=journal,
            clock=self.clock,
            key=b"k" * 32,
        )
        self.services = replace(
            self.services, journal=journal, search=Search(journal._reads), operations=operations
        )
        self.server = GraphServer(self.parts.graph, self.services)


@pytest.fixture
def recorded(parts: Parts) -> RecordedWorld:
    return RecordedWorld(parts)


async def test_a_run_its_repetition_and_a_sensitive_read_are_in_the_journal(
    recorded: RecordedWorld, committed_db: Database, tmp_path: Path
) -> None:
    journal = Journal(committed_db, recorded.clock, tmp_path, process="test", checkpoint_seconds=3600)
    await journal.start()
    try:
        recorded.use(journal)
        token = (await preview(recorded))["previewToken"]
        first = await run(recorded, token)
        again = await run(recorded, token)
        assert first["outcome"] == "SUCCEEDED"
        assert again == {**first, "replayed": True}
        assert recorded.sources.effects == [IVAN.personnel_number]
        assert codes(await run(recorded, token, idempotencyKey="r2")) == ["PREVIEW_CHANGED"]
        birth = "query ($id: ID!) { employee(id: $id) { hr { birthDate } } }"
        await recorded.ask("elena.kim", birth, id=IVAN_ID)
        query = """query ($after: String, $id: ID!) { auditRecords(first: 2, after: $after, employee: $id) {
          edges { cursor node { id eventType phase outcome requestId } } pageInfo { hasNextPage endCursor } } }"""
        seen: list[tuple[str, str, str | None]] = []
        after = None
        while True:
            page = (await recorded.ask("vera.lis", query, after=after, id=IVAN_ID))["data"]["auditRecords"]
            seen += [
                (e["node"]["eventType"], e["node"]["phase"], e["node"]["outcome"]) for e in page["edges"]
            ]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        assert seen == [
            ("sensitive.read", "event", None),
            ("operation.run", "outcome", "failed"),
            ("operation.run", "intent", None),
            ("operation.run", "outcome", "succeeded"),
            ("operation.run", "intent", None),
            ("operation.preview", "outcome", "succeeded"),
            ("operation.preview", "intent", None),
        ]
        wrong = await recorded.ask("vera.lis", query, after="nonsense", id=IVAN_ID)
        assert wrong["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    finally:
        await journal.close()


async def test_an_unknown_outcome_is_swept_in_the_real_journal(
    recorded: RecordedWorld, committed_db: Database, tmp_path: Path
) -> None:
    journal = Journal(committed_db, recorded.clock, tmp_path, process="test", checkpoint_seconds=3600)
    await journal.start()
    try:
        recorded.use(journal)
        token = (await preview(recorded))["previewToken"]
        recorded.sources.run_error = SourceOutcomeUnknown("TIMEOUT", "sent, no answer")
        assert (await run(recorded, token))["outcome"] == "UNKNOWN"
        recorded.clock.advance(timedelta(minutes=1))
        operations = recorded.services.operations
        assert await operations.sweep() == 0
        recorded.sources.settled = "done"
        assert await operations.sweep() == 1
        assert await operations.sweep() == 0
        (newest,) = await journal.tail(1)
        assert newest.outcome is Outcome.SUCCEEDED
        again = await run(recorded, token)
        assert (again["outcome"], again["replayed"]) == ("SUCCEEDED", True)
    finally:
        await journal.close()


async def test_after_the_journal_is_closed_nothing_is_done_and_nothing_sensitive_shown(
    recorded: RecordedWorld, committed_db: Database, tmp_path: Path
) -> None:
    journal = Journal(committed_db, recorded.clock, tmp_path, process="test", checkpoint_seconds=3600)
    await journal.start()
    recorded.use(journal)
    token = (await preview(recorded))["previewToken"]
    await journal.close()
    given = {"operation": "domain.unlock", "employee": IVAN_ID, "idempotencyKey": "r", "previewToken": token}
    refused = await recorded.ask(
        "anna.sorokina",
        "mutation ($input: OperationRunInput!) { operationRun(input: $input) { outcome } }",
        input=given,
    )
    assert refused["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert recorded.sources.effects == []
    query = "query ($id: ID!) { employee(id: $id) { hr { birthDate } } }"
    withheld = await recorded.ask("elena.kim", query, id=IVAN_ID)
    assert "data" not in withheld
