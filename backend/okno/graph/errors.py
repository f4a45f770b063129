"""What clients are told when something fails: a code, a sentence and the request's id; the rest goes to the log."""

from collections.abc import Sequence
from typing import Any

import structlog
from graphql import GraphQLError, GraphQLFormattedError

from okno.errors import ConfigurationError, OknoError

log = structlog.get_logger(__name__)

INTERNAL = "Something failed inside Okno. The log has the cause under the request id."


def format_errors(errors: Sequence[GraphQLError], request_id: str, *, code: str) -> list[dict[str, Any]]:
    """The errors as clients may see them.

    Args:
        code: the code of an error that has none of its own and was raised by the GraphQL engine itself.
    """
    return [_format(error, request_id, code) for error in errors]


def error_body(message: str, code: str, request_id: str) -> dict[str, Any]:
    """A response that is nothing but one error."""
    return {"errors": [{"message": message, "extensions": {"code": code, "requestId": request_id}}]}


def _format(error: GraphQLError, request_id: str, code: str) -> dict[str, Any]:
    formatted: GraphQLFormattedError = error.formatted
    cause = _cause(error)
    extensions: dict[str, Any] = {"code": code}
    message = formatted["message"]
    if isinstance(cause, OknoError) and not isinstance(cause, ConfigurationError):
        message = cause.message
        extensions["code"] = cause.code
        if cause.field is not None:
            extensions["field"] = cause.field
    elif cause is not None:
        log.error("graphql.failed", path=_path(error), error=type(cause).__name__, exc_info=cause)
        message, extensions["code"] = INTERNAL, "INTERNAL"
    elif error.extensions and "code" in error.extensions:
        extensions["code"] = error.extensions["code"]
    extensions["requestId"] = request_id
    shown: dict[str, Any] = {"message": message, "extensions": extensions}
    if "locations" in formatted:
        shown["locations"] = formatted["locations"]
    if "path" in formatted:
        shown["path"] = formatted["path"]
    return shown


def _cause(error: GraphQLError) -> BaseException | None:
    """The exception behind a GraphQL error; None when the engine itself speaks to the client."""
    cause: BaseException | None = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _path(error: GraphQLError) -> str:
    return ".".join(str(part) for part in error.path or ())
