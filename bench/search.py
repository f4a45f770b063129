"""Search as people type it, at the API, among all employees, against the emptiest request of the same run."""

import random
import statistics

from bench.client import Client
from bench.report import Line

AIM_SECONDS = 0.030
PEOPLE = 40
_EMPTY = "{ __typename }"
# The document of the search box.
SEARCH = """
query SearchPeople($text: String!, $first: Int!) {
  employees(search: $text, first: $first) {
    edges { node {
      id displayName latinName login email position department city country workPhone state protected
    } }
    pageInfo { hasNextPage }
  }
}
"""
_SAMPLE = """
query Sample($after: String) {
  employees(first: 100, after: $after) {
    edges { node { displayName latinName login personnelNumber workPhone } } pageInfo { hasNextPage endCursor }
  }
}
"""


async def measure(client: Client) -> list[Line]:
    """Each query once, shuffled by a fixed seed."""
    rng = random.Random(20261101)
    queries = _queries(rng, await _sample(client, rng))
    rng.shuffle(queries)
    for _kind, text in queries[:20]:
        await client.ask(SEARCH, {"text": text, "first": 20})
    empty: list[float] = []
    by_kind: dict[str, list[float]] = {}
    found = 0
    for kind, text in queries:
        empty.append((await client.ask(_EMPTY))[1])
        data, seconds = await client.ask(SEARCH, {"text": text, "first": 20})
        by_kind.setdefault(kind, []).append(seconds)
        found += bool(data["employees"]["edges"])
    print(f"   {found} of {len(queries)} searches found somebody")
    limit = statistics.median(empty)
    lines = [Line(f"search by {kind}", seconds) for kind, seconds in sorted(by_kind.items())]
    everything = Line(
        "search, all kinds",
        [seconds for kind in by_kind.values() for seconds in kind],
        limit_title="{ __typename }",
        limit=limit,
        aim="median below 30 ms",
        meets=lambda line: line.median < AIM_SECONDS,
    )
    return [*lines, everything]


def _queries(rng: random.Random, people: list[dict[str, str]]) -> list[tuple[str, str]]:
    """What is typed to find each of these people: kind and text, beginnings of words as typing goes on included."""
    queries: list[tuple[str, str]] = []
    for person in people:
        for name in (person["displayName"], person["latinName"]):
            words = name.split()
            family, given = words[-1], words[0]
            queries.append(("one or two letters", family[: rng.choice((1, 2))]))
            queries += [("beginning of a name", family[:length]) for length in (3, 5)]
            queries.append(("two words", f"{given} {family[:2]}"))
            queries.append(("whole name", name))
        queries.append(("login", person["login"]))
        queries.append(("personnel number", person["personnelNumber"]))
        phone = person["workPhone"] or ""
        queries += [("phone", text) for text in (phone, phone[-4:]) if text]
        family = person["latinName"].split()[-1]
        if len(family) > 5:
            place = rng.randrange(2, len(family) - 2)
            queries.append(
                ("typing error", family[:place] + family[place + 1] + family[place] + family[place + 2 :])
            )
    return queries


async def _sample(client: Client, rng: random.Random) -> list[dict[str, str]]:
    """People from all over the list."""
    people: list[dict[str, str]] = []
    after: str | None = None
    for _page in range(50):
        data, _ = await client.ask(_SAMPLE, {"after": after})
        page = data["employees"]
        people += [
            edge["node"]
            for edge in page["edges"]
            if all(edge["node"][k] for k in ("displayName", "latinName", "login"))
        ]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    return rng.sample(people, min(PEOPLE, len(people)))
