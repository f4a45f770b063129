"""What privacy itself keeps of people: whom it is erasing, and by what it knows the erased again."""

from sqlalchemy.ext.asyncio import AsyncSession

from okno.privacy.models import ErasureRow
from okno.storage.personal_data import (
    Kind,
    PersonalData,
    PersonalTable,
    Rows,
    Subject,
    columns,
    read_rows,
    table_of,
)

_ERASURE = table_of(ErasureRow)

ERASURES = PersonalTable(
    "privacy_erasure",
    {
        **columns(Kind.IDENTIFIER, ("known", "accounts")),
        **columns(Kind.CONDUCT, ("begun_at", "touched_at", "finished_at", "done", "intent")),
        "digest": Kind.SECRET,
    },
    frozenset({"key_id", "bars_index"}),
    "names while it is under way; the digest for as long as the person must not come back",
)


async def _export(session: AsyncSession, subject: Subject) -> Rows:
    return {
        ERASURES.name: await read_rows(
            session, ERASURES, _ERASURE, _ERASURE.c.accounts.overlap(sorted(subject.accounts))
        )
    }


PERSONAL_DATA = PersonalData("privacy", tables=(ERASURES,), export=_export)
