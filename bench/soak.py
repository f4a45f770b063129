"""Memory over many requests whose documents, clients and answers all differ: `python -m bench.soak 1000000`.

The application answers inside this process, so that a request costs no client; what it keeps is what a process of its own
would keep. Everything that remembers by what a client sends is asked to remember something new each time.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import uvloop
from starlette.types import ASGIApp, Message

from bench.company import OPERATOR, write_policies, write_rows, write_teams
from bench.okno_server import build
from bench.report import ALLOWED_GROWTH, growth_after_warm_up
from okno.app import spare_collector

REQUESTS = 20_000
INTERVALS = 20
_FIELDS = (
    "displayName", "login", "email", "position", "country", "workPhone", "state", "protected", "indexedAt", "city",
    "latinName", "timeZone", "department", "office", "personnelNumber",
)  # fmt: skip
_SECTIONS = (
    "hr { position hireDate }",
    "directory { userName groups }",
    "domain { login locked meta { state } }",
)


async def soak(requests: int) -> list[float]:
    """Megabytes of memory at each interval."""
    with tempfile.TemporaryDirectory(prefix="okno-soak-") as temporary:
        directory = Path(temporary)
        rows = directory / "rows.json"
        write_rows(rows, 50)
        policies = write_policies(directory / "policies")
        served = build(rows, policies["shipped"], write_teams(directory / "teams"), OPERATOR)
    spare_collector()
    process = psutil.Process()
    bodies = _bodies(random.Random(20261101))
    found: list[float] = []
    answers: dict[str, int] = {}
    began = time.perf_counter()
    for number in range(requests):
        answer = await _ask(served.app, next(bodies), number)
        answers[answer] = answers.get(answer, 0) + 1
        if (number + 1) % max(1, requests // INTERVALS) == 0:
            found.append(process.memory_info().rss / 1e6)
            seconds = time.perf_counter() - began
            print(f"   {number + 1:>9,} requests, {seconds:6.0f} s, {found[-1]:6.1f} MB", flush=True)
    print(
        f"   answered: {', '.join(f'{count:,} {answer}' for answer, count in sorted(answers.items()))}",
        flush=True,
    )
    return found


def _bodies(rng: random.Random) -> Iterator[Any]:
    """Request bodies: most are valid and new, some wrong in a new way, some come back, some are batches."""
    recent: list[Any] = []
    number = 0
    while True:
        number += 1
        chance = rng.random()
        if chance < 0.1 and recent:
            yield rng.choice(recent)
        elif chance < 0.2:
            yield {"query": f"{{ nothing{number} {{ here{number} }} }}"}
        elif chance < 0.25:
            yield {"query": f"{{ __typename a{number}"}
        elif chance < 0.3:
            yield [_valid(rng, number * 10 + place) for place in range(3)]
        else:
            body = _valid(rng, number)
            recent = [*recent[-50:], body]
            yield body


def _valid(rng: random.Random, number: int) -> dict[str, Any]:
    """A document that nobody has sent before: mostly a small one, so that there can be many."""
    if rng.random() < 0.7:
        return {"query": f"{{ a{number}: __typename me {{ b{number}: login }} }}"}
    fields = " ".join(f"a{number}_{field}: {field}" for field in rng.sample(_FIELDS, rng.randrange(1, 4)))
    section = rng.choice(_SECTIONS) if rng.random() < 0.3 else ""
    if rng.random() < 0.5:
        query = f"query Q{number}($n: Int!) {{ benchEmployees(first: $n) {{ id {fields} {section} }} }}"
        return {"query": query, "variables": {"n": rng.randrange(1, 4)}, "operationName": f"Q{number}"}
    query = f"{{ benchEmployees(first: 2) {{ ...F{number} }} }} fragment F{number} on Employee {{ {fields} {section} }}"
    return {"query": query}


async def _ask(app: ASGIApp, body: Any, number: int) -> str:
    content = json.dumps(body).encode()
    token = f"okno_pat_{number:043d}" if number % 5 == 0 else "okno_pat_" + "b" * 43
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 8_000),
        "state": {},
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json;q=0.%d" % (1 + number % 999)),
            (b"authorization", f"Bearer {token}".encode()),
            (b"x-okno-client", b"soak-%d/%d" % (number % 5_000, number)),
            (b"x-request-id", b"request-%d" % number),
            (b"content-length", str(len(content)).encode()),
        ],
    }
    await app(scope, receive, send)
    kind = "with data" if b'"data":' in sent[1]["body"] else "refused"
    return f"{kind} (HTTP {sent[0]['status']})"


def main() -> None:
    """Prints the readings and the verdict; exits with 1 when memory grew."""
    requests = int(sys.argv[1].replace("_", "")) if len(sys.argv) > 1 else REQUESTS
    found = uvloop.run(soak(requests))
    growth = growth_after_warm_up(found)
    print(
        f"   memory after {requests:,} requests with changing documents: {growth:.3f} times that after the warm-up, "
        f"aim at most {ALLOWED_GROWTH}: {'met' if growth <= ALLOWED_GROWTH else 'MISSED'}"
    )
    sys.exit(0 if growth <= ALLOWED_GROWTH else 1)


if __name__ == "__main__":
    main()
