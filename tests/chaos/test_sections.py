"""A corporate system that misbehaves costs its own section and nothing else, and for no longer than it misbehaves."""

from typing import Any

import pytest

from tests.chaos.deployment import (
    SYSTEMS,
    Answer,
    Deployment,
    Employee,
    assert_no_internals,
    post,
    wait_until,
)

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(300)]

CARD = """query ($id: ID!) { employee(id: $id) { displayName
  hr { meta { ...M } position } directory { meta { ...M } userName }
  domain { meta { ...M } locked } equipment { meta { ...M } items { model } } } }
fragment M on SectionMeta { state source asOf error { code message } }"""
DEADLINE_SECONDS = 2.0  # of every system, see config/sources/
VALUES = {"hr": "position", "directory": "userName", "domain": "locked", "equipment": "items"}

# fault -> what a section may say about it
FAULTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "hangs": ({"hang": True}, {"TIMEOUT"}),
    "answers slowly": ({"latency_seconds": 20}, {"TIMEOUT"}),
    # noise may also begin like a long message of the protocol, of which the rest never comes
    "answers garbage": ({"garbage": True}, {"BAD_ANSWER", "UNREACHABLE", "TIMEOUT"}),
    "answers by half": ({"half": True}, {"BAD_ANSWER", "UNREACHABLE"}),
    "refuses connections": ({"outage": True}, {"UNREACHABLE"}),
    "is overloaded": ({"error_rate": 1}, {"UNREACHABLE"}),
}


def card(deployment: Deployment, employee: Employee) -> Answer:
    return post(deployment.stack, deployment.token("dmitry.orlov"), CARD, id=employee.id)


def states(answer: Answer) -> dict[str, str]:
    employee = answer.json()["data"]["employee"]
    return {system: employee[system]["meta"]["state"] for system in SYSTEMS}


def healthy(deployment: Deployment, employee: Employee) -> bool:
    return set(states(card(deployment, employee)).values()) == {"OK"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_that_misbehaves_costs_its_own_section(
    deployment: Deployment, system: str, fault: str
) -> None:
    faults, codes = FAULTS[fault]
    employee = deployment.stranger()
    # a breaker that a test before has opened would answer instead of the system
    wait_until(
        "all systems are well", lambda: healthy(deployment, deployment.stranger()), seconds=20, every=0.5
    )
    deployment.stack.fault(system, **faults)
    answer = card(deployment, employee)
    deployment.stack.heal(system)

    assert answer.status == 200
    assert answer.seconds <= DEADLINE_SECONDS + 1
    assert "errors" not in answer.json()
    found = answer.json()["data"]["employee"]
    failed = found[system]
    assert failed["meta"]["state"] == "FAILED"
    assert failed["meta"]["error"]["code"] in codes
    assert failed["meta"]["error"]["message"]
    assert not failed[VALUES[system]]
    assert found["displayName"]
    for other in set(SYSTEMS) - {system}:
        assert found[other]["meta"]["state"] == "OK", other
        assert found[other]["meta"]["asOf"]
        assert found[other][VALUES[other]] is not None
    assert_no_internals(answer.text)

    wait_until("the section is there again", lambda: healthy(deployment, employee), seconds=15)


def test_when_every_system_hangs_the_card_still_comes_within_one_deadline(deployment: Deployment) -> None:
    employee = deployment.stranger()
    wait_until(
        "all systems are well", lambda: healthy(deployment, deployment.stranger()), seconds=20, every=0.5
    )
    for system in SYSTEMS:
        deployment.stack.fault(system, hang=True)
    answer = card(deployment, employee)
    deployment.heal_all()

    assert answer.seconds <= DEADLINE_SECONDS + 1
    assert set(states(answer).values()) == {"FAILED"}
    assert answer.json()["data"]["employee"]["displayName"], "what the index knows stands"
    wait_until("the sections are there again", lambda: healthy(deployment, employee), seconds=15)


def test_a_system_that_is_down_is_left_alone_for_a_while_and_then_tried_again(deployment: Deployment) -> None:
    token = deployment.token("dmitry.orlov")

    def breaker() -> Any:
        answer = post(deployment.stack, token, "{ sources { id state breaker lastError { code } } }").json()
        return next(source for source in answer["data"]["sources"] if source["id"] == "directory")

    deployment.stack.fault("directory", outage=True)

    def refused_at_once() -> Answer | None:
        answer = card(deployment, deployment.stranger())
        error = answer.json()["data"]["employee"]["directory"]["meta"]["error"]
        return answer if error["code"] == "BREAKER_OPEN" else None

    answer = wait_until("the breaker opens", refused_at_once, seconds=20)
    assert answer.seconds < DEADLINE_SECONDS
    assert breaker()["state"] == "down"
    assert breaker()["lastError"]["code"] == "UNREACHABLE"
    deployment.stack.heal("directory")
    wait_until(
        "the section is there again",
        lambda: healthy(deployment, deployment.stranger()),
        seconds=20,
        every=0.5,
    )
    assert (breaker()["state"], breaker()["breaker"]) == ("up", "closed")


def test_what_was_read_before_is_shown_as_stale_while_its_system_is_down(deployment: Deployment) -> None:
    employee = deployment.stranger()
    wait_until("the card is whole", lambda: healthy(deployment, employee), seconds=20)
    before = card(deployment, employee).json()["data"]["employee"]["domain"]
    deployment.stack.fault("domain", outage=True)

    def stale() -> Any:
        section = card(deployment, employee).json()["data"]["employee"]["domain"]
        return section if section["meta"]["state"] != "OK" else None

    section = wait_until("the cache of ten seconds ends", stale, seconds=20, every=0.5)
    deployment.stack.heal("domain")
    assert section["meta"]["state"] == "STALE"
    assert section["meta"]["asOf"] == before["meta"]["asOf"]
    assert section["meta"]["error"]["code"] == "UNREACHABLE"
    assert section["locked"] == before["locked"]
    wait_until("the section is fresh again", lambda: healthy(deployment, employee), seconds=20)


def test_the_command_line_names_the_system_that_is_down(deployment: Deployment) -> None:
    deployment.stack.fault("hr", garbage=True)
    broken = deployment.stack.okno("source", "check", check=False)
    deployment.stack.heal("hr")
    assert broken.returncode == 1
    assert "hr\tBAD_ANSWER" in broken.stdout
    assert broken.stdout.count("\tok") == 3
    assert_no_internals(broken.stdout + broken.stderr)
    assert deployment.stack.okno("source", "check").stdout.count("\tok") == 4
