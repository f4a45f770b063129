"""Pages of a list by the place of a row in it, so that rows that come and go meanwhile shift nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

P = TypeVar("P", covariant=True)


@dataclass(frozen=True, slots=True)
class Window(Generic[P]):
    """The first, or with `backwards` the last, `size` rows between two places, which are not in it themselves.

    None is the list's own begin or end. Rows are in the order of the list in both directions.
    """

    size: int
    after: P | None = None
    before: P | None = None
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of a window, and whether the list has rows before the first and behind the last of them."""

    rows: list[Row[Any]]
    has_previous: bool
    has_next: bool


async def read_window(
    session: AsyncSession,
    statement: Select[Any],
    order: Sequence[ColumnElement[Any]],
    window: Window[Sequence[Any]],
    *,
    descending: bool = False,
    indexed: bool = True,
) -> Slice:
    """The window of the statement's rows.

    Args:
        statement: the whole list, neither ordered nor limited.
        order: what it is ordered by, unique in all; a place is a value for each.
        indexed: an index gives the order. Otherwise the question whether there is anything beyond a place is asked
            without an order, so that the first row found answers it and nothing is sorted.
    """

    async def exists(place: Sequence[Any] | None, *, behind: bool) -> bool:
        if place is None:
            return False
        some = statement.where(_beyond(order, place, upwards=behind is not descending, inclusive=True)).limit(
            1
        )
        if indexed:
            some = some.order_by(*_ordered(order, upwards=behind is not descending))
        return (await session.execute(some)).first() is not None

    rows = list(await session.execute(select_window(statement, order, window, descending=descending)))
    more = len(rows) > window.size
    del rows[window.size :]
    if window.backwards:
        rows.reverse()
        has_previous = more or await exists(window.after, behind=False)
        return Slice(rows, has_previous, await exists(window.before, behind=True))
    has_previous = await exists(window.after, behind=False)
    return Slice(rows, has_previous, more or await exists(window.before, behind=True))


def select_window(
    statement: Select[Any],
    order: Sequence[ColumnElement[Any]],
    window: Window[Sequence[Any]],
    *,
    descending: bool = False,
) -> Select[Any]:
    """The window's rows and one more, beginning with the end that the window is counted from."""
    if window.after is not None:
        statement = statement.where(_beyond(order, window.after, upwards=not descending))
    if window.before is not None:
        statement = statement.where(_beyond(order, window.before, upwards=descending))
    upwards = window.backwards is descending
    return statement.order_by(*_ordered(order, upwards=upwards)).limit(window.size + 1)


def _beyond(
    order: Sequence[ColumnElement[Any]], place: Sequence[Any], *, upwards: bool, inclusive: bool = False
) -> ColumnElement[bool]:
    key = tuple_(*order)
    values = tuple_(*(literal(value, column.type) for value, column in zip(place, order, strict=True)))
    if upwards:
        return key >= values if inclusive else key > values
    return key <= values if inclusive else key < values


def _ordered(order: Sequence[ColumnElement[Any]], *, upwards: bool) -> list[ColumnElement[Any]]:
    return [column if upwards else column.desc() for column in order]
