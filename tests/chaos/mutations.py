"""Every mutation there is, as something that can be tried, asked for the truth, and compared with the journal."""

import itertools
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
from jsonschema import Draft202012Validator

from okno.audit.service import Journal
from okno.clock import ManualClock
from okno.errors import OknoError, UnknownOutcome
from okno.graph.server import GraphServer
from okno.identity.model import Actor
from okno.identity.recorder import JournalRecorder
from okno.identity.service import Identity
from okno.limits.attempts import Attempts
from okno.operations.service import Operations
from okno.policy.current import CurrentPolicy
from okno.privacy.digests import Digests
from okno.privacy.service import Privacy
from okno.settings import RetentionSettings, Settings
from okno.sources.model import Change, OperationResult, PersonKeys, Settled
from okno.storage.engine import Database
from tests.api.fakes import NOW, FakeSources
from tests.api.world import IVAN, IVAN_ID, ROOT, Parts, World

_numbers = itertools.count(1)
_KEY = b"k" * 32


class Told(Enum):
    """What the caller was told."""

    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Effect:
    """A change as it reached a source, and what the database held of its intent at that moment."""

    operation: str
    key: str
    was_intended: bool


class LoggingSources(FakeSources):
    """Systems that take any operation once, and write down what the journal knew when they were asked."""

    def __init__(self, manifests: Mapping[str, Any], witness: "asyncpg.Connection[Any]") -> None:
        super().__init__(manifests)
        self.log: list[Effect] = []
        self.done: set[tuple[str, str]] = set()
        self._witness = witness

    async def preview(self, operation_id: str, keys: PersonKeys, given: Mapping[str, Any]) -> list[Change]:
        if (operation_id, keys.personnel_number) in self.done:
            return []
        source = operation_id.partition(".")[0]
        return [Change(source, f"{source}.thing", {"en": "Thing", "ru": "Вещь"}, False, True)]

    async def run(
        self,
        operation_id: str,
        keys: PersonKeys,
        given: Mapping[str, Any],
        *,
        idempotency_key: str,
        before_effect: Callable[[], Awaitable[object] | None],
    ) -> OperationResult:
        changes = await self.preview(operation_id, keys, given)
        if (waiting := before_effect()) is not None:
            await waiting
        intended = await self._witness.fetchval(
            "SELECT EXISTS (SELECT FROM audit_command c JOIN audit_record r ON r.chain_id = c.intent_chain_id"
            " AND r.seq = c.intent_seq WHERE c.idempotency_key = $1 AND r.phase = 'intent')",
            idempotency_key,
        )
        self.log.append(Effect(operation_id, idempotency_key, bool(intended)))
        self.done.add((operation_id, keys.personnel_number))
        return OperationResult(changes)

    async def settle(self, operation_id: str, keys: PersonKeys, given: Mapping[str, Any]) -> Settled:
        return "done" if (operation_id, keys.personnel_number) in self.done else "not_done"


class Behind:
    """Stands in the graph for something that is another one after each restart: to build the graph anew costs 60 ms."""

    def __init__(self) -> None:
        self.now: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


@dataclass(frozen=True)
class Front:
    """The API, built once, over what is there now."""

    world: World
    clock: ManualClock
    journal: Behind = field(default_factory=Behind)
    operations: Behind = field(default_factory=Behind)
    sources: Behind = field(default_factory=Behind)

    @classmethod
    def of(cls, parts: Parts) -> "Front":
        clock = ManualClock(NOW)
        front = cls(World(parts, clock), clock)
        services = replace(
            front.world.services,
            journal=cast(Any, front.journal),
            operations=cast(Any, front.operations),
            sources=cast(Any, front.sources),
        )
        front.world.services = services
        front.world.server = GraphServer(parts.graph, services)
        return front


