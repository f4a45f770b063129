"""What the commands of the policy need of other domains; the wiring hands it in."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import click

from okno.errors import OknoError
from okno.policy.names import Holder, Member, SchemaNames
from okno.policy.recorded import RecordedDecisions
from okno.policy.service import Policy


@dataclass(frozen=True, slots=True)
class Members:
    """Who is known to be a member of which team; `unasked` says why the database could not be asked."""

    known: tuple[Member, ...]
    unasked: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the commands need of other domains, handed in by the wiring. Each may raise OknoError.

    Attributes:
        policies_dir: the folder of the policy.
        load_teams: the teams of a folder, or those of the deployment.
        load_members: members of the teams in the configuration and in the database.
        load_facts: the facts of an employee, by login, personnel number or id.
        open_recorded: the recorded decisions, for the time of one command.
    """

    policies_dir: Callable[[], Path]
    load_policy: Callable[[], Policy]
    schema_names: Callable[[], SchemaNames]
    load_teams: Callable[[Path | None], Sequence[Holder]]
    load_members: Callable[[], Members]
    load_facts: Callable[[str], Mapping[str, object]]
    open_recorded: Callable[[], AbstractAsyncContextManager[RecordedDecisions]]


def told(error: OknoError) -> click.ClickException:
    """An error as the command prints it."""
    return click.ClickException(error.message)
