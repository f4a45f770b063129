"""What the usage of the schema tells about people: by whose tokens a client asked, and when."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, and_
from sqlalchemy.ext.asyncio import AsyncSession

from okno.storage.personal_data import (
    Kind,
    PersonalData,
    PersonalTable,
    Rows,
    Subject,
    columns,
    delete_rows,
    read_rows,
    table_of,
)
from okno.usage.model import PrincipalKind
from okno.usage.models import UsageCountRow

_COUNT = table_of(UsageCountRow)

COUNTS = PersonalTable(
    "usage_count",
    {
        **columns(
            Kind.IDENTIFIER, ("principal", "client")
        ),  # a tool that names itself not is called by its token's holder
        **columns(Kind.CONDUCT, ("coordinate", "day", "operations", "last_seen_at")),
    },
    frozenset({"version", "principal_kind"}),
    "usage.keep_days",
)


def _of(subject: Subject) -> ColumnElement[bool]:
    """A tool's name is no login, even where the two are spelled alike."""
    return and_(
        _COUNT.c.principal_kind != PrincipalKind.SERVICE.value, _COUNT.c.principal.in_(sorted(subject.logins))
    )


async def _export(session: AsyncSession, subject: Subject) -> Rows:
    return {COUNTS.name: await read_rows(session, COUNTS, _COUNT, _of(subject))}


async def _erase(session: AsyncSession, subject: Subject, now: datetime) -> Mapping[str, int]:
    return {COUNTS.name: await delete_rows(session, _COUNT, _of(subject))}


PERSONAL_DATA = PersonalData("usage", tables=(COUNTS,), export=_export, erase=_erase)