@dataclass
class Stage:
    """A process over the broken wire, and a witness who looks past it."""

    parts: Parts
    front: Front
    db: Database
    witness: "asyncpg.Connection[Any]"
    data_dir: Path
    sink: Any = None

    def __post_init__(self) -> None:
        self.world = self.front.world
        self.clock = self.front.clock
        self.clock.set_wall(NOW)
        self.sources = LoggingSources(self.parts.manifests, self.witness)
        self.front.sources.now = self.sources

    async def start(self) -> None:
        """A new process: what the one before it knew is gone, what was committed is there."""
        self.journal = Journal(
            self.db, self.clock, self.data_dir, process="test", checkpoint_seconds=3600, sink=self.sink
        )
        await self.journal.start()
        self.operations = Operations(
            policy=self.parts.policy,
            people=cast(Any, self.world.people),
            sources=cast(Any, self.sources),
            journal=self.journal,
            clock=self.clock,
            key=_KEY,
        )
        self.front.journal.now, self.front.operations.now = self.journal, self.operations
        settings = Settings.model_validate({"mode": "development"})
        self.identity = Identity(
            self.db,
            self.clock,
            settings,
            self.parts.teams,
            JournalRecorder(self.journal),
            known_scopes=self.parts.policy.scopes,
            attempts=Attempts(self.db, self.clock, settings.limits),
        )
        retention = RetentionSettings(tokens_days=1)
        self.privacy = Privacy(self.db, self.journal, self.clock, Digests(_KEY), retention)

    async def stop(self) -> None:
        """Without a database too."""
        await self.identity.close()
        await self.journal.close()

    async def sweep(self) -> None:
        """What the worker does in the minutes that follow."""
        self.clock.advance(timedelta(minutes=6))
        await self.operations.sweep()
        await self.privacy.finish_erasures()

    async def one(self, statement: str, *values: object) -> Any:
        """A value as it is in the database, past the wire."""
        return await self.witness.fetchval(statement, *values)


class Mutation:
    """One try of a mutation. `prepare` is not disturbed, `attempt` is, `is_done` and `said` ask the witness."""

    name: str
    event_type: str

    async def prepare(self, stage: Stage) -> None:
        """Makes what it is done to."""

    async def attempt(self, stage: Stage) -> Told:
        """Does it as its caller would.

        Raises:
            OknoError: as told to the caller; `UnknownOutcome` is "unknown", every other one is "not done".
        """
        raise NotImplementedError

    async def is_done(self, stage: Stage) -> bool:
        """Whether its effect is there, wholly; half of it fails here."""
        raise NotImplementedError

    async def said(self, stage: Stage) -> list[str]:
        """What the journal says of this try: outcomes, or `event`."""
        raise NotImplementedError

    async def tried(self, stage: Stage) -> Told:
        """What the caller was told."""
        try:
            return await self.attempt(stage)
        except UnknownOutcome:
            return Told.UNKNOWN
        except OknoError as error:
            if error.code != "UNAVAILABLE":
                raise
            return Told.NOT_DONE


async def _events(stage: Stage, event_type: str, mark: str) -> list[str]:
    """Outcomes of commands and phases of events whose values hold the mark; of an outcome those of its intent."""
    rows = await stage.witness.fetch(
        """SELECT coalesce(o.outcome, r.phase) AS said FROM audit_record r
             JOIN audit_value v ON v.chain_id = r.chain_id AND v.seq = r.seq
             LEFT JOIN audit_record o ON o.refers_chain_id = r.chain_id AND o.refers_seq = r.seq AND o.phase = 'outcome'
           WHERE r.event_type = $1 AND r.phase IN ('intent', 'event') AND v.value LIKE '%' || $2 || '%'
           ORDER BY o.at, o.seq""",
        event_type,
        mark,
    )
    return [row["said"] for row in rows]


