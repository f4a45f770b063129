"""Brings names, logins and phone numbers into the one spelling in which the index keeps them and queries ask for them."""

import re
import unicodedata
from functools import lru_cache

# Letters that Unicode does not decompose, and letters that people type for one another.
_FOLDS = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "ı": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        # Kazakh, Uzbek, Belarusian and Ukrainian letters that a Russian keyboard lacks
        "қ": "к",
        "ң": "н",
        "ғ": "г",
        "ү": "у",
        "ұ": "у",
        "һ": "х",
        "ә": "а",
        "ө": "о",
        "і": "и",
        "є": "е",
        "ґ": "г",
        "ҳ": "х",
        # Arabic: tatweel is decoration, the rest are spelling variants
        "\u0640": None,
        "ى": "ي",
        "ة": "ه",
        "ک": "ك",
        "ی": "ي",
        # apostrophes of every shape, Uzbek ones included: O'Brien is found as obrien
        "'": None,
        "`": None,
        "\u2018": None,
        "\u2019": None,
        "\u02bb": None,
        "\u02bc": None,
        "\u02b9": None,
        "\u00b4": None,
    }
)
_NOT_WORD = re.compile(r"[\W_]+")
_NOT_DIGIT = re.compile(r"\D+")
_PATRONYMIC = re.compile(r"(?:вич|вна|ична|инична|vich|vna|ichna|оглы|ulı|ogly|кызы|qyzy|kyzy|улы|uly)$")


def fold(text: str) -> str:
    """Lower case without accents, points and apostrophes, in any alphabet: `Пётр`, `ПЕТР` and `пётр` fold to one."""
    if text.isascii():
        return text.lower().replace("'", "").replace("`", "")
    plain = unicodedata.normalize("NFKC", text.translate(_FOLDS)).casefold()  # 𝕊 is a capital only after NFKC
    decomposed = unicodedata.normalize("NFKD", plain).casefold()
    bare = "".join(
        c for c in decomposed if (category := unicodedata.category(c)) != "Cf" and category[0] != "M"
    )
    return unicodedata.normalize("NFC", bare).translate(_FOLDS)


@lru_cache(maxsize=20_000)
def words(text: str) -> tuple[str, ...]:
    """The folded words of a text; hyphens and points part words.

    Remembered: a company has far fewer names than people, and folding was half the time of filling the index.
    """
    return tuple(word for word in _NOT_WORD.split(fold(text)) if word)


def digits(text: str) -> str:
    """The decimal digits of a text, those of other scripts as ASCII."""
    return _NOT_DIGIT.sub("", unicodedata.normalize("NFKC", text)).translate(_DIGITS)


class _Digits(dict[int, str]):
    def __missing__(self, key: int) -> str:
        return str(unicodedata.digit(chr(key)))


_DIGITS = _Digits()


def surname(full_name: str) -> str:
    """The folded family name, by which lists are sorted.

    Sources give one string. It ends with the family name, except where a patronymic ends it, as in Russian papers:
    `Петров Иван Сергеевич`. Two words that end like a patronymic are a name and a family name: `Анна Рабинович`.
    """
    parts = _parts(full_name)
    if not parts:
        return ""
    if len(parts) > 2 and _PATRONYMIC.search(parts[-1]):
        return parts[0]
    return parts[-1]


def _parts(full_name: str) -> list[str]:
    """The words of a name, those with a hyphen as one."""
    return [part for raw in full_name.split() if (part := "".join(words(raw)))]


def searchable_names(*names: str | None) -> str:
    """All names of one person as the index keeps them: ` ^петров ^petrov иван петров ivan petrov`.

    `^` precedes a family name and a blank any word (family names stand there twice), so that `LIKE '%^пет%'` and `LIKE '% пет%'` are exact questions.
    A name with a hyphen stands both in parts and as one word.
    """
    given = [name for name in names if name]
    families = dict.fromkeys(family for name in given if (family := surname(name)))
    every = dict.fromkeys(
        word for name in given for raw in name.split() for word in (*words(raw), "".join(words(raw))) if word
    )
    return "".join(f" ^{family}" for family in families) + "".join(f" {word}" for word in every)


def sort_name(full_name: str) -> str:
    """What lists are sorted by: family name first, folded, at most 200 characters."""
    family = surname(full_name)
    rest = [part for part in _parts(full_name) if part != family]
    return " ".join([family, *rest])[:200]


def searchable_phone(phone: str | None, country: str | None) -> str | None:
    """The digits of a number with its country code: `8 (900) 123-45-67` of Russia becomes 79001234567."""
    number = digits(phone or "")
    if (
        len(number) == 11
        and number.startswith("8")
        and country in (None, "RU", "KZ")
        and "+" not in (phone or "")
    ):
        number = "7" + number[1:]
    return number or None
