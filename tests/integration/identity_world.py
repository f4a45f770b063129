"""Identity with its real database and with a recorder that one can look into, break, and read."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from okno.clock import Clock
from okno.errors import OknoError, Unavailable
from okno.identity.http import SessionMiddleware, get_actor, identity_routes
from okno.identity.oidc import OidcProvider
from okno.identity.recorder import Commit, LocalEffect
from okno.identity.service import Actor, Identity, Teams
from okno.settings import Settings
from okno.storage.engine import Database

T = TypeVar("T")
ROLES = Path(__file__).resolve().parents[2] / "config" / "roles"
ORIGIN = "http://localhost:8000"
TABLES = ("identity_account", "identity_membership", "identity_service", "identity_session", "identity_token")


class RecorderInMemory:
    """Keeps what it is told; `down` makes it refuse."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str | None, dict[str, Any]]] = []
        self.down = False
        self.db: Database | None = None

    @property
    def types(self) -> list[str]:
        return [event_type for event_type, _, _ in self.records]

    async def event(
        self,
        event_type: str,
        actor: Actor | None,
        detail: Mapping[str, Any],
        *,
        effect: LocalEffect[object] | None = None,
    ) -> None:
        if self.down:
            raise Unavailable("The journal cannot be written.")
        if effect is not None:
            await self.commit(effect)
        self.records.append((event_type, actor.login if actor else None, dict(detail)))

    @asynccontextmanager
    async def command(
        self, event_type: str, *, holder: tuple[str, UUID, str], detail: Mapping[str, Any]
    ) -> AsyncIterator[Commit]:
        if self.down:
            raise Unavailable("The journal cannot be written.")
        self.records.append((f"{event_type} intent", holder[2], dict(detail)))
        yield self.commit
        self.records.append((f"{event_type} outcome", holder[2], {}))

    async def commit(self, effect: LocalEffect[T]) -> T:
        assert self.db is not None, "identity_of gives it"
        async with self.db.transaction() as session:
            return await effect(session)


def settings_of(mode: str = "development", *, public_url: str | None = None, **identity: Any) -> Settings:
    return Settings.model_validate({"mode": mode, "http": {"public_url": public_url}, "identity": identity})


def identity_of(
    db: Database,
    clock: Clock,
    recorder: RecorderInMemory,
    settings: Settings | None = None,
    *,
    teams: Teams | None = None,
    oidc: OidcProvider | None = None,
    find_employee: Any = None,
) -> Identity:
    recorder.db = db
    return Identity(
        db,
        clock,
        settings or settings_of(),
        teams or Teams.load(ROLES),
        recorder,
        oidc=oidc,
        find_employee=find_employee,
        known_scopes=("audit.read", "employees.read", "schema.read"),
    )


async def _probe(request: Request) -> Response:
    """An endpoint as every other domain has them."""
    try:
        actor = get_actor(request)
    except OknoError as error:
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)
    return JSONResponse({"login": actor.login, "team": actor.team, "facts": sorted(actor.rights.facts)})


def browser_of(identity: Identity, *, base_url: str = ORIGIN) -> httpx.AsyncClient:
    """A browser without scripts: it keeps cookies and goes to an application with the probe at /probe."""
    probe = Route(
        "/probe",
        _probe,
        methods=["GET", "POST"],
        middleware=[Middleware(SessionMiddleware, identity=identity)],
    )
    app = Starlette(routes=[*identity_routes(identity), probe])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base_url)


async def sign_in(browser: httpx.AsyncClient, login: str = "anna.sorokina") -> str:
    """Signs in for development and returns the CSRF token."""
    answer = await browser.post("/auth/development", json={"login": login})
    assert answer.status_code == 200, answer.text
    token = answer.json()["csrfToken"]
    assert isinstance(token, str)
    return token


async def stored_text(db: Database, tables: tuple[str, ...] = TABLES) -> str:
    """All that the tables hold, as PostgreSQL writes rows out (binary values in hexadecimal)."""
    async with db.transaction() as session:
        return "\n".join(
            [row for table in tables for row in await session.scalars(text(f"SELECT t::text FROM {table} t"))]
        )