class Operation(Mutation):
    """A ready-made action through GraphQL, by somebody who may."""

    def __init__(self, operation_id: str, given: Mapping[str, Any]) -> None:
        self.name = f"Mutation.operationRun {operation_id}"
        self.event_type = "operation.run"
        self._id = operation_id
        self._given = given

    async def prepare(self, stage: Stage) -> None:
        stage.sources.done.clear()
        self._key = f"key-{next(_numbers)}"
        self._actor = self._find_actor(stage)
        seen = await preview(stage, self._actor, self._id, self._given)
        assert seen["errors"] == [], seen
        self._token = seen["previewToken"]

    def _find_actor(self, stage: Stage) -> Actor:
        for demo in stage.parts.teams.list_demo_people():
            facts = ("session", "development", "second_factor", "working_hours")
            actor = stage.world.actor(demo.login, *facts)
            if self._id in {offer.operation.id for offer in stage.operations.offered(actor, IVAN)}:
                return actor
        raise AssertionError(f"nobody may run {self._id}; the demo teams have to have somebody")

    async def attempt(self, stage: Stage) -> Told:
        given = {"operation": self._id, "employee": IVAN_ID, "input": dict(self._given)}
        body = await stage.world.ask(
            self._actor,
            "mutation ($input: OperationRunInput!) { operationRun(input: $input) { outcome errors { code } } }",
            input={**given, "idempotencyKey": self._key, "previewToken": self._token},
        )
        if "errors" in body:
            assert [each["extensions"]["code"] for each in body["errors"]] == ["UNAVAILABLE"], body
            return Told.NOT_DONE
        payload = body["data"]["operationRun"]
        return {"SUCCEEDED": Told.DONE, "FAILED": Told.NOT_DONE, "UNKNOWN": Told.UNKNOWN}[payload["outcome"]]

    async def is_done(self, stage: Stage) -> bool:
        effects = [each for each in stage.sources.log if each.key == self._key]
        assert len(effects) <= 1, f"{self.name} reached the system {len(effects)} times"
        assert all(each.was_intended for each in effects), (
            f"{self.name} reached the system without its intent"
        )
        return bool(effects)

    async def said(self, stage: Stage) -> list[str]:
        rows = await stage.witness.fetch(
            """SELECT o.outcome FROM audit_command c JOIN audit_record o ON o.refers_chain_id = c.intent_chain_id
                 AND o.refers_seq = c.intent_seq AND o.phase = 'outcome'
               WHERE c.idempotency_key = $1 ORDER BY o.at, o.seq""",
            self._key,
        )
        return [row["outcome"] for row in rows]


class OperationPreview(Mutation):
    """Has no effect; only its record and its answer count."""

    name = "Mutation.operationPreview"
    event_type = "operation.preview"

    async def prepare(self, stage: Stage) -> None:
        stage.sources.done.clear()
        self._operation = Operation("domain.unlock", {})
        self._reason = f"preview-{next(_numbers)}"
        self._actor = self._operation._find_actor(stage)
        self._shown = False

    async def attempt(self, stage: Stage) -> Told:
        body = await preview(stage, self._actor, "domain.unlock", {"reason": self._reason}, whole=True)
        if "errors" in body:
            codes = {each["extensions"]["code"] for each in body["errors"]}
            assert codes <= {"UNAVAILABLE", "UNKNOWN_OUTCOME"}, body
            return Told.NOT_DONE
        self._shown = body["data"]["operationPreview"]["previewToken"] is not None
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        return self._shown

    async def said(self, stage: Stage) -> list[str]:
        said = await _events(stage, self.event_type, self._reason)
        # that nothing was shown in the end is no lie of the journal: looking was done
        return said if self._shown else []


async def preview(
    stage: Stage, actor: Actor, operation_id: str, given: Mapping[str, Any], *, whole: bool = False
) -> dict[str, Any]:
    body = await stage.world.ask(
        actor,
        """mutation ($input: OperationPreviewInput!) {
             operationPreview(input: $input) { previewToken errors { code message } } }""",
        input={
            "operation": operation_id,
            "employee": IVAN_ID,
            "input": dict(given),
            "idempotencyKey": f"p{next(_numbers)}",
        },
    )
    return body if whole else cast(dict[str, Any], body["data"]["operationPreview"])


