"""GraphQL over HTTP beside the servers of npm: same rows, same documents, same client, interleaved in one run."""

import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.company import MANY_TEAMS_OPERATOR, OPERATOR, write_policies, write_rows, write_teams
from bench.report import Line, Rate
from bench.servers import PEERS, Load, Running, ServerPlan, Target, measure_load, node, okno, running

ROWS = 1_000
ROUNDS = 7
ROUND_SECONDS = 1.5
CONNECTIONS = 4
OKNO, YOGA, YOGA_JIT, MERCURIUS, BARE = "Okno", "yoga", "yoga + JIT", "mercurius + JIT", "bare HTTP of Node"
ALLOW_ALL, MANY = "Okno, allow-all policy", "Okno, 50 teams and 500 rules"

EMPTY = "{ __typename }"
LIST = """{
  benchEmployees(first: 1000) {
    id displayName login email position country workPhone state protected indexedAt
  }
}"""
SECTIONS = """{
  benchEmployees(first: 100) {
    id
    hr { fullName position department hireDate state }
    directory { userName displayName email active modifiedAt }
    domain { login enabled locked failedLogons passwordChangedAt }
  }
}"""
_GATED_FIELDS = ROWS * 10
_TOKEN = "okno_pat_" + "b" * 43


@dataclass(frozen=True)
class Case:
    """A document and what Okno has to reach: (peer, how many times its rate)."""

    title: str
    document: str
    aims: Sequence[tuple[str, float]]


CASES = (
    Case("1,000 employees × 10 scalars", LIST, ((YOGA, 3.0), (MERCURIUS, 1.0))),
    Case("100 employees × 3 sections × 5 fields", SECTIONS, ((YOGA, 2.0),)),
    Case("{ __typename }", EMPTY, ((YOGA, 1.0),)),
)


async def measure(*, rounds: int = ROUNDS, seconds: float = ROUND_SECONDS) -> tuple[list[Rate], list[Line]]:
    """All cases, and what the gate costs.

    Raises:
        RuntimeError: a server did not start, answered wrongly, or the peers are not installed.
    """
    if not (PEERS / "node_modules").is_dir():
        raise RuntimeError("the peers are not installed: `make bench`, or `npm ci` in bench/peers")
    rates: list[Rate] = []
    with tempfile.TemporaryDirectory(prefix="okno-bench-") as temporary:
        async with running(_plans(Path(temporary))) as servers:
            sizes = {case.title: await _same_answers(servers, case) for case in CASES}
            for case in CASES:
                rates += await _compare(servers, case, sizes[case.title], rounds, seconds)
            gate = await _gate(servers, rounds, seconds)
    return rates, gate


def _plans(directory: Path) -> list[ServerPlan]:
    rows = directory / "rows.json"
    write_rows(rows, ROWS)
    teams = write_teams(directory / "teams")
    policies = write_policies(directory / "policies")
    shared = {"BENCH_ROWS": str(rows)}

    def of_okno(name: str, policy: str, login: str) -> ServerPlan:
        environment = {
            **shared,
            "POLAR_TIMEOUT_MS": "170000",  # a clock on the wall: a busy machine needs longer for 500 rules
            "BENCH_POLICY": str(policies[policy]),
            "BENCH_TEAMS": str(teams),
            "BENCH_LOGIN": login,
        }
        return ServerPlan(name, okno(), environment, {"authorization": f"Bearer {_TOKEN}"})

    return [
        of_okno(OKNO, "shipped", OPERATOR),
        of_okno(ALLOW_ALL, "allow-all", OPERATOR),
        of_okno(MANY, "many", MANY_TEAMS_OPERATOR),
        ServerPlan(YOGA, node("yoga.mjs"), shared),
        ServerPlan(YOGA_JIT, node("yoga.mjs"), {**shared, "BENCH_JIT": "1"}),
        ServerPlan(MERCURIUS, node("mercurius.mjs"), shared),
        ServerPlan(BARE, node("bare.mjs"), shared),
    ]


