"""Sign-in through a real OpenID provider: another process, found by discovery, with its own keys and its own pages."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from okno.clock import SystemClock
from okno.identity.model import employee_uuid
from okno.identity.oidc import OidcProvider
from okno.identity.service import CALLBACK_PATH, Identity
from okno.settings import OidcSettings
from okno.storage.engine import Database
from tests.integration.identity_world import (
    ORIGIN,
    RecorderInMemory,
    browser_of,
    identity_of,
    settings_of,
    stored_text,
)
from tests.oidc import oidc_provider


@pytest.fixture(scope="module")
def provider_url() -> Iterator[str]:
    with oidc_provider() as url:
        yield url


class World:
    """The application, a person's browser, and the provider that knows the person."""

    def __init__(
        self, identity: Identity, recorder: RecorderInMemory, provider_url: str, db: Database
    ) -> None:
        self.identity = identity
        self.recorder = recorder
        self.provider_url = provider_url
        self.db = db
        self.browser = browser_of(identity)
        self.outside = httpx.AsyncClient()

    async def person(self, subject: str, **claims: Any) -> None:
        """Tells the provider about a person, or what changed about the person."""
        answer = await self.outside.put(f"{self.provider_url}/users/{subject}", json=claims)
        assert answer.status_code == 204

    async def start(self, next_path: str = "/people/42") -> str:
        """Begins to sign in; returns the provider's address that the browser is sent to."""
        answer = await self.browser.get("/auth/oidc/start", params={"next": next_path})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def consent(self, address: str, subject: str) -> httpx.QueryParams:
        """What the person does at the provider; returns the parameters that the browser comes back with."""
        answer = await self.outside.post(address, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        location = answer.headers["location"]
        assert location.startswith(ORIGIN + CALLBACK_PATH)
        return httpx.QueryParams(urlsplit(location).query)

    async def come_back(self, params: httpx.QueryParams, **headers: str) -> httpx.Response:
        return await self.browser.get(CALLBACK_PATH, params=params, headers=headers)

    async def sign_in(self, subject: str) -> httpx.Response:
        return await self.come_back(await self.consent(await self.start(), subject))

    async def count(self, table: str) -> int:
        async with self.db.transaction() as session:
            return int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


@pytest.fixture
async def world(db: Database, provider_url: str) -> AsyncIterator[World]:
    clock, recorder = SystemClock(), RecorderInMemory()
    oidc = OidcProvider(
        OidcSettings(
            issuer=provider_url,
            client_id="okno",
            client_secret="env:UNUSED",
            second_factor_acr=("urn:okno:two",),
        ),
        "the client's secret",
        ORIGIN + CALLBACK_PATH,
        clock,
    )

    async def find_employee(login: str) -> UUID | None:
        return employee_uuid("100005") if login == "anna.sorokina" else None

    identity = identity_of(
        db, clock, recorder, settings_of("production"), oidc=oidc, find_employee=find_employee
    )
    world = World(identity, recorder, provider_url, db)
    yield world
    await world.browser.aclose()
    await world.outside.aclose()
    await identity.close()


async def test_the_whole_code_flow_ends_signed_in_where_the_person_wanted_to_go(world: World) -> None:
    await world.person(
        "s-1",
        preferred_username="anna.sorokina",
        name="Anna Sorokina",
        groups=["staff", "okno-first-line-cis"],
    )
    assert (await world.browser.get("/auth/session")).json()["methods"] == ["oidc"]
    address = await world.start("/people/42?tab=all")
    sent = parse_qs(urlsplit(address).query)
    assert sent["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= sent.keys()
    answer = await world.come_back(await world.consent(address, "s-1"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/people/42?tab=all")
    assert "okno_sign_in" not in world.browser.cookies
    session = (await world.browser.get("/auth/session")).json()
    assert (session["signedIn"], session["login"], session["team"]) == (
        True,
        "anna.sorokina",
        "first-line-cis",
    )
    actor = await world.identity.authenticate({"okno_session": world.browser.cookies["okno_session"]}, None)
    assert actor is not None
    assert (actor.employee_id, actor.display_name) == (employee_uuid("100005"), "Anna Sorokina")
    assert actor.rights.facts == {"session", "working_hours"}
    assert world.recorder.types == ["account.provisioned", "session.started"]
    assert world.recorder.records[0][2]["teams"] == {"before": [], "after": ["first-line-cis"]}
    assert world.recorder.records[1][2]["method"] == "oidc"
    posted = await world.browser.post(
        "/probe", headers={"X-Okno-CSRF": session["csrfToken"], "Origin": ORIGIN}
    )
    assert posted.status_code == 200


async def test_signing_in_again_finds_the_account_and_takes_over_what_changed(world: World) -> None:
    await world.person("s-2", preferred_username="kofi.a", name="Kofi A", groups=["okno-first-line-africa"])
    await world.sign_in("s-2")
    await world.person("s-2", preferred_username="kofi.boateng", name="Kofi Boateng", groups=["okno-devices"])
    await world.sign_in("s-2")
    session = (await world.browser.get("/auth/session")).json()
    assert (session["login"], session["displayName"], session["team"]) == (
        "kofi.boateng",
        "Kofi Boateng",
        "devices",
    )
    assert [team["id"] for team in session["teams"]] == ["devices"]
    assert await world.count("identity_account") == 1


async def test_whoever_is_in_no_team_is_refused_and_leaves_no_account(world: World) -> None:
    await world.person("s-3", preferred_username="stranger", groups=["staff"])
    answer = await world.sign_in("s-3")
    assert (answer.status_code, answer.json()["code"]) == (403, "NO_TEAM")
    assert "Ask your team lead" in answer.json()["message"]
    assert await world.count("identity_account") == 0
    assert world.recorder.records == [
        ("session.failed", None, {"method": "oidc", "code": "NO_TEAM", "login": "stranger"})
    ]
    assert "okno_session" not in world.browser.cookies


async def test_whoever_lost_all_groups_loses_sessions_too_by_the_attempt_that_is_refused(
    world: World,
) -> None:
    await world.person("s-4", preferred_username="leaver", groups=["okno-security"])
    await world.sign_in("s-4")
    cookie = world.browser.cookies["okno_session"]
    await world.person("s-4", preferred_username="leaver", groups=[])
    world.browser.cookies.clear()
    assert (await world.sign_in("s-4")).json()["code"] == "NO_TEAM"
    assert await world.count("identity_membership") == 0
    fresh = identity_of(world.db, SystemClock(), world.recorder, settings_of("production"))
    with pytest.raises(Exception, match="no longer a member of any team"):
        await fresh.authenticate({"okno_session": cookie}, None)


async def test_a_grant_in_the_database_counts_beside_the_providers_groups(world: World) -> None:
    await world.person("s-5", preferred_username="granted", groups=["okno-security"])
    await world.sign_in("s-5")
    async with world.db.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO identity_membership (account_id, team_id, origin, created_at) "
                "SELECT id, 'devices', 'database', created_at FROM identity_account"
            )
        )
    await world.person("s-5", preferred_username="granted", groups=[])
    assert (await world.sign_in("s-5")).status_code == 303
    assert (await world.browser.get("/auth/session")).json()["team"] == "devices"


async def test_a_login_of_one_person_cannot_be_taken_by_another(world: World) -> None:
    await world.person("s-6", preferred_username="olga", groups=["okno-security"])
    await world.sign_in("s-6")
    await world.person("s-7", preferred_username="Olga", groups=["okno-security"])
    assert (await world.sign_in("s-7")).json()["code"] == "LOGIN_TAKEN"
    await world.person("s-8", preferred_username="petr", groups=["okno-security"])
    await world.sign_in("s-8")
    await world.person("s-8", preferred_username="olga", groups=["okno-security"])
    assert (await world.sign_in("s-8")).json()["code"] == "LOGIN_TAKEN"


async def test_a_disabled_account_does_not_sign_in(world: World) -> None:
    await world.person("s-9", preferred_username="disabled", groups=["okno-security"])
    await world.sign_in("s-9")
    async with world.db.transaction() as session:
        await session.execute(text("UPDATE identity_account SET disabled_at = created_at"))
    assert (await world.sign_in("s-9")).json()["code"] == "ACCOUNT_DISABLED"


async def test_a_person_without_a_login_is_refused_by_name(world: World) -> None:
    await world.person("s-10", name="No Login", groups=["okno-security"])
    answer = await world.sign_in("s-10")
    assert (answer.json()["code"], "preferred_username" in answer.json()["message"]) == (
        "LOGIN_MISSING",
        True,
    )


async def test_a_wrong_state_signs_nobody_in(world: World) -> None:
    await world.person("s-11", preferred_username="state", groups=["okno-security"])
    params = await world.consent(await world.start(), "s-11")
    answer = await world.come_back(params.set("state", "wrong"))
    assert (answer.status_code, answer.json()["code"]) == (403, "STATE_MISMATCH")
    assert world.recorder.records[-1] == (
        "session.failed",
        None,
        {"method": "oidc", "code": "STATE_MISMATCH"},
    )


async def test_an_answer_in_a_browser_that_never_asked_signs_nobody_in(world: World) -> None:
    await world.person("s-12", preferred_username="victim", groups=["okno-security"])
    params = await world.consent(await world.start(), "s-12")
    world.browser.cookies.clear()
    assert (await world.come_back(params)).json()["code"] == "STATE_MISMATCH"


async def test_a_token_with_the_nonce_of_another_attempt_signs_nobody_in(world: World) -> None:
    """An attacker's own code, put into the victim's attempt: the provider's token names the attacker's nonce."""
    await world.person("s-13", preferred_username="attacker", groups=["okno-security"])
    attackers = await world.consent(await world.start(), "s-13")
    victims = parse_qs(urlsplit(await world.start()).query)
    answer = await world.come_back(attackers.set("state", victims["state"][0]))
    assert (answer.status_code, answer.json()["code"]) == (403, "ID_TOKEN_INVALID")
    assert "okno_session" not in world.browser.cookies


async def test_a_code_opens_one_session_only(world: World) -> None:
    await world.person("s-14", preferred_username="once", groups=["okno-security"])
    address = await world.start()
    attempt = world.browser.cookies["okno_sign_in"]
    params = await world.consent(address, "s-14")
    assert (await world.come_back(params)).status_code == 303
    world.browser.cookies.clear()
    again = await world.come_back(params, Cookie=f"okno_sign_in={attempt}")
    assert (again.status_code, again.json()["code"]) == (403, "PROVIDER_REFUSED")


async def test_a_person_who_says_no_at_the_provider_is_told_so(world: World) -> None:
    answer = await world.outside.post(await world.start(), data={"action": "deny"})
    params = httpx.QueryParams(urlsplit(answer.headers["location"]).query)
    attempt_state = parse_qs(urlsplit(await world.start()).query)["state"][0]
    assert (await world.come_back(params.set("state", attempt_state))).json()["code"] == "PROVIDER_REFUSED"


async def test_a_browser_gets_a_page_with_the_code_and_not_bare_json(world: World) -> None:
    answer = await world.come_back(httpx.QueryParams(), Accept="text/html,application/xhtml+xml")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?signInError=STATE_MISMATCH")


@pytest.mark.parametrize(
    "place", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example"]
)
async def test_sign_in_sends_nobody_to_another_site(world: World, place: str) -> None:
    await world.person("s-15", preferred_username="redirected", groups=["okno-security"])
    params = await world.consent(await world.start(place), "s-15")
    assert (await world.come_back(params)).headers["location"] == "/"


async def test_a_sign_in_that_cannot_be_recorded_does_not_happen(world: World) -> None:
    await world.person("s-16", preferred_username="unrecorded", groups=["okno-security"])
    params = await world.consent(await world.start(), "s-16")
    world.recorder.down = True
    assert (await world.come_back(params)).status_code == 503
    assert "okno_session" not in world.browser.cookies
    assert await stored_text(world.db, ("identity_session",)) == ""


async def test_nothing_of_an_attempt_is_stored(world: World) -> None:
    await world.person("s-17", preferred_username="unstored", groups=["okno-security"])
    address = await world.start()
    attempt = world.browser.cookies["okno_sign_in"].split(".")[0]
    params = await world.consent(address, "s-17")
    await world.come_back(params)
    stored = await stored_text(world.db)
    assert "unstored" in stored
    for secret in (attempt, params["state"], params["code"], parse_qs(urlsplit(address).query)["nonce"][0]):
        assert secret not in stored


@pytest.mark.parametrize(
    ("claims", "proven"),
    [
        ({"amr": ["pwd", "mfa"], "auth_time": 0}, True),
        ({"acr": "urn:okno:two", "auth_time": 0}, True),
        ({"amr": ["pwd", "mfa"], "auth_time": -600}, True),
        ({"amr": ["pwd", "mfa"], "auth_time": -901}, False),
        ({"amr": ["pwd", "mfa"], "auth_time": 3600}, False),
        ({"amr": ["pwd"], "auth_time": 0}, False),
        ({"amr": "mfa", "auth_time": 0}, False),
        ({"acr": "urn:okno:one", "auth_time": 0}, False),
        ({"amr": ["mfa"], "auth_time": "now"}, False),
        ({"amr": ["mfa"], "auth_time": None}, False),
    ],
    ids=str,
)
async def test_a_second_factor_is_what_the_provider_says_was_proven_and_just_now(
    world: World, claims: dict[str, Any], proven: bool
) -> None:
    at = claims["auth_time"]
    now = SystemClock().now().timestamp()
    sent = {**claims, "auth_time": int(now + at) if isinstance(at, int) else at}
    await world.person("s-18", preferred_username="confirmed", groups=["okno-identity"], **sent)
    await world.sign_in("s-18")
    session = (await world.browser.get("/auth/session")).json()
    assert session["secondFactor"] is proven
    # claims that are not of the types of OpenID Connect sign nobody in at all
    assert session["signedIn"] is (isinstance(claims.get("amr", []), list) and at != "now")


async def test_stepping_up_asks_the_provider_for_a_fresh_proof_of_the_same_person(world: World) -> None:
    person = {"preferred_username": "stepper", "groups": ["okno-identity"]}
    await world.person("s-19", **person)
    await world.sign_in("s-19")
    ordinary = parse_qs(urlsplit(await world.start()).query)
    assert not {"max_age", "acr_values", "login_hint"} & ordinary.keys()

    answer = await world.browser.get("/auth/oidc/start", params={"next": "/people/42", "step_up": "1"})

    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (asked["max_age"], asked["acr_values"], asked["login_hint"]) == (
        ["0"],
        ["urn:okno:two"],
        ["stepper"],
    )
    await world.person("s-19", **person, amr=["mfa"], auth_time=int(SystemClock().now().timestamp()))
    back = await world.come_back(await world.consent(answer.headers["location"], "s-19"))
    assert back.headers["location"] == "/people/42"
    assert (await world.browser.get("/auth/session")).json()["secondFactor"] is True
    # what the provider says of a person is recorded when it changes, so not a second time
    assert world.recorder.types == [
        "account.provisioned",
        "session.started",
        "session.ended",
        "session.started",
    ]


async def test_whoever_is_not_signed_in_steps_up_by_signing_in(world: World) -> None:
    answer = await world.browser.get("/auth/oidc/start", params={"step_up": "1"})
    assert "login_hint" not in parse_qs(urlsplit(answer.headers["location"]).query)


async def test_a_provider_that_is_gone_is_unavailable_and_not_a_trace(db: Database, world: World) -> None:
    gone = OidcProvider(
        OidcSettings(issuer="http://127.0.0.1:1", client_id="okno", client_secret="env:UNUSED"),
        "secret",
        ORIGIN + CALLBACK_PATH,
        SystemClock(),
    )
    identity = identity_of(db, SystemClock(), world.recorder, settings_of("production"), oidc=gone)
    async with browser_of(identity) as browser:
        answer = await browser.get("/auth/oidc/start")
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    await identity.close()
