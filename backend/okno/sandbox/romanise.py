"""Names in Latin letters, as passports spell them, and logins made of them."""

import re
import unicodedata
from functools import cache

_CYRILLIC = dict(
    zip(
        "абвгдезийклмнопрстуфыэёәғқңөұүһіїўђјљњћџ",
        ["a", "b", "v", "g", "d", "e", "z", "i", "y", "k", "l", "m", "n", "o", "p", "r", "s", "t", "u", "f", "y", "e", "e", "a", "g", "k", "n", "o", "u", "u", "h", "i", "i", "u", "dj", "j", "lj", "nj", "c", "dz"],
        strict=True,
    )
) | {"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ь": "", "ю": "yu", "я": "ya"}  # fmt: skip
# Serbian writes these letters otherwise than Russian does
_SERBIAN = _CYRILLIC | {"ж": "z", "х": "h", "ц": "c", "ч": "c", "ш": "s"}
_ARMENIAN = dict(
    zip(
        "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցփքօֆև",
        ["a", "b", "g", "d", "e", "z", "e", "y", "t", "zh", "i", "l", "kh", "ts", "k", "h", "dz", "gh", "ch", "m", "y", "n", "sh", "o", "ch", "p", "j", "r", "s", "v", "t", "r", "ts", "p", "k", "o", "f", "ev"],
        strict=True,
    )
) | {"ւ": "v"}  # fmt: skip
_GEORGIAN = dict(
    zip(
        "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
        [
            "a",
            "b",
            "g",
            "d",
            "e",
            "v",
            "z",
            "t",
            "i",
            "k",
            "l",
            "m",
            "n",
            "o",
            "p",
            "zh",
            "r",
            "s",
            "t",
            "u",
            "p",
            "k",
            "gh",
            "q",
            "sh",
            "ch",
            "ts",
            "dz",
            "ts",
            "ch",
            "kh",
            "j",
            "h",
        ],
        strict=True,
    )
)
_LATIN = {"ı": "i", "ø": "o", "đ": "dj", "ł": "l", "ß": "ss", "æ": "ae", "ʻ": "", "’": "", "‘": "", "'": ""}
_OTHERS = _ARMENIAN | _GEORGIAN | _LATIN
_NOT_LOGIN = re.compile(r"[^a-z0-9-]")


@cache
def to_latin(name: str, country: str) -> str:
    """Spells one name in ASCII letters; letters of unknown scripts disappear."""
    table = _SERBIAN if country == "RS" else _CYRILLIC
    words = []
    for word in name.split():
        lower = word.lower()
        if country != "RS" and lower.endswith(("ий", "ый")):
            lower = lower[:-2] + "y"
        if country == "AM":
            lower = lower.replace("ու", "u")
            if lower.startswith("ե"):
                lower = "ye" + lower[1:]
        spelled = "".join(
            table.get(letter) or _OTHERS.get(letter, "" if letter in table else letter)
            for letter in unicodedata.normalize("NFC", lower)
        )
        plain = unicodedata.normalize("NFD", spelled).encode("ascii", "ignore").decode()
        words.append("-".join(part.capitalize() for part in plain.split("-")))
    return " ".join(words)


def split_name(entry: str, country: str) -> tuple[str, str]:
    """(native, Latin) of a catalogue entry, "native" or "native|Latin"."""
    native, _, latin = entry.partition("|")
    return native, latin or to_latin(native, country)


@cache
def feminine(surname: str) -> str:
    """The form of an East Slavic or Uzbek surname that a woman bears; other surnames stay as they are."""
    if surname.endswith(("ов", "ев", "ёв", "ин", "ын")):
        return surname + "а"
    if surname.endswith("ский"):
        return surname[:-2] + "ая"
    if surname.endswith("цкий"):
        return surname[:-2] + "ая"
    if surname.endswith(("ov", "ev")):
        return surname + "a"
    return surname


def login_of(given: str, surname: str) -> str:
    """`given.surname` of Latin names, lower case, letters, digits and hyphens only."""
    return ".".join(_NOT_LOGIN.sub("", part.lower()) for part in (given, surname))
