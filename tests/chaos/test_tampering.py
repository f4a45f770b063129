"""Whoever can change the database can change the journal, and `okno audit verify` tells what was changed."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from okno.storage.embedded import APP, EmbeddedPostgres
from tests.chaos.deployment import Deployment, Deployments, assert_no_internals, wait_until

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(300)]

_TABLES = ("audit_record", "audit_value")


@dataclass(frozen=True)
class Chain:
    """A chain of the journal that has ended: that of one `okno token issue`."""

    id: UUID
    last: int


class Journal:
    """The journal's tables in the hands of the database's superuser."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._taken: list[tuple[str, Sequence[asyncpg.Record]]] = []

    def change(self, statement: str, chain: Chain, *values: object) -> None:
        """Changes rows of one chain, which `restore` puts back."""
        for table in _TABLES:
            rows = self._deployment.sql(f"SELECT * FROM {table} WHERE chain_id = $1", chain.id)
            self._taken.append((table, rows))
        self._deployment.sql(statement, chain.id, *values)

    def restore(self) -> None:
        """Puts back what was there before the first change."""
        for table, rows in self._taken:
            self._deployment.sql(f"DELETE FROM {table} WHERE chain_id = $1", rows[0]["chain_id"])
            for row in rows:
                names = ", ".join(row.keys())
                places = ", ".join(f"${number + 1}" for number in range(len(row)))
                self._deployment.sql(f"INSERT INTO {table} ({names}) VALUES ({places})", *row.values())
        self._taken.clear()


@pytest.fixture
def chain(deployment: Deployment) -> Chain:
    deployment.stack.okno("token", "issue", "--as", "anna.sorokina", "--ttl", "1h")

    def ended() -> Chain | None:
        (row,) = deployment.sql(
            """SELECT chain_id, seq FROM audit_record WHERE event_type = 'journal.stopped' ORDER BY at DESC LIMIT 1"""
        )
        return Chain(row["chain_id"], row["seq"]) if row["seq"] >= 3 else None

    return wait_until("the command's chain has ended", ended, seconds=10)


@pytest.fixture
def journal(deployment: Deployment) -> Iterator[Journal]:
    before = verify(deployment)
    assert before[0] == 0, before
    journal = Journal(deployment)
    yield journal
    journal.restore()
    after = verify(deployment)
    assert after[0] == 0, after


def verify(deployment: Deployment) -> tuple[int, str]:
    """Exit code and output of `okno audit verify`."""
    result = deployment.stack.okno("audit", "verify", check=False)
    assert_no_internals(result.stdout + result.stderr)
    return result.returncode, result.stdout


def assert_found(deployment: Deployment, kind: str, *words: object) -> None:
    """Verification fails and says this of one thing, in one line."""
    code, output = verify(deployment)
    assert code == 1, output
    assert "NOT WHOLE" in output
    lines = [line for line in output.splitlines() if line.startswith(kind)]
    assert lines, output
    for word in words:
        assert any(str(word) in line for line in lines), (word, output)


@pytest.mark.parametrize(
    "assignment",
    [
        "event_type = 'token.revoked'",
        "at = at - interval '1 day'",
        "actor_id = gen_random_uuid()",
        "subject_id = 'somebody else'",
        "policy_version = 'another'",
        "request_id = 'another'",
        "digest = sha256('another')",
        "hash = sha256('another')",
        "prev_hash = sha256('another')",
    ],
)
def test_a_changed_record_is_told_as_altered_with_its_place(
    deployment: Deployment, journal: Journal, chain: Chain, assignment: str
) -> None:
    journal.change(f"UPDATE audit_record SET {assignment} WHERE chain_id = $1 AND seq = 1", chain)
    assert_found(deployment, "ALTERED", chain.id, "record 1 ")


def test_a_changed_value_behind_a_record_is_told_as_altered(
    deployment: Deployment, journal: Journal, chain: Chain
) -> None:
    journal.change(
        "UPDATE audit_value SET value = replace(value, 'first-line-cis', 'security') WHERE chain_id = $1 AND seq = 1",
        chain,
    )
    assert_found(deployment, "ALTERED", chain.id, "record 1 ")


