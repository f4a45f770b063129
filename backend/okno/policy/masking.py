"""The forms in which a masked text is shown. A form never tells the length of what it hides.

A closed registry: a policy file names a form, `masked("HrSection.personalPhone", "last-4")`, and writes none.
"""

import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType

HIDDEN = "••••"

# What a form leaves unhidden must not be most of the text, or a short one would be told whole
_LAST = 4
_LEAST_FOR_LAST = 2 * _LAST

Mask = Callable[[str], str]


def hidden(_text: str) -> str:
    """`••••`, whatever it hides."""
    return HIDDEN


def last_4(text: str) -> str:
    """`•••• 4567`: the last four letters and digits, of at least eight; of fewer nothing is shown."""
    signs = [sign for sign in text if sign.isalnum()]
    return f"{HIDDEN} {''.join(signs[-_LAST:])}" if len(signs) >= _LEAST_FOR_LAST else HIDDEN


def first_letter(text: str) -> str:
    """`И•••`: the first letter with its accents; of a single letter nothing is shown."""
    text = text.strip()
    end = 1
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    return f"{text[:end]}•••" if text[end:] and text[0].isalnum() else HIDDEN


def domain(text: str) -> str:
    """`•••@example.com`: what stands behind the last @; without one nothing is shown."""
    name, at, host = text.strip().rpartition("@")
    return f"•••@{host}" if name and at and host else HIDDEN


FORMS: Mapping[str, Mask] = MappingProxyType(
    {"last-4": last_4, "first-letter": first_letter, "domain": domain, "hidden": hidden}
)


def mask(form: str | None) -> Mask:
    """The function of a form; what has no known form is hidden."""
    return FORMS.get(form or "", hidden)
