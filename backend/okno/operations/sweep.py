"""Finds out how runs ended whose outcome nobody knows: by reading back from the source, else it is left to a person."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from okno.audit.command import ABANDONED_AFTER
from okno.audit.records import Outcome, Record
from okno.audit.registry import LOCAL, event_type
from okno.audit.service import Journal
from okno.clock import Clock
from okno.errors import Conflict, NotFound
from okno.operations.model import EVENT_TYPES, SETTLED, Offer, keys_of
from okno.people.service import People
from okno.sources.errors import SourceError
from okno.sources.service import Sources

# A run that ended unknown is asked about this long after it began: before, the source may still be at it
SETTLE_AFTER = timedelta(seconds=30)
PAGE = 100

log = structlog.get_logger(__name__)


class Sweep:
    """One pass over the journal's unsettled commands. Any number of workers may run it at once."""

    def __init__(
        self, *, offers: Mapping[str, Offer], people: People, sources: Sources, journal: Journal, clock: Clock
    ) -> None:
        self._offers = offers
        self._people = people
        self._sources = sources
        self._journal = journal
        self._clock = clock

    async def run(self) -> int:
        """Returns:
        How many commands were settled. What no source can tell stays unknown until a person resolves it.
        """
        settled = 0
        begun_after: datetime | None = None
        while True:
            page = await self._journal.list_unsettled(SETTLE_AFTER, begun_after=begun_after, limit=PAGE)
            for unsettled in page:
                if (
                    unsettled.state != "running"
                    or self._clock.now() - unsettled.started_at >= ABANDONED_AFTER
                ):
                    settled += await self._settle(unsettled.intent)
            if len(page) < PAGE:
                return settled
            begun_after = page[-1].started_at

    async def _settle(self, intent: Record) -> int:
        if intent.event_type == EVENT_TYPES["operationPreview"]:
            ended: Outcome | None = Outcome.FAILED
            message = "The process ended before the preview did; a preview has no effect."
        elif intent.event_type == EVENT_TYPES["operationRun"]:
            ended = await self._find_out(intent)
            message = "Read back from the source."
        elif event_type(intent.event_type).local:
            ended = Outcome.FAILED
            message = "The process ended before its effect was committed, so there is none."
        elif intent.event_type in LOCAL:
            ended = Outcome.FAILED
            message = "Its effect is committed together with its outcome, and there was none."
        else:
            return 0
        if ended is None:
            return 0
        try:
            await self._journal.settle(intent.ref, ended, code=SETTLED, message=message)
        except Conflict:
            return 0  # it ended meanwhile, or another worker was faster
        return 1

    async def _find_out(self, intent: Record) -> Outcome | None:
        """How a run ended, as the source tells; None when it cannot tell."""
        detail = intent.detail or {}
        offer = self._offers.get(str(detail.get("operation")))
        if offer is None or intent.subject_id is None:
            return None  # erased, or of a source that is gone: a person resolves it
        try:
            person = await self._people.get(UUID(intent.subject_id))
            found = await self._sources.settle(offer.operation.id, keys_of(person), detail.get("input") or {})
        except (NotFound, ValueError):
            return None
        except SourceError as error:
            log.warning("operation.not_settled", operation=offer.operation.id, code=error.code)
            return None
        return {"done": Outcome.SUCCEEDED, "not_done": Outcome.FAILED}.get(found)
