"""Relay connections: which entries of a list are asked for, and the cursors that name places in it."""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import orjson
import strawberry
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from strawberry import relay

from okno.errors import InvalidInput
from okno.storage.keyset import Window

MAX_ENTRIES = 100
_MAX_CURSOR = 2_000  # characters; the longest name of the index makes about 700
_BEGIN = "begin with the first page"

P = TypeVar("P")

First = Annotated[
    int | None,
    strawberry.argument(
        description="How many entries at most, 1 to 100, from the beginning or behind `after`. Give either `first` or `last`."
    ),
]
After = Annotated[
    str | None,
    strawberry.argument(description="Cursor behind which the entries stand; null is the beginning."),
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="How many entries at most, 1 to 100, before the end or `before`, in the list's own order."
    ),
]
Before = Annotated[
    str | None, strawberry.argument(description="Cursor before which the entries stand; null is the end.")
]


class Cursors:
    """Seals places in lists into cursors and opens them again.

    A place holds values that the list is ordered by, names among them, so it is encrypted: a cursor tells nothing to who
    finds it in a log, and nobody can make one to sound out where a name would stand. AES-SIV (RFC 5297) needs no
    nonce, so that a place has one cursor whenever and by whichever process it is made. 2 µs a cursor.
    """

    def __init__(self, key: bytes | None = None) -> None:
        """
        Args:
            key: the deployment's, which all its processes share; None: one of this process, for tests.
        """
        secret = key if key is not None else os.urandom(32)
        self._cipher = AESSIV(hmac.digest(secret, b"okno.graph.cursors", hashlib.sha512))

    def sealer(self, of: str) -> Callable[[Sequence[Any]], str]:
        """What makes cursors of one list.

        Args:
            of: the list with all that chooses its entries and their order, whose eyes it is seen with among them: a place between
                entries that one person sees would tell another whom they do not.
        """
        encrypt, bound = self._cipher.encrypt, [of.encode()]
        return lambda place: (
            base64.urlsafe_b64encode(encrypt(orjson.dumps(place), bound)).rstrip(b"=").decode()
        )

    def open(self, of: str, text: str, *, field: str) -> list[Any]:
        """The place that the cursor names in this list.

        Raises:
            InvalidInput: it is none of this list, or was not made here.
        """
        try:
            if len(text) > _MAX_CURSOR:
                raise ValueError
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            place = orjson.loads(self._cipher.decrypt(packed, [of.encode()]))
        except (ValueError, InvalidTag, binascii.Error):
            raise InvalidInput(
                f"{field} is no cursor of this list: it was cut or changed, or belongs to another list or search; {_BEGIN}.",
                field=field,
            ) from None
        assert isinstance(place, list), "only places are sealed"
        return place


def window(
    connection: str,
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    place: Callable[[str, str], P],
) -> Window[P]:
    """What of a connection is asked for, as GitHub's API has it: exactly one of `first` and `last`, 1 to 100.

    Args:
        place: opens a cursor, given with the name of its argument.

    Raises:
        InvalidInput: naming the argument, its value and what to give instead.
    """
    if first is not None and last is not None:
        raise InvalidInput(
            f"{connection} was given first: {first} and last: {last}; give one of them, first to go forwards, last backwards.",
            field="last",
        )
    name, size = ("first", first) if last is None else ("last", last)
    if size is None:
        raise InvalidInput(
            f"{connection} is a bounded list; give first or last, 1 to {MAX_ENTRIES}.", field="first"
        )
    if not 1 <= size <= MAX_ENTRIES:
        raise InvalidInput(f"{connection} was given {name}: {size}; give 1 to {MAX_ENTRIES}.", field=name)
    return Window(
        size,
        None if after is None else place(after, "after"),
        None if before is None else place(before, "before"),
        backwards=last is not None,
    )


def page_info(cursors: Sequence[str], *, has_previous: bool, has_next: bool) -> relay.PageInfo:
    """Whether there is more on either side of these entries. True to fact in both directions."""
    return relay.PageInfo(
        has_next_page=has_next,
        has_previous_page=has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
