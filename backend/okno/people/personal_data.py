"""What the people index holds about employees: their rows, and the keys they are known by."""

import contextlib
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from okno.errors import Conflict
from okno.identity.model import employee_uuid
from okno.people.index.merge import key_value
from okno.people.index.store import hold_pages
from okno.people.models import IndexStateRow, KeyRow, PersonRow
from okno.storage.personal_data import (
    Kind,
    Limit,
    PersonalData,
    PersonalTable,
    Rows,
    Subject,
    columns,
    delete_rows,
    read_rows,
    table_of,
)

_PERSON, _KEY = table_of(PersonRow), table_of(KeyRow)

PEOPLE = PersonalTable(
    "people_person",
    {
        **columns(
            Kind.IDENTIFIER,
            (
                "id",
                "personnel_number",
                "login",
                "dn",
                "full_name",
                "latin_name",
                "sort_name",
                "search_names",
                "search_login",
                "search_number",
            ),
        ),
        **columns(Kind.CONTACT, ("email", "work_phone", "search_email", "search_phone")),
        **columns(
            Kind.WORK,
            (
                "position",
                "department",
                "office",
                "country",
                "city",
                "time_zone",
                "state",
                "protected",
                "manager_id",
                "gone",
                "vanished_at",
            ),
        ),
    },
    frozenset({"index_run", "indexed_at", "resident"}),
    "while HR lists the person, then privacy.retention.vanished_people_days",
)
KEYS = PersonalTable(
    "people_key",
    columns(Kind.IDENTIFIER, ("kind", "value", "person_id")),
    frozenset({"source", "run"}),
    "while the source lists the person, at the longest as the person's row",
)


async def _find(session: AsyncSession, asked: str) -> Subject:
    """By id, personnel number, login, e-mail or DN.

    Raises:
        Conflict: several people are known under it.
    """
    text = asked.strip()
    if "\x00" in text:
        return Subject()
    known = select(_KEY.c.person_id).where(_KEY.c.value == key_value(text))
    where = or_(_PERSON.c.personnel_number == text, _PERSON.c.id.in_(known))
    with contextlib.suppress(ValueError):
        where = or_(where, _PERSON.c.id == UUID(text))
    ids = list(await session.scalars(select(_PERSON.c.id).where(where).limit(2)))
    if len(ids) > 1:
        raise Conflict("Several employees are known under this; give the personnel number or the id.")
    return await _widen(session, Subject(ids[0])) if ids else Subject()


async def _widen(session: AsyncSession, subject: Subject) -> Subject:
    if subject.employee_id is None:
        return subject
    row = (
        await session.execute(
            select(_PERSON.c.personnel_number, _PERSON.c.login).where(_PERSON.c.id == subject.employee_id)
        )
    ).one_or_none()
    if row is None:
        return subject
    logins = select(_KEY.c.value).where(_KEY.c.person_id == subject.employee_id, _KEY.c.kind == "login")
    found = {*await session.scalars(logins), *([row.login.lower()] if row.login else [])}
    return subject.joined(Subject(subject.employee_id, row.personnel_number, frozenset(found)))


async def _export(session: AsyncSession, subject: Subject) -> Rows:
    return {
        PEOPLE.name: await read_rows(session, PEOPLE, _PERSON, _PERSON.c.id == subject.employee_id),
        KEYS.name: await read_rows(session, KEYS, _KEY, _KEY.c.person_id == subject.employee_id),
    }


async def _erase(session: AsyncSession, subject: Subject, now: datetime) -> Mapping[str, int]:
    # a page of the index that is being written now did not know yet that the person is barred: after it, not beside it
    await hold_pages(session, alone=True)
    ids = [each for each in (subject.employee_id, _of_number(subject.personnel_number)) if each is not None]
    return {
        KEYS.name: await delete_rows(session, _KEY, _KEY.c.person_id.in_(ids)),
        PEOPLE.name: await delete_rows(session, _PERSON, _PERSON.c.id.in_(ids)),
    }


def _of_number(number: str | None) -> UUID | None:
    return None if number is None else employee_uuid(number)


def _vanished(before: datetime) -> ColumnElement[bool]:
    return _PERSON.c.vanished_at < before


def _keys_of_vanished(before: datetime) -> ColumnElement[bool]:
    return _KEY.c.person_id.in_(select(_PERSON.c.id).where(_vanished(before)))


async def is_working(session: AsyncSession, employee_id: UUID) -> bool:
    """Whether HR lists the person as one who has not left."""
    found = select(func.count()).where(_PERSON.c.id == employee_id, _PERSON.c.gone.is_(False))
    return bool(await session.scalar(found))


PERSONAL_DATA = PersonalData(
    "people",
    tables=(PEOPLE, KEYS),
    others={IndexStateRow.__tablename__: "how far each system was read"},
    find=_find,
    widen=_widen,
    export=_export,
    erase=_erase,
    limits=(
        Limit("vanished_people_days", _KEY, _keys_of_vanished),
        Limit("vanished_people_days", _PERSON, _vanished),
    ),
)
