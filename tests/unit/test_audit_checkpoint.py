"""Signed heads and checkpoints: what stays true when files are changed, put back, cut off or deleted."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from okno.audit import checkpoint
from okno.audit.chain import Head
from okno.audit.checkpoint import Checkpoint, Seals, Signer
from okno.errors import ConfigurationError

_AT = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def _head(chain: int, seq: int, *, ended: bool = False) -> Head:
    return Head(UUID(int=chain), seq, bytes([seq]) * 32, _AT, ended)


@pytest.fixture
def seals(tmp_path: Path) -> Seals:
    made = Seals(tmp_path, Signer.load_or_create(tmp_path))
    made.prepare()
    return made


def _checkpoints(seals: Seals) -> list[Checkpoint]:
    found = list(seals.read_checkpoints())
    assert not [each for each in found if isinstance(each, str)]
    return [each for each in found if isinstance(each, Checkpoint)]


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    first = Signer.load_or_create(tmp_path)
    path = tmp_path / "keys" / "audit.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Signer.load_or_create(tmp_path).key_id == first.key_id
    assert [each.name for each in path.parent.iterdir()] == ["audit.pem"]


def test_a_lost_key_is_not_replaced_in_silence(tmp_path: Path, seals: Seals) -> None:
    seals.write_head(_head(1, 0))
    (tmp_path / "keys" / "audit.pem").unlink()
    with pytest.raises(ConfigurationError, match="restore the key"):
        Signer.load_or_create(tmp_path)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "audit.pem"
    path.parent.mkdir()
    path.write_text("not a key")
    with pytest.raises(ConfigurationError, match="no private key"):
        Signer.load(tmp_path)
    path.write_bytes(
        generate_private_key(SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(ConfigurationError, match="no Ed25519 key"):
        Signer.load(tmp_path)


def test_a_head_reads_back_and_the_last_one_counts(seals: Seals) -> None:
    for seq in range(3):
        seals.write_head(_head(1, seq))
    seals.write_head(_head(1, 1))  # a write that was given up on comes late
    assert seals.read_heads() == ({UUID(int=1): _head(1, 2)}, [])


def test_a_changed_renamed_or_foreign_head_is_no_head(tmp_path: Path, seals: Seals) -> None:
    folder = tmp_path / "audit" / "heads"
    for chain in (1, 2, 3, 4):
        seals.write_head(_head(chain, 5))
    changed = folder / f"{UUID(int=1)}.json"
    changed.write_text(changed.read_text().replace('"seq":5', '"seq":4'))
    (folder / f"{UUID(int=2)}.json").rename(folder / f"{UUID(int=9)}.json")
    (folder / f"{UUID(int=3)}.json").write_text("[]")
    heads, problems = seals.read_heads()
    assert set(heads) == {UUID(int=4)}
    assert sorted(each.split(" ", 4)[4] for each in problems) == [
        "belongs to another chain",
        "cannot be read",
        "its signature does not fit",
    ]


def test_a_checkpoint_is_no_head(tmp_path: Path, seals: Seals) -> None:
    seals.write_head(_head(1, 0))
    seals.checkpoint(_AT)
    line = (tmp_path / "audit" / "checkpoints.jsonl").read_bytes()
    (tmp_path / "audit" / "heads" / f"{UUID(int=1)}.json").write_bytes(line)
    assert seals.read_heads() == ({}, [f"the signed head {UUID(int=1)}.json is no head"])


def test_a_checkpoint_is_written_when_a_head_has_changed_and_holds_them_all(seals: Seals) -> None:
    seals.write_head(_head(1, 0))
    seals.write_head(_head(2, 7))
    assert seals.checkpoint(_AT)
    assert not seals.checkpoint(_AT + timedelta(seconds=1))
    seals.write_head(_head(1, 1, ended=True))
    assert seals.checkpoint(_AT + timedelta(seconds=2))
    first, second = _checkpoints(seals)
    assert dict(first.heads) == {UUID(int=1): _head(1, 0), UUID(int=2): _head(2, 7)}
    assert dict(second.heads) == {UUID(int=2): _head(2, 7)}
    assert second.at == _AT + timedelta(seconds=2)
    claims = seals.read_claims()
    assert claims.problems == []
    assert claims.ended == {UUID(int=1): _head(1, 1, ended=True)}


def test_a_checkpoint_stays_small_however_many_chains_there_were(tmp_path: Path, seals: Seals) -> None:
    for chain in range(1, 301):
        seals.write_head(_head(chain, 9, ended=True))
        if chain % 50 == 0:
            seals.checkpoint(_AT + timedelta(seconds=chain))
    path = tmp_path / "audit"
    assert max(map(len, (path / "checkpoints.jsonl").read_text().splitlines())) < 1_000
    assert list((path / "heads").iterdir()) == []
    assert len(seals.read_claims().ended) == 300
    # what a process wrote that was killed before its checkpoint counts for nothing, and is written over
    with (path / "ended.jsonl").open("ab") as file:
        file.write(b'{"half": ')
    assert len(seals.read_claims().ended) == 300
    seals.write_head(_head(999, 1, ended=True))
    seals.checkpoint(_AT + timedelta(hours=1))
    claims = seals.read_claims()
    assert (len(claims.ended), claims.problems) == (301, [])


def test_a_deleted_or_put_back_head_is_carried_on(tmp_path: Path, seals: Seals) -> None:
    old = tmp_path / "audit" / "heads" / f"{UUID(int=1)}.json"
    seals.write_head(_head(1, 3))
    before = old.read_bytes()
    seals.write_head(_head(1, 5))
    seals.write_head(_head(2, 2))
    seals.checkpoint(_AT)
    old.write_bytes(before)
    (tmp_path / "audit" / "heads" / f"{UUID(int=2)}.json").unlink()
    seals.write_head(_head(3, 0))
    seals.checkpoint(_AT)
    assert {chain.int: head.seq for chain, head in _checkpoints(seals)[-1].heads.items()} == {
        1: 5,
        2: 2,
        3: 0,
    }


def test_checkpoints_are_rotated_and_go_on_from_each_other(
    tmp_path: Path, seals: Seals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "ROTATE_BYTES", 2000)
    for seq in range(40):
        seals.write_head(_head(1, seq))
        assert seals.checkpoint(_AT)
    sizes = [path.stat().st_size for path in (tmp_path / "audit").glob("checkpoints*.jsonl")]
    assert len(sizes) == 2
    assert max(sizes) < 3000
    kept = _checkpoints(seals)
    assert [each.heads[UUID(int=1)].seq for each in kept] == list(range(40 - len(kept), 40))


def test_half_a_line_of_a_killed_process_is_removed_and_a_missing_line_is_told(
    tmp_path: Path, seals: Seals
) -> None:
    path = tmp_path / "audit" / "checkpoints.jsonl"
    for seq in range(3):
        seals.write_head(_head(1, seq))
        seals.checkpoint(_AT)
    with path.open("ab") as file:
        file.write(b'{"at":"2026-11')
    assert len(_checkpoints(seals)) == 3
    seals.write_head(_head(1, 3))
    seals.checkpoint(_AT)
    assert len(_checkpoints(seals)) == 4
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[2:]]))
    assert [each for each in seals.read_checkpoints() if isinstance(each, str)] == [
        "checkpoint 2 of checkpoints.jsonl does not follow the one before it: a line is missing"
    ]


def test_a_forged_checkpoint_is_told_and_not_built_upon(tmp_path: Path, seals: Seals) -> None:
    path = tmp_path / "audit" / "checkpoints.jsonl"
    seals.write_head(_head(1, 8))
    seals.checkpoint(_AT)
    forged = json.loads(path.read_text())
    forged["heads"] = []
    path.write_text(json.dumps(forged) + "\n")
    assert list(seals.read_checkpoints()) == ["checkpoint 1 of checkpoints.jsonl its signature does not fit"]
    assert seals.checkpoint(_AT)
    assert [
        each.heads[UUID(int=1)].seq for each in seals.read_checkpoints() if isinstance(each, Checkpoint)
    ] == [8]
