"""Knows an erased person again without knowing who it is: a digest under a key that lies in the data folder."""

import hashlib
import hmac
from pathlib import Path

from okno.errors import ConfigurationError
from okno.operations.tokens import load_key


class Digests:
    """Digests of personnel numbers and of accounts. Without the key nobody can try likely numbers against them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = hashlib.sha256(b"okno privacy key id" + key).hexdigest()[:16]

    @classmethod
    def load(cls, data_dir: Path) -> "Digests":
        """Reads the key, or makes it on the first start.

        Raises:
            ConfigurationError: the key cannot be read or written.
        """
        return cls(load_key(data_dir, "privacy.key"))

    def of_number(self, personnel_number: str) -> bytes:
        """Of an employee, whose number never changes."""
        return self._digest("number", personnel_number.strip())

    def of_account(self, account_id: str) -> bytes:
        """Of somebody who has an account and is no employee."""
        return self._digest("account", account_id)

    def check(self, key_id: str) -> None:
        """
        Raises:
            ConfigurationError: the erasure was made under another key, so that the erased would be taken in again.
        """
        if key_id != self.key_id:
            raise ConfigurationError(
                "keys/privacy.key of the data folder is not the key under which people were erased, so that Okno could not "
                "know them again; restore the key."
            )

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{kind}:{text}".encode(), "sha256")
