"""Which client a request comes from: what it says of itself, beside who vouches for it."""

import re
from functools import lru_cache

from okno.errors import InvalidInput
from okno.identity.model import Actor
from okno.usage.model import Client, PrincipalKind

HEADER = "X-Okno-Client"
WEB = "web"

_KINDS = {"person": PrincipalKind.PERSON, "service": PrincipalKind.SERVICE}
_PART = "[A-Za-z0-9._-]{1,64}"
_HEADER = re.compile(f"({_PART})(?:/({_PART}))?")


def client_of(actor: Actor, header: str | None = None) -> Client:
    """The client of a request.

    Nobody has to prove the name they give, so the holder of the credential stands beside it. Of the people who use the web
    application itself none is noted: that they do is no news, and what each does there is not usage's business.

    Args:
        header: the value of `X-Okno-Client`; None when the request has none.

    Raises:
        InvalidInput: the header is no "name" or "name/version".
    """
    kind = PrincipalKind.SESSION if "session" in actor.rights.facts else _KINDS[actor.kind]
    if header is None:
        if kind is PrincipalKind.SESSION:
            return Client(WEB, "", kind, "")
        return Client(actor.login, "", kind, actor.login)
    name, version = _named(header)
    anonymous = kind is PrincipalKind.SESSION and name == WEB
    return Client(name, version, kind, "" if anonymous else actor.login)


@lru_cache(1_000)
def _named(header: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(header)
    if match is None:
        raise InvalidInput(
            f"The header {HEADER} has to be a name or name/version, such as reports/1.4: letters, digits, dots, "
            "dashes and underscores, at most 64 each.",
            field=HEADER,
        )
    return match[1], match[2] or ""
