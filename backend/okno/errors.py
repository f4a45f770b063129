"""The errors that cross a domain's border. Each names the cause, the object and the fix."""

from collections.abc import Mapping
from math import ceil
from typing import Any


class OknoError(Exception):
    """An error with a stable `code` that clients may rely on and a `message` that people may read.

    `message` never holds secrets, personal values or internals: it leaves the process.
    """

    code = "INTERNAL"
    http_status = 500

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.told: Mapping[str, Any] = {}
        """What clients are told beside the code, for programs."""


class InvalidInput(OknoError):
    """The caller's input is wrong; `field` says where."""

    code = "INVALID_INPUT"
    http_status = 400


class NotFound(OknoError):
    """No such object, or none that the caller may know of."""

    code = "NOT_FOUND"
    http_status = 404


class Unauthenticated(OknoError):
    """Nobody is signed in, or the session or token is no longer valid."""

    code = "UNAUTHENTICATED"
    http_status = 401


class Denied(OknoError):
    """The policy does not allow it; `rule` names the rule that was nearest, if any."""

    code = "DENIED"
    http_status = 403

    def __init__(self, message: str, *, rule: str | None = None, field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.rule = rule


class Conflict(OknoError):
    """The object changed meanwhile, or an idempotency key was used with another input."""

    code = "CONFLICT"
    http_status = 409


class RateLimited(OknoError):
    """More was asked for than one may have in that time; nothing was done. Goes with the header Retry-After."""

    code = "RATE_LIMITED"
    http_status = 429

    def __init__(self, limit: str, allowed: int, seconds: float, *, retry_after_seconds: float) -> None:
        self.retry_after_seconds = max(1, ceil(retry_after_seconds))
        super().__init__(
            f"The limit of {limit} is exceeded: at most {allowed} in {seconds:g} s. "
            f"Try again in {self.retry_after_seconds} s."
        )
        self.told = {"limit": limit, "allowed": allowed, "retryAfterSeconds": self.retry_after_seconds}


class Unavailable(OknoError):
    """Something Okno depends on does not answer; nothing was done. Trying again later is safe."""

    code = "UNAVAILABLE"
    http_status = 503


class UnknownOutcome(OknoError):
    """An effect was started and its result is not known. It must not be repeated blindly."""

    code = "UNKNOWN_OUTCOME"
    http_status = 502


class ConfigurationError(OknoError):
    """A file or variable of the deployment is wrong. Raised at start, never while serving."""

    code = "CONFIGURATION"
