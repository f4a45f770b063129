"""`make bench`: starts an Okno of its own, measures it against limits of the same run, prints tables.

`python -m bench.run graphql` measures one part alone; the parts are stack (search and card), graphql, policy and soak.
"""

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from bench import card, graph, journal, policy, search
from bench.client import open_client
from bench.report import Line, rates_table, table
from bench.stack import running_stack

# An operator of the first line, with row conditions and denied fields: what most people are.
ACTOR = "anna.sorokina"


async def measure_stack() -> None:
    """Search and card, against a whole Okno."""
    print("Starting an Okno for the bench …", flush=True)
    lines: list[Line] = []
    async with running_stack() as stack, open_client(stack.url, stack.token(ACTOR)) as client:
        for title, bench in (("search", search.measure(client)), ("card", card.measure(stack, client))):
            print(f"Measuring: {title}", flush=True)
            lines += await bench
    print(f"\n{table(lines)}\n")


async def measure_graphql() -> None:
    """The API process beside servers of npm."""
    print("Measuring: GraphQL beside its peers", flush=True)
    rates, gate = await graph.measure()
    print(f"\n{rates_table(rates)}\n\n{table(gate)}\n")


async def measure_policy() -> None:
    """A policy of 500 rules."""
    print("Measuring: policy", flush=True)
    print(f"\n{table(policy.measure())}\n")


async def measure_journal() -> None:
    """Pairs a second, and verification."""
    print("Measuring: the journal", flush=True)
    await journal.measure()


async def measure_soak() -> None:
    """Memory over many requests, in a process that has done nothing else."""
    print("Measuring: memory", flush=True)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.soak")
    if await process.wait() not in (0, 1):
        raise RuntimeError("the soak failed; its errors stand above")


PARTS: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = {
    "stack": measure_stack,
    "graphql": measure_graphql,
    "policy": measure_policy,
    "journal": measure_journal,
    "soak": measure_soak,
}


def main() -> None:
    """Prints; the exit code says only whether it could be measured."""
    wanted = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in wanted if name not in PARTS]:
        sys.exit(f"bench: there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}; absolute times do not travel, ratios do\n"
    )
    try:
        for name in wanted:
            asyncio.run(PARTS[name]())
    except RuntimeError as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
