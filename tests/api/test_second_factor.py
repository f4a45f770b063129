"""What is refused for the second factor alone is offered, told as such, and recorded; with one it is done."""

from tests.api.test_operations import codes, preview
from tests.api.world import IVAN_ID, World, gate_of

SALARY = "query ($id: ID!) { employee(id: $id) { hr { salary { minorUnits } birthDate } } }"
OFFERS = "query ($id: ID!) { operations(employee: $id) { id secondFactor } }"
REASON = {"operation": "domain.disable", "input": {"reason": "lost laptop"}}


async def test_a_field_that_lacks_the_second_factor_alone_says_so_in_the_gate(world: World) -> None:
    before = world.actor("elena.kim", "session", "working_hours")
    body = await world.ask(before, SALARY, id=IVAN_ID)
    assert body["data"]["employee"]["hr"]["salary"] is None
    assert gate_of(body, "employee.hr.salary") == {
        "path": "employee.hr.salary",
        "decision": "deny",
        "rule": None,
        "reason": None,
        "lacks": "second_factor",
    }
    assert "lacks" not in gate_of(body, "employee.hr.birthDate")

    after = world.actor("elena.kim", "session", "working_hours", "second_factor")
    body = await world.ask(after, SALARY, id=IVAN_ID)
    assert body["data"]["employee"]["hr"]["salary"] == {"minorUnits": 123_456_789_012}
    fields = [event.detail["fields"] for event in world.journal.of_type("sensitive.read")]
    assert fields == [["HrSection.birthDate"], ["HrSection.birthDate", "HrSection.salary"]]


async def test_nobody_is_sent_for_a_second_factor_that_would_not_help(world: World) -> None:
    """Another role, another hour, or a token, with which none is ever proven."""
    for actor in (
        world.actor("anna.sorokina", "session", "working_hours"),
        world.actor("elena.kim", "session"),
        world.actor("elena.kim", "token", "working_hours"),
    ):
        body = await world.ask(actor, SALARY, id=IVAN_ID)
        assert gate_of(body, "employee.hr.salary")["decision"] == "deny"
        assert "lacks" not in gate_of(body, "employee.hr.salary")


async def test_a_risky_operation_is_offered_with_its_price_and_refused_until_it_is_paid(world: World) -> None:
    before = world.actor("dmitry.orlov", "session")
    offers = (await world.ask(before, OFFERS, id=IVAN_ID))["data"]["operations"]
    assert {each["id"]: each["secondFactor"] for each in offers} == {
        "domain.add_to_group": False,
        "domain.disable": True,
        "domain.remove_from_group": False,
        "domain.unlock": False,
    }
    assert codes(await preview(world, before, **REASON)) == ["SECOND_FACTOR"]
    (denied,) = world.journal.of_type("access.denied")
    assert denied.detail == {"action": "run", "operation": "domain.disable", "lacks": "second_factor"}

    after = world.actor("dmitry.orlov", "session", "second_factor")
    offers = (await world.ask(after, OFFERS, id=IVAN_ID))["data"]["operations"]
    assert {"id": "domain.disable", "secondFactor": False} in offers
    assert "SECOND_FACTOR" not in codes(await preview(world, after, **REASON))
    assert len(world.journal.of_type("access.denied")) == 1


async def test_to_a_token_a_risky_operation_is_neither_offered_nor_told_to_lack_anything(
    world: World,
) -> None:
    actor = world.actor("dmitry.orlov", "token", "working_hours")
    offers = (await world.ask(actor, OFFERS, id=IVAN_ID))["data"]["operations"]
    assert "domain.disable" not in {each["id"] for each in offers}
    assert codes(await preview(world, actor, **REASON)) == ["DENIED"]
    (denied,) = world.journal.of_type("access.denied")
    assert "lacks" not in denied.detail
