"""Who is it: signs people in and out, authenticates requests, issues and revokes tokens; all of it recorded first."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
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
from okno.limits.address import UNKNOWN
from okno.limits.attempts import Attempts, Held, TooManyAttempts
from okno.network import NetworkGuard
from okno.policy.service import Incompatible
from okno.settings import Settings, read_secret
from okno.storage.engine import Database

__all__ = ["CALLBACK_PATH", "DEVELOPMENT", "OIDC", "Actor", "Authentication", "Identity", "SignedIn", "Teams"]

OIDC = "oidc"
CALLBACK_PATH = "/auth/oidc/callback"

# The id of the employee with this login, or None while the index of people does not know the login.
FindEmployee = Callable[[str], Awaitable[UUID | None]]
# The pairs of roles that nobody may hold together, as the policy in force has them.
ListIncompatible = Callable[[], Sequence[Incompatible]]


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
        incompatible: ListIncompatible = tuple,
        attempts: Attempts | None = None,
    ) -> None:
        self.teams = teams
        self._attempts = attempts
        self.browser = Browser(settings)
        self._db = db
        self._clock = clock
        self._development = settings.mode == DEVELOPMENT
        self._recorder = recorder
        self._oidc = oidc
        self._find_employee = find_employee
        self._known_scopes = known_scopes
        self._actors = Actors(
            teams,
            clock,
            development=self._development,
            second_factor=timedelta(minutes=settings.identity.second_factor_minutes),
            incompatible=incompatible,
        )
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
        incompatible: ListIncompatible = tuple,
        attempts: Attempts | None = None,
    ) -> "Identity":
        """Identity as the deployment configures it.

        Args:
            attempts: counts failed sign-ins; without it nobody is made to wait.
            incompatible: the roles that the policy, as it is now, lets nobody hold together.

        Raises:
            ConfigurationError: a team's file or the provider's settings are wrong.
        """
        teams = Teams.load(
            settings.config_dir / "roles",
            known_roles=known_roles,
            known_widgets=known_widgets,
            incompatible=incompatible(),
        )
        oidc = None
        if (provider := settings.identity.oidc) is not None:
            oidc = OidcProvider(
                provider,
                read_secret(provider.client_secret),
                settings.public_url.rstrip("/") + CALLBACK_PATH,
                clock,
                plain_http=settings.mode == DEVELOPMENT,
                network=NetworkGuard(settings.allowed_networks),
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
            incompatible=incompatible,
            attempts=attempts,
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

    async def dev_sign_in(
        self,
        login: str,
        *,
        replaces: str | None = None,
        second_factor: bool = False,
        address: str = UNKNOWN,
    ) -> SignedIn:
        """Signs in as a demo person, without any proof.

        Args:
            second_factor: whether to take a second factor for proven, as unproven as the person.
            replaces: the cookie that the browser already has; its session ends.

        Raises:
            SignInRefused: there is no such demo person, or this is production.
            Unavailable: it could not be recorded.
        """
        await self._check_attempts(login, address)
        person = self.teams.find_demo_person(login) if self._development else None
        if person is None:
            refusal = SignInRefused(
                "UNKNOWN_LOGIN", "No demo person has this login; `okno token people` lists them."
            )
            raise await self._refused(DEVELOPMENT, refusal, login, address)
        account, stored = await self._ensure_demo_account(person)
        if conflict := self._actors.find_conflict(self._actors.teams_of(account.login, stored)):
            raise await self._refused(DEVELOPMENT, SignInRefused("DUTIES_CONFLICT", conflict), login, address)
        await self._forget_attempts(login, address)
        proven_at = self._clock.now() if second_factor else None
        return await self._start(
            account, stored, method=DEVELOPMENT, replaces=replaces, second_factor_at=proven_at
        )

    async def oidc_start(self, next_path: str, *, step_up: Actor | None = None) -> tuple[str, str]:
        """The provider's address for the browser, and the value of the attempt's cookie.

        Args:
            step_up: who is signed in already, and has to prove a second factor now.

        Raises:
            NotFound: no provider is configured.
            Unavailable: the provider does not answer.
        """
        attempt = Attempt.start(next_path, self._clock.now())
        login = step_up.login if step_up is not None else None
        return await self._provider().authorization_url(attempt, step_up=login), attempt.cookie

    async def oidc_finish(
        self,
        attempt_cookie: str | None,
        answer: Mapping[str, str],
        *,
        replaces: str | None = None,
        address: str = UNKNOWN,
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
            await self._check_attempts(login, address)
            found = await self._find_employee(login) if self._find_employee is not None else None
            team_ids = self.teams.of_groups(person.groups)
            account, stored = await provision(
                self._db, self._recorder, person, team_ids, found, now=self._clock.now()
            )
            teams = self._actors.teams_of(account.login, stored)
            if not teams:
                raise SignInRefused(
                    "NO_TEAM", "None of your groups makes you a member of a team. Ask your team lead."
                )
            if conflict := self._actors.find_conflict(teams):
                raise SignInRefused("DUTIES_CONFLICT", conflict)
        except OknoError as error:
            if isinstance(error, TooManyAttempts):
                raise
            raise await self._refused(OIDC, error, login, address) from error
        await self._forget_attempts(person.login, address)
        assert attempt is not None, "finish refuses an absent attempt"
        signed_in = await self._start(
            account, stored, method=OIDC, replaces=replaces, second_factor_at=person.second_factor_at
        )
        return signed_in, attempt.next_path

    async def sign_out(self, actor: Actor) -> None:
        """Ends the actor's session.

        Raises:
            Unavailable: it could not be recorded; the session is still open.
        """
        await self._end(actor, reason="signed out")

    async def sign_out_everywhere(self, actor: Actor) -> int:
        """Ends all sessions of the person, this one too; how many there were.

        Raises:
            Unavailable: it could not be recorded; the sessions are still open.
        """
        ended, _ = await self._end_all(actor, actor.id, {}, tokens=False)
        return ended

    async def end_access(self, login: str, *, tokens: bool) -> tuple[int, int]:
        """For administrators: ends all sessions of somebody, and revokes the tokens if asked; how many of each.

        Raises:
            NotFound: nobody has this login.
        """
        account, _ = await self._get_account(login)
        return await self._end_all(
            None, account.id, {"login": account.login, "tokens": tokens}, tokens=tokens
        )

    async def _end_all(
        self, actor: Actor | None, account_id: UUID, told: Mapping[str, Any], *, tokens: bool
    ) -> tuple[int, int]:
        """Sessions, and tokens if asked, together with the record of it."""
        ended = revoked = 0

        async def effect(db: Any) -> None:
            nonlocal ended, revoked
            ended = await self._sessions.end_all(db, account_id)
            revoked = await self._tokens.revoke_all(db, account_id) if tokens else 0

        detail = {"account": str(account_id), **told}
        await self._recorder.event("session.ended_all", actor, detail, effect=effect)
        self._sessions.forget()
        self._tokens.forget()
        return ended, revoked

    async def list_locks(self) -> Sequence[Held]:
        """Who has to wait after failed sign-ins."""
        return [] if self._attempts is None else await self._attempts.list_held()

    async def unlock(self, *, login: str | None, address: str | None) -> int:
        """For administrators: lets them sign in again at once; how many were kept waiting or counted."""
        if self._attempts is None:
            return 0
        attempts, released = self._attempts, 0

        async def effect(db: Any) -> None:
            nonlocal released
            released = await attempts.release_in(db, login=login, address=address)

        detail = {"login": login, "address": address}
        await self._recorder.event("session.unlocked", None, detail, effect=effect)
        return released

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
            second_factor_at=held.session.second_factor_at,
            continues=actor.session_id,
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
        if conflict := self._actors.find_conflict(self._actors.teams_of(account.login, stored)):
            raise InvalidInput(f"{login} may not act: {conflict}", field="as")
        if team_id is not None and team_id not in teams:
            raise InvalidInput(f"{login} is no member of {team_id}, but of {', '.join(teams)}.", field="team")
        team = team_id or teams[0]
        token_id = uuid4()
        detail = {"token": str(token_id), "team": team, "ttl_seconds": int(ttl.total_seconds())}
        async with self._recorder.command(
            "token.issued", holder=("Account", account.id, account.login), detail=detail
        ) as commit:
            token = await commit(
                lambda db: self._tokens.issue_to_person(db, token_id, account.id, team_id=team, ttl=ttl)
            )
        return IssuedToken(token_id, account.login, team, (), ttl, token)

    async def issue_service_token(self, name: str, scopes: Collection[str], ttl: timedelta) -> IssuedToken:
        """A bearer token of a service principal, which is created with its first token.

        Raises:
            InvalidInput: the name, a scope or the time to live is wrong.
        """
        tokens.check_service(name, scopes, self._known_scopes)
        tokens.check_ttl(ttl, tokens.LONGEST_SERVICE_TTL)
        async with self._db.transaction() as db:
            known = await store.find_service(db, name)
        service_id = uuid4() if known is None else known.id
        token_id, granted = uuid4(), tuple(sorted(set(scopes)))

        async def issue(db: Any) -> str:
            service = await store.ensure_service(db, name, service_id, now=self._clock.now())
            return await self._tokens.issue_to_service(db, token_id, service.id, scopes=granted, ttl=ttl)

        detail = {"token": str(token_id), "scopes": list(granted), "ttl_seconds": int(ttl.total_seconds())}
        async with self._recorder.command(
            "token.issued", holder=("Service", service_id, name), detail=detail
        ) as commit:
            token = await commit(issue)
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
        ) as commit:
            revoked = await commit(lambda db: self._tokens.revoke(db, token_id))
        self._tokens.forget()
        return revoked

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
        second_factor_at: datetime | None = None,
        continues: UUID | None = None,
    ) -> SignedIn:
        replaced, reason = await self._find_replaced(replaces)
        if replaced is not None and replaced.id == account.id:
            # Who signs in again, to prove a second factor say, goes on as a member of the same team
            team_id = team_id or replaced.team
        session = self._sessions.prepare(
            account, method=method, team_id=team_id, ends_at=ends_at, second_factor_at=second_factor_at
        )
        actor = self._actors.of_session(
            store.HeldSession(session.row, account, tuple(stored)), session.cookie
        )
        if replaced is not None:
            await self._end(replaced, reason=reason)
        detail = {
            "session": str(session.row.id),
            "method": method,
            "team": actor.team,
            "second_factor": second_factor_at is not None,
        }
        await self._recorder.event(
            "session.started",
            actor,
            detail,
            effect=lambda db: self._sessions.start(db, session, continues=continues),
        )
        return SignedIn(actor, session.cookie.value)

    async def _end(self, actor: Actor, *, reason: str) -> None:
        if actor.session_id is None:
            return
        session_id = actor.session_id
        await self._recorder.event(
            "session.ended",
            actor,
            {"session": str(session_id), "reason": reason},
            effect=lambda db: self._sessions.end(db, session_id),
        )
        self._sessions.forget()

    async def _find_replaced(self, cookie: str | None) -> tuple[Actor | None, str]:
        """The browser signs in anew: what its cookie opens, if anything, is to end, and why."""
        if cookie is None:
            return None, ""
        try:
            return (await self._sessions.authenticate(cookie, rotate=False)).actor, "signed in again"
        except Replayed as replay:
            return replay.actor, "replayed"
        except Unauthenticated:
            return None, ""

    async def _refused(
        self, method: str, error: OknoError, login: str | None, address: str = UNKNOWN
    ) -> OknoError:
        """Records the failed sign-in, and the lock if it causes one, and hands the error back, to be raised."""
        detail = {"method": method, "code": error.code} | ({"login": login[:128]} if login else {})
        await self._recorder.event("session.failed", None, detail)
        # Only what the person did wrong counts: that the provider or the database is away is no failure of a sign-in
        if self._attempts is not None and login and isinstance(error, SignInRefused):
            held = await self._attempts.failed(login, address)
            if held is not None:
                told = {"login": held.login, "address": address, "failures": held.failures}
                await self._recorder.event(
                    "session.locked", None, {**told, "until": held.free_at.isoformat(timespec="seconds")}
                )
        return error

    async def _check_attempts(self, login: str, address: str) -> None:
        if self._attempts is not None:
            await self._attempts.check(login, address)

    async def _forget_attempts(self, login: str, address: str) -> None:
        if self._attempts is not None:
            await self._attempts.succeeded(login, address)

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