class SignIn(Mutation):
    name = "POST /auth/development"
    event_type = "session.started"

    async def prepare(self, stage: Stage) -> None:
        self._before = await self._sessions(stage)

    async def _sessions(self, stage: Stage) -> set[str]:
        return {str(row["id"]) for row in await stage.witness.fetch("SELECT id FROM identity_session")}

    async def attempt(self, stage: Stage) -> Told:
        await stage.identity.dev_sign_in("anna.sorokina")
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        new = await self._sessions(stage) - self._before
        assert len(new) <= 1
        self._new = new
        return bool(new)

    async def said(self, stage: Stage) -> list[str]:
        return [said for session in self._new for said in await _events(stage, self.event_type, session)]


class SignInAgain(SignIn):
    """Over an open session, which ends: one may find the old one ended and no new one, never the reverse."""

    name = "POST /auth/development, signed in already"

    async def prepare(self, stage: Stage) -> None:
        self._cookie = (await stage.identity.dev_sign_in("anna.sorokina")).cookie
        await super().prepare(stage)

    async def attempt(self, stage: Stage) -> Told:
        await stage.identity.dev_sign_in("anna.sorokina", replaces=self._cookie)
        return Told.DONE


class SignOut(Mutation):
    name = "POST /auth/sign-out"
    event_type = "session.ended"

    async def prepare(self, stage: Stage) -> None:
        self._actor = (await stage.identity.dev_sign_in("anna.sorokina")).actor

    async def attempt(self, stage: Stage) -> Told:
        await stage.identity.sign_out(self._actor)
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        return not await stage.one(
            "SELECT EXISTS (SELECT FROM identity_session WHERE id = $1)", self._actor.session_id
        )

    async def said(self, stage: Stage) -> list[str]:
        return await _events(stage, self.event_type, str(self._actor.session_id))


class ChooseTeam(SignOut):
    """The new session comes first: until the old one has ended, nobody holds the new one's cookie."""

    name = "POST /auth/team"

    async def prepare(self, stage: Stage) -> None:
        first = (await stage.identity.dev_sign_in("anna.sorokina")).actor
        await stage.witness.execute(
            "INSERT INTO identity_membership (account_id, team_id, origin, created_at)"
            " VALUES ($1, 'network', 'database', now()) ON CONFLICT DO NOTHING",
            first.id,
        )
        self._actor = (await stage.identity.dev_sign_in("anna.sorokina")).actor
        self._team = next(team for team in self._actor.teams if team != self._actor.team)

    async def attempt(self, stage: Stage) -> Told:
        await stage.identity.choose_team(self._actor, self._team)
        return Told.DONE


class SignOutEverywhere(SignOut):
    name = "POST /auth/sign-out-everywhere"
    event_type = "session.ended_all"

    async def prepare(self, stage: Stage) -> None:
        await stage.witness.execute("DELETE FROM identity_session")
        await stage.witness.execute("DELETE FROM identity_account")
        await super().prepare(stage)

    async def attempt(self, stage: Stage) -> Told:
        await stage.identity.sign_out_everywhere(self._actor)
        return Told.DONE

    async def said(self, stage: Stage) -> list[str]:
        return await _events(stage, self.event_type, str(self._actor.id))


class EndAccess(SignOutEverywhere):
    name = "okno access sign-out"

    async def attempt(self, stage: Stage) -> Told:
        await stage.identity.end_access("anna.sorokina", tokens=True)
        return Told.DONE


class IssueToken(Mutation):
    name = "okno token issue --as"
    event_type = "token.issued"

    async def prepare(self, stage: Stage) -> None:
        await stage.witness.execute("DELETE FROM identity_token")
        self._given: UUID | None = None

    async def attempt(self, stage: Stage) -> Told:
        self._given = (await stage.identity.issue_token("anna.sorokina", timedelta(hours=1))).id
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        self._token = await stage.one("SELECT id FROM identity_token")
        assert self._given is None or self._given == self._token
        return self._token is not None

    async def said(self, stage: Stage) -> list[str]:
        return [] if self._token is None else await _events(stage, self.event_type, str(self._token))


