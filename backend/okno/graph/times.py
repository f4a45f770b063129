"""Times and days as clients write them."""

from datetime import date, datetime
from typing import Any

from graphql import GraphQLError


def parse_datetime(value: Any) -> datetime:
    """Reads RFC 3339.

    Raises:
        GraphQLError: another form, or a time without an offset.
    """
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise GraphQLError("DateTime takes a moment with its offset, such as 2026-11-02T09:00:00Z")
    return moment


def parse_date(value: Any) -> date:
    """Reads an ISO 8601 day.

    Raises:
        GraphQLError: another form.
    """
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise GraphQLError("Date takes a day such as 2026-11-02") from error
