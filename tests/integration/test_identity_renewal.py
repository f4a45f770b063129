"""Connections that outlive a request: whose they are is found out anew, and the session is not touched by that."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from okno.clock import ManualClock
from okno.errors import Unauthenticated
from okno.identity.service import Actor, Identity
from okno.storage.engine import Database
from tests.integration.identity_world import RecorderInMemory, identity_of

LOGIN = "anna.sorokina"


@pytest.fixture
def identity(db: Database, clock: ManualClock) -> Identity:
    return identity_of(db, clock, RecorderInMemory())


async def _signed_in(identity: Identity) -> tuple[Actor, dict[str, str]]:
    """Who opened a connection with this cookie."""
    signed_in = await identity.dev_sign_in(LOGIN)
    cookies = {"okno_session": signed_in.cookie}
    actor = await identity.authenticate(cookies, None)
    assert actor is not None
    return actor, cookies


async def test_a_connection_of_a_rotated_session_goes_on_and_does_not_end_it(
    identity: Identity, clock: ManualClock
) -> None:
    actor, cookies = await _signed_in(identity)
    clock.advance(timedelta(minutes=16))
    rotated = await identity.authenticate_session(cookies, None)
    assert rotated is not None
    assert rotated.renewed_cookie is not None
    newer = {"okno_session": rotated.renewed_cookie}
    await identity.authenticate(newer, None)
    clock.advance(timedelta(minutes=5))
    assert await identity.renew(actor, None) == actor
    assert await identity.authenticate(newer, None) is not None, (
        "an old cookie shown again would have ended it"
    )


async def test_an_open_connection_does_not_keep_an_idle_session_alive(
    identity: Identity, clock: ManualClock
) -> None:
    actor, _ = await _signed_in(identity)
    for _ in range(7):
        clock.advance(timedelta(hours=1))
        await identity.renew(actor, None)
    clock.advance(timedelta(hours=1, seconds=1))
    with pytest.raises(Unauthenticated, match="expired"):
        await identity.renew(actor, None)


async def test_signing_out_ends_it_at_once_here_and_within_two_seconds_elsewhere(
    identity: Identity, db: Database, clock: ManualClock
) -> None:
    actor, _ = await _signed_in(identity)
    elsewhere = identity_of(db, clock, RecorderInMemory())
    assert await identity.renew(actor, None) == actor
    assert await elsewhere.renew(actor, None) == actor
    await identity.sign_out(actor)
    with pytest.raises(Unauthenticated):
        await identity.renew(actor, None)
    clock.advance(timedelta(seconds=2))
    with pytest.raises(Unauthenticated):
        await elsewhere.renew(actor, None)


async def test_a_disabled_account_and_a_revoked_token_end_it(
    identity: Identity, db: Database, clock: ManualClock
) -> None:
    actor, _ = await _signed_in(identity)
    issued = await identity.issue_token(LOGIN, timedelta(hours=1))
    authorization = f"Bearer {issued.token}"
    bearer = await identity.authenticate({}, authorization)
    assert bearer is not None
    assert await identity.renew(bearer, authorization) == bearer
    await identity.revoke(issued.id)
    with pytest.raises(Unauthenticated, match="revoked"):
        await identity.renew(bearer, authorization)
    async with db.transaction() as session:
        await session.execute(text("UPDATE identity_account SET disabled_at = created_at"))
    clock.advance(timedelta(seconds=2))
    with pytest.raises(Unauthenticated, match="disabled"):
        await identity.renew(actor, None)
