"""The worker process: keeps the index of people fresh and settles operations whose outcome nobody knows."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import structlog

from okno.errors import Conflict, OknoError, Unavailable
from okno.processes import stop_asked
from okno.settings import Settings
from okno.wiring import Services, open_services

log = structlog.get_logger()

FAILED_AGAIN_AFTER_SECONDS = 5.0


@dataclass(frozen=True)
class Job:
    """Something done at once and then again and again."""

    name: str
    every_seconds: float
    run: Callable[[Services], Awaitable[None]]


async def _refresh(services: Services) -> None:
    with contextlib.suppress(Conflict):  # another worker is at it
        reports = await services.people.refresh_index()
        for report in reports:
            log.info("index refreshed", **asdict(report))
        if failed := [report.source_id for report in reports if report.failure]:
            # what was read stays; the next try goes on from there, soon, since people who are not indexed are not found
            raise Unavailable(f"the index is not complete: {', '.join(failed)} stopped answering")


async def _sweep(services: Services) -> None:
    if settled := await services.operations.sweep():
        log.info("unknown outcomes settled", count=settled)


async def _forget_sessions(services: Services) -> None:
    if deleted := await services.identity.delete_past_sessions():
        log.info("past sessions deleted", count=deleted)


async def _forget_usage(services: Services) -> None:
    if deleted := await services.usage.forget(keep_days=services.settings.usage.keep_days):
        log.info("old usage deleted", count=deleted)


JOBS = (
    Job("refresh the index of people", 15 * 60.0, _refresh),
    Job("settle unknown outcomes", 5.0, _sweep),
    Job("delete past sessions", 3600.0, _forget_sessions),
    Job("delete old usage of the schema", 3600.0, _forget_usage),
)


async def work(settings: Settings) -> None:
    """Works until SIGTERM."""
    stop = stop_asked()
    async with (
        open_services(settings, application_name="okno-worker") as services,
        asyncio.TaskGroup() as tasks,
    ):
        running = [tasks.create_task(_repeat(job, services), name=job.name) for job in JOBS]
        await stop.wait()
        for task in running:
            task.cancel()


async def _repeat(job: Job, services: Services) -> None:
    """A failure is logged and tried again after a pause; it never ends the worker."""
    while True:
        pause = job.every_seconds
        try:
            await job.run(services)
        except OknoError as error:
            log.warning("job failed", job=job.name, code=error.code, message=error.message)
            pause = min(pause, FAILED_AGAIN_AFTER_SECONDS)
        except Exception:
            log.exception("job failed", job=job.name)
            pause = min(pause, FAILED_AGAIN_AFTER_SECONDS)
        await asyncio.sleep(pause)
