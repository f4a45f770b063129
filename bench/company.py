"""What the GraphQL benches serve: rows for everybody, and policies and teams for Okno alone."""

import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from okno.graph.ids import employee_id
from okno.identity.model import employee_uuid

ROOT = Path(__file__).parents[1]
OPERATOR = "anna.sorokina"  # of the first line: row conditions on country and protection decide what is read
MANY_TEAMS_OPERATOR = "operator.of.team.7"
TEAMS = 50
RULES_OF_A_TEAM = 10
# All of the operator's reach, so that nothing is denied and Okno sends as much as its peers
_COUNTRIES = ("RU", "KZ", "UZ", "BY", "AM", "GE")
_STATES = ("WORKS", "WORKS", "WORKS", "ON_LEAVE", "LEAVING")
_BENCH_FIELDS = 'level("Query.benchEmployees", "public");\n'


def write_rows(path: Path, count: int) -> None:
    """Employees with three sections each, moments as ISO texts; the same for the same count."""
    rng = random.Random(20261101)
    path.write_text(json.dumps([_row(number, rng) for number in range(count)], ensure_ascii=False))


def _row(number: int, rng: random.Random) -> dict[str, Any]:
    personnel_number = f"{200_000 + number}"
    login = f"employee.{number}"
    name, title = f"Сотрудник Номер {number}", rng.choice(("Инженер", "Курьер", "Аналитик", "Юрист"))
    moment = datetime(2026, 11, 1, tzinfo=UTC) - timedelta(seconds=rng.randrange(10_000_000))
    changed = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    state = rng.choice(_STATES)
    return {
        "id": employee_id(employee_uuid(personnel_number)),
        "personnelNumber": personnel_number,
        "displayName": name,
        "login": login,
        "email": f"{login}@okno.example",
        "position": title,
        "country": rng.choice(_COUNTRIES),
        "workPhone": f"+7495{number:07d}",
        "state": state,
        "protected": False,
        "indexedAt": changed,
        "sections": {
            "hr": {
                "fullName": name,
                "position": title,
                "department": "Поддержка",
                "hireDate": changed[:10],
                "state": state,
            },
            "directory": {
                "userName": login,
                "displayName": name,
                "email": f"{login}@okno.example",
                "active": True,
                "modifiedAt": changed,
            },
            "domain": {
                "login": login,
                "enabled": True,
                "locked": rng.random() < 0.1,
                "failedLogons": rng.randrange(6),
                "passwordChangedAt": changed,
            },
        },
    }


def write_policies(directory: Path) -> dict[str, Path]:
    """The shipped policy, one that allows every employee's every field, and one of many teams with many rules.

    Each has a level for the bench's own field; the first two decide for the first line, the last for a team of its own.
    """
    everything = "\n".join(
        f'permit(p: Person, "read", _e: Employee, field, "bench.all-{level}: everybody reads what is {level}") if '
        f'person(p) and level(field, "{level}");'
        for level in ("public", "internal", "confidential", "secret")
    )
    texts = {"shipped": "", "allow-all": everything, "many": _many_rules()}
    found = {}
    for name, text in texts.items():
        found[name] = directory / name
        shutil.copytree(ROOT / "policies", found[name], ignore=shutil.ignore_patterns("tests"))
        (found[name] / "bench.polar").write_text(_BENCH_FIELDS + text)
    return found


def write_teams(directory: Path) -> Path:
    """The shipped teams and as many more as `many` has rules for."""
    shutil.copytree(ROOT / "config" / "roles", directory)
    for team in range(TEAMS):
        login = MANY_TEAMS_OPERATOR if team == 7 else f"operator.{team}"
        content = {
            "id": f"bench-{team}",
            "title": {"en": f"Team {team}", "ru": f"Команда {team}"},
            "roles": [f"bench_{team}"],
            "countries": list(_COUNTRIES),
            "card": ["person-summary"],
            "members": [
                {"login": login, "display_name": f"Operator {team}", "personnel_number": f"{900_000 + team}"}
            ],
        }
        (directory / f"bench-{team}.yaml").write_text(yaml.safe_dump(content))
    return directory


def _many_rules() -> str:
    lines = []
    for team in range(TEAMS):
        lines.append(f'role("bench_{team}", "works in team {team}");')
        for number in range(RULES_OF_A_TEAM):
            country = _COUNTRIES[number % len(_COUNTRIES)]
            # those of the second turn admit nobody new, and are asked about all the same
            condition = (
                f'e.country = "{country}" and e.protected = {"false" if number < len(_COUNTRIES) else "true"}'
            )
            lines.append(
                f'permit(p: Person, "read", e: Employee, field, "bench.t{team}-r{number}: team {team} reads internal '
                f'fields in {country}") if person(p) and "bench_{team}" in p.roles and {condition} and '
                'level(field, "internal");'
            )
    return "\n".join(lines) + "\n"
