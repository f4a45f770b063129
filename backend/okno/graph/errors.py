"""What clients are told when something fails: a code, a sentence and the request's id; the rest goes to the log.

Errors beside the data are faults of the client or of the server. What a user can mend is data, see `UserError`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from graphql import GraphQLError, GraphQLFormattedError

from okno.errors import ConfigurationError, OknoError

log = structlog.get_logger(__name__)

INTERNAL = "Something failed inside Okno. The log has the cause under the request id."

# Every `extensions.code` of a response, with the reason
CODES: Mapping[str, str] = {
    "BAD_REQUEST": "The HTTP request is no GraphQL request.",
    "BAD_USER_INPUT": "The variables or the name of the operation do not fit the document.",
    "CONFLICT": "The object changed meanwhile.",
    "CSRF": "A browser's request lacks the token or the origin of Okno's own pages.",
    "DENIED": "The policy does not allow it.",
    "DOCUMENT_NOT_TRUSTED": "With a browser session only registered documents run.",
    "GRAPHQL_PARSE_FAILED": "The document has no valid syntax.",
    "GRAPHQL_VALIDATION_FAILED": "The document does not fit the schema.",
    "INTERNAL": "Okno failed.",
    "INVALID_INPUT": "An argument has a value that is not allowed; `extensions.field` names it.",
    "LIMIT_EXCEEDED": "A limit is exceeded: `extensions.limit`, its `value` and what is `allowed`.",
    "METHOD_NOT_ALLOWED": "GET answers queries only.",
    "NOT_ACCEPTABLE": "No type that the client accepts is spoken here.",
    "NOT_FOUND": "There is no such object, or none that the caller may know of.",
    "PERSISTED_DOCUMENT_NOT_FOUND": "No document is registered under this id.",
    "RATE_LIMITED": "More was asked for than one may have in that time: `extensions.limit`, what is `allowed` and "
    "`retryAfterSeconds`.",
    "UNAUTHENTICATED": "Nobody is signed in.",
    "UNAVAILABLE": "Something that Okno depends on does not answer; trying again later is safe.",
    "UNKNOWN_OUTCOME": "An effect was started and its result is not known.",
    "UNSUPPORTED_MEDIA_TYPE": "The body is no JSON in UTF-8.",
}

# What may stand beside the code; all else that an error carries stays here
_TOLD = ("limit", "value", "allowed", "field")

# The only errors of the engine while it executes that the client can mend
_ARGUMENTS = ("Argument '", "Variable '")


class BadRequest(OknoError):
    """The HTTP request is no GraphQL request."""

    code = "BAD_REQUEST"
    http_status = 400

    def __init__(
        self,
        message: str,
        *,
        code: str = "BAD_REQUEST",
        status: int = 400,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = status
        self.told = told or {}

    @classmethod
    def exceeds(cls, limit: str, value: int, allowed: int, what: str, *, status: int = 400) -> "BadRequest":
        """A limit of the request is exceeded. `value` may be the first that is too much: reading ended there."""
        return cls(
            f"{what} exceeds the limit of {limit}: {value}, at most {allowed} are allowed.",
            code="LIMIT_EXCEEDED",
            status=status,
            told={"limit": limit, "value": value, "allowed": allowed},
        )


def format_errors(
    errors: Sequence[GraphQLError], request_id: str, *, code: str, executing: bool = False
) -> list[dict[str, Any]]:
    """The errors as clients may see them.

    Args:
        code: the code of an error that has none of its own and was raised by the GraphQL engine itself.
        executing: the document was valid, so that what the engine itself finds wrong are faults of the server.
    """
    return [_format(error, request_id, code, executing) for error in errors]


def error_body(
    message: str, code: str, request_id: str, told: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A response that is nothing but one error."""
    extensions = {"code": code, **(told or {}), "requestId": request_id}
    return {"errors": [{"message": message, "extensions": extensions}]}


def failure_body(error: OknoError, request_id: str) -> dict[str, Any]:
    """The response to a request that could not be answered at all."""
    if isinstance(error, ConfigurationError):
        log.error("graphql.misconfigured", exc_info=error)
        return error_body(INTERNAL, "INTERNAL", request_id)
    return error_body(error.message, error.code, request_id, error.told)


def _format(error: GraphQLError, request_id: str, code: str, executing: bool) -> dict[str, Any]:
    formatted: GraphQLFormattedError = error.formatted
    cause, innermost = _cause(error)
    extensions: dict[str, Any] = {"code": code}
    message = formatted["message"]
    if isinstance(cause, OknoError) and not isinstance(cause, ConfigurationError):
        message = cause.message
        extensions |= {"code": cause.code, **cause.told}
        if cause.field is not None:
            extensions["field"] = cause.field
    elif innermost.extensions and "code" in innermost.extensions:
        extensions["code"] = innermost.extensions["code"]
        extensions |= {name: innermost.extensions[name] for name in _TOLD if name in innermost.extensions}
    elif cause is not None or (executing and not message.startswith(_ARGUMENTS)):
        fault = cause if cause is not None else innermost
        log.error("graphql.failed", path=_path(error), error=type(fault).__name__, exc_info=fault)
        message, extensions["code"] = INTERNAL, "INTERNAL"
    extensions["requestId"] = request_id
    shown: dict[str, Any] = {"message": message, "extensions": extensions}
    if "locations" in formatted:
        shown["locations"] = formatted["locations"]
    if "path" in formatted:
        shown["path"] = formatted["path"]
    return shown


def _cause(error: GraphQLError) -> tuple[BaseException | None, GraphQLError]:
    """The exception behind a GraphQL error, None when the engine itself speaks to the client; and the engine's own error."""
    innermost = error
    cause: BaseException | None = error.original_error
    while isinstance(cause, GraphQLError):
        innermost, cause = cause, cause.original_error
    return cause, innermost


def _path(error: GraphQLError) -> str:
    return ".".join(str(part) for part in error.path or ())