def test_a_value_that_vanished_without_a_record_of_its_erasure_is_told_as_altered(
    deployment: Deployment, journal: Journal, chain: Chain
) -> None:
    journal.change("DELETE FROM audit_value WHERE chain_id = $1 AND seq = 1", chain)
    assert_found(deployment, "ALTERED", chain.id, "record 1 ", "erased")


def test_a_deleted_record_is_told_as_a_gap(deployment: Deployment, journal: Journal, chain: Chain) -> None:
    journal.change("DELETE FROM audit_record WHERE chain_id = $1 AND seq = 1", chain)
    assert_found(deployment, "GAP", chain.id, "record 1 ")


def test_deleted_last_records_are_told_as_a_missing_tail(
    deployment: Deployment, journal: Journal, chain: Chain
) -> None:
    journal.change("DELETE FROM audit_record WHERE chain_id = $1 AND seq >= $2", chain, chain.last - 1)
    assert_found(deployment, "MISSING TAIL", chain.id, chain.last - 1, chain.last)


def test_a_whole_chain_that_vanished_is_told_as_missing(
    deployment: Deployment, journal: Journal, chain: Chain
) -> None:
    journal.change("DELETE FROM audit_record WHERE chain_id = $1", chain)
    assert_found(deployment, "MISSING TAIL", chain.id, "whole chain")


def test_a_chain_that_nobody_signed_is_told_as_forged(
    deployment: Deployment, journal: Journal, chain: Chain
) -> None:
    columns = [
        row["column_name"]
        for row in deployment.sql(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'audit_record' AND column_name <> 'chain_id'"
        )
    ]
    stranger = UUID(int=chain.id.int ^ 1)
    names = ", ".join(columns)
    deployment.sql(
        f"INSERT INTO audit_record (chain_id, {names}) SELECT $1, {names} FROM audit_record WHERE chain_id = $2",
        stranger,
        chain.id,
    )
    try:
        assert_found(deployment, "FORGED", stranger)
    finally:
        deployment.sql("DELETE FROM audit_record WHERE chain_id = $1", stranger)


def test_the_role_of_the_application_can_neither_change_nor_delete_records(
    deployment: Deployment, chain: Chain
) -> None:
    url = EmbeddedPostgres(deployment.stack.data_dir / "postgres").url("okno", APP)

    async def attempt(statement: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    for statement in (
        "UPDATE audit_record SET event_type = 'x'",
        "DELETE FROM audit_record",
        "TRUNCATE audit_record",
        "DROP TABLE audit_record",
        "ALTER TABLE audit_record DISABLE TRIGGER ALL",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asyncio.run(attempt(statement))


def test_without_signed_heads_and_checkpoints_verification_fails(
    deployments: Deployments, deployment: Deployment, tmp_path: Path
) -> None:
    deployment.stack.stop()
    audit = deployment.stack.data_dir / "audit"
    kept = tmp_path / "audit"
    shutil.copytree(audit, kept)
    code, output = verify(deployment)
    assert code == 0, f"a deployment that is stopped verifies as well\n{output}"

    def only(*names: str) -> None:
        shutil.rmtree(audit)
        shutil.copytree(kept, audit)
        for name in names:
            _remove(audit, name)

    only("ended*")
    assert_found(deployment, "SEAL", "ended.jsonl has 0 lines")
    only("checkpoints*")
    assert_found(deployment, "NOTHING TO COMPARE WITH", "no signed checkpoint")
    only("heads", "ended*", "checkpoints*")
    assert_found(deployment, "NOTHING TO COMPARE WITH", "no signed head")

    only()
    ended = audit / "ended.jsonl"
    ended.write_text(ended.read_text().replace('"seq":', '"seq": 1', 1))
    assert_found(deployment, "SEAL", "of ended.jsonl, or one before it, is not that of the checkpoints")

    only()
    lines = (audit / "checkpoints.jsonl").read_text().splitlines(keepends=True)
    (audit / "checkpoints.jsonl").write_text("".join([*lines[:1], *lines[2:]]))
    assert_found(deployment, "SEAL", "a line is missing")

    only()
    key = deployment.stack.data_dir / "keys" / "audit.pem"
    text = key.read_text()
    key.unlink()
    try:
        assert_found(deployment, "KEY", "audit.pem")
    finally:
        key.write_text(text)
    code, output = verify(deployment)
    assert code == 0, output
    deployments.close()


def _remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
