"""`okno sandbox …`: the demo company and its simulated systems from the command line."""

import http.client
import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from okno.clock import SystemClock
from okno.errors import OknoError
from okno.logging import configure_logging
from okno.sandbox.company import ensure
from okno.sandbox.faults import SYSTEMS
from okno.settings import Settings, load_settings

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_FOREVER = "until cleared"


def company_file(data_dir: Path) -> Path:
    """Where a deployment keeps its demo company."""
    return data_dir / "sandbox" / "company.sqlite"


class Duration(click.ParamType[float]):
    """500ms, 2s, 1m, 1h; a bare number is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no duration; write 500ms, 2s or 1m", param, ctx)
        return float(match.group(1)) * _UNITS[match.group(2)]


class Share(click.ParamType[float]):
    """30% or 0.3."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            self.fail(f"{value!r} is no share; write 30% or 0.3", param, ctx)
        if not 0 <= share <= 1:
            self.fail(f"{value!r} lies outside 0%…100%", param, ctx)
        return share


class Outage(Duration):
    """A duration, or nothing for "until cleared"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return 0.0 if value == _FOREVER else super().convert(value, param, ctx)


@click.group()
def sandbox() -> None:
    """The generated demo company and the simulators of its systems."""


@sandbox.command()
@click.option(
    "--employees", type=click.IntRange(50, 2_000_000), help="How many people; by default as configured."
)
@click.option("--seed", type=int, help="Same seed, same people; by default as configured.")
@click.option(
    "--force",
    is_flag=True,
    help="Generate anew even if the company is there; what was written to it is lost.",
)
def generate(employees: int | None, seed: int | None, force: bool) -> None:
    """Generate the demo company, unless it is there already."""
    settings = _settings()
    seed = settings.sandbox.seed if seed is None else seed
    employees = employees or settings.sandbox.employees
    path = company_file(settings.data_dir)
    terminal = sys.stderr.isatty()

    def progress(done: int, total: int) -> None:
        if terminal or done == total or done % 10_000 == 0:
            ending = "\r" if terminal and done < total else "\n"
            click.echo(f"demo company: {done:,} of {total:,} people", err=True, nl=False)
            click.echo(ending, err=True, nl=False)

    try:
        made = ensure(seed, employees, path, SystemClock().now().date(), progress, force=force)
    except (OknoError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{'generated' if made else 'already there'}: {employees:,} people in {path}")


@sandbox.command()
def serve() -> None:
    """Serve HR, directory, domain and equipment until Ctrl-C. Secrets come by environment variables."""
    from okno.sandbox import (
        serve as process,
    )  # aiohttp and ldaptor take a third of a second, other commands do without

    settings = _settings()
    configure_logging(settings.log_level)
    try:
        process.run(company_file(settings.data_dir), settings.data_dir)
    except OknoError as error:
        raise click.ClickException(error.message) from error


@sandbox.command()
@click.argument("system", type=click.Choice(SYSTEMS))
@click.option("--latency", type=Duration(), help="Every answer comes that much later, like 2s.")
@click.option("--errors", type=Share(), help="That share of the requests is refused, like 30%.")
@click.option(
    "--outage",
    type=Outage(),
    is_flag=False,
    flag_value=_FOREVER,
    help="Refuse connections, for a time if given, like 60s.",
)
@click.option("--hang", is_flag=True, help="Take requests and never answer.")
@click.option("--garbage", is_flag=True, help="Answer noise.")
@click.option("--half", is_flag=True, help="Cut the connection in the middle of the answer.")
@click.option("--slow-drip", is_flag=True, help="Answer ten bytes a second.")
@click.option("--for", "for_seconds", type=Duration(), help="Clear the faults after that time.")
@click.option("--clear", is_flag=True, help="Clear all faults of the system.")
def fault(
    system: str,
    latency: float | None,
    errors: float | None,
    outage: float | None,
    hang: bool,
    garbage: bool,
    half: bool,
    slow_drip: bool,
    for_seconds: float | None,
    clear: bool,
) -> None:
    """Make SYSTEM fail in some way, instead of how it failed before."""
    faults: dict[str, Any] = {
        "latency_seconds": latency, "error_rate": errors, "outage": None if outage is None else True, "hang": hang or None,
        "garbage": garbage or None, "half": half or None, "slow_drip": slow_drip or None,
    }  # fmt: skip
    faults = {key: value for key, value in faults.items() if value is not None}
    if clear == bool(faults):
        raise click.UsageError("Give at least one fault, or --clear alone.")
    if duration := for_seconds or outage:
        faults["for_seconds"] = duration
    settings = _settings()
    answer = _control(settings, "DELETE" if clear else "POST", f"/faults/{system}", faults)
    shown = ", ".join(f"{key}={value}" for key, value in answer.items()) or "no faults"
    click.echo(f"{system}: {shown}")


def _control(settings: Settings, method: str, path: str, body: Any) -> dict[str, Any]:
    file = settings.data_dir / "sandbox" / "ports.json"
    try:
        port = int(json.loads(file.read_text(encoding="utf-8"))["control"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise click.ClickException(
            f"the sandbox does not run: there is no {file}; start it with okno up or okno sandbox serve"
        ) from error
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, json.dumps(body))
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise click.ClickException(
            f"the sandbox does not answer on its control port {port}: {error}"
        ) from error
    finally:
        connection.close()
    if response.status != 200:
        raise click.ClickException(str(answer.get("error", f"status {response.status}")))
    return answer


def _settings() -> Settings:
    try:
        return load_settings()
    except OknoError as error:
        raise click.ClickException(error.message) from error
