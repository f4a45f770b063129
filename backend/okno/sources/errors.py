"""What can go wrong with a corporate system, told apart by what the caller may do next."""

from typing import Literal

from okno.errors import OknoError, Unavailable, UnknownOutcome

Code = Literal[
    "TIMEOUT",  # no whole answer within the deadline
    "UNREACHABLE",  # no connection, or it was lost, or the system says that it is unavailable
    "REFUSED",  # the system understood and said no (rights, rules, state)
    "BAD_ANSWER",  # the answer is not what the protocol or the manifest promises
    "NOT_FOUND",  # the system answered: it does not know this person or object
    "BREAKER_OPEN",  # not asked, it failed too often just before
    "NO_KEY",  # not asked, the person has no key of the kind that the system reads by
    "OVERLOADED",  # not asked, too many requests to it are under way
]

# What may be repeated at once (a read only); what never reached the system; what counts against the system in its circuit breaker.
RETRYABLE: frozenset[str] = frozenset({"UNREACHABLE"})
NOT_ASKED: frozenset[str] = frozenset({"BREAKER_OPEN", "OVERLOADED"})
COUNTS_AGAINST_SYSTEM: frozenset[str] = frozenset({"TIMEOUT", "UNREACHABLE", "BAD_ANSWER"})


class SourceError(OknoError):
    """A failed exchange with a corporate system; `code` is one of `Code`.

    `message` is developers' text. It names the source and the cause and holds no key, no value and no secret.
    """

    http_status = 502

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason: Code = code


class SourceRefused(SourceError):
    """The system refused: definitely not done."""

    http_status = 409


class SourceUnreachable(SourceError, Unavailable):
    """The request never reached the system: definitely not done, trying again is safe."""

    http_status = 503


class SourceOutcomeUnknown(SourceError, UnknownOutcome):
    """The request was sent and its result is not known: it may be done. `Sources.settle` reads it back."""

    http_status = 502
