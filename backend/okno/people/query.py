"""Reads what was typed into the search box: words, identifiers and phone numbers, bounded and checked."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field

from okno.errors import InvalidInput
from okno.people.folding import digits, fold, sort_name, words

MAX_CHARACTERS = 200
MAX_WORDS = 10
MIN_PHONE_DIGITS = 4
MIN_INFIX = 3  # shorter words are looked for at the beginning of a word only: trigrams cannot find less

_PHONE = re.compile(r"\+?[\d\s()./+-]+")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a query and what it may be.

    Attributes:
        names: folded parts, all of which have to be found in the names; empty when it cannot be a name.
        identifier: folded, with its points and hyphens, as a login, e-mail or personnel number; empty if it cannot be one.
        phones: spellings of the digits, any of which may stand in a phone number; empty when it cannot be a phone.
    """

    names: tuple[str, ...]
    identifier: str
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search: a person is found when every word is found. No words: everybody.

    Attributes:
        names: what lists sort somebody by whose whole name the text is, with the family name last or first.
        whole: the text in lower case.
    """

    words: tuple[Word, ...]
    names: tuple[str, ...] = field(default=(), repr=False, compare=False)
    whole: str = field(default="", repr=False, compare=False)

    @property
    def single(self) -> Word | None:
        """The only word, which alone can be an exact identifier."""
        return self.words[0] if len(self.words) == 1 else None

    @property
    def fingerprint(self) -> str:
        """The same for every spelling of the same search."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


def parse(text: str | None) -> Query:
    """Parses a search text.

    Raises:
        InvalidInput: longer than 200 characters, more than 10 words, or characters that are no text (NUL, half a surrogate).
    """
    if text is None:
        return Query(())
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(
            f"The search text has {len(text)} characters; {MAX_CHARACTERS} are the limit.", field="search"
        )
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInput(
            "The search text holds characters that are not text (NUL or half a surrogate).", field="search"
        )
    text = unicodedata.normalize("NFKC", text).strip()
    if _PHONE.fullmatch(text) and len(digits(text)) >= MIN_PHONE_DIGITS:
        plain = text if text.isdecimal() else ""
        return Query((Word(names=(), identifier=digits(plain), phones=_phone_spellings(text)),))
    raw_words = text.split()
    if len(raw_words) > MAX_WORDS:
        raise InvalidInput(
            f"The search text has {len(raw_words)} words; {MAX_WORDS} are the limit.", field="search"
        )
    by_family = " ".join(part for raw in raw_words if (part := "".join(words(raw))))
    names = dict.fromkeys(name for name in (sort_name(text), by_family) if name)
    return Query(tuple(_word(raw) for raw in raw_words), tuple(names), " ".join(raw_words).lower())


def _word(raw: str) -> Word:
    is_phone = _PHONE.fullmatch(raw) is not None and len(digits(raw)) >= MIN_PHONE_DIGITS
    return Word(names=words(raw), identifier=fold(raw), phones=_phone_spellings(raw) if is_phone else ())


def _phone_spellings(text: str) -> tuple[str, ...]:
    """The index keeps numbers with their country code; people type trunk prefixes instead: 8 900 …, 0803 …, 00 7 ….

    With a plus the number is complete, and nothing is guessed.
    """
    number = digits(text)
    spellings = [number]
    if "+" not in text:
        if number.startswith("8"):
            spellings.append("7" + number[1:])
        stripped = number.lstrip("0")
        if stripped != number and len(stripped) >= MIN_PHONE_DIGITS:
            spellings.append(stripped)
    return tuple(spellings)
