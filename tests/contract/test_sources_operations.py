"""The domain's operations, previewed, run and settled on the simulator and on a real OpenLDAP, manifest unchanged."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import ldap3
import pytest

from okno.clock import SystemClock
from okno.errors import InvalidInput, Unavailable, UnknownOutcome
from okno.sources.service import (
    PersonKeys,
    SourceError,
    SourceOutcomeUnknown,
    SourceRefused,
    Sources,
    SourceUnreachable,
    State,
)
from tests.contract.peers import IVAN, NOBODY, Peer
from tests.contract.peers.fixtures import DOMAIN_PEERS
from tests.contract.peers.manifests import manifest_of, with_changes
from tests.contract.peers.proxy import Proxy

pytestmark = pytest.mark.parametrize("peer", DOMAIN_PEERS, indirect=True)

AMINA = PersonKeys(UUID(int=100012), "100012")
DASTAN = PersonKeys(UUID(int=100013), "100013")
KWAME = PersonKeys(UUID(int=100006), "100006")


@asynccontextmanager
async def domain(peer: Peer, **changes: Any) -> AsyncIterator[tuple[Sources, Proxy]]:
    async with Proxy(peer.environment["OKNO_DOMAIN_URL"]) as proxy:
        environment = {**peer.environment, "OKNO_DOMAIN_URL": proxy.url}
        manifest = with_changes(
            manifest_of("domain"), **{"deadline_seconds": 2, "cache_seconds": 60, **changes}
        )
        sources = Sources({"domain": manifest}, SystemClock(), environment)
        try:
            yield sources, proxy
        finally:
            await sources.close()


def modify(peer: Peer, dn: str, changes: Any) -> None:
    """What another administrator does meanwhile, past Okno."""
    with administrator(peer) as connection:
        connection.modify(dn, changes)  # type: ignore[no-untyped-call]


def group_without(peer: Peer, login: str) -> str:
    """Name of a group of ASCII letters that the person is not in."""
    member = f"uid={login},ou=people,dc=okno,dc=example"
    with administrator(peer) as connection:
        text = f"(&(objectClass=groupOfNames)(!(member={member})))"
        connection.search("ou=groups,dc=okno,dc=example", text, attributes=["cn"])
        names = sorted(entry["attributes"]["cn"][0] for entry in connection.response or ())
    return str(next(name for name in names if name.isascii() and name.upper() != name))


@contextmanager
def administrator(peer: Peer) -> Iterator[ldap3.Connection]:
    server = ldap3.Server(peer.environment["OKNO_DOMAIN_URL"], get_info=ldap3.NONE)
    account = peer.environment["OKNO_DOMAIN_BIND_DN"], peer.environment["OKNO_DOMAIN_PASSWORD"]
    connection = ldap3.Connection(server, *account, auto_bind=True, raise_exceptions=True, check_names=False)
    try:
        yield connection
    finally:
        connection.unbind()


async def lock(peer: Peer, sources: Sources, keys: PersonKeys) -> None:
    section = (await sources.read("domain", keys, fresh=True)).data
    assert section is not None
    locked_at = {"pwdAccountLockedTime": [(ldap3.MODIFY_REPLACE, ["20261102080000Z"])]}
    await asyncio.to_thread(modify, peer, section["dn"], locked_at)
    assert (await field(sources, keys, "locked")) is True


async def field(sources: Sources, keys: PersonKeys, name: str) -> Any:
    result = await sources.read("domain", keys, fresh=True)
    assert result.state is State.OK, result.error
    assert result.data is not None
    return result.data[name]


def nothing() -> None:
    """For `before_effect` where nothing is to happen."""


async def run(sources: Sources, operation: str, keys: PersonKeys, given: Any) -> Any:
    return await sources.run(operation, keys, given, idempotency_key="k", before_effect=nothing)


async def test_unlocking_is_previewed_without_a_change_then_done_and_seen_at_once(peer: Peer) -> None:
    async with domain(peer) as (sources, _):
        await lock(peer, sources, AMINA)
        changes = {
            change.path: change
            for change in await sources.preview("domain.unlock", AMINA, {"reason": "call"})
        }
        assert changes["domain.locked"].before is True
        assert changes["domain.locked"].after is False
        assert changes["domain.locked"].title == {"en": "Locked", "ru": "Заблокирована"}
        assert await field(sources, AMINA, "locked") is True

        result = await run(sources, "domain.unlock", AMINA, {"reason": "call"})

        assert {change.path: change.after for change in result.changes}["domain.locked"] is False
        cached = await sources.read("domain", AMINA)
        assert cached.data is not None
        assert (cached.data["locked"], cached.data["lockedAt"], cached.data["failedLogons"]) == (
            False,
            None,
            0,
        )
        assert await sources.settle("domain.unlock", AMINA, {}) == "done"


async def test_what_is_so_already_has_an_empty_preview_and_is_refused(peer: Peer) -> None:
    async with domain(peer) as (sources, _):
        assert await sources.preview("domain.unlock", KWAME, {}) == []
        with pytest.raises(SourceRefused, match="it is so already"):
            await run(sources, "domain.unlock", KWAME, {})


async def test_an_account_disabled_by_an_administrator_is_not_opened_by_unlocking(peer: Peer) -> None:
    async with domain(peer) as (sources, _):
        assert await field(sources, DASTAN, "enabled") is False
        assert await field(sources, DASTAN, "lockedAt") is None
        for attempt in (
            sources.preview("domain.unlock", DASTAN, {}),
            run(sources, "domain.unlock", DASTAN, {}),
        ):
            with pytest.raises(SourceRefused, match=r"domain\.enabled"):
                await attempt
        assert await field(sources, DASTAN, "locked") is True


async def test_an_account_is_disabled_and_enabled_again_and_is_not_unlocked_meanwhile(peer: Peer) -> None:
    reason = {"reason": "lost laptop"}
    async with domain(peer) as (sources, _):
        await lock(peer, sources, KWAME)  # what disables also holds who is locked
        changes = {each.path: each.after for each in await sources.preview("domain.disable", KWAME, reason)}
        assert changes == {"domain.enabled": False, "domain.lockedAt": None}
        await run(sources, "domain.disable", KWAME, reason)
        assert await field(sources, KWAME, "enabled") is False
        assert await field(sources, KWAME, "locked") is True
        assert await sources.settle("domain.disable", KWAME, reason) == "done"
        for operation, given in (
            ("domain.unlock", {}),
            ("domain.disable", reason),
            ("domain.grant_application", {"application": "app-wiki"}),
        ):
            with pytest.raises(SourceRefused, match=r"domain\.enabled"):
                await run(sources, operation, KWAME, given)

        await run(sources, "domain.enable", KWAME, reason)

        assert await field(sources, KWAME, "enabled") is True
        assert await field(sources, KWAME, "locked") is False
        assert await sources.settle("domain.enable", KWAME, reason) == "done"
        with pytest.raises(SourceRefused, match=r"domain\.enabled"):
            await run(sources, "domain.enable", KWAME, reason)


@pytest.mark.parametrize(
    ("what", "given"),
    [("vpn", {"network": "vpn-ru"}), ("application", {"application": "app-tracker"})],
    ids=["network", "application"],
)
async def test_what_is_opened_is_closed_again(peer: Peer, what: str, given: dict[str, str]) -> None:
    (group,) = given.values()
    async with domain(peer) as (sources, _):
        before = await field(sources, KWAME, "groups")
        verbs = ("revoke", "grant") if group in before else ("grant", "revoke")
        for verb in verbs:
            operation = f"domain.{verb}_{what}"
            await run(sources, operation, KWAME, given)
            assert (group in await field(sources, KWAME, "groups")) is (verb == "grant")
            assert await sources.settle(operation, KWAME, given) == "done"
            assert await sources.preview(operation, KWAME, given) == []
        assert await field(sources, KWAME, "groups") == before


@pytest.mark.parametrize("spelling", [str, str.upper], ids=["as it is", "in capitals"])
async def test_group_membership_goes_there_and_back(peer: Peer, spelling: Callable[[str], str]) -> None:
    group = spelling(await asyncio.to_thread(group_without, peer, "kwame.mensah"))
    async with domain(peer) as (sources, _):
        before = await field(sources, KWAME, "groups")
        (change,) = await sources.preview("domain.add_to_group", KWAME, {"group": group})
        assert (change.before, change.after) == (before, [*before, group])
        added = await run(sources, "domain.add_to_group", KWAME, {"group": group})
        # A server may keep the name as it was typed; names of groups have no case.
        assert {name.casefold() for name in added.changes[0].after} == {
            name.casefold() for name in [*before, group]
        }
        assert await sources.settle("domain.add_to_group", KWAME, {"group": group}) == "done"
        assert await sources.preview("domain.add_to_group", KWAME, {"group": group}) == []
        removed = await run(sources, "domain.remove_from_group", KWAME, {"group": group})
        assert removed.changes[0].after == before
        assert await field(sources, KWAME, "groups") == before


@pytest.mark.parametrize(
    "group",
    [
        "no such group",
        "VPN,ou=groups",
        "VPN+ou=x",
        "*",
        "a\\",
        '"',
        "a=b",
        "#x",
        "<>;",
        "кириллица",
        "a\x00b",
        "VPN,OU=PEOPLE",
    ],
)
async def test_a_group_name_names_one_group_or_none(peer: Peer, group: str) -> None:
    async with domain(peer) as (sources, _):
        before = await field(sources, KWAME, "groups")
        with pytest.raises(SourceRefused) as caught:
            await run(sources, "domain.add_to_group", KWAME, {"group": group})
        assert caught.value.code in ("NOT_FOUND", "REFUSED")
        assert await field(sources, KWAME, "groups") == before


@pytest.mark.parametrize(
    ("operation", "given", "wrong"),
    [
        ("domain.add_to_group", {}, "group"),
        ("domain.add_to_group", {"group": ""}, "group"),
        ("domain.add_to_group", {"group": " VPN"}, "group"),
        ("domain.add_to_group", {"group": 5}, "group"),
        ("domain.unlock", {"reason": "x" * 501}, "reason"),
        ("domain.unlock", {"other": 1}, None),
        ("domain.disable", {}, "reason"),
        ("domain.grant_vpn", {"network": "staff-ru"}, "network"),
        ("domain.grant_application", {"application": "app-production"}, "application"),
    ],
)
async def test_input_that_does_not_fit_names_the_field(
    peer: Peer, operation: str, given: Any, wrong: str | None
) -> None:
    async with domain(peer) as (sources, proxy):
        asked = proxy.connections
        for attempt in (sources.preview(operation, KWAME, given), run(sources, operation, KWAME, given)):
            with pytest.raises(InvalidInput) as caught:
                await attempt
            assert caught.value.field == wrong
        assert proxy.connections == asked


async def test_nobody_cannot_be_operated_on(peer: Peer) -> None:
    async with domain(peer) as (sources, _):
        with pytest.raises(SourceRefused) as caught:
            await run(sources, "domain.unlock", NOBODY, {})
        assert caught.value.code == "NOT_FOUND"
        with pytest.raises(SourceError):
            await sources.preview("domain.unlock", NOBODY, {})


async def test_a_bind_without_rights_is_refused_by_the_system_itself(peer: Peer) -> None:
    async with domain(peer) as (sources, _):
        await lock(peer, sources, AMINA)
    plain = replace(peer, environment={**peer.environment, **peer.powerless})
    async with domain(plain) as (sources, _):
        with pytest.raises(SourceRefused) as caught:
            await run(sources, "domain.unlock", AMINA, {})
        assert caught.value.code == "REFUSED"
        assert await field(sources, AMINA, "locked") is True


async def test_a_system_that_is_gone_means_definitely_not_done(peer: Peer) -> None:
    async with domain(peer) as (sources, proxy):
        await lock(peer, sources, AMINA)
        await proxy.down()
        with pytest.raises(SourceUnreachable) as caught:
            await run(sources, "domain.unlock", AMINA, {})
        assert isinstance(caught.value, Unavailable)
        await proxy.up()
        assert await sources.settle("domain.unlock", AMINA, {}) == "not_done"


async def test_what_stops_it_right_before_the_effect_leaves_nothing_done(peer: Peer) -> None:
    class Stopped(Exception):
        pass

    async def stop() -> None:
        raise Stopped

    async with domain(peer) as (sources, _):
        await lock(peer, sources, AMINA)
        with pytest.raises(Stopped):
            await sources.run("domain.unlock", AMINA, {}, idempotency_key="k", before_effect=stop)
        assert await field(sources, AMINA, "locked") is True


@pytest.mark.parametrize("mode", ["cut", "hang", "garbage", "half", "drip"])
async def test_an_answer_that_never_comes_whole_is_an_unknown_outcome(peer: Peer, mode: Any) -> None:
    async with domain(peer, deadline_seconds=0.6) as (sources, proxy):
        await lock(peer, sources, AMINA)

        async def misbehave() -> None:
            proxy.mode = mode

        with pytest.raises(SourceOutcomeUnknown) as caught:
            await sources.run("domain.unlock", AMINA, {}, idempotency_key="k", before_effect=misbehave)
        assert isinstance(caught.value, UnknownOutcome)
        assert await sources.settle("domain.unlock", AMINA, {}) == "unknown"
        proxy.mode = "pass"
        # `hang` and `garbage` swallow the request; the others let it through.
        done = mode in ("cut", "half", "drip")
        assert await sources.settle("domain.unlock", AMINA, {}) == ("done" if done else "not_done")
        assert await field(sources, AMINA, "locked") is not done


async def test_after_an_unknown_outcome_the_answer_from_before_is_shown_no_more(peer: Peer) -> None:
    async with domain(peer, deadline_seconds=0.6) as (sources, proxy):
        await lock(peer, sources, AMINA)
        assert (await sources.read("domain", AMINA)).state is State.OK

        async def misbehave() -> None:
            proxy.mode = "hang"

        with pytest.raises(SourceOutcomeUnknown):
            await sources.run("domain.unlock", AMINA, {}, idempotency_key="k", before_effect=misbehave)
        assert (await sources.read("domain", AMINA)).state is State.FAILED


async def test_an_unknown_operation_is_not_found(peer: Peer) -> None:
    async with domain(peer) as (sources, _):
        with pytest.raises(Exception, match=r"no operation domain\.explode"):
            await sources.preview("domain.explode", IVAN, {})
        assert sources.find_operation("domain.explode") is None
        found = sources.find_operation("domain.unlock")
        assert found is not None
        assert found[0].id == "domain"
