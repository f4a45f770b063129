"""`okno policy test`: the cases and the committed tables, with a summary as a test runner gives it."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from okno.errors import OknoError
from okno.policy import cases, difference, printing, tables
from okno.policy.deployment import Deployment, told
from okno.policy.matrix import Access
from okno.policy.names import Holder

# A terminal's worth; --json has the rest
_MOST_LINES = 60


def test_command(deployment: Deployment) -> click.Command:
    @click.command(
        "test", help="Runs policies/tests/: the cases of matrix.yaml and the committed tables of access/."
    )
    @click.option(
        "--junit", type=click.Path(path_type=Path, dir_okay=False), help="Also write the result as JUnit XML."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def test(junit: Path | None, as_json: bool) -> None:
        try:
            suites = run_tests(deployment)
        except OknoError as error:
            raise told(error) from error
        failed = sum(len(suite.failures) for suite in suites)
        if junit is not None:
            junit.write_text(_junit(suites), encoding="utf-8")
        if as_json:
            click.echo(
                printing.as_json(
                    {
                        "passed": sum(suite.tests for suite in suites) - failed,
                        "failed": failed,
                        "suites": [
                            {
                                "name": suite.name,
                                "tests": suite.tests,
                                "seconds": round(suite.seconds, 3),
                                "failures": [
                                    {"name": name, "lines": list(lines)} for name, lines in suite.failures
                                ],
                            }
                            for suite in suites
                        ],
                    }
                )
            )
        else:
            printing.echo(_test_lines(suites))
        if failed:
            raise click.exceptions.Exit(1)

    return test


@dataclass(frozen=True, slots=True)
class Suite:
    """What came of one kind of test: each failure with what it says."""

    name: str
    tests: int
    seconds: float
    failures: tuple[tuple[str, tuple[str, ...]], ...]


def run_tests(deployment: Deployment) -> list[Suite]:
    """The cases and the tables.

    Raises:
        OknoError: the policy, the cases or the tables cannot be read.
    """
    folder = deployment.policies_dir() / "tests"
    policy, names = deployment.load_policy(), deployment.schema_names()
    begun = time.perf_counter()
    found = cases.load(folder / "matrix.yaml")
    failures = tuple((str(each.case), (str(each),)) for each in found.run(policy))
    suites = [Suite("cases", len(found.cases), time.perf_counter() - begun, failures)]
    begun = time.perf_counter()
    now = tables.current(policy, names, deployment.load_teams(None))
    number, wrong = _compare_tables(folder / "access", now)
    suites.append(Suite("access tables", number, time.perf_counter() - begun, tuple(wrong)))
    return suites


def _compare_tables(
    folder: Path, now: Mapping[Holder, Sequence[Access]]
) -> tuple[int, list[tuple[str, tuple[str, ...]]]]:
    committed = {(each.kind, each.name): each for each in tables.load(folder)}
    wrong: list[tuple[str, tuple[str, ...]]] = []
    for holder, table in now.items():
        known = committed.pop((holder.kind, holder.name), None)
        name = f"{printing.label(holder)} ({folder.name}/{tables.file_of(holder)})"
        if known is None:
            wrong.append((name, ("has no committed table; write it with `okno policy matrix --update`",)))
            continue
        written = tables.accesses(tables.lines(table))
        groups = difference.grouped(difference.compare(holder, known.accesses, written))
        if groups:
            lines = [line for each in groups for line in printing.group_lines(each, who=False)]
            wrong.append((name, tuple(lines)))
    for left in committed.values():
        wrong.append((f"{left.kind} {left.name} ({folder.name}/{left.file.name})", ("exists no longer",)))
    return len(now) + len(committed), wrong


def _test_lines(suites: Sequence[Suite]) -> Iterable[str]:
    for suite in suites:
        alike: dict[tuple[str, ...], list[str]] = {}
        for name, lines in suite.failures:
            alike.setdefault(lines, []).append(name)
        for lines, names in alike.items():
            yield from (f"FAILED  {suite.name}: {name}" for name in names)
            yield from (f"  {line}" for line in lines[:_MOST_LINES])
            if len(lines) > _MOST_LINES:
                yield f"  … {len(lines) - _MOST_LINES} lines more, see --json"
    rows = [
        (
            suite.name,
            f"{suite.tests:,}",
            f"{suite.tests - len(suite.failures):,} passed",
            f"{len(suite.failures):,} failed  {suite.seconds:.2f} s",
        )
        for suite in suites
    ]
    yield from printing.columns(rows)
    if any(suite.failures for suite in suites):
        yield "If the change is meant, commit it: `okno policy matrix --update` writes the tables, cases are mended by hand."


def _junit(suites: Sequence[Suite]) -> str:
    from xml.etree import ElementTree  # nothing is parsed

    root = ElementTree.Element("testsuites")
    for suite in suites:
        element = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"okno policy: {suite.name}",
            tests=str(suite.tests),
            failures=str(len(suite.failures)),
            time=f"{suite.seconds:.3f}",
        )
        for name, lines in suite.failures:
            case = ElementTree.SubElement(element, "testcase", classname=suite.name, name=name)
            ElementTree.SubElement(case, "failure", message=lines[0] if lines else "").text = "\n".join(lines)
    return ElementTree.tostring(root, encoding="unicode") + "\n"
