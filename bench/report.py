"""The table that a bench prints: what was measured, against which limit of the same run, and what the aim is."""

import statistics
from collections.abc import Callable, Sequence
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


_HEAD = ("", "n", "median ms", "p95 ms", "limit ms", "ratio", "over ms", "limit", "aim", "")


def table(lines: Sequence[Line]) -> str:
    """The lines as aligned text."""
    rows = [_HEAD, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    left = {0, 7, 8, 9}
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
