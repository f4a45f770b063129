"""`make bench`: starts an Okno of its own, measures it against limits of the same run, prints a table."""

import asyncio
import os
import platform
import sys

from bench import card, search
from bench.client import open_client
from bench.report import Line, table
from bench.stack import running_stack

# An operator of the first line, with row conditions and denied fields: what most people are.
ACTOR = "anna.sorokina"


async def measure() -> list[Line]:
    """All measurements."""
    print("Starting an Okno for the bench …", flush=True)
    lines: list[Line] = []
    async with running_stack() as stack, open_client(stack.url, stack.token(ACTOR)) as client:
        for title, bench in (("search", search.measure(client)), ("card", card.measure(stack, client))):
            print(f"Measuring: {title}", flush=True)
            lines += await bench
    return lines


def main() -> None:
    """Prints; the exit code says only whether it could be measured."""
    try:
        lines = asyncio.run(measure())
    except RuntimeError as error:
        sys.exit(f"bench: {error}")
    print(
        f"\n{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}; absolute times do not travel, ratios do\n"
    )
    print(table(lines))


if __name__ == "__main__":
    main()
