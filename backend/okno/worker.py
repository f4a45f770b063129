"""The worker process: keeps the index of people fresh and settles operations whose outcome nobody knows."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

import structlog

from okno.audit.cut import cut
from okno.audit.export.configured import export_of
from okno.audit.export.service import Exporter
from okno.errors import Conflict, OknoError, Unavailable
from okno.network import NetworkGuard
from okno.processes import on_hangup, stop_asked
from okno.settings import Settings
from okno.wiring import Services, open_database, open_owner_database, open_services

log = structlog.get_logger()

FAILED_AGAIN_AFTER_SECONDS = 5.0


@dataclass(frozen=True)
class Job:
    """Something done at once and then again and again."""

    name: str
    every_seconds: float
    run: Callable[[Services], Awaitable[None]]
    pause_after_failure_seconds: float = FAILED_AGAIN_AFTER_SECONDS


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


async def _forget_decisions(services: Services) -> None:
    if deleted := await services.decisions.forget(keep_days=services.settings.decisions.keep_days):
        log.info("old decisions deleted", count=deleted)


async def _finish_erasures(services: Services) -> None:
    if finished := await services.privacy.finish_erasures():
        log.info("erasures finished", count=finished)


async def _apply_retention(services: Services) -> None:
    if deleted := await services.privacy.apply_retention():
        log.info("data deleted whose time is over", rows=deleted)


async def _add_months(services: Services) -> None:
    if made := await services.journal.add_partitions():
        log.info("months of the journal made ahead", tables=made)


async def _cut_journal(services: Services) -> None:
    """As the owner of the tables, whom only this process and the command line become."""
    settings, clock = services.settings, services.clock
    if settings.audit.keep_days is None:
        return
    owner = open_owner_database(settings, "okno-worker-retention")
    try:
        before = clock.now() - timedelta(days=settings.audit.keep_days)
        archive = settings.data_dir / "audit" / "archive" if settings.audit.archive else None
        done = await cut(
            services.journal,
            owner,
            settings.data_dir,
            clock,
            before,
            archive=archive,
            exports=settings.audit.export,
        )
    finally:
        await owner.dispose()
    if done is not None:
        log.info("journal cut", records=done.records, chains=len(done.chains), record=str(done.record))


async def _forget_limits(services: Services) -> None:
    if deleted := await services.limits.delete_past():
        log.info("past limits deleted", count=deleted)


JOBS = (
    Job("refresh the index of people", 15 * 60.0, _refresh),
    Job("settle unknown outcomes", 5.0, _sweep),
    Job("delete past limits", 600.0, _forget_limits),
    Job("delete past sessions", 3600.0, _forget_sessions),
    Job("delete old usage of the schema", 3600.0, _forget_usage),
    Job("delete old decisions", 3600.0, _forget_decisions),
    Job("finish erasures", 60.0, _finish_erasures),
    Job("make months of the journal ahead", 6 * 3600.0, _add_months, pause_after_failure_seconds=300.0),
    Job("cut the journal", 24 * 3600.0, _cut_journal, pause_after_failure_seconds=3600.0),
    Job("delete data whose time is over", 3600.0, _apply_retention),
)


async def work(settings: Settings) -> None:
    """Works until SIGTERM."""
    stop = stop_asked()
    async with (
        open_services(settings, application_name="okno-worker") as services,
        asyncio.TaskGroup() as tasks,
    ):
        on_hangup(services.policy.ask_to_look)
        running = [tasks.create_task(_repeat(job, services), name=job.name) for job in JOBS]
        running.append(tasks.create_task(_export(services), name="export the journal"))
        await stop.wait()
        for task in running:
            task.cancel()


async def _export(services: Services) -> None:
    """Sends every export that is configured, each at its own pace."""
    settings = services.settings
    network = NetworkGuard(settings.allowed_networks)
    exports = [
        export_of(name, each, data_dir=settings.data_dir, config_dir=settings.config_dir, network=network)
        for name, each in settings.audit.export.items()
    ]
    if not exports:
        return
    # each holds a connection while its sink takes its time
    db = open_database(settings, "okno-worker-export", pool_size=len(exports) + 1)
    try:
        async with asyncio.TaskGroup() as tasks:
            for export in exports:
                tasks.create_task(
                    Exporter(export, db, services.journal, services.clock).run(), name=export.name
                )
    finally:
        await db.dispose()


async def _repeat(job: Job, services: Services) -> None:
    """A failure is logged and tried again after a pause; it never ends the worker."""
    while True:
        pause = job.every_seconds
        try:
            await job.run(services)
        except OknoError as error:
            log.warning("job failed", job=job.name, code=error.code, message=error.message)
            pause = min(pause, job.pause_after_failure_seconds)
        except Exception:
            log.exception("job failed", job=job.name)
            pause = min(pause, job.pause_after_failure_seconds)
        await asyncio.sleep(pause)
