"""Strawberry types of the sources: the state of a section, money, and the health of each system."""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import strawberry
from strawberry.scalars import JSON

from okno.scalars import Int64
from okno.sources.manifest import SourceManifest
from okno.sources.model import SectionResult, SourceHealth, State


@strawberry.enum(description="What a section of the card is worth.")
class SectionState(enum.Enum):
    """The states of DESIGN "One read, end to end"."""

    OK = strawberry.enum_value("OK", description="Read from the source, and fresh enough.")
    STALE = strawberry.enum_value(
        "STALE", description="An older answer; `asOf` says how old. The source is late or down."
    )
    FAILED = strawberry.enum_value("FAILED", description="The source gave no answer; `error` says why.")
    DENIED = strawberry.enum_value(
        "DENIED", description="The policy hides all of it; the source was not asked."
    )


@strawberry.type(description="Why a source gave no fresh answer.")
class SectionError:
    """A failure of a source, with a stable code."""

    code: str = strawberry.field(description="Stable code, such as TIMEOUT or BREAKER_OPEN.")
    message: str = strawberry.field(
        description="For developers, in English. The web application shows a text by code."
    )


@strawberry.type(description="Where a section comes from and what it is worth. Always readable.")
class SectionMeta:
    """The corner of a section."""

    state: SectionState = strawberry.field(description="What the section is worth.")
    source: str = strawberry.field(description="Id of the source, as in config/sources.")
    source_title: JSON = strawberry.field(description="The source's name by language.")
    as_of: datetime | None = strawberry.field(description="When the data was read from the source.")
    error: SectionError | None = strawberry.field(
        description="Set when the state is FAILED, or STALE because of a fault."
    )

    @classmethod
    def of_result(cls, manifest: SourceManifest, result: SectionResult) -> "SectionMeta":
        """The corner for what a source answered."""
        return cls(
            state=SectionState[result.state.name],
            source=manifest.id,
            source_title=_title(manifest),
            as_of=result.as_of,
            error=SectionError(code=result.error.code, message=result.error.message)
            if result.error
            else None,
        )

    @classmethod
    def denied(cls, source_id: str, title: Mapping[str, str]) -> "SectionMeta":
        """The corner of a section that the policy hides; its source is not asked."""
        return cls(
            state=SectionState[State.DENIED.name],
            source=source_id,
            source_title=cast(JSON, dict(title)),
            as_of=None,
            error=None,
        )


@strawberry.type(description="An amount of money in the smallest unit of its currency.")
class Money:
    """An amount, never a float."""

    minor_units: Int64 = strawberry.field(
        description="The amount in the currency's smallest unit: kopecks, cents."
    )
    currency: str = strawberry.field(description="ISO 4217 code of the currency.")


@strawberry.type(description="The last fault of a source.")
class SourceErrorInfo:
    """A fault that has happened."""

    code: str = strawberry.field(description="Stable code, such as TIMEOUT or BREAKER_OPEN.")
    message: str = strawberry.field(description="For developers, in English.")
    at: datetime = strawberry.field(description="When it happened.")


@strawberry.type(description="A connected corporate system and how it does.")
class Source:
    """Health of one source."""

    id: strawberry.ID = strawberry.field(description="Id of the source, as in config/sources.")
    title: JSON = strawberry.field(description="The source's name by language.")
    kind: str = strawberry.field(description="The protocol it speaks: rest, scim, ldap or sql.")
    state: str = strawberry.field(description="up, degraded or down.")
    breaker: str = strawberry.field(
        description="closed (calls pass), open (no calls), half_open (one call tries)."
    )
    latency_ms: float | None = strawberry.field(description="Median time of an answer, in milliseconds.")
    last_success_at: datetime | None = strawberry.field(description="When it last answered.")
    last_error: SourceErrorInfo | None = strawberry.field(description="Its last fault, if it had one.")

    @classmethod
    def of_health(cls, health: SourceHealth) -> "Source":
        """The GraphQL form of a source's health."""
        error = health.last_error
        return cls(
            id=strawberry.ID(health.id),
            title=cast(JSON, dict(health.title)),
            kind=str(health.kind),
            state=str(health.state),
            breaker=str(health.breaker),
            latency_ms=health.latency_ms_median,
            last_success_at=health.last_success_at,
            last_error=SourceErrorInfo(code=error.code, message=error.message, at=error.at)
            if error
            else None,
        )


def _title(manifest: SourceManifest) -> Any:
    return dict(manifest.title)
