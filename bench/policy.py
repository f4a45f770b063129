"""A policy of 500 rules: how long it takes until it decides for rights that nobody has asked with before, and to explain.

The rules are Okno's own and as many again for systems that it might be given: sections of fields, operations, masks.
Processor time, which other processes on the machine disturb less than the clock's.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench.report import Line
from okno.policy.service import Policy, Rights

RULES = 500
AIM_SECONDS = 0.2
EXPLAIN_AIM_SECONDS = 0.05
_POLICIES = Path(__file__).parents[1] / "policies"
_REPEATS = 15
_TABLES = (("read", "Employee"), ("read", "Okno"), ("read", "JournalRecord"), ("run", "Employee"))

_FIELDS = """resource_of("{type}", "Employee");
level("{type}.meta", "public");
level("{type}.number", "internal");
level("{type}.kind", "internal");
level("{type}.state", "internal");
level("{type}.since", "internal");
level("{type}.place", "internal");
level("{type}.phone", "confidential");
level("{type}.contact", "confidential");
level("{type}.history", "confidential");
level("{type}.secret", "secret");
masked("{type}.phone", "last-4");
masked("{type}.contact", "domain");
role("{id}_reader", "reads {id}");
role("{id}_admin", "administers {id}");
"""
_RULES = (
    """permit(p: Person, "read", e: Employee, field,
       "{id}.internal: readers read internal fields of {id} in their countries") if
    person(p) and "{id}_reader" in p.roles and reaches(p, e) and may_attend(p, e) and
    section in ["Employee", "{type}"] and part_of(field, section) and level(field, "internal");
""",
    """permit(p: Person, "read", e: Employee, field,
       "{id}.confidential: administrators read confidential fields of {id}") if
    person(p) and "{id}_admin" in p.roles and reaches(p, e) and may_attend(p, e) and
    part_of(field, "{type}") and level(field, "confidential");
""",
    """permit(p: Person, "read", e: Employee, field,
       "{id}.secret: administrators with a fresh second factor read secret fields of {id}") if
    person(p) and "{id}_admin" in p.roles and "second_factor" in p.facts and e.protected = false and
    part_of(field, "{type}") and level(field, "secret");
""",
    """permit(p: Person, "mask", e: Employee, field,
       "{id}.masked: readers see masked what they may not read of {id}") if
    person(p) and "{id}_reader" in p.roles and reaches(p, e) and may_attend(p, e) and
    part_of(field, "{type}") and masked(field, _);
""",
    """permit(p: Person, "match", e: Employee, "{type}.phone",
       "{id}.match: readers find people by the exact phone of {id}") if
    person(p) and "{id}_reader" in p.roles and reaches(p, e) and may_attend(p, e);
""",
    """permit(p: Person, "run", e: Employee, operation,
       "{id}.operate: administrators work on {id} of others in working hours") if
    person(p) and "{id}_admin" in p.roles and "working_hours" in p.facts and reaches(p, e) and may_attend(p, e) and
    e.id != p.employee_id and operation in ["{id}.issue", "{id}.revoke", "{id}.lock"];
""",
    """permit(p: Person, "run", e: Employee, "{id}.restore",
       "{id}.restore: readers restore {id} of those who work") if
    person(p) and "{id}_reader" in p.roles and reaches(p, e) and may_attend(p, e) and
    e.state in ["WORKS", "ON_LEAVE", "LEAVING"] and e.id != p.employee_id;
""",
    """permit(p: Person, "use", _o: Okno, "{id}.page",
       "{id}.page: the page of {id}") if
    person(p) and ("{id}_reader" in p.roles or "{id}_admin" in p.roles);
""",
)


def big_policy(rules: int = RULES) -> list[tuple[str, str]]:
    """The files of Okno's policy and as many generated ones as make so many rules."""
    sources = [
        (f"policies/{path.name}", path.read_text(encoding="utf-8"))
        for path in sorted(_POLICIES.glob("*.polar"))
    ]
    count = sum(text.count("\npermit(") for _, text in sources)
    system = 0
    while count < rules:
        names = {"type": f"System{system}Section", "id": f"system{system}"}
        chosen = _RULES[: rules - count]
        texts = [_FIELDS.format(**names), *(rule.format(**names) for rule in chosen)]
        sources.append((f"policies/system{system}.polar", "\n".join(texts)))
        count += len(chosen)
        system += 1
    return sources


def rights(system: int) -> Rights:
    """A person of two systems: no two numbers have the same."""
    return Rights(
        roles=frozenset({"support", f"system{system % 30}_reader", f"system{(system + 1) % 30}_admin"}),
        teams=frozenset({f"team-{system}"}),
        countries=frozenset({"RU", "KZ", "NG"}),
        facts=frozenset({"session", "working_hours"}),
    )


def measure() -> list[Line]:
    """Loads, compiles and explains; each measured against nothing, since there is no other way to do it."""
    sources = big_policy()
    policy = Policy.from_sources(sources, "bench")
    number = iter(range(1_000_000))

    def first_tables(of: Policy) -> None:
        asking = rights(next(number))
        for action, resource in _TABLES:
            of.table(asking, action, resource)

    def load() -> None:
        Policy.from_sources(sources, "bench")

    def load_and_decide() -> None:
        first_tables(Policy.from_sources(sources, "bench"))

    def explain() -> None:
        asking = rights(next(number))
        found = policy.explain(asking, "read", "Employee", "System7Section.secret", {"country": "BR"})
        assert found.allowed is False
        assert found.nearest

    lines = [
        Line("load 500 rules", _times(load)),
        Line("tables for new rights", _times(lambda: first_tables(policy))),
        Line(
            "load, then tables for new rights",
            _times(load_and_decide),
            aim="median below 200 ms",
            meets=lambda line: line.median < AIM_SECONDS,
        ),
        Line(
            "explain a denial, new rights",
            _times(explain),
            aim="median below 50 ms",
            meets=lambda line: line.median < EXPLAIN_AIM_SECONDS,
        ),
    ]
    if statistics.median(lines[0].seconds) <= 0:
        raise RuntimeError("this machine does not tell processor time")
    return lines


def _times(work: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(_REPEATS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return times
