"""The second place of the checkpoints: a real S3 server that checks signatures, and what happens while it is away."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import settings as moto_settings
from moto.server import ThreadedMotoServer

from okno.audit.checkpoint import Seals, Signer
from okno.audit.service import Journal
from okno.audit.sink import S3Sink, SinkState
from okno.audit.verify import verify
from okno.clock import Clock, ManualClock, SystemClock
from okno.errors import ConfigurationError, Unavailable
from okno.network import NetworkGuard
from tests.conftest import Cloned
from tests.integration.audit_stage import open_journal
from tests.integration.test_audit_keeping import READ

BUCKET = "okno-journal"


@contextlib.contextmanager
def _everybody_may() -> Iterator[None]:
    moto_settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
    try:
        yield
    finally:
        moto_settings.INITIAL_NO_AUTH_ACTION_COUNT = 0


class Store:
    """An S3 server with a bucket, and a key that may write to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        with _everybody_may():
            self._client("s3", "x", "x").create_bucket(Bucket=BUCKET)
            iam = self._client("iam", "x", "x")
            iam.create_user(UserName="okno")
            policy = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
            }
            iam.put_user_policy(UserName="okno", PolicyName="all", PolicyDocument=json.dumps(policy))
            made = iam.create_access_key(UserName="okno")["AccessKey"]
        self.access_key, self.secret_key = made["AccessKeyId"], made["SecretAccessKey"]

    def sink(self, clock: Clock, *, secret_key: str | None = None, prefix: str = "okno/") -> S3Sink:
        return S3Sink(
            endpoint=self.url,
            bucket=BUCKET,
            prefix=prefix,
            region="eu-central-1",
            access_key=self.access_key,
            secret_key=secret_key or self.secret_key,
            clock=clock,
        )

    def read(self, prefix: str) -> dict[str, bytes]:
        """The objects by the rest of their names, in order."""
        client = self._client("s3", self.access_key, self.secret_key)
        found = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {
            each["Key"].removeprefix(prefix): client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
            for each in found
        }

    def _client(self, service: str, access_key: str, secret_key: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
        )


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Store(f"http://{host}:{port}")
    finally:
        server.stop()


