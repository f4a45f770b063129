"""The domains that hold data about people. A domain with tables joins by a line here."""

from collections.abc import Sequence

from sqlalchemy import MetaData

from okno.audit.personal_data import PERSONAL_DATA as AUDIT
from okno.identity.personal_data import PERSONAL_DATA as IDENTITY
from okno.limits.personal_data import PERSONAL_DATA as LIMITS
from okno.people.personal_data import PERSONAL_DATA as PEOPLE
from okno.policy.personal_data import PERSONAL_DATA as POLICY
from okno.privacy.personal_data import PERSONAL_DATA as PRIVACY
from okno.storage.personal_data import PersonalData
from okno.usage.personal_data import PERSONAL_DATA as USAGE

#: In the order in which they are erased: first nobody can act any more, then what is known goes.
DOMAINS: Sequence[PersonalData] = (IDENTITY, LIMITS, USAGE, PEOPLE, POLICY, AUDIT, PRIVACY)


def problems(metadata: MetaData, domains: Sequence[PersonalData] = DOMAINS) -> list[str]:
    """Tables and columns of which no domain says whether they hold personal data, or two do, or that are not there."""
    found = []
    spoken: dict[str, str] = {}
    for domain in domains:
        for name in [*(table.name for table in domain.tables), *(domain.others or {})]:
            if name in spoken:
                found.append(f"table {name}: both {spoken[name]} and {domain.domain} speak of it")
            spoken[name] = domain.domain
            if name not in metadata.tables:
                found.append(f"table {name}: {domain.domain} speaks of it, and it does not exist")
        for table in domain.tables:
            if table.name not in metadata.tables:
                continue
            there = set(metadata.tables[table.name].columns.keys())
            said = table.columns.keys() | table.rest
            found += [
                f"column {table.name}.{column}: okno/{domain.domain}/personal_data.py does not say what it tells of a person"
                for column in sorted(there - said)
            ]
            found += [f"column {table.name}.{column} does not exist" for column in sorted(said - there)]
            found += [
                f"column {table.name}.{column} is both personal and not"
                for column in sorted(table.columns.keys() & table.rest)
            ]
    found += [
        f"table {name}: no domain says whether it holds personal data; add it to the personal_data.py of its domain"
        for name in sorted(metadata.tables.keys() - spoken.keys())
    ]
    return found


__all__ = ["DOMAINS", "problems"]
