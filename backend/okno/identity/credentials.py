"""Secrets that people and tools carry: how they are made, named in cookies, and hashed before anything is stored.

All are 256 random bits, so a plain SHA-256 at rest suffices: there is nothing to guess, hence no salt and no slow hash.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

PERSON_PREFIX = "okno_pat_"
SERVICE_PREFIX = "okno_svc_"

_PART = r"[A-Za-z0-9_-]{43}"
_TOKEN = re.compile(rf"okno_(pat|svc)_{_PART}")
_COOKIE = re.compile(rf"({_PART})\.({_PART})")


def new_secret() -> str:
    """256 random bits as 43 characters that are safe in URLs, headers and cookies."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is stored in place of the secret."""
    return hashlib.sha256(secret.encode()).digest()


def derive(key: str, purpose: str) -> str:
    """A secret that follows from `key`, so that it need not be stored; another purpose gives an unrelated one."""
    mac = hmac.new(key.encode(), purpose.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def is_token(text: str) -> bool:
    """Whether the text has the form of a bearer token."""
    return _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The value of the session's cookie: a key for the life of the session and a secret that rotates.

    The CSRF token follows from the key, so it outlives rotations and stands nowhere in the database.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> "SessionCookie":
        return cls(new_secret(), new_secret())

    @classmethod
    def parse(cls, text: str) -> "SessionCookie | None":
        match = _COOKIE.fullmatch(text)
        return cls(match[1], match[2]) if match else None

    def rotated(self) -> "SessionCookie":
        return SessionCookie(self.key, new_secret())

    @property
    def value(self) -> str:
        return f"{self.key}.{self.secret}"

    @property
    def csrf_token(self) -> str:
        return derive(self.key, "csrf")
