"""A policy that changes while the process runs: requests that come later are decided by it, subscriptions end."""

import re
from collections.abc import Sequence

import pytest

from okno.policy.service import Policy
from tests.api.sockets import connected
from tests.api.test_subscriptions import ANNA, CALM, SOON, Stage, extensions
from tests.api.world import IVAN, IVAN_ID, World


class Replaceable:
    """What knows the policy in force, and is told another one."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def get(self) -> Policy:
        return self.policy


def _narrowed(policy: Policy, rule_id: str, condition: str) -> Policy:
    """The policy with another condition on one rule."""
    pattern = re.compile(rf'("{re.escape(rule_id)}: [^"]*"\)) if\s[^;]*;')
    sources: Sequence[tuple[str, str]] = policy._sources
    changed = [(name, pattern.sub(rf"\1 if {condition};", text)) for name, text in sources]
    assert changed != list(sources)
    return Policy.from_sources(changed, "narrowed")


@pytest.fixture
def policies(world: World) -> Replaceable:
    found = Replaceable(world.parts.policy)
    object.__setattr__(world.services, "policy", found)
    return found


async def test_a_right_that_the_policy_withdraws_ends_a_subscription(
    world: World, policies: Replaceable
) -> None:
    stage = Stage(world, SOON)
    async with stage.socket(ANNA) as socket:
        await socket.subscribe("subscription { auditRecordAdded { eventType } }")

        policies.policy = _narrowed(policies.policy, "journal.follow", '"auditor" in p.roles')

        assert extensions(await socket.error())["code"] == "DENIED"


async def test_a_request_is_decided_by_the_policy_in_force_when_it_comes(
    world: World, policies: Replaceable
) -> None:
    stage = Stage(world, CALM)
    old = policies.policy
    query = "query ($id: ID!) { node(id: $id) { ... on Employee { displayName } } }"
    async with connected(stage.app) as socket:
        await socket.init(authorization=f"Bearer {ANNA}")
        before = await socket.ask(query, id=IVAN_ID)
        policies.policy = _narrowed(old, "people.public", '"auditor" in p.roles and level(field, "public")')
        after = await socket.ask(query, id=IVAN_ID)

    assert before["data"]["node"]["displayName"] == IVAN.full_name
    assert before["extensions"]["policyVersion"] == old.version
    assert after["data"]["node"] is None
    assert after["extensions"]["policyVersion"] == "narrowed"