class IssueServiceToken(IssueToken):
    name = "okno token issue --service"

    async def attempt(self, stage: Stage) -> Told:
        issued = await stage.identity.issue_service_token("tool", ["audit.read"], timedelta(hours=1))
        self._given = issued.id
        return Told.DONE


class RevokeToken(Mutation):
    name = "okno token revoke"
    event_type = "token.revoked"

    async def prepare(self, stage: Stage) -> None:
        self._token = (await stage.identity.issue_token("anna.sorokina", timedelta(hours=1))).id

    async def attempt(self, stage: Stage) -> Told:
        await stage.identity.revoke(self._token)
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        return bool(
            await stage.one("SELECT revoked_at IS NOT NULL FROM identity_token WHERE id = $1", self._token)
        )

    async def said(self, stage: Stage) -> list[str]:
        return await _events(stage, self.event_type, str(self._token))


class Unlock(Mutation):
    name = "okno access unlock"
    event_type = "session.unlocked"

    async def prepare(self, stage: Stage) -> None:
        self._login = f"locked{next(_numbers)}"
        await stage.witness.execute(
            "INSERT INTO limits_attempt (login, address, failures, failed_at, free_at) VALUES ($1, 'x', 10, now(), now())",
            self._login,
        )

    async def attempt(self, stage: Stage) -> Told:
        await stage.identity.unlock(login=self._login, address=None)
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        return not await stage.one("SELECT EXISTS (SELECT FROM limits_attempt WHERE login = $1)", self._login)

    async def said(self, stage: Stage) -> list[str]:
        return await _events(stage, self.event_type, self._login)


class ErasePerson(Mutation):
    """Begun is not done; what was begun is finished by the worker, so that in the end it is done or was never begun."""

    name = "okno privacy erase"
    event_type = "privacy.erased"

    async def prepare(self, stage: Stage) -> None:
        await stage.witness.execute("DELETE FROM identity_session")
        await stage.witness.execute("DELETE FROM identity_token")
        self._login, self._reason = f"left{next(_numbers)}", f"reason-{next(_numbers)}"
        self._account = uuid4()
        await stage.witness.execute(
            "INSERT INTO identity_account (id, login, display_name, created_at) VALUES ($1, $2, 'Left', now())",
            self._account,
            self._login,
        )
        await stage.identity.issue_token("anna.sorokina", timedelta(hours=1))

    async def attempt(self, stage: Stage) -> Told:
        await stage.privacy.erase(self._login, reason=self._reason)
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        gone = not await stage.one(
            "SELECT EXISTS (SELECT FROM identity_account WHERE login = $1)", self._login
        )
        noted = await stage.one(
            "SELECT finished_at IS NOT NULL FROM privacy_erasure WHERE $1 = ANY(accounts)", self._account
        )
        assert bool(noted) == gone, "half an erasure"
        return gone

    async def said(self, stage: Stage) -> list[str]:
        return await _events(stage, self.event_type, self._reason)


class ExportPerson(Mutation):
    """What leaves is the effect: it must not, without its record."""

    name = "okno privacy export"
    event_type = "privacy.exported"

    async def prepare(self, stage: Stage) -> None:
        await stage.identity.issue_token("anna.sorokina", timedelta(hours=1))
        self._left = False
        self._before = await stage.one(
            "SELECT count(*) FROM audit_record WHERE event_type = $1", self.event_type
        )

    async def attempt(self, stage: Stage) -> Told:
        self._left = bool(await stage.privacy.export("anna.sorokina"))
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        return self._left

    async def said(self, stage: Stage) -> list[str]:
        now = await stage.one("SELECT count(*) FROM audit_record WHERE event_type = $1", self.event_type)
        # recorded and then not given out is the safe side
        return ["event"] * (now - self._before) if self._left else []


