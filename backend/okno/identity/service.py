"""Who is it: signs people in and out, authenticates requests, issues and revokes tokens; all of it recorded first."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from okno.clock import Clock
from okno.errors import InvalidInput, NotFound, OknoError, Unauthenticated
from okno.identity import store, tokens
from okno.identity.actors import DEVELOPMENT, Actors
from okno.identity.browser import Browser
from okno.identity.model import Actor
from okno.identity.models import AccountRow
from okno.identity.oidc import Attempt, OidcProvider, SignInRefused
from okno.identity.provisioning import provision
from okno.identity.recorder import Recorder
from okno.identity.sessions import Authentication, Replayed, Sessions
from okno.identity.teams import DemoPerson, Teams
from okno.identity.tokens import IssuedToken
from okno.settings import Settings, read_secret
from okno.storage.engine import Database

__all__ = ["CALLBACK_PATH", "DEVELOPMENT", "OIDC", "Actor", "Authentication", "Identity", "SignedIn", "Teams"]

OIDC = "oidc"
CALLBACK_PATH = "/auth/oidc/callback"

# The id of the employee with this login, or None while the index of people does not know the login.
FindEmployee = Callable[[str], Awaitable[UUID | None]]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that was just started."""

    actor: Actor
    cookie: str = field(repr=False)


