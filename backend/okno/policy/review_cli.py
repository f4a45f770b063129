"""The commands of the policy that look at the rights of all: `test`, `who`, `matrix`, `diff` and `replay`.

Exit codes: 0 done; 1 a test does not hold, or, with --exit-code, something changes; 2 the command was called wrongly.
"""

import click

from okno.policy.deployment import Deployment
from okno.policy.diff_cli import diff_command
from okno.policy.matrix_cli import matrix_command
from okno.policy.replay_cli import replay_command
from okno.policy.testing_cli import test_command
from okno.policy.who_cli import who_command


def add_review_commands(group: click.Group, deployment: Deployment) -> None:
    """Adds the commands to the group."""
    for command in (test_command, who_command, matrix_command, diff_command, replay_command):
        group.add_command(command(deployment))
