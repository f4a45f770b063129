"""A write is done once or not at all, the journal knows which, and what nobody knows at first is found out."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.chaos.deployment import Deployment, Domain, Employee, assert_no_internals, wait_until
from tests.chaos.runs import Run, is_settled, outcomes_of, preview, run, settle_by_the_worker

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(300)]

GROUP = "remote-desktop"
SLOW_SECONDS = 0.7  # of each step, so that a test can act between two of them


@dataclass
class Stage:
    """Somebody outside the group, and the means to add them."""

    deployment: Deployment
    domain: Domain
    employee: Employee

    @property
    def is_member(self) -> bool:
        return self.domain.has_member(GROUP, self.employee)

    @property
    def writes(self) -> int:
        return self.deployment.counters("domain")["writes"]

    def preview(self) -> str:
        shown = preview(self.deployment, self.employee, "domain.add_to_group", {"group": GROUP})
        assert shown["errors"] == []
        token: str = shown["previewToken"]
        return token

    def run(self, token: str, key: str) -> Run:
        return run(self.deployment, self.employee, "domain.add_to_group", {"group": GROUP}, token, key)


@pytest.fixture
def stage(deployment: Deployment) -> Iterator[Stage]:
    yield Stage(deployment, Domain(deployment.stack), deployment.outsider(GROUP))
    deployment.heal_all()


def when_it_opens_its_connection(stage: Stage, act: Callable[[], None]) -> None:
    """Acts while the bind of a run is under way in the slow domain: the way is open, and nothing was sent yet."""
    before = stage.deployment.counters("domain")["connections"]
    wait_until(
        "the run opens its connection",
        lambda: stage.deployment.counters("domain")["connections"] > before,
        seconds=10,
        every=0.01,
    )
    act()


def when_the_change_has_been_sent(stage: Stage, act: Callable[[], None]) -> None:
    """Acts while the change itself is under way: the domain has answered the bind, so the request follows at once."""

    def bound() -> None:
        reads = stage.deployment.counters("domain")["reads"]
        wait_until(
            "the bind is answered",
            lambda: stage.deployment.counters("domain")["reads"] > reads,
            seconds=10,
            every=0.01,
        )
        act()

    when_it_opens_its_connection(stage, bound)


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"hang": True}, "SOURCE_TIMEOUT"),
        ({"outage": True}, "SOURCE_UNREACHABLE"),
        ({"half": True}, None),
        ({"garbage": True}, None),
        ({"error_rate": 1}, "SOURCE_UNREACHABLE"),
    ],
    ids=["hangs", "is down", "cuts", "answers noise", "is overloaded"],
)
def test_a_system_that_fails_before_the_change_was_sent_has_certainly_changed_nothing(
    stage: Stage, faults: dict[str, Any], code: str | None
) -> None:
    token, key, writes = stage.preview(), str(uuid4()), stage.writes
    stage.deployment.stack.fault("domain", **faults)
    failed = stage.run(token, key)
    stage.deployment.stack.heal("domain")

    assert failed.outcome == "FAILED"
    assert failed.seconds < 5
    assert failed.codes[0].startswith("SOURCE_")
    assert code is None or failed.codes == [code]
    assert outcomes_of(stage.deployment, failed.record) == ["failed"]
    assert not stage.is_member
    assert stage.writes == writes

    again = wait_until_healthy(stage, lambda: stage.run(token, key))
    assert (again.outcome, again.replayed) == ("FAILED", True), "the first result, not another try"
    assert stage.writes == writes
    succeeded = wait_until_healthy(stage, lambda: stage.run(token, str(uuid4())))
    assert succeeded.outcome == "SUCCEEDED", "with another key it is another run"
    assert stage.is_member


@pytest.mark.parametrize(
    ("moment", "faults"),
    [
        (when_it_opens_its_connection, {"hang": True}),
        (when_the_change_has_been_sent, {"outage": True}),
        (when_the_change_has_been_sent, {"half": True}),
        (when_the_change_has_been_sent, {"garbage": True}),
        (when_the_change_has_been_sent, {"latency_seconds": 0, "half": True, "for_seconds": 1.5}),
    ],
    ids=["hangs", "goes away", "cuts half way", "answers noise", "cuts and is well again"],
)
def test_a_change_whose_answer_is_missing_is_unknown_until_the_worker_has_read_back_what_is_true(
    stage: Stage, moment: Callable[[Stage, Callable[[], None]], None], faults: dict[str, Any]
) -> None:
    token, key, writes = stage.preview(), str(uuid4()), stage.writes
    stage.deployment.stack.fault("domain", latency_seconds=SLOW_SECONDS)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(stage.run, token, key)
        moment(stage, lambda: stage.deployment.stack.fault("domain", **faults))
        unknown = running.result()

    assert unknown.outcome == "UNKNOWN", unknown
    assert unknown.codes[0].startswith("SOURCE_")
    assert outcomes_of(stage.deployment, unknown.record) == ["unknown"]
    stage.deployment.stack.heal("domain")
    done = stage.is_member
    after = stage.writes
    assert after == writes + (1 if done else 0)
    settle_by_the_worker(stage.deployment, unknown.record)
    assert outcomes_of(stage.deployment, unknown.record) == ["unknown", "succeeded" if done else "failed"]
    again = stage.run(token, key)
    assert (again.outcome, again.replayed) == ("SUCCEEDED" if done else "FAILED", True)
    assert (stage.is_member, stage.writes) == (done, after), "the same key never repeats the effect"

    other = wait_until_healthy(stage, lambda: stage.run(token, str(uuid4())))
    if done:
        assert (other.outcome, other.codes) == ("FAILED", ["PREVIEW_CHANGED"])
        assert stage.writes == after
    else:
        assert other.outcome == "SUCCEEDED"
        assert stage.is_member
    assert "WHOLE" in stage.deployment.stack.okno("audit", "verify").stdout


def test_while_the_way_to_the_system_is_cut_before_sending_the_run_has_failed_for_certain(
    stage: Stage,
) -> None:
    token, writes = stage.preview(), stage.writes
    stage.deployment.stack.fault("domain", latency_seconds=SLOW_SECONDS)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(stage.run, token, str(uuid4()))
        when_it_opens_its_connection(stage, lambda: stage.deployment.stack.fault("domain", outage=True))
        failed = running.result()
    stage.deployment.stack.heal("domain")

    assert (failed.outcome, failed.codes) == ("FAILED", ["SOURCE_UNREACHABLE"])
    assert outcomes_of(stage.deployment, failed.record) == ["failed"]
    assert not stage.is_member
    assert stage.writes == writes


def test_one_key_pressed_many_times_at_once_changes_once(stage: Stage) -> None:
    token, key, writes = stage.preview(), str(uuid4()), stage.writes
    with ThreadPoolExecutor(6) as threads:
        runs = list(threads.map(lambda _: stage.run(token, key), range(6)))
    assert stage.is_member
    assert stage.writes == writes + 1
    firsts = [each for each in runs if each.outcome == "SUCCEEDED" and not each.replayed]
    assert len(firsts) == 1
    for each in runs:
        assert each.outcome == "SUCCEEDED" or each.codes == ["CONFLICT"], each
    assert outcomes_of(stage.deployment, firsts[0].record) == ["succeeded"]


def test_many_keys_on_one_target_change_once_and_the_others_are_told_that_it_changed(stage: Stage) -> None:
    tokens, writes = [stage.preview() for _ in range(4)], stage.writes
    with ThreadPoolExecutor(4) as threads:
        runs = list(threads.map(lambda token: stage.run(token, str(uuid4())), tokens))
    assert sorted(str(each.outcome) for each in runs) == ["FAILED", "FAILED", "FAILED", "SUCCEEDED"]
    assert {each.codes[0] for each in runs if each.outcome == "FAILED"} == {"PREVIEW_CHANGED"}
    assert stage.writes == writes + 1
    for each in runs:
        assert len(outcomes_of(stage.deployment, each.record)) == 1


def test_a_key_that_was_used_for_something_else_is_refused(stage: Stage) -> None:
    token, key = stage.preview(), str(uuid4())
    assert stage.run(token, key).outcome == "SUCCEEDED"
    shown = preview(stage.deployment, stage.employee, "domain.remove_from_group", {"group": GROUP})
    other = run(
        stage.deployment,
        stage.employee,
        "domain.remove_from_group",
        {"group": GROUP},
        shown["previewToken"],
        key,
    )
    assert (other.outcome, other.codes) == (None, ["CONFLICT"])
    assert stage.is_member


def test_a_preview_token_proves_one_preview_only(stage: Stage) -> None:
    token, writes = stage.preview(), stage.writes
    stranger = stage.deployment.stranger()
    others = [
        run(stage.deployment, stranger, "domain.add_to_group", {"group": GROUP}, token, str(uuid4())),
        run(
            stage.deployment, stage.employee, "domain.add_to_group", {"group": "app-ci"}, token, str(uuid4())
        ),
        run(stage.deployment, stage.employee, "domain.unlock", {}, token, str(uuid4())),
        stage.run(token[:-2] + "AA", str(uuid4())),
        stage.run("", str(uuid4())),
        stage.run("x" * 100_000, str(uuid4())),
    ]
    assert [each.codes for each in others] == [["PREVIEW_INVALID"]] * len(others)
    assert [each.outcome for each in others] == [None] * len(others)
    assert stage.writes == writes


def test_every_intent_of_these_tests_has_its_outcome(deployment: Deployment) -> None:
    unfinished = deployment.sql(
        """SELECT i.event_type, i.at FROM audit_record i WHERE i.phase = 'intent' AND NOT EXISTS (
             SELECT FROM audit_record o WHERE o.phase = 'outcome'
             AND o.refers_chain_id = i.chain_id AND o.refers_seq = i.seq)"""
    )
    assert unfinished == []
    strange = deployment.sql(
        """SELECT FROM audit_record o WHERE o.phase = 'outcome' AND NOT EXISTS (
             SELECT FROM audit_record i WHERE i.phase = 'intent'
             AND o.refers_chain_id = i.chain_id AND o.refers_seq = i.seq)"""
    )
    assert strange == []


def wait_until_healthy(stage: Stage, act: Callable[[], Run]) -> Run:
    """Once the breaker of the domain is closed again, should it have opened."""
    wait_until(
        "the domain can be read again",
        lambda: (
            not preview(
                stage.deployment, stage.deployment.stranger(), "domain.add_to_group", {"group": "app-wiki"}
            )["errors"]
        ),
        seconds=20,
        every=0.2,
    )
    done = act()
    assert_no_internals(json.dumps(done.payload))
    assert done.record is None or is_settled(stage.deployment, done.record)
    return done
