"""What the supervisor relies on: work in threads that ends before it is cleaned up, children that come up in the end."""

import asyncio
import threading
from io import StringIO
from pathlib import Path

import pytest

from okno.clock import ManualClock
from okno.processes import Child
from okno.supervisor import Progress, to_its_end


async def test_calling_off_waits_for_the_thread_so_that_what_it_starts_is_found() -> None:
    entered, go_on, started = threading.Event(), threading.Event(), threading.Event()

    def start_a_server() -> None:
        entered.set()
        go_on.wait(10)
        started.set()

    task = asyncio.create_task(to_its_end(start_a_server))
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert started.is_set()


async def test_work_that_can_end_early_is_asked_to() -> None:
    entered, called_off = threading.Event(), threading.Event()

    def generate() -> None:
        entered.set()
        if called_off.wait(10):
            raise InterruptedError

    task = asyncio.create_task(to_its_end(generate, called_off))
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_program_that_cannot_be_started_is_a_crash_that_is_told_and_tried_again(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    crashed = asyncio.Event()

    def on_crash(line: str) -> None:
        told.append(line)
        crashed.set()

    child = Child("api", [str(tmp_path / "absent")], {}, tmp_path / "api.log", on_crash=on_crash)
    child.start()
    async with asyncio.timeout(10):
        await crashed.wait()
    await child.stop()
    assert child.crashes == 1
    assert "starting it again" in told[0]
    assert "could not be started: No such file" in child.last_lines()


def test_a_terminal_that_is_gone_stops_nothing(clock: ManualClock) -> None:
    class Gone(StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    progress = Progress(clock, Gone())
    with progress.step("PostgreSQL"):
        progress.say("anything")
