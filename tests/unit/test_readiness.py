"""What /readyz tells of a deployment: to anybody its state, the figures behind it to those alone who see them in Okno."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import httpx
import pytest

from okno.app import readiness_route
from okno.asgi import Application
from okno.errors import Unauthenticated
from okno.identity.model import Actor
from okno.identity.sessions import Authentication
from okno.policy.service import Policy, Rights

SINK = {"state": "FAILING", "waiting": 7, "since": "2026-11-02", "error": "inner.example refused"}
POLICY = Policy.load(Path(__file__).parents[2] / "policies")


async def _answers() -> None:
    pass


class _Identity:
    """Knows each role by a token of its name."""

    browser = None

    async def authenticate_session(self, cookies: object, authorization: str | None) -> Authentication | None:
        role = (authorization or "").removeprefix("Bearer ")
        if not role:
            return None
        if role == "wrong":
            raise Unauthenticated("The token is not valid.")
        rights = Rights(roles=frozenset({role}), facts=frozenset({"token"}))
        return Authentication(Actor(UUID(int=1), "person", "anna", "Anna", None, rights))


async def _told(mode: str, role: str | None = None) -> dict[str, Any]:
    async def index_state() -> Any:
        return SimpleNamespace(done=20_431, total=20_431, complete=True)

    async def sink_detail() -> Any:
        return SINK

    services = SimpleNamespace(
        settings=SimpleNamespace(mode=mode),
        identity=_Identity(),
        policy=SimpleNamespace(get=lambda: POLICY),
        db=SimpleNamespace(ping=_answers),
        journal=SimpleNamespace(ping=_answers, sink_detail=sink_detail),
        people=SimpleNamespace(index_state=index_state),
    )
    app = Application([readiness_route(cast(Any, services))], https=True)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="https://okno.example"
    ) as client:
        headers = {} if role is None else {"authorization": f"Bearer {role}"}
        answer = await client.get("/readyz", headers=headers)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found


@pytest.mark.parametrize("role", [None, "wrong", "analyst"])
async def test_who_is_nobody_learns_the_state_and_no_figure(role: str | None) -> None:
    told = await _told("production", role)
    assert told["ready"] is True
    assert told["checks"] == {"database": "ok", "journal": "ok", "index": "ok"}
    assert told["index"] is None
    assert told["sink"] == {"state": "FAILING"}


async def test_who_sees_the_systems_or_the_journal_sees_theirs_here() -> None:
    support = await _told("production", "support")
    assert support["index"] == {"done": 20_431, "total": 20_431, "complete": True}
    assert support["sink"] == {"state": "FAILING"}
    assert (await _told("production", "auditor"))["sink"] == SINK


async def test_on_a_machine_for_development_all_of_it_is_told() -> None:
    assert (await _told("development"))["index"]["total"] == 20_431