async def _same_answers(servers: dict[str, Running], case: Case) -> int:
    """Asks everybody once and compares what they say; the bytes of Okno's answer.

    Raises:
        RuntimeError: two answers differ, so that their times cannot be compared.
    """
    data: dict[str, object] = {}
    size = 0
    async with aiohttp.ClientSession() as session:
        for name, server in servers.items():
            if name == BARE:
                continue
            headers = {**server.headers, "accept": "application/json"}
            async with session.post(server.url, json={"query": case.document}, headers=headers) as response:
                raw = await response.read()
            if response.status != 200 or "errors" in (answer := json.loads(raw)):
                raise RuntimeError(f"{name}, {case.title}: HTTP {response.status}: {raw[:500].decode()}")
            size = len(raw) if name == OKNO else size
            data[name] = _comparable(answer["data"])
    for name, said in data.items():
        if said != data[OKNO]:
            raise RuntimeError(f"{case.title}: {name} and {OKNO} do not answer the same")
    return size


def _comparable(value: object) -> object:
    """Moments written as Node or as Python writes them are the same."""
    if isinstance(value, dict):
        return {key: _comparable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_comparable(each) for each in value]
    if isinstance(value, str) and value[10:11] == "T":
        return value.replace("+00:00", "Z").replace(".000Z", "Z")
    return value


def _target(server: Running, document: str, size: int = 0) -> Target:
    headers = {"x-bytes": str(size)} if server.name == BARE else {}
    return Target(server, json.dumps({"query": document}), headers)


async def _compare(
    servers: dict[str, Running], case: Case, size: int, rounds: int, seconds: float
) -> list[Rate]:
    print(f"   {case.title}", flush=True)
    names = (OKNO, YOGA, YOGA_JIT, MERCURIUS, BARE)
    targets = [_target(servers[name], case.document, size) for name in names]
    await measure_load(targets, rounds=1, seconds=seconds, connections=CONNECTIONS)  # warms everybody up
    many = _checked(await measure_load(targets, rounds=rounds, seconds=seconds, connections=CONNECTIONS))
    alone = _checked(await measure_load(targets, rounds=max(1, rounds // 2), seconds=seconds, connections=1))
    rates = []
    for name in names:
        aims = case.aims if name == OKNO else ()
        rates.append(
            Rate(
                case.title if name == OKNO else "",
                name,
                [load.per_second for load in many[name]],
                1 / statistics.median(load.per_second for load in alone[name]),
                statistics.median(load.processor for load in many[name]),
                [(peer, times, _ratio(many[OKNO], many[peer])) for peer, times in aims],
            )
        )
    busiest = max(rates[:-1], key=lambda rate: rate.median)
    if busiest.median > 0.8 * rates[-1].median:
        print(f"   ! the client was at its limit: {busiest.server} comes near a server that does nothing")
    return rates


def _ratio(own: Sequence[Load], other: Sequence[Load]) -> float:
    """Median of the ratios of neighbouring rounds: a noisy moment of the machine meets both."""
    return statistics.median(a.per_second / b.per_second for a, b in zip(own, other, strict=True))


async def _gate(servers: dict[str, Running], rounds: int, seconds: float) -> list[Line]:
    """What deciding costs: the list under three policies, one request at a time."""
    print("   the gate", flush=True)
    names = (ALLOW_ALL, OKNO, MANY)
    targets = [_target(servers[name], LIST) for name in names]
    loads = _checked(await measure_load(targets, rounds=rounds * 2, seconds=seconds / 2, connections=1))
    times = {name: [1 / load.per_second for load in loads[name]] for name in names}
    limit = statistics.median(times[ALLOW_ALL])
    ratio = _ratio(loads[ALLOW_ALL], loads[OKNO])
    over = statistics.median(many - allow for many, allow in zip(times[MANY], times[ALLOW_ALL], strict=True))
    return [
        Line("list, allow-all policy", times[ALLOW_ALL]),
        Line(
            "list, shipped policy",
            times[OKNO],
            limit_title="allow-all policy",
            limit=limit,
            aim=f"at most 1.1 times (by rounds {ratio:.2f})",
            meets=lambda line: ratio <= 1.1,
        ),
        Line(
            "list, 50 teams and 500 rules",
            times[MANY],
            limit_title="allow-all policy",
            limit=limit,
            aim=f"at most 2 µs a gated field ({over / _GATED_FIELDS * 1e6:.2f})",
            meets=lambda line: over / _GATED_FIELDS <= 2e-6,
        ),
    ]


def _checked(loads: dict[str, list[Load]]) -> dict[str, list[Load]]:
    for name, rounds in loads.items():
        if failed := sum(load.failed for load in rounds):
            raise RuntimeError(f"{name}: {failed} requests failed under load")
    return loads
