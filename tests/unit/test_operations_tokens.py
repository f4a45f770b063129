"""Preview tokens: what they prove, and for how long."""

import stat
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from okno.clock import ManualClock
from okno.errors import ConfigurationError
from okno.operations.tokens import PreviewTokens, load_key

ACTOR, OTHER, PERSON = UUID(int=1), UUID(int=2), UUID(int=3)
CHANGES = [{"path": "domain.locked", "before": True, "after": False}]


def bound(**changes: Any) -> dict[str, Any]:
    return {
        "actor_id": ACTOR,
        "operation_id": "domain.unlock",
        "person_id": PERSON,
        "given": {"a": 1, "b": 2},
        **changes,
    }


def test_a_token_proves_the_changes_that_were_seen(clock: ManualClock) -> None:
    tokens = PreviewTokens(b"k" * 32, clock)
    seen = tokens.read(tokens.sign(**bound(), changes=CHANGES), **bound())
    assert seen is not None
    assert seen.shows(CHANGES)
    assert seen.shows([dict(reversed(list(CHANGES[0].items())))]), "the order of keys means nothing"
    assert not seen.shows([])
    assert seen.expires_at == clock.now() + timedelta(minutes=10)


@pytest.mark.parametrize(
    "other", [{"actor_id": OTHER}, {"operation_id": "domain.lock"}, {"person_id": OTHER}, {"given": {"a": 1}}]
)
def test_a_token_is_bound_to_actor_operation_employee_and_input(
    clock: ManualClock, other: dict[str, Any]
) -> None:
    tokens = PreviewTokens(b"k" * 32, clock)
    assert tokens.read(tokens.sign(**bound(), changes=CHANGES), **bound(**other)) is None


def test_a_token_of_another_deployment_or_altered_is_worth_nothing(clock: ManualClock) -> None:
    tokens, others = PreviewTokens(b"k" * 32, clock), PreviewTokens(b"o" * 32, clock)
    token = tokens.sign(**bound(), changes=CHANGES)
    assert others.read(token, **bound()) is None
    for place in range(0, len(token), 7):
        altered = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert tokens.read(altered, **bound()) is None
    for nonsense in ("", "~", "a.b.c~d", "9" * 5_000, "ключ"):
        assert tokens.read(nonsense, **bound()) is None


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    assert len(key) == 32
    assert load_key(tmp_path) == key
    file = tmp_path / "keys" / "preview.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["preview.key"]


@pytest.mark.parametrize("content", [b"no base64!", b"c2hvcnQ="])
def test_a_broken_key_is_named_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys" / "preview.key"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="delete it, and a new one is made"):
        load_key(tmp_path)


def test_a_short_key_is_refused(clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError, match="32 are needed"):
        PreviewTokens(b"short", clock)
