"""`okno policy replay`: which of the recorded decisions would be others."""

import asyncio
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import click

from okno.errors import OknoError
from okno.policy import printing
from okno.policy.deployment import Deployment, told
from okno.policy.folders import opened
from okno.policy.replay import Changed, Replayed, Verdict, replay
from okno.policy.service import Policy
from okno.policy.store import rights_json

# A terminal's worth; --json has the rest
_MOST_LINES = 60


class Period(click.ParamType[timedelta]):
    """`7d`, or hours: `12h`."""

    name = "period"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([0-9]{1,4})([dh])", str(value))
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is no period; write days or hours, such as 7d or 12h", param, ctx)
        number = int(match[1])
        return timedelta(days=number) if match[2] == "d" else timedelta(hours=number)


def replay_command(deployment: Deployment) -> click.Command:
    @click.command("replay", help="Which of the recorded decisions would be others under the policy in DIR.")
    @click.argument("folder", metavar="DIR")
    @click.option(
        "--since",
        "period",
        type=Period(),
        default="7d",
        metavar="PERIOD",
        show_default=True,
        help="How far back.",
    )
    @click.option("--exit-code", is_flag=True, help="Exit with 1 if any would be another.")
    @click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
    def replay_(folder: str, period: timedelta, exit_code: bool, as_json: bool) -> None:
        async def read() -> Any:
            async with deployment.open_recorded() as recorded:
                return await recorded.list_since(period)

        try:
            with opened(folder) as directory:
                policy = Policy.load(directory)
            recorded, oldest = asyncio.run(read())
            found = replay(policy, recorded)
        except OknoError as error:
            raise told(error) from error
        if as_json:
            click.echo(printing.as_json(_replay_json(policy, found, oldest)))
        else:
            since = f"recorded since {oldest:%Y-%m-%d %H:%M}Z" if oldest else "nothing is recorded yet"
            printing.echo(_replay_lines(policy, found, since))
        if exit_code and found.changed:
            raise click.exceptions.Exit(1)

    return replay_


def _replay_lines(policy: Policy, found: Replayed, since: str) -> Iterable[str]:
    shown = found.changed[:_MOST_LINES]
    if shown:
        yield from printing.changed_lines(shown)
        if len(found.changed) > len(shown):
            yield f"… {len(found.changed) - len(shown):,} kinds more, see --json"
        yield ""
    versions = ", ".join(found.versions) or "none"
    yield f"{found.decisions:,} decisions of the versions {versions}, {since}"
    told = ", ".join(f"{found.total(each):,} {each}" for each in Verdict)
    yield f"under {policy.version}: {told}"


def _replay_json(policy: Policy, found: Replayed, oldest: Any) -> dict[str, Any]:
    return {
        "policyVersion": policy.version,
        "recordedVersions": list(found.versions),
        "recordedSince": oldest.isoformat() if oldest else None,
        "decisions": found.decisions,
        "totals": {each.value: found.total(each) for each in Verdict},
        "changed": [_changed_json(each) for each in found.changed],
    }


def _changed_json(each: Changed) -> dict[str, Any]:
    return {
        "verdict": each.verdict.value,
        "decisions": each.decisions,
        "rights": rights_json(each.rights),
        "action": each.action,
        "things": list(each.things),
        "facts": dict(each.facts),
        "before": each.before,
        "after": each.after,
        "missing": list(each.missing),
    }
