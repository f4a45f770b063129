"""Ready-made actions through GraphQL: seen first, gated, once, recorded."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from okno.audit.records import Event, Outcome, Phase, RecordRef, Unsettled
from okno.errors import Unavailable
from okno.graph.ids import employee_id
from okno.graph.server import Operation
from okno.identity.model import Actor
from okno.sources.errors import SourceOutcomeUnknown, SourceRefused
from okno.sources.model import SourceFailure
from tests.api.world import AMINA_ID, ANNA_ID, IVAN, IVAN_ID, MAXIM_ID, World

PREVIEW = """mutation ($input: OperationPreviewInput!) {
  operationPreview(input: $input) { changes { source title before after } previewToken errors { code message field } } }"""
RUN = """mutation ($input: OperationRunInput!) {
  operationRun(input: $input) { outcome changes { before after } journalRecord replayed errors { code message field } } }"""


async def preview(world: World, login: str | Actor = "anna.sorokina", **given: Any) -> dict[str, Any]:
    wanted = {"operation": "domain.unlock", "employee": IVAN_ID, "idempotencyKey": "p1", **given}
    body = await world.ask(login, PREVIEW, input=wanted)
    assert "errors" not in body, body
    payload: dict[str, Any] = body["data"]["operationPreview"]
    return payload


async def run(world: World, token: str, login: str = "anna.sorokina", **given: Any) -> dict[str, Any]:
    wanted = {
        "operation": "domain.unlock",
        "employee": IVAN_ID,
        "idempotencyKey": "r1",
        "previewToken": token,
        **given,
    }
    body = await world.ask(login, RUN, input=wanted)
    assert "errors" not in body, body
    payload: dict[str, Any] = body["data"]["operationRun"]
    return payload


def codes(payload: dict[str, Any]) -> list[str]:
    return [error["code"] for error in payload["errors"]]


async def test_operations_are_offered_to_those_who_may_run_them_on_this_employee(world: World) -> None:
    query = """query ($id: ID!) {
      operations(employee: $id) { id title source sourceTitle risk inputSchema secondFactor } }"""
    offered = (await world.ask("anna.sorokina", query, id=IVAN_ID))["data"]["operations"]
    assert [each["id"] for each in offered] == ["domain.unlock"]
    assert offered[0]["source"] == "domain"
    assert offered[0]["inputSchema"]["type"] == "object"
    admin = (await world.ask("dmitry.orlov", query, id=IVAN_ID))["data"]["operations"]
    assert [(each["id"], each["secondFactor"]) for each in admin] == [
        ("domain.add_to_group", False),
        ("domain.disable", True),
        ("domain.remove_from_group", False),
        ("domain.unlock", False),
    ]
    for login, employee in (("anna.sorokina", AMINA_ID), ("anna.sorokina", ANNA_ID), ("elena.kim", IVAN_ID)):
        assert (await world.ask(login, query, id=employee))["data"]["operations"] == [], (login, employee)


async def test_unlock_is_seen_run_and_recorded(world: World) -> None:
    seen = await preview(world)
    assert seen["changes"] == [
        {"source": "domain", "title": {"en": "Locked", "ru": "Заблокирована"}, "before": True, "after": False}
    ]
    assert world.sources.effects == []
    done = await run(world, seen["previewToken"], input={"reason": "asked by phone"})
    assert codes(done) == ["PREVIEW_INVALID"], "the input has to be the one that was seen"
    done = await run(world, seen["previewToken"])
    assert done["outcome"] == "SUCCEEDED"
    assert done["changes"] == [{"before": True, "after": False}]
    assert done["replayed"] is False
    assert world.sources.effects == [IVAN.personnel_number]
    records = [record for record in world.journal.records if record.event_type == "operation.run"]
    assert [(record.phase, record.outcome) for record in records] == [
        (Phase.INTENT, None),
        (Phase.OUTCOME, Outcome.SUCCEEDED),
    ]
    assert records[0].subject_label == "ivan.petrov"
    assert records[0].rule == "domain.unlock-in-own-countries"
    node = await world.ask(
        "vera.lis",
        "query ($id: ID!) { node(id: $id) { ... on AuditRecord { phase } } }",
        id=done["journalRecord"],
    )
    assert node["data"]["node"] == {"phase": "intent"}


async def test_repeating_a_run_gives_the_first_result_and_no_second_effect(world: World) -> None:
    token = (await preview(world))["previewToken"]
    first = await run(world, token)
    world.clock.advance(timedelta(minutes=30))
    again = await run(world, token)
    assert again == {**first, "replayed": True}
    assert world.sources.effects == [IVAN.personnel_number]
    other = await preview(world, employee=ANNA_ID)
    assert codes(other) == ["DENIED"]


async def test_one_key_for_two_commands_is_a_conflict(world: World) -> None:
    token = (await preview(world, "dmitry.orlov"))["previewToken"]
    await run(world, token, "dmitry.orlov")
    other = (await preview(world, "dmitry.orlov", employee=AMINA_ID))["previewToken"]
    conflict = await run(world, other, "dmitry.orlov", employee=AMINA_ID)
    assert codes(conflict) == ["CONFLICT"]
    assert conflict["outcome"] is None
    assert world.sources.effects == [IVAN.personnel_number]


async def test_a_change_since_the_preview_stops_the_run_and_is_shown(world: World) -> None:
    token = (await preview(world))["previewToken"]
    world.sources.data["domain"][IVAN.personnel_number]["locked"] = False
    stopped = await run(world, token)
    assert stopped["outcome"] == "FAILED"
    assert codes(stopped) == ["PREVIEW_CHANGED"]
    assert stopped["changes"] == []
    assert world.sources.effects == []


async def test_a_preview_lives_ten_minutes(world: World) -> None:
    token = (await preview(world))["previewToken"]
    world.clock.advance(timedelta(minutes=10))
    assert codes(await run(world, token)) == ["PREVIEW_EXPIRED"]
    assert world.sources.effects == []


async def test_a_token_serves_only_who_saw_it_and_for_what(world: World) -> None:
    token = (await preview(world))["previewToken"]
    for login, given in (
        ("dmitry.orlov", {}),
        ("dmitry.orlov", {"employee": AMINA_ID}),
        ("anna.sorokina", {"previewToken": token[:-2] + "xx"}),
        ("anna.sorokina", {"previewToken": ""}),
        ("anna.sorokina", {"previewToken": "ключ~ключ"}),
    ):
        assert codes(await run(world, token, login, **given)) == ["PREVIEW_INVALID"], given
    assert world.sources.effects == []
    assert not [record for record in world.journal.records if record.event_type == "operation.run"]


async def test_denied_attempts_are_data_and_are_recorded(world: World) -> None:
    denied = await preview(world, "elena.kim")
    assert codes(denied) == ["DENIED"]
    assert denied["previewToken"] is None
    assert codes(await preview(world, employee=ANNA_ID)) == ["DENIED"], "nobody operates on oneself"
    assert codes(await preview(world, employee=MAXIM_ID)) == ["DENIED"]
    assert codes(await preview(world, operation="domain.erase")) == ["DENIED"]
    assert codes(await run(world, "x", employee=AMINA_ID)) == ["DENIED"]
    events = world.journal.of_type("access.denied")
    assert len(events) == 5
    assert events[0].subject is not None
    assert events[0].subject.label == "ivan.petrov"
    assert events[0].detail == {"action": "run", "operation": "domain.unlock"}


async def test_wrong_input_is_told_by_its_path(world: World) -> None:
    assert codes(await preview(world, input={"reason": 7})) == ["INVALID_INPUT"]
    wrong = await preview(world, input={"reason": "x" * 501, "more": 1})
    assert {error["code"] for error in wrong["errors"]} == {"INVALID_INPUT"}
    assert {error["field"] for error in wrong["errors"]} == {"input", "input.reason"}
    assert "xxx" not in str(wrong["errors"])
    assert codes(await preview(world, employee="nonsense")) == ["INVALID_INPUT"]
    assert codes(await preview(world, idempotencyKey="")) == ["INVALID_INPUT"]
    assert codes(await preview(world, employee=employee_id(UUID(int=9)))) == ["NOT_FOUND"]


async def test_nothing_to_change_is_said_instead_of_a_token(world: World) -> None:
    world.sources.data["domain"][IVAN.personnel_number]["locked"] = False
    nothing = await preview(world)
    assert nothing["changes"] == []
    assert nothing["previewToken"] is None
    assert codes(nothing) == ["NOTHING_TO_CHANGE"]


async def test_without_a_journal_nothing_is_done(world: World) -> None:
    token = (await preview(world))["previewToken"]
    world.journal.away = True
    given = {"operation": "domain.unlock", "employee": IVAN_ID, "idempotencyKey": "r1", "previewToken": token}
    body = await world.ask("anna.sorokina", RUN, input=given)
    assert body["data"] == {"operationRun": None}
    assert body["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert world.sources.effects == []


async def test_a_source_that_refuses_is_a_failed_outcome(world: World) -> None:
    token = (await preview(world))["previewToken"]
    world.sources.run_error = SourceRefused("REFUSED", "insufficient access rights")
    refused = await run(world, token)
    assert refused["outcome"] == "FAILED"
    assert codes(refused) == ["SOURCE_REFUSED"]
    assert world.journal.records[-1].outcome is Outcome.FAILED


async def test_a_source_that_is_down_gives_no_preview(world: World) -> None:
    world.sources.down["domain"] = SourceFailure("TIMEOUT", "no answer within 2 s")
    down = await preview(world)
    assert codes(down) == ["SOURCE_TIMEOUT"]
    assert down["changes"] is None


async def test_a_lost_answer_is_an_unknown_outcome_that_a_repetition_does_not_repeat(world: World) -> None:
    token = (await preview(world))["previewToken"]
    world.sources.run_error = SourceOutcomeUnknown("TIMEOUT", "sent, no answer")
    lost = await run(world, token)
    assert lost["outcome"] == "UNKNOWN"
    assert codes(lost) == ["SOURCE_TIMEOUT"]
    world.sources.run_error = None
    again = await run(world, token)
    assert (again["outcome"], again["replayed"]) == ("UNKNOWN", True)
    assert world.sources.effects == []


async def test_a_crash_after_the_request_left_is_unknown_and_masked(world: World) -> None:
    token = (await preview(world))["previewToken"]
    world.sources.run_error = RuntimeError("secret detail")
    given = {"operation": "domain.unlock", "employee": IVAN_ID, "idempotencyKey": "r1", "previewToken": token}
    body = await world.ask("anna.sorokina", RUN, input=given)
    assert body["errors"][0]["extensions"] == {"code": "INTERNAL", "requestId": "request-1"}
    assert "secret" not in str(body)
    assert world.journal.records[-1].outcome is Outcome.UNKNOWN


async def test_two_operators_at_once_change_it_once(world: World) -> None:
    mine = (await preview(world))["previewToken"]
    theirs = (await preview(world, "dmitry.orlov"))["previewToken"]
    results = await asyncio.gather(run(world, mine), run(world, theirs, "dmitry.orlov"))
    assert sorted(str(result["outcome"]) for result in results) == ["FAILED", "SUCCEEDED"]
    assert world.sources.effects == [IVAN.personnel_number]


async def test_the_sweep_settles_what_the_source_can_tell(world: World) -> None:
    token = (await preview(world))["previewToken"]
    world.sources.run_error = SourceOutcomeUnknown("TIMEOUT", "sent, no answer")
    await run(world, token)
    intent = next(record for record in world.journal.records if record.event_type == "operation.run")
    world.journal.unsettled = [Unsettled(intent, "unknown", world.clock.now())]
    operations = world.services.operations
    assert await operations.sweep() == 0, "the source may still be at it"
    world.clock.advance(timedelta(minutes=1))
    assert await operations.sweep() == 0, "the source cannot tell"
    world.sources.settled = "done"
    assert await operations.sweep() == 1
    assert world.journal.events[-1].outcome is Outcome.SUCCEEDED
    assert await operations.sweep() == 0


async def test_the_sweep_leaves_a_command_alone_that_may_still_be_running(world: World) -> None:
    token = (await preview(world))["previewToken"]
    await run(world, token)
    intent = next(record for record in world.journal.records if record.event_type == "operation.run")
    world.journal.unsettled = [Unsettled(intent, "running", world.clock.now())]
    world.sources.settled = "not_done"
    world.clock.advance(timedelta(minutes=1))
    assert await world.services.operations.sweep() == 0
    world.clock.advance(timedelta(minutes=5))
    assert await world.services.operations.sweep() == 1
    assert world.journal.events[-1].outcome is Outcome.FAILED


async def test_a_refused_attempt_does_not_name_the_employee_by_what_the_actor_may_not_read(
    world: World,
) -> None:
    labels = "{ auditRecords(first: 50) { edges { node { eventType subjectLabel } } } }"
    assert codes(await preview(world, "kwame.mensah")) == ["DENIED"]  # of another country
    assert codes(await preview(world, "pavel.zaitsev")) == ["DENIED"]  # reads logins, operates nothing
    for login, label in (("kwame.mensah", "Иван Петров"), ("pavel.zaitsev", "ivan.petrov")):
        (edge,) = (await world.ask(login, labels))["data"]["auditRecords"]["edges"]
        assert edge["node"] == {"eventType": "access.denied", "subjectLabel": label}


async def test_a_refusal_comes_before_everything_else_that_is_wrong(world: World) -> None:
    refused = await preview(world, "kwame.mensah", idempotencyKey="", input=["wrong"])
    assert codes(refused) == ["DENIED"]
    assert len(world.journal.of_type("access.denied")) == 1
    assert codes(await preview(world, idempotencyKey="")) == ["INVALID_INPUT"]


async def test_what_follows_a_run_in_a_batch_is_read_anew(world: World) -> None:
    token = (await preview(world))["previewToken"]
    locked = Operation("query ($id: ID!) { employee(id: $id) { domain { locked } } }", {"id": IVAN_ID})
    given = {"operation": "domain.unlock", "employee": IVAN_ID, "previewToken": token, "idempotencyKey": "b"}
    context = world.server.context(world.actor("anna.sorokina"), "r")
    operations = [locked, Operation(RUN, {"input": given}), locked]
    before, _, after = await world.server.answer(context, operations)
    assert before.body["data"]["employee"]["domain"]["locked"] is True
    assert after.body["data"]["employee"]["domain"]["locked"] is False


async def test_how_a_run_ended_is_told_when_a_sensitive_read_beside_it_cannot_be_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(event: Event) -> RecordRef:
        raise Unavailable("The journal is away.")

    token = (await preview(world, "dmitry.orlov"))["previewToken"]
    monkeypatch.setattr(world.journal, "record", away)
    given = {"operation": "domain.unlock", "employee": IVAN_ID, "previewToken": token, "idempotencyKey": "b"}
    sensitive = "query ($id: ID!) { employee(id: $id) { domain { lastLogonAt } } }"
    context = world.server.context(world.actor("dmitry.orlov"), "r")
    operations = [Operation(RUN, {"input": given}), Operation(sensitive, {"id": IVAN_ID})]
    ran, withheld = await world.server.answer(context, operations)
    assert ran.body["data"]["operationRun"]["outcome"] == "SUCCEEDED"
    assert (withheld.status, "data" in withheld.body) == (503, False)