class LiftErasure(Mutation):
    name = "okno privacy lift"
    event_type = "privacy.lifted"

    async def prepare(self, stage: Stage) -> None:
        self._number = f"n{next(_numbers)}"
        self._digest = Digests(_KEY).of_number(self._number)
        await stage.witness.execute(
            "INSERT INTO privacy_erasure (digest, key_id, bars_index, done, accounts, intent, begun_at, touched_at, finished_at)"
            " VALUES ($1, $2, true, '{}', '{}', '', now(), now(), now())",
            self._digest,
            Digests(_KEY).key_id,
        )

    async def attempt(self, stage: Stage) -> Told:
        await stage.privacy.lift(self._number)
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        return not await stage.one("SELECT bars_index FROM privacy_erasure WHERE digest = $1", self._digest)

    async def said(self, stage: Stage) -> list[str]:
        return await _events(stage, self.event_type, self._digest.hex())


class ApplyRetention(Mutation):
    name = "worker: delete data whose time is over"
    event_type = "privacy.forgotten"

    async def prepare(self, stage: Stage) -> None:
        await stage.witness.execute("DELETE FROM identity_token")
        await stage.identity.issue_token("anna.sorokina", timedelta(hours=1))
        past = stage.clock.now() - timedelta(days=30)
        await stage.witness.execute("UPDATE identity_token SET expires_at = $1", past)
        self._before = len(await _events(stage, self.event_type, "due"))

    async def attempt(self, stage: Stage) -> Told:
        await stage.privacy.apply_retention()
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        return not await stage.one("SELECT EXISTS (SELECT FROM identity_token)")

    async def said(self, stage: Stage) -> list[str]:
        return (await _events(stage, self.event_type, "due"))[self._before :]


class ReloadPolicy(Mutation):
    name = "policy reload"
    event_type = "policy.loaded"

    async def prepare(self, stage: Stage) -> None:
        folder = stage.data_dir / f"policies{next(_numbers)}"
        shutil.copytree(ROOT / "policies", folder, ignore=shutil.ignore_patterns("tests"))
        self._current = CurrentPolicy(stage.parts.policy, folder, journal=stage.journal, process="test")
        file = folder / "roles.polar"
        file.write_text(file.read_text(encoding="utf-8") + f"\n# {folder.name}\n", encoding="utf-8")

    async def attempt(self, stage: Stage) -> Told:
        await self._current.reload()
        return Told.DONE

    async def is_done(self, stage: Stage) -> bool:
        self._version = self._current.get().version
        return self._version != stage.parts.policy.version

    async def said(self, stage: Stage) -> list[str]:
        # a load that was recorded and then given up is recorded again by the next look; never the reverse
        return await _events(stage, self.event_type, self._version) if await self.is_done(stage) else []


def operations_of(parts: Parts) -> list[Mutation]:
    """One for every operation of every manifest."""
    return [
        Operation(operation.id, example(operation.input))
        for manifest in parts.manifests.values()
        for operation in manifest.operations
    ]


def example(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The least input that the schema takes."""
    properties = schema.get("properties", {})
    return {name: _value(name, properties[name]) for name in schema.get("required", ())}


# What the manifests ask for, tried in turn
_LIKELY = (
    "remote-desktop",
    "vpn-ru",
    "asked by phone",
    "2026-12-31",
    "N-100",
    "a@okno.example",
    1,
    True,
    10,
    1.5,
    "1",
)


def _value(name: str, schema: Mapping[str, Any]) -> Any:
    check = Draft202012Validator(schema).is_valid
    found = next((value for value in (*schema.get("enum", ()), *_LIKELY) if check(value)), None)
    assert found is not None, f"add a value to _LIKELY that is valid as {name}: {dict(schema)}"
    return found


OTHERS: tuple[type[Mutation], ...] = (
    OperationPreview,
    SignIn,
    SignInAgain,
    ChooseTeam,
    SignOut,
    SignOutEverywhere,
    EndAccess,
    IssueToken,
    IssueServiceToken,
    RevokeToken,
    Unlock,
    ErasePerson,
    ExportPerson,
    LiftErasure,
    ApplyRetention,
    ReloadPolicy,
)

__all__ = ["OTHERS", "Mutation", "Stage", "Told", "example", "operations_of"]