class Identity:
    """The public face of identity."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        teams: Teams,
        recorder: Recorder,
        *,
        oidc: OidcProvider | None = None,
        find_employee: FindEmployee | None = None,
        known_scopes: Collection[str] | None = None,
    ) -> None:
        self.teams = teams
        self.browser = Browser(settings)
        self._db = db
        self._clock = clock
        self._development = settings.mode == DEVELOPMENT
        self._recorder = recorder
        self._oidc = oidc
        self._find_employee = find_employee
        self._known_scopes = known_scopes
        self._actors = Actors(teams, development=self._development)
        self._sessions = Sessions(db, clock, settings.identity, self._actors.of_session)
        self._tokens = tokens.Tokens(db, clock, self._actors.of_token)

    @classmethod
    def of_settings(
        cls,
        settings: Settings,
        db: Database,
        clock: Clock,
        recorder: Recorder,
        *,
        known_roles: Collection[str] | None = None,
        known_widgets: Collection[str] | None = None,
        known_scopes: Collection[str] | None = None,
        find_employee: FindEmployee | None = None,
    ) -> "Identity":
        """Identity as the deployment configures it.

        Raises:
            ConfigurationError: a team's file or the provider's settings are wrong.
        """
        teams = Teams.load(
            settings.config_dir / "roles", known_roles=known_roles, known_widgets=known_widgets
        )
        oidc = None
        if (provider := settings.identity.oidc) is not None:
            oidc = OidcProvider(
                provider,
                read_secret(provider.client_secret),
                settings.public_url.rstrip("/") + CALLBACK_PATH,
                clock,
                plain_http=settings.mode == DEVELOPMENT,
            )
        return cls(
            db,
            clock,
            settings,
            teams,
            recorder,
            oidc=oidc,
            find_employee=find_employee,
            known_scopes=known_scopes,
        )

    async def close(self) -> None:
        if self._oidc is not None:
            await self._oidc.close()

    @property
    def methods(self) -> tuple[str, ...]:
        """The ways of signing in that exist here."""
        return (*((DEVELOPMENT,) if self._development else ()), *((OIDC,) if self._oidc is not None else ()))

    # Requests

    async def authenticate(self, cookies: Mapping[str, str], authorization: str | None) -> Actor | None:
        """Who makes the request; None when it carries no credential. An Authorization header wins over a cookie.

        Raises:
            Unauthenticated: the credential is malformed, expired, revoked, or its holder may no longer act.
        """
        authentication = await self.authenticate_session(cookies, authorization, rotate=False)
        return None if authentication is None else authentication.actor

    async def authenticate_session(
        self, cookies: Mapping[str, str], authorization: str | None, *, rotate: bool = True
    ) -> Authentication | None:
        """Like `authenticate`, for callers that can send the cookie's new value when it was time to rotate it."""
        if authorization:
            scheme, _, token = authorization.strip().partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated("The Authorization header has to be `Bearer <token>`.")
            return Authentication(await self._tokens.authenticate(token.strip()))
        session_cookie = cookies.get(self.browser.cookies.session_name)
        if not session_cookie:
            return None
        try:
            return await self._sessions.authenticate(session_cookie, rotate=rotate)
        except Replayed as replay:
            await self._end(replay.actor, reason="replayed")
            raise

    async def renew(self, actor: Actor, authorization: str | None) -> Actor:
        """Who opened a connection, as they may act now. For connections that outlive a request.

        Args:
            authorization: the bearer token's header that opened it, if one did.

        Raises:
            Unauthenticated: the session is over, the token is no longer valid, or its holder may no longer act.
            Unavailable: the database does not answer.
        """
        if actor.session_id is not None:
            return await self._sessions.renew(actor)
        renewed = await self.authenticate({}, authorization)
        if renewed is None:
            raise Unauthenticated("Sign in, or send a bearer token.")
        return renewed

    async def actor_of_login(self, login: str) -> Actor:
        """Who the person would be after signing in now; nobody is signed in. For explaining the policy.

        Raises:
            NotFound: nobody has this login.
            Unauthenticated: the account is disabled or in no team.
        """
        account, stored = await self._get_account(login)
        session = self._sessions.prepare(account, method=DEVELOPMENT if self._development else OIDC)
        actor = self._actors.of_session(
            store.HeldSession(session.row, account, tuple(stored)), session.cookie
        )
        return replace(actor, session_id=None, csrf_token=None)

    # Signing in and out

    def list_demo_people(self) -> tuple[DemoPerson, ...]:
        """Those whom the development sign-in knows; nobody in production."""
        return self.teams.list_demo_people() if self._development else ()

    async def dev_sign_in(self, login: str, *, replaces: str | None = None) -> SignedIn:
        """Signs in as a demo person, without any proof.

        Args:
            replaces: the cookie that the browser already has; its session ends.

        Raises:
            SignInRefused: there is no such demo person, or this is production.
            Unavailable: it could not be recorded.
        """
        person = self.teams.find_demo_person(login) if self._development else None
        if person is None:
            refusal = SignInRefused(
                "UNKNOWN_LOGIN", "No demo person has this login; `okno token people` lists them."
            )
            raise await self._refused(DEVELOPMENT, refusal, login)
        account, stored = await self._ensure_demo_account(person)
        return await self._start(account, stored, method=DEVELOPMENT, replaces=replaces)

    async def oidc_start(self, next_path: str) -> tuple[str, str]:
        """The provider's address for the browser, and the value of the attempt's cookie.

        Raises:
            NotFound: no provider is configured.
            Unavailable: the provider does not answer.
        """
        attempt = Attempt.start(next_path, self._clock.now())
        return await self._provider().authorization_url(attempt), attempt.cookie

    async def oidc_finish(
        self, attempt_cookie: str | None, answer: Mapping[str, str], *, replaces: str | None = None
    ) -> tuple[SignedIn, str]:
        """Signs in whom the provider vouches for; also returns where the browser wanted to go.

        Raises:
            SignInRefused: the answer is wrong, or the person is in no team.
            Unavailable: the provider or the journal does not answer.
        """
        provider = self._provider()
        attempt = Attempt.parse(attempt_cookie or "")
        login = None
        try:
            person = await provider.finish(attempt, answer)
            login = person.login
            found = await self._find_employee(login) if self._find_employee is not None else None
            team_ids = self.teams.of_groups(person.groups)
            provisioned = await provision(self._db, person, team_ids, found, now=self._clock.now())
            if isinstance(provisioned, SignInRefused):
                raise provisioned
            account, stored = provisioned
            if not self._actors.teams_of(account.login, stored):
                raise SignInRefused(
                    "NO_TEAM", "None of your groups makes you a member of a team. Ask your team lead."
                )
        except OknoError as error:
            raise await self._refused(OIDC, error, login) from error
        assert attempt is not None, "finish refuses an absent attempt"
        return await self._start(account, stored, method=OIDC, replaces=replaces), attempt.next_path

    async def sign_out(self, actor: Actor) -> None:
        """Ends the actor's session.

        Raises:
            Unavailable: it could not be recorded; the session is still open.
        """
        await self._end(actor, reason="signed out")

    async def choose_team(self, actor: Actor, team_id: str) -> SignedIn:
        """Goes on as a member of another of the actor's teams, in a new session: rights change, so does the cookie.

        Raises:
            InvalidInput: the actor is no member of that team.
        """
        if actor.session_id is None or team_id not in actor.teams:
            raise InvalidInput("You are not a member of that team.", field="team")
        held = await self._sessions.get(actor.session_id)
        signed_in = await self._start(
            held.account,
            held.teams,
            method=held.session.method,
            team_id=team_id,
            ends_at=held.session.ends_at,
        )
        await self._end(actor, reason="chose another team")
        return signed_in

    # Tokens

    async def issue_token(self, login: str, ttl: timedelta, *, team_id: str | None = None) -> IssuedToken:
        """A bearer token with which a tool acts as the person, for one of the person's teams.

        Raises:
            NotFound: nobody has this login.
            InvalidInput: the time to live or the team is wrong.
        """
        tokens.check_ttl(ttl, tokens.LONGEST_PERSON_TTL)
        account, stored = await self._get_account(login)
        teams = [team.id for team in self._actors.teams_of(account.login, stored)]
        if not teams:
            raise InvalidInput(
                f"{login} is a member of no team and could do nothing with a token.", field="as"
            )
        if team_id is not None and team_id not in teams:
            raise InvalidInput(f"{login} is no member of {team_id}, but of {', '.join(teams)}.", field="team")
        team = team_id or teams[0]
        token_id = uuid4()
        detail = {"token": str(token_id), "team": team, "ttl_seconds": int(ttl.total_seconds())}
        async with self._recorder.command(
            "token.issued", holder=("Account", account.id, account.login), detail=detail
        ):
            token = await self._tokens.issue_to_person(token_id, account.id, team_id=team, ttl=ttl)
        return IssuedToken(token_id, account.login, team, (), ttl, token)

    async def issue_service_token(self, name: str, scopes: Collection[str], ttl: timedelta) -> IssuedToken:
        """A bearer token of a service principal, which is created with its first token.

        Raises:
            InvalidInput: the name, a scope or the time to live is wrong.
        """
        tokens.check_service(name, scopes, self._known_scopes)
        tokens.check_ttl(ttl, tokens.LONGEST_SERVICE_TTL)
        async with self._db.transaction() as db:
            service = await store.ensure_service(db, name, now=self._clock.now())
        token_id, granted = uuid4(), tuple(sorted(set(scopes)))
        detail = {"token": str(token_id), "scopes": list(granted), "ttl_seconds": int(ttl.total_seconds())}
        async with self._recorder.command(
            "token.issued", holder=("Service", service.id, name), detail=detail
        ):
            token = await self._tokens.issue_to_service(token_id, service.id, scopes=granted, ttl=ttl)
        return IssuedToken(token_id, name, None, granted, ttl, token)

    async def list_tokens(self) -> Sequence[tokens.TokenInfo]:
        """The tokens that are valid now; never the secrets."""
        return await self._tokens.list_valid()

    async def revoke(self, token_id: UUID) -> bool:
        """Makes a token invalid; False when it was so before.

        Raises:
            NotFound: no such token.
        """
        info = await self._tokens.get(token_id)
        detail = {"token": str(token_id)}
        async with self._recorder.command(
            "token.revoked", holder=("Token", token_id, info.holder), detail=detail
        ):
            return await self._tokens.revoke(token_id)

    async def delete_past_sessions(self) -> int:
        """For the worker: removes sessions that can never be used again."""
        return await self._sessions.delete_past()

    # Inside

    async def _start(
        self,
        account: AccountRow,
        stored: Sequence[str],
        *,
        method: str,
        replaces: str | None = None,
        team_id: str | None = None,
        ends_at: datetime | None = None,
    ) -> SignedIn:
        session = self._sessions.prepare(account, method=method, team_id=team_id, ends_at=ends_at)
        actor = self._actors.of_session(
            store.HeldSession(session.row, account, tuple(stored)), session.cookie
        )
        if replaces is not None:
            await self._end_replaced(replaces)
        detail = {"session": str(session.row.id), "method": method, "team": actor.team}
        await self._recorder.event("session.started", actor, detail)
        await self._sessions.start(session)
        return SignedIn(actor, session.cookie.value)

    async def _end(self, actor: Actor, *, reason: str) -> None:
        if actor.session_id is None:
            return
        await self._recorder.event(
            "session.ended", actor, {"session": str(actor.session_id), "reason": reason}
        )
        await self._sessions.end(actor.session_id)

    async def _end_replaced(self, cookie: str) -> None:
        """The browser signs in anew: what its cookie opened, if anything, is over."""
        try:
            authentication = await self._sessions.authenticate(cookie, rotate=False)
        except Replayed as replay:
            await self._end(replay.actor, reason="replayed")
        except Unauthenticated:
            return
        else:
            await self._end(authentication.actor, reason="signed in again")

    async def _refused(self, method: str, error: OknoError, login: str | None) -> OknoError:
        """Records the failed sign-in and hands the error back, to be raised."""
        detail = {"method": method, "code": error.code} | ({"login": login[:128]} if login else {})
        await self._recorder.event("session.failed", None, detail)
        return error

    def _provider(self) -> OidcProvider:
        if self._oidc is None:
            raise NotFound("No identity provider is configured here.")
        return self._oidc

    async def _ensure_demo_account(self, person: DemoPerson) -> tuple[AccountRow, Sequence[str]]:
        now = self._clock.now()
        async with self._db.transaction() as db:
            account = await store.ensure_account(
                db, person.login, display_name=person.display_name, employee_id=person.employee_id, now=now
            )
            account.display_name, account.employee_id = person.display_name, person.employee_id
            return account, await store.list_team_ids(db, account.id)

    async def _get_account(self, login: str) -> tuple[AccountRow, Sequence[str]]:
        login = login.strip().lower()
        person = self.teams.find_demo_person(login) if self._development else None
        if person is not None:
            return await self._ensure_demo_account(person)
        async with self._db.transaction() as db:
            account = await store.find_account(db, login)
            if account is None:
                raise NotFound(
                    f"Nobody with the login {login} has ever signed in; `okno token people` lists demo logins."
                )
            return account, await store.list_team_ids(db, account.id)
