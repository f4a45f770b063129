"""`Query.schemaUsage`: who uses which part of the schema."""

import hashlib
from typing import Annotated, Any

import strawberry

from okno.errors import InvalidInput
from okno.graph.connections import After, Before, First, Last, page_info, window
from okno.graph.context import Context
from okno.usage.api import SchemaUsage, SchemaUsageConnection, SchemaUsageEdge
from okno.usage.model import Asked

DAYS = 30
MAX_DAYS = 3_650
_LONGEST_TEXT = 200


async def schema_usage(
    info: strawberry.Info[Any],
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    coordinate: Annotated[
        str | None,
        strawberry.argument(
            description="Only this part with what is in it: Type, Type.field, Type.field(argument:), Enum.VALUE or Input.field."
        ),
    ] = None,
    search: Annotated[
        str | None, strawberry.argument(description="Only parts whose coordinate holds this text.")
    ] = None,
    client: Annotated[
        str | None,
        strawberry.argument(
            description="Only what this client used, name or name/version; with `unusedOnly`, what it did not use."
        ),
    ] = None,
    days: Annotated[
        int, strawberry.argument(description="Over how many days, today in UTC included, 1 to 3650.")
    ] = DAYS,
    deprecated_only: Annotated[
        bool, strawberry.argument(description="Only what is to be taken away.")
    ] = False,
    unused_only: Annotated[bool, strawberry.argument(description="Only what nobody used.")] = False,
) -> SchemaUsageConnection | None:
    """A page of the schema's parts, by coordinate."""
    context: Context = info.context
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput(f"schemaUsage was given days: {days}; give 1 to {MAX_DAYS}.", field="days")
    for name, text in (("coordinate", coordinate), ("search", search), ("client", client)):
        if text is not None and (len(text) > _LONGEST_TEXT or "\0" in text):
            raise InvalidInput(
                f"{name} of schemaUsage has at most {_LONGEST_TEXT} characters, none of them NUL.", field=name
            )
    asked = Asked(
        names=() if coordinate is None else (coordinate,),
        search=search,
        client=client,
        days=days,
        deprecated=deprecated_only,
        unused=unused_only,
    )
    of = f"schemaUsage {hashlib.sha256(repr(asked).encode('utf-8', 'surrogatepass')).hexdigest()}"
    place = window(
        "schemaUsage",
        first=first,
        after=after,
        last=last,
        before=before,
        place=lambda text, field: str(context.cursors.open(of, text, field=field)[0]),
    )
    found = await context.usage.list_uses(asked, place)
    seal = context.cursors.sealer(of)
    cursors = [seal((use.member.coordinate,)) for use in found.items]
    return SchemaUsageConnection(
        edges=[
            SchemaUsageEdge(cursor=cursor, node=SchemaUsage.of_use(use))
            for cursor, use in zip(cursors, found.items, strict=True)
        ],
        page_info=page_info(cursors, has_previous=found.has_previous, has_next=found.has_next),
        total_count=found.total,
        recorded_since=found.recorded_since,
    )
