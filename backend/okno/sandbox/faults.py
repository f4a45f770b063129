"""Faults on demand: what a simulated system is told to do wrong, and the counters of what reached it."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from okno.errors import InvalidInput

SYSTEMS = ("hr", "directory", "domain", "equipment")
DRIP_SECONDS = 0.1
NOISE = b'{"\xff\xfe<html>\x00\x9c502 Bad Gateway</html>]]}' * 3


@dataclass(frozen=True, slots=True)
class Faults:
    """One system's faults; all off by default. FORMATS.md says what each does."""

    latency_seconds: float = 0.0
    error_rate: float = 0.0
    outage: bool = False
    hang: bool = False
    garbage: bool = False
    half: bool = False
    slow_drip: bool = False
    for_seconds: float | None = None

    @classmethod
    def parse(cls, raw: Any) -> "Faults":
        """Checks what came over the control port.

        Raises:
            InvalidInput: an unknown key, a wrong type or a value out of range; `field` names the key.
        """
        if not isinstance(raw, Mapping):
            raise InvalidInput(f"faults are a JSON object, got {type(raw).__name__}")
        known = {each.name for each in fields(cls)}
        for key, value in raw.items():
            if key not in known:
                raise InvalidInput(
                    f"unknown fault {key!r}; known are {', '.join(sorted(known))}", field=str(key)
                )
            if key in ("latency_seconds", "error_rate", "for_seconds"):
                if value is None and key == "for_seconds":
                    continue
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise InvalidInput(f"{key} is a number, got {value!r}", field=key)
                highest = 1 if key == "error_rate" else 86_400
                if not 0 <= value <= highest:
                    raise InvalidInput(f"{key} lies between 0 and {highest}, got {value}", field=key)
            elif not isinstance(value, bool):
                raise InvalidInput(f"{key} is true or false, got {value!r}", field=key)
        return cls(**raw)

    def as_dict(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {
            each.name: value for each in fields(self) if (value := getattr(self, each.name)) != each.default
        }

    @property
    def damages_answers(self) -> bool:
        return self.garbage or self.half or self.slow_drip


class Dropped(Exception):
    """The request was held by a fault and the fault ended: its connection is cut, the request was not carried out."""


class FaultBoard:
    """The current faults of one system, and what reached it. Lives on the event loop."""

    def __init__(self, system: str) -> None:
        self.system = system
        self.current = Faults()
        self.reads = 0
        self.writes = 0
        self.connections = 0
        self.on_change: list[Callable[[Faults], None]] = []
        self._changed = asyncio.Event()
        self._expiry: asyncio.TimerHandle | None = None
        self._random = random.Random(system)

    def set(self, faults: Faults) -> None:
        """Replaces the faults; requests that hang are dropped. `for_seconds` later they clear themselves."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self.current = faults
        self._changed.set()
        self._changed = asyncio.Event()
        for listener in self.on_change:
            listener(faults)
        if faults.for_seconds is not None:
            self._expiry = asyncio.get_running_loop().call_later(faults.for_seconds, self.set, Faults())

    async def arrived(self) -> bool:
        """Holds a request as the faults say; True when it is to be refused as "busy" (the error rate struck).

        Raises:
            Dropped: the request hung until the faults changed.
        """
        faults = self.current
        if faults.latency_seconds:
            await asyncio.sleep(faults.latency_seconds)
        if faults.hang:
            await self._changed.wait()
            raise Dropped
        return self.refuses()

    def refuses(self) -> bool:
        """Throws the dice of the error rate."""
        return bool(self.current.error_rate) and self._random.random() < self.current.error_rate

    async def hung(self) -> None:
        """Waits while the system hangs.

        Raises:
            Dropped: it did, and the faults changed.
        """
        if self.current.hang:
            await self._changed.wait()
            raise Dropped

    def counters(self) -> dict[str, int]:
        return {"reads": self.reads, "writes": self.writes, "connections": self.connections}


async def drip(write: Callable[[bytes], Any], data: bytes) -> None:
    """Hands `data` to `write` one byte at a time, ten a second."""
    for index in range(len(data)):
        write(data[index : index + 1])
        await asyncio.sleep(DRIP_SECONDS)
