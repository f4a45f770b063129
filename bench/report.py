"""The table that a bench prints: what was measured, against which limit of the same run, and what the aim is."""

import statistics
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

Judge = Callable[["Line"], bool]


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement. Times in seconds; `limit` is what cannot be beaten, measured in the same run."""

    title: str
    seconds: Sequence[float]
    limit_title: str = ""
    limit: float | None = None
    aim: str = ""
    meets: Judge | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(len(self.seconds) * 0.95))]

    @property
    def over(self) -> float:
        """Seconds over the limit."""
        return self.median - (self.limit or 0.0)

    @property
    def ratio(self) -> float:
        """Times the limit."""
        return self.median / self.limit if self.limit else float("nan")


@dataclass(frozen=True, slots=True)
class Rate:
    """What one server did with one document. Seconds of a request: `alone`, when there is one at a time; `processor`, those of
    the server's processor time, which a noisy machine disturbs least.

    `aims`: (whom it is compared with, how many times that one's rate is the aim, how many times it was).
    """

    title: str
    server: str
    per_second: Sequence[float]
    alone: float
    processor: float
    aims: Sequence[tuple[str, float, float]] = ()

    @property
    def median(self) -> float:
        return statistics.median(self.per_second)


# While caches fill and the allocator finds its size; after that nothing may grow
_WARM_UP = 0.4
ALLOWED_GROWTH = 1.05


def growth_after_warm_up(readings: Sequence[float]) -> float:
    """How many times the memory after the warm-up that at the end is, each as the mean of three readings."""
    after = readings[int(len(readings) * _WARM_UP) :]
    return sum(after[-3:]) / sum(after[:3])


_RATES_HEAD = ("", "server", "requests/s", "least", "most", "alone ms", "CPU ms", "aim", "was", "")
_HEAD = ("", "n", "median ms", "p95 ms", "limit ms", "ratio", "over ms", "limit", "aim", "")


def table(lines: Sequence[Line]) -> str:
    """The lines as aligned text."""
    return _aligned([_HEAD, *(_cells(line) for line in lines)], left={0, 7, 8, 9})


def rates_table(rates: Sequence[Rate]) -> str:
    """The rates as aligned text, a line for each server and for each further aim."""
    return _aligned([_RATES_HEAD, *(row for rate in rates for row in _rate_rows(rate))], left={0, 1, 7, 9})


def _rate_rows(rate: Rate) -> list[tuple[str, ...]]:
    aims = [
        (f"at least {times:g} × {peer}", f"{was:.2f}", "met" if was >= times else "MISSED")
        for peer, times, was in rate.aims
    ] or [("", "", "")]
    rates = (rate.median, min(rate.per_second), max(rate.per_second))
    first = (
        rate.title,
        rate.server,
        *(f"{each:.0f}" for each in rates),
        f"{rate.alone * 1000:.2f}",
        f"{rate.processor * 1000:.3f}",
    )
    return [(*first, *aims[0]), *(("",) * 7 + aim for aim in aims[1:])]


def _aligned(rows: Sequence[Sequence[str]], *, left: Collection[int]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _cells(line: Line) -> tuple[str, ...]:
    limited = line.limit is not None
    return (
        line.title,
        str(len(line.seconds)),
        _ms(line.median),
        _ms(line.p95),
        _ms(line.limit) if line.limit is not None else "",
        f"{line.ratio:.2f}" if limited else "",
        _ms(line.over) if limited else "",
        line.limit_title,
        line.aim,
        "" if line.meets is None else ("met" if line.meets(line) else "MISSED"),
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
