"""Real systems, started as processes of their own, that the contract assertions run against."""

import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from okno.sources.service import PersonKeys


@dataclass(frozen=True)
class Peer:
    """A running system of one kind, with what it knows."""

    name: str
    source: str
    """Id of the manifest in config/sources/ that is used unchanged."""
    environment: Mapping[str, str]
    expected: Mapping[str, Any]
    """Fields of Ivan Petrov's section, with their typed values."""
    secret: str
    """Must appear in no message."""
    powerless: Mapping[str, str] = field(default_factory=dict)
    """Environment of an account that may read and not write."""


IVAN = PersonKeys(UUID(int=100010), "100010", "ivan.petrov", "ivan.petrov@okno.example")
NOBODY = PersonKeys(UUID(int=1), "999999999", "no.body", "no.body@okno.example")

# Personnel number, login, name, family name, displayed name: the fixed people of the demo company that peers hold too.
PEOPLE = (
    ("100002", "maxim.egorov", "Maxim Egorov", "Egorov", "Максим Егоров"),
    ("100005", "anna.sorokina", "Anna Sorokina", "Sorokina", "Анна Сорокина"),
    ("100006", "kwame.mensah", "Kwame Mensah", "Mensah", "Kwame Mensah"),
    ("100010", "ivan.petrov", "Ivan Petrov", "Petrov", "Иван Петров"),
    ("100012", "amina.okafor", "Amina Okafor", "Okafor", "Amina Okafor"),
    ("100013", "dastan.akhmetov", "Dastan Akhmetov", "Akhmetov", "Дастан Ахметов"),
    ("100017", "joao.silva", "Joao Silva", "Silva", "João Silva"),
)
NUMBERS = frozenset(person[0] for person in PEOPLE)


def find_program(name: str, package: str) -> str:
    """Path of a program; fails the test with what to install, never skips."""
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin")
    if path is None:
        raise AssertionError(f"{name} is missing: sudo apt-get install --no-install-recommends {package}")
    return path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Polls until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
