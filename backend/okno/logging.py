"""Structured logs: one JSON object a line on standard error, readable colours on a terminal."""

import logging
import re
import sys
import traceback
from typing import Any

import structlog

# What must never be in a log, whoever writes it there: Okno's tokens and cookies, credentials of headers and of addresses
_SECRETS = re.compile(
    r"okno_(?:pat|svc)_[A-Za-z0-9_-]{20,}"
    r"|(?:__Host-)?okno_(?:session|sign_in)=[^;\s\"']+"
    r"|(?i:\b(?:bearer|basic)\s+)(?=\S*[0-9=._])[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"
    r"|(?i:\b(?:password|passwd|client_secret|id_token|access_token|code_verifier)[\"']?\s*[=:]\s*)[\"']?[^\s,;&\"']+"
)
# PostgreSQL repeats values of rows there: "Key (login)=(…) already exists", "Failing row contains (…)"
_VALUES = re.compile(r"(?m)(?:^|\\n|\n)(?:DETAIL|CONTEXT|HINT):[^\n]*?(?=\\n|$)")


def scrubbed(text: str) -> str:
    """The text without what looks like a secret, and without the values that PostgreSQL's errors repeat."""
    return _VALUES.sub("", _SECRETS.sub("[secret]", text))


def _scrub(_logger: Any, _method: str, line: Any) -> Any:
    """After the renderer, so that what comes in is the finished line."""
    return scrubbed(line) if isinstance(line, str) else line


# What Python and libraries say of a wrong value repeats the value: int("…"), a missing key, a model that does not validate
_REPEATING = (ValueError, LookupError, AssertionError)


def _traceback(exc_info: Any) -> str:
    """The frames and the types of an exception and of its causes; the texts as well where they hold no values."""
    parts: list[str] = []
    error: BaseException | None = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        told = "" if isinstance(error, _REPEATING) else f": {error}"
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}{told}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nwhich was caused by, or happened while handling:\n\n".join(parts)


class _Scrubbing(logging.Formatter):
    """For the libraries, which log through Python's own logging."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        return _traceback(ei)

    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record))


def configure_logging(level: str = "INFO") -> None:
    """Sets up structlog for the process. Nothing personal or secret is ever passed to a logger; should it happen all the
    same, or stand in the text of somebody else's error, it is taken out of the finished line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer(
            exception_formatter=structlog.dev.plain_traceback
        )  # no local variables: they may be personal
    else:
        shared.append(structlog.processors.ExceptionRenderer(_traceback))
        renderer = structlog.processors.JSONRenderer()
    number = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[*shared, renderer, _scrub],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Scrubbing("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler])
