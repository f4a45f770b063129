"""The employee card from four sources, each slowed to 20 ms, against the slowest of them asked alone."""

import statistics

from bench.client import Client
from bench.report import Line
from bench.sources import bare_clients, timed
from bench.stack import Stack

LATENCY_SECONDS = 0.020
AIM_SECONDS = 0.010
ROUNDS = 60
_WARM_UP = 10
_META = "meta { state source sourceTitle asOf error { code message } }"
# What the widgets of the shipped card ask for, in one document.
CARD = f"""
query Card($employee: ID!) {{
  employee(id: $employee) {{
    id displayName latinName login email department office city country timeZone state
    hr {{ {_META} personnelNumber position departmentPath employmentType hireDate leaveUntil lastDay workPhone }}
    directory {{ {_META} userName displayName email phone active locale groups modifiedAt }}
    domain {{ {_META} login enabled locked lockedAt failedLogons passwordChangedAt passwordExpiresAt groups }}
    equipment {{ {_META} items {{ kind model inventoryNumber serial issuedOn warrantyUntil state }} }}
  }}
}}
"""
_PEOPLE = """
query People($after: String) {
  employees(first: 100, after: $after) {
    edges { node { id personnelNumber country state protected } } pageInfo { hasNextPage endCursor }
  }
}
"""


async def measure(stack: Stack, client: Client) -> list[Line]:
    """Cards of people nobody has asked for before, so that no cache answers, in turns with the bare questions."""
    people = await _people(client, _WARM_UP + 2 * ROUNDS)
    for employee, _number in people[:_WARM_UP]:
        await client.ask(CARD, {"employee": employee})
    cards: list[float] = []
    alone: dict[str, list[float]] = {}
    not_ok: set[str] = set()
    async with bare_clients(stack.environment) as sources:
        for ask in sources.values():
            await ask(people[0][1])
        await stack.delay(LATENCY_SECONDS)
        try:
            for (employee, _), (_, number) in zip(
                people[_WARM_UP::2], people[_WARM_UP + 1 :: 2], strict=True
            ):
                for name, ask in sources.items():
                    alone.setdefault(name, []).append(await timed(ask, number))
                data, seconds = await client.ask(CARD, {"employee": employee})
                cards.append(seconds)
                for name in sources:
                    if (state := data["employee"][name]["meta"]["state"]) != "OK":
                        not_ok.add(f"{name}: {state}")
        finally:
            await stack.delay(0)
    if not_ok:
        print(f"   ! sections that were not OK, the card's time means little: {', '.join(sorted(not_ok))}")
    slowest = max(alone, key=lambda name: statistics.median(alone[name]))
    lines = [Line(f"{name}, asked alone", seconds) for name, seconds in alone.items()]
    card = Line(
        "card from four sources at 20 ms",
        cards,
        limit_title=f"slowest source, {slowest}",
        limit=statistics.median(alone[slowest]),
        aim="at most 10 ms over",
        meets=lambda line: line.over <= AIM_SECONDS,
    )
    return [*lines, card]


async def _people(client: Client, count: int) -> list[tuple[str, str]]:
    """Ids and personnel numbers of ordinary people whom the first line may see whole."""
    found: list[tuple[str, str]] = []
    after: str | None = None
    while len(found) < count:
        data, _ = await client.ask(_PEOPLE, {"after": after})
        page = data["employees"]
        for edge in page["edges"]:
            node = edge["node"]
            if node["state"] == "WORKS" and not node["protected"] and node["personnelNumber"]:
                found.append((node["id"], node["personnelNumber"]))
        if not page["pageInfo"]["hasNextPage"]:
            raise RuntimeError(f"only {len(found)} people to make cards of, {count} are needed")
        after = page["pageInfo"]["endCursor"]
    return found[:count]
