"""What each simulated system stores of a person; FORMATS.md shows it as their clients see it."""

import random
import re
import unicodedata
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import orjson

from okno.sandbox.catalogue import Catalogue
from okno.sandbox.people import Human

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_SCHEMA = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SUFFIX = "dc=okno,dc=example"
PEOPLE_DN = f"ou=people,{SUFFIX}"
GROUPS_DN = f"ou=groups,{SUFFIX}"
SERVICE_DN = f"cn=okno,ou=services,{SUFFIX}"
DISABLED = "000001010000Z"  # ppolicy: locked by an administrator, for good
MAX_FAILURES = 5
PASSWORD_DAYS = 90
INDEXED = (
    "uid",
    "mail",
    "employeenumber",
    "cn",
    "sn",
    "displayname",
    "pwdaccountlockedtime",
    "manager",
    "entryuuid",
)

_NAMESPACE = uuid.UUID("5d0c4c1e-6a8e-4b57-9d3e-0f6a7b3f7c11")
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


def identifier(kind: str, name: str) -> str:
    """The same UUID for the same thing in every generated company."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{name}"))


def slug(text: str) -> str:
    """Lower-case ASCII words joined by hyphens, for names of groups."""
    plain = unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode().lower()
    return _NOT_SLUG.sub("-", plain).strip("-")


def fold(text: str) -> str:
    """How LDAP (caseIgnoreMatch) and SCIM (caseExact false) compare: no case, no outer or double spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def fold_dn(dn: str) -> str:
    """A DN of this directory for comparison; values here hold no commas, so that spaces around them may go."""
    return ",".join("=".join(part.strip() for part in rdn.split("=", 1)) for rdn in fold(dn).split(","))


def moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def generalized(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%SZ")


def generalized_exact(at: datetime) -> str:
    """With microseconds, as ppolicy writes pwdFailureTime so that values differ."""
    return at.strftime("%Y%m%d%H%M%S.%fZ")


def dn_of(login: str) -> str:
    return f"uid={login},{PEOPLE_DN}"


def hr_row(human: Human, today: date) -> tuple[int, str]:
    updated = max(human.hired, today - timedelta(days=human.rng.randrange(1, 200)))
    document = {
        "personnelNumber": human.number,
        "fullName": human.full_name,
        "latinName": human.latin_name,
        "firstName": human.given,
        "lastName": human.surname,
        "middleName": human.middle,
        "position": human.position,
        "department": human.department,
        "departmentPath": human.path,
        "managerPersonnelNumber": human.manager,
        "office": human.office,
        "country": human.country.code,
        "city": human.city,
        "timeZone": human.zone,
        "hireDate": human.hired,
        "leaveUntil": human.leave_until,
        "lastDay": human.last_day,
        "state": human.state,
        "employmentType": human.employment,
        "workPhone": human.work_phone,
        "birthDate": human.born,
        "homeAddress": human.home,
        "personalPhone": human.personal_phone,
        "salary": {"minorUnits": human.salary_minor, "currency": human.country.currency},
        "protectedPerson": human.protected,
        "updatedAt": moment(datetime.combine(updated, time(9), UTC)),
    }
    return int(human.number), orjson.dumps(document).decode()


def directory_row(human: Human, today: date) -> tuple[int, str, str, str, str, str, str, int]:
    """Position, id, folded user name, external id, resource, created, modified, version."""
    enterprise: dict[str, Any] = {
        "employeeNumber": human.number,
        "department": human.department,
        "division": human.path[1] if len(human.path) > 1 else human.path[0],
        "organization": human.path[0],
    }
    if human.manager is not None:
        enterprise["manager"] = {"value": identifier("user", human.manager)}
    name = {"formatted": human.full_name, "familyName": human.surname, "givenName": human.given}
    if human.middle:
        name["middleName"] = human.middle
    resource = {
        "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
        "externalId": human.number,
        "userName": human.login,
        "name": name,
        "displayName": human.full_name,
        "nickName": human.latin_name,
        "title": human.position,
        "userType": "Contractor" if human.employment == "CONTRACTOR" else "Employee",
        "active": not human.dismissed,
        "preferredLanguage": human.country.language,
        "locale": human.country.locale,
        "timezone": human.zone,
        "emails": [{"value": human.email, "type": "work", "primary": True}],
        "phoneNumbers": [{"value": human.work_phone, "type": "work"}],
        "addresses": [
            {"type": "work", "formatted": human.office, "locality": human.city, "country": human.country.code}
        ],
        ENTERPRISE_SCHEMA: enterprise,
    }
    created = datetime.combine(human.hired, time(8), UTC)
    modified = max(created, _at(today, human.rng, 120))
    return (
        int(human.number), identifier("user", human.number), fold(human.login), human.number, orjson.dumps(resource).decode(),
        moment(created), moment(modified), 1,
    )  # fmt: skip


def directory_groups(human: Human) -> Iterator[str]:
    """Display names of the directory groups a person is in."""
    if human.dismissed:
        return
    if len(human.path) > 2:
        yield human.path[2]
    if len(human.path) > 1:
        yield f"{human.path[1]} division"
    yield f"Everyone in {human.office}"


def domain_attributes(human: Human, today: date, managers: dict[str, str]) -> dict[str, list[str]]:
    """Attributes of a person's entry. `managers`: personnel number → login, must know the manager."""
    rng = human.rng
    changed = _at(today, rng, PASSWORD_DAYS - 8)
    end = changed + timedelta(days=PASSWORD_DAYS)
    last = _at(today, rng, 25 if human.state == "ON_LEAVE" else 3)
    if human.dismissed and human.last_day is not None:
        last = datetime.combine(human.last_day, time(14, rng.randrange(60)), UTC)
    created = datetime.combine(human.hired, time(8), UTC)
    attributes = {
        "objectClass": ["top", "person", "organizationalPerson", "inetOrgPerson"],
        "uid": [human.login],
        "cn": [human.latin_name],
        "sn": [human.surname_latin],
        "givenName": [human.given_latin],
        "displayName": [human.full_name],
        "title": [human.position],
        "mail": [human.email],
        "telephoneNumber": [human.work_phone],
        "employeeNumber": [human.number],
        "ou": [human.department],
        "departmentNumber": [human.path[-1]],
        "l": [human.city],
        "physicalDeliveryOfficeName": [human.office],
        "preferredLanguage": [human.country.language],
        "entryUUID": [identifier("entry", human.number)],
        "createTimestamp": [generalized(created)],
        "creatorsName": [SERVICE_DN],
        "modifyTimestamp": [generalized(max(created, changed))],
        "modifiersName": [SERVICE_DN],
        "pwdChangedTime": [generalized(changed)],
        "pwdEndTime": [generalized(end)],
        "pwdLastSuccess": [generalized(last)],
    }
    if human.manager is not None:
        attributes["manager"] = [dn_of(managers[human.manager])]
    if human.dismissed:
        attributes["pwdAccountLockedTime"] = [DISABLED]
    elif human.locked:
        locked = last + timedelta(
            hours=rng.randrange(1, 12), minutes=rng.randrange(60), seconds=rng.randrange(60)
        )
        attributes["pwdAccountLockedTime"] = [generalized(locked)]
        attributes["pwdFailureTime"] = _failures(locked, MAX_FAILURES, rng)
    elif rng.random() < 0.05:
        attributes["pwdFailureTime"] = _failures(
            last + timedelta(minutes=40), rng.randrange(1, MAX_FAILURES), rng
        )
    return attributes


def domain_groups(human: Human, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """(name, description) of the domain groups a person is in; dismissed people are in none."""
    if human.dismissed:
        return
    code = human.country.code
    yield f"staff-{code.lower()}", f"Everybody in {code}"
    yield f"office-{slug(human.office)}", f"Doors and printers: {human.office}"
    yield f"dept-{slug(human.department)}", f"Shared folders: {human.department}"
    if human.family != "logistics" and human.rng.random() < 0.75:
        yield f"vpn-{code.lower()}", f"Virtual private network, {code}"
    for application in catalogue.applications:
        if (
            not application.families or human.family in application.families
        ) and human.rng.random() * 100 < application.share:
            yield application.group, application.description


def equipment_rows(human: Human, catalogue: Catalogue, today: date) -> Iterator[tuple[str | None, ...]]:
    """One to five items; people of warehouses hold a tablet rather than a laptop."""
    rng = human.rng
    handed = 0
    for kind in catalogue.equipment:
        wanted = rng.random() * 100 < kind.share
        if human.family == "logistics" and kind.kind in ("LAPTOP", "TABLET"):
            wanted = (kind.kind == "TABLET") or rng.random() < 0.1
        if not wanted or handed == 5 or (human.dismissed and handed == 1):
            continue
        handed += 1
        issued = max(human.hired, today - timedelta(days=rng.randrange(10, 1500)))
        warranty = issued + timedelta(days=365 * 3) if kind.kind not in ("HEADSET", "KEYBOARD") else None
        state = (
            "RETURNING"
            if human.state in ("DISMISSED", "LEAVING")
            else rng.choices(("ISSUED", "IN_REPAIR", "LOST"), (96, 3, 1))[0]
        )
        yield (
            human.number,
            f"INV-{human.number}-{handed}",
            kind.kind,
            rng.choice(kind.models),
            "".join(rng.choice("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ") if c == "#" else c for c in kind.serial),
            issued.isoformat(),
            warranty.isoformat() if warranty else None,
            state,
        )


def _at(today: date, rng: random.Random, days: int) -> datetime:
    """A moment of the working day within the last `days` days, before today."""
    day = today - timedelta(days=rng.randrange(1, days + 1))
    return datetime.combine(day, time(rng.randrange(5, 18), rng.randrange(60), rng.randrange(60)), UTC)


def _failures(last: datetime, count: int, rng: random.Random) -> list[str]:
    return [
        generalized_exact(
            last
            - timedelta(
                seconds=11 * (count - 1 - index),
                microseconds=rng.randrange(1, 999_999) if index < count - 1 else 0,
            )
        )
        for index in range(count)
    ]
