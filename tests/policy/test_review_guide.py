"""docs/policy-review.md, literally: its commands are run in order, and print what it says they print.

After a change of the policy `OKNO_WRITE_GUIDE=1 pytest tests/policy/test_review_guide.py` writes their output into it.
"""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from okno.cli import main
from okno.clock import SystemClock
from okno.commands import schema_names
from okno.people.models import KeyRow, PersonRow
from okno.policy.recorded import RecordedDecisions
from okno.settings import load_settings
from okno.storage.engine import Database
from tests.api.fakes import person
from tests.api.world import IVAN_ID, MAXIM_ID, Parts, World
from tests.conftest import Cloned

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "policy-review.md"
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
# What differs from run to run
_VARYING = (
    (re.compile(r"\b[0-9a-f]{12}\b"), "5e459dac76f1"),
    (re.compile(r"recorded since \d{4}-\d\d-\d\d \d\d:\d\dZ"), "recorded since 2026-11-16 09:00Z"),
    (re.compile(r"\b\d+\.\d\d s\b"), "0.15 s"),
)
LIST = "{ employees(first: 20) { edges { node { displayName login hr { position } } } } }"
TRY = """mutation ($id: ID!) { operationPreview(
    input: {operation: "domain.unlock", employee: $id, idempotencyKey: "k"}) { errors { code } } }"""

BADGES = "stepan.lykov"

Run = Callable[[str], str]


async def _prepare(app_url: str) -> None:
    """Ivan in the index, and what four teams did."""
    db, clock = Database.connect(app_url, role=None), SystemClock()
    ivan = person("100101", "ivan.petrov", "Иван Петров")
    world = World(Parts.load())
    for login in ("anna.sorokina", "elena.kim", "vera.lis", BADGES):
        await world.ask(login, LIST)
    for employee in (IVAN_ID, MAXIM_ID):
        await world.ask("anna.sorokina", TRY, id=employee)
    recorded = RecordedDecisions(db, clock)
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    recorded.counts.put_back(
        (key._replace(hour=now - timedelta(hours=1)), number)
        for key, number in world.decisions.take().items()
    )
    async with db.transaction() as session:
        facts = {"country": "RU", "state": "WORKS", "protected": False, "login": "ivan.petrov"}
        texts = {"search_names": "", "search_number": "", "sort_name": "", "full_name": "Иван Петров"}
        session.add(
            PersonRow(
                id=ivan.id,
                personnel_number="100101",
                gone=False,
                index_run=1,
                indexed_at=now,
                resident=True,
                **facts,
                **texts,
            )
        )
        session.add(KeyRow(kind="login", value="ivan.petrov", person_id=ivan.id, source="hr", run=1))
    await recorded.flush()
    await db.dispose()


@pytest.fixture
def run(committed: Cloned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one line of the guide in a copy of the deployment; gives what it prints."""
    for folder in ("policies", "config", "widgets"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    asyncio.run(_prepare(committed.app_url))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OKNO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("OKNO_APP_DATABASE_URL", committed.app_url)
    # the schema is the same for all commands, and takes most of their time
    names = schema_names(load_settings())
    monkeypatch.setattr("okno.commands.schema_names", lambda settings: names)

    def run_line(line: str) -> str:
        if line.startswith("okno "):
            return CliRunner().invoke(main, shlex.split(line)[1:]).output
        return subprocess.run(line, shell=True, check=True, capture_output=True, text=True).stdout  # noqa: S602

    return run_line


def _shown(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with what stands below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def _steady(text: str) -> str:
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_the_guide_shows_what_its_commands_print(run: Run) -> None:
    text = GUIDE.read_text(encoding="utf-8")

    def printed(match: re.Match[str]) -> str:
        lines = [f"$ {command}\n{_steady(run(command))}" for command, _ in _shown(match[1])]
        return "```console\n" + "".join(lines) + "```"

    found = _BLOCK.sub(printed, text)
    if os.environ.get("OKNO_WRITE_GUIDE"):
        GUIDE.write_text(found, encoding="utf-8")
        return
    assert found.splitlines() == text.splitlines(), "write it anew with OKNO_WRITE_GUIDE=1"
    assert text.count("$ okno policy") >= 14
