"""The opaque cursor of a search. It names a person and a rank, never a value: what one may not read is in no cursor."""

import base64
import binascii
import json
from dataclasses import dataclass
from uuid import UUID

from okno.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the results of the search with this fingerprint."""

    search: str
    rank: int
    id: UUID

    def encode(self) -> str:
        packed = json.dumps([self.search, self.rank, self.id.hex], separators=(",", ":"))
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, search: str) -> "Cursor":
        """Reads a cursor of that search.

        Raises:
            InvalidInput: it is no cursor, or one of another search.
        """
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            of, rank, person_id = json.loads(packed)
            cursor = cls(str(of), int(rank), UUID(hex=person_id))
            if not 0 <= cursor.rank < 2**31:
                raise ValueError(f"rank {cursor.rank}")
        except (
            ValueError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
            binascii.Error,
        ) as error:
            raise InvalidInput("This cursor is none of a search for people.", field="after") from error
        if cursor.search != search:
            raise InvalidInput(
                "This cursor belongs to another search; begin with the first page.", field="after"
            )
        return cursor