class Away:
    """A second place that can be away."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.lines: list[bytes] = []
        self.is_away = True

    async def put(self, name: str, body: bytes) -> None:
        if self.is_away:
            raise Unavailable("The bucket of the checkpoints does not answer: ClientConnectorError.")
        self.names.append(name)
        self.lines += body.splitlines()

    async def close(self) -> None:
        return


async def test_an_s3_server_that_checks_signatures_takes_what_was_signed(store: Store) -> None:
    sink = store.sink(SystemClock(), prefix="the prefix/ü+~/")
    await sink.put("1.jsonl", b'{"number":1}\n')
    await sink.put("1.jsonl", b'{"number":1}\n')
    await sink.close()
    objects = await asyncio.to_thread(store.read, "the prefix/ü+~/")
    assert objects == {"1.jsonl": b'{"number":1}\n'}


async def test_a_wrong_secret_is_refused_and_told_without_it(store: Store) -> None:
    sink = store.sink(SystemClock(), secret_key="something else")
    with pytest.raises(Unavailable) as refused:
        await sink.put("1.jsonl", b"{}\n")
    await sink.close()
    assert refused.value.message == "The bucket of the checkpoints answered 403 SignatureDoesNotMatch."


async def test_a_bucket_on_an_address_that_may_not_be_connected_to_is_refused() -> None:
    options = {"bucket": "b", "prefix": "", "region": "r", "access_key": "a", "secret_key": "s"}
    with pytest.raises(ConfigurationError, match="endpoint"):
        S3Sink(endpoint="http://127.0.0.1:1", clock=SystemClock(), network=NetworkGuard(), **options)
    named = S3Sink(endpoint="http://localhost:1", clock=SystemClock(), network=NetworkGuard(), **options)
    with pytest.raises(Unavailable):
        await named.put("1", b"")
    await named.close()


async def test_the_checkpoints_of_a_journal_are_in_the_bucket_and_prove_it(
    committed: Cloned, store: Store, tmp_path: Path
) -> None:
    clock = ManualClock(datetime.now(UTC))
    sink = store.sink(clock, prefix="a-journal/")
    async with open_journal(committed.db, clock, tmp_path, sink=sink) as journal:
        await journal.record(READ)
        keeper = journal._open[1]  # type: ignore[index]
        await keeper.tick()
        async with asyncio.timeout(10):  # what the journal itself is sending at this moment is not sent again
            while (await journal.sink_detail())["waiting"]:  # type: ignore[index]
                await keeper._shipper.ship()  # type: ignore[union-attr]
        assert await journal.sink_detail() == {"state": "ok", "waiting": 0, "since": None, "error": None}
    objects = await asyncio.to_thread(store.read, "a-journal/")
    lines = [line for body in objects.values() for line in body.splitlines()]
    numbers = [json.loads(line)["number"] for line in lines]
    assert len(numbers) >= 2
    assert numbers == list(range(1, len(numbers) + 1))
    report = await verify(committed.db, tmp_path, checkpoints=lines)
    assert report.findings == []
    # somebody puts the whole folder back to how it was before: the bucket tells
    checkpoints = tmp_path / "audit" / "checkpoints.jsonl"
    checkpoints.write_text(checkpoints.read_text().splitlines(keepends=True)[0])
    (tmp_path / "audit" / "ended.jsonl").unlink()
    report = await verify(committed.db, tmp_path, checkpoints=lines)
    assert any(
        "which was kept elsewhere, is not among those here" in each.message for each in report.findings
    )


@pytest.fixture
async def away(committed: Cloned, clock: ManualClock, tmp_path: Path) -> AsyncIterator[tuple[Journal, Away]]:
    sink = Away()
    async with open_journal(committed.db, clock, tmp_path, sink=sink) as journal:
        async with asyncio.timeout(5):
            while SinkState.read(tmp_path).failing_since is None:  # noqa: ASYNC110 - a file tells no event
                await asyncio.sleep(0.005)
        while "journal.sink_failed" not in [each.event_type for each in await journal.tail(9)]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        yield journal, sink


async def test_while_the_second_place_is_away_the_journal_works_and_afterwards_it_catches_up_in_order(
    away: tuple[Journal, Away], tmp_path: Path
) -> None:
    journal, sink = away
    keeper = journal._open[1]  # type: ignore[index]
    shipper = keeper._shipper
    assert shipper is not None
    for _ in range(3):
        await journal.record(READ)
        await keeper.checkpoint()
        assert await shipper.ship() == 0, "it is away"
    await journal.ping()
    detail = await journal.sink_detail()
    assert detail is not None
    assert (detail["state"], detail["waiting"], detail["error"]) == (
        "FAILING",
        4,
        "The bucket of the checkpoints does not answer: ClientConnectorError.",
    )
    sink.is_away = False
    assert await shipper.ship() == 4
    assert [json.loads(line)["number"] for line in sink.lines] == [1, 2, 3, 4]
    assert sink.names == ["0000000001-0000000004.jsonl"]
    assert SinkState.read(tmp_path).failing_since is None
    types = [each.event_type for each in await journal.tail(20)]
    assert (types.count("journal.sink_failed"), types.count("journal.sink_restored")) == (1, 1)
    assert await shipper.ship() == 0, "nothing is sent twice"


async def test_what_waits_is_bounded_and_what_was_lost_meanwhile_is_told(
    away: tuple[Journal, Away], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okno.audit.checkpoint.ROTATE_BYTES", 3_000)
    monkeypatch.setattr("okno.audit.sink.MOST_AT_ONCE", 4)
    journal, sink = away
    shipper = journal._open[1]._shipper  # type: ignore[index]
    assert shipper is not None
    sink.is_away = False
    await shipper.ship()
    sink.is_away = True
    for _ in range(20):
        await journal.record(READ)
        await journal._open[1].checkpoint()  # type: ignore[index]
        await shipper.ship()
    sink.is_away = False
    await shipper.ship()
    numbers = [json.loads(line)["number"] for line in sink.lines]
    assert numbers[-1] == 21
    assert numbers[1:] == list(range(numbers[1], 22)), "in order"
    restored = next(each for each in await journal.tail(5) if each.event_type == "journal.sink_restored")
    assert restored.detail is not None
    assert restored.detail["skipped"] == numbers[1] - 2 > 0


async def test_of_several_processes_one_sends(away: tuple[Journal, Away], tmp_path: Path) -> None:
    journal, sink = away
    shipper = journal._open[1]._shipper  # type: ignore[index]
    assert shipper is not None
    sink.is_away = False
    other = Seals(tmp_path, Signer.load(tmp_path))
    assert other.last_number() == 1
    with shipper._alone() as first, shipper._alone() as second:
        assert (first, second) == (True, False)
        assert await shipper.ship() == 0
    assert await shipper.ship() == 1
