"""The LDAP simulator, spoken to by ldap3: entries, filters, paging, result codes, changes, password policy."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import ldap3
import pytest
import pytest_asyncio
from ldap3.core.exceptions import LDAPExceptionError

from okno.sandbox.company import generate
from okno.sandbox.runner import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")
BASE = "dc=okno,dc=example"
PEOPLE = f"ou=people,{BASE}"
IVAN = f"uid=ivan.petrov,{PEOPLE}"
GROUP = f"cn=dept-contracts,ou=groups,{BASE}"
PASSWORD = "everybody's"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    company: Path = tmp_path_factory.mktemp("sandbox") / "company.sqlite"
    generate(5, 1300, company, date(2026, 11, 2), lambda done, total: None)
    async with Sandbox(company, private=False, people_password=PASSWORD) as running:
        yield running


@contextmanager
def connect(sandbox: Sandbox, dn: str | None = None, password: str | None = None) -> Iterator[Any]:
    environment = sandbox.environment()
    server = ldap3.Server(environment["OKNO_DOMAIN_URL"], get_info=ldap3.NONE, connect_timeout=5)
    dn, password = dn or environment["OKNO_DOMAIN_BIND_DN"], password or environment["OKNO_DOMAIN_PASSWORD"]
    connection = ldap3.Connection(server, dn, password, receive_timeout=10)
    try:
        yield connection
    finally:
        connection.unbind()


def binds(sandbox: Sandbox, dn: str | None, password: str) -> bool:
    with connect(sandbox, dn, password) as connection:
        return bool(connection.bind())


@pytest.fixture
def service(sandbox: Sandbox) -> Iterator[Any]:
    with connect(sandbox) as connection:
        assert connection.bind()
        yield connection


def find(connection: Any, condition: str, *attributes: str, base: str = PEOPLE, **options: Any) -> list[Any]:
    connection.search(base, condition, attributes=list(attributes) or ["1.1"], **options)
    return list(connection.response or [])


def names(connection: Any, condition: str) -> list[str]:
    return [each["dn"].partition(",")[0].removeprefix("uid=") for each in find(connection, condition)]


async def test_operational_attributes_come_only_when_asked(service: Any) -> None:
    plain = find(service, "(uid=ivan.petrov)", "*")[0]["attributes"]
    assert plain["displayName"] == ["Иван Петров"]
    assert plain["objectClass"] == ["top", "person", "organizationalPerson", "inetOrgPerson"]
    assert not {"pwdAccountLockedTime", "memberOf", "entryUUID"} & set(plain)
    asked = find(service, "(uid=ivan.petrov)", "pwdaccountlockedtime", "memberOf", "sn")[0]["attributes"]
    assert set(asked) == {"pwdAccountLockedTime", "memberOf", "sn"}
    assert f"cn=staff-ru,ou=groups,{BASE}" in asked["memberOf"]
    everything = find(service, "(uid=ivan.petrov)", "*", "+")[0]["attributes"]
    assert {
        "cn",
        "entryDN",
        "pwdFailureTime",
        "pwdChangedTime",
        "pwdEndTime",
        "structuralObjectClass",
    } <= set(everything)
    assert find(service, "(uid=ivan.petrov)")[0]["attributes"] == {}
    assert find(service, "(uid=ivan.petrov)", "sn", types_only=True)[0]["attributes"] == {"sn": []}


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("(uid=IVAN.Petrov)", ["ivan.petrov"]),
        ("(&(objectClass=inetOrgPerson)(employeeNumber=100012))", ["amina.okafor"]),
        ("(mail=Ivan.Petrov@okno.example)", ["ivan.petrov"]),
        ("(&(displayName=иван  петров)(employeeNumber=100010))", ["ivan.petrov"]),
        ("(|(uid=olga.ivanova)(uid=vera.lis))", ["olga.ivanova", "vera.lis"]),
        ("(&(uid=ivan.petro*)(!(uid=*2)))", ["ivan.petrov"]),
        ("(cn=maxim*konst*skaya*)", ["maximiliana.konstantinopolskaya"]),
        ("(telephoneNumber=+7 495 739-00-10)", ["ivan.petrov"]),
        ("(&(uid=dastan*)(pwdAccountLockedTime=000001010000Z))", ["dastan.akhmetov"]),
        (f"(&(memberOf={GROUP})(uid=maximiliana*))", ["maximiliana.konstantinopolskaya"]),
        (
            "(&(uid=ivan.petrov)(pwdFailureTime>=20260101000000Z)(pwdFailureTime<=20270101000000Z))",
            ["ivan.petrov"],
        ),
        ("(&(uid=ivan.petrov)(unknown=x))", []),
        ("(&(uid=ivan.petrov)(!(unknown=x)))", []),
        ("(|(uid=ivan.petrov)(unknown=x))", ["ivan.petrov"]),
        ("(uid:caseExactMatch:=ivan.petrov)", ["ivan.petrov"]),
        ("(&(uid=ivan.petrov)(title=100%))", []),
        ("(uid=\\2a)", []),
    ],
)
async def test_filters_find_whom_they_mean(service: Any, condition: str, found: list[str]) -> None:
    assert names(service, condition) == found


async def test_locked_and_disabled_accounts_are_told_apart(service: Any) -> None:
    locked = names(service, "(&(pwdAccountLockedTime=*)(!(pwdAccountLockedTime=000001010000Z)))")
    assert {"ivan.petrov", "amina.okafor"} <= set(locked)
    assert "dastan.akhmetov" not in locked


async def test_scopes_are_kept(service: Any) -> None:
    assert [each["dn"] for each in find(service, "(objectClass=*)", base=IVAN, search_scope=ldap3.BASE)] == [
        IVAN
    ]
    ones = find(service, "(objectClass=*)", base=BASE, search_scope=ldap3.LEVEL)
    assert {each["dn"].partition(",")[0] for each in ones} == {
        "ou=people",
        "ou=groups",
        "ou=services",
        "ou=policies",
    }
    assert find(service, "(uid=ivan.petrov)", base=BASE, search_scope=ldap3.LEVEL) == []
    find(service, "(uid=*)", base=f"uid=nobody,{PEOPLE}")
    assert (service.result["description"], service.result["dn"]) == ("noSuchObject", PEOPLE)
    find(service, "(uid=*)", base="")
    assert service.result["description"] == "noSuchObject"


async def test_pages_cover_everybody_once_and_limits_hold(service: Any) -> None:
    entries = service.extend.standard.paged_search(
        PEOPLE, "(uid=*)", attributes=["uid"], paged_size=400, generator=True
    )
    uids = [each["attributes"]["uid"][0] for each in entries]
    assert len(uids) == len(set(uids)) == 1300
    assert len(find(service, "(uid=*)")) == 1000
    assert service.result["description"] == "sizeLimitExceeded"
    assert len(find(service, "(uid=*)", size_limit=7)) == 7
    assert service.result["description"] == "sizeLimitExceeded"
    service.search(PEOPLE, "(uid=*)", attributes=["uid"], paged_size=10, paged_cookie=b"bad")
    assert service.result["description"] == "unwillingToPerform"


async def test_an_account_is_unlocked_once(service: Any) -> None:
    amina = f"uid=amina.okafor,{PEOPLE}"
    unlock: dict[str, Any] = {"pwdAccountLockedTime": [(ldap3.MODIFY_DELETE, [])]}
    assert service.modify(amina, unlock)
    after = find(service, "(uid=amina.okafor)", "pwdAccountLockedTime", "pwdFailureTime", "modifiersName")[0][
        "attributes"
    ]
    assert after == {
        "modifiersName": ["cn=okno,ou=services,dc=okno,dc=example"],
        "pwdAccountLockedTime": [],
        "pwdFailureTime": [],
    }
    assert "amina.okafor" not in names(service, "(pwdAccountLockedTime=*)")
    assert not service.modify(amina, unlock)
    assert service.result["description"] == "noSuchAttribute"


async def test_membership_changes_are_seen_from_both_sides(service: Any) -> None:
    add, remove = (
        {"member": [(ldap3.MODIFY_ADD, [IVAN])]},
        {"member": [(ldap3.MODIFY_DELETE, [IVAN.upper()])]},
    )
    assert service.modify(GROUP, add)
    assert GROUP in find(service, "(uid=ivan.petrov)", "memberOf")[0]["attributes"]["memberOf"]
    assert IVAN in find(service, "(cn=dept-contracts)", "member", base=BASE)[0]["attributes"]["member"]
    assert not service.modify(GROUP, add)
    assert service.result["description"] == "attributeOrValueExists"
    assert service.modify(GROUP, remove)
    assert not service.modify(GROUP, remove)
    assert service.result["description"] == "noSuchAttribute"
    assert GROUP not in find(service, "(uid=ivan.petrov)", "memberOf")[0]["attributes"]["memberOf"]


@pytest.mark.parametrize(
    ("dn", "changes", "description"),
    [
        (f"cn=none,ou=groups,{BASE}", {"member": [(ldap3.MODIFY_ADD, [IVAN])]}, "noSuchObject"),
        (GROUP, {"member": [(ldap3.MODIFY_ADD, [f"uid=nobody,{PEOPLE}"])]}, "constraintViolation"),
        (GROUP, {"member": [(ldap3.MODIFY_ADD, ["ivan"])]}, "invalidAttributeSyntax"),
        (GROUP, {"member": [(ldap3.MODIFY_DELETE, [])]}, "objectClassViolation"),
        (IVAN, {"memberOf": [(ldap3.MODIFY_ADD, [GROUP])]}, "constraintViolation"),
        (IVAN, {"pwdFailureTime": [(ldap3.MODIFY_DELETE, [])]}, "constraintViolation"),
        (IVAN, {"shoeSize": [(ldap3.MODIFY_ADD, ["44"])]}, "undefinedAttributeType"),
        (IVAN, {"member": [(ldap3.MODIFY_ADD, [IVAN])]}, "objectClassViolation"),
        (IVAN, {"sn": [(ldap3.MODIFY_REPLACE, [])]}, "objectClassViolation"),
        (IVAN, {"uid": [(ldap3.MODIFY_REPLACE, ["other"])]}, "namingViolation"),
        (IVAN, {"displayName": [(ldap3.MODIFY_ADD, ["Second"])]}, "constraintViolation"),
        (IVAN, {"pwdAccountLockedTime": [(ldap3.MODIFY_REPLACE, ["now"])]}, "invalidAttributeSyntax"),
    ],
)
async def test_a_change_that_cannot_be_made_gets_the_right_code_and_changes_nothing(
    service: Any, dn: str, changes: dict[str, Any], description: str
) -> None:
    before = find(service, "(|(uid=ivan.petrov)(cn=dept-contracts))", "*", "+", base=BASE)
    assert not service.modify(
        dn, {"title": [(ldap3.MODIFY_REPLACE, ["Never"])], **changes} if dn == IVAN else changes
    )
    assert service.result["description"] == description
    assert find(service, "(|(uid=ivan.petrov)(cn=dept-contracts))", "*", "+", base=BASE) == before


async def test_comparison_answers_true_false_or_why_not(service: Any) -> None:
    assert service.compare(IVAN, "sn", "PETROV") is True
    assert service.compare(IVAN, "sn", "Petrova") is False
    assert service.result["description"] == "compareFalse"
    service.compare(IVAN, "mobile", "1")
    assert service.result["description"] == "noSuchAttribute"
    assert service.extend.standard.who_am_i() == "dn:cn=okno,ou=services,dc=okno,dc=example"


async def test_nobody_reads_unauthenticated_and_people_read_but_do_not_write(sandbox: Sandbox) -> None:
    environment = sandbox.environment()
    anonymous: Any = ldap3.Connection(
        ldap3.Server(environment["OKNO_DOMAIN_URL"], get_info=ldap3.NONE), receive_timeout=10
    )
    assert anonymous.bind()
    assert find(anonymous, "(uid=ivan.petrov)") == []
    assert anonymous.result["description"] == "strongerAuthRequired"
    anonymous.search("", "(objectClass=*)", search_scope=ldap3.BASE, attributes=["+"])
    assert anonymous.response[0]["attributes"]["namingContexts"] == [BASE]
    anonymous.unbind()
    with connect(sandbox, f"uid=anna.sorokina,{PEOPLE}", PASSWORD) as person:
        assert person.bind()
        assert names(person, "(uid=ivan.petrov)") == ["ivan.petrov"]
        assert not person.modify(IVAN, {"pwdAccountLockedTime": [(ldap3.MODIFY_DELETE, [])]})
        assert person.result["description"] == "insufficientAccessRights"
        assert not person.delete(IVAN)
        assert person.result["description"] == "insufficientAccessRights"


async def test_the_password_policy_locks_after_five_failures(sandbox: Sandbox, service: Any) -> None:
    dn = f"uid=lucia.torres,{PEOPLE}"
    for _ in range(5):
        assert not binds(sandbox, dn, "guess")
    assert not binds(sandbox, dn, PASSWORD), "locked: even the right password fails"
    held = find(service, "(uid=lucia.torres)", "pwdAccountLockedTime", "pwdFailureTime")[0]["attributes"]
    assert len(held["pwdFailureTime"]) == 5
    assert "pwdAccountLockedTime" in held
    assert service.modify(dn, {"pwdAccountLockedTime": [(ldap3.MODIFY_DELETE, [])]})
    assert binds(sandbox, dn, PASSWORD)
    assert not binds(sandbox, None, "wrong")


async def test_critical_controls_that_are_unknown_and_tls_are_refused(service: Any) -> None:
    service.search(PEOPLE, "(uid=ivan.petrov)", controls=[("1.2.3.4", True, None)])
    assert service.result["description"] == "unavailableCriticalExtension"
    service.search(PEOPLE, "(uid=ivan.petrov)", controls=[("1.2.3.4", False, None)])
    assert service.result["description"] == "success"
    service.extended("1.3.6.1.4.1.1466.20037")
    assert service.result["description"] == "protocolError"


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x30\x05\x02\x01\x01\x99\x00", b"\x30\x84\xff\xff\xff\xff"]
)
async def test_noise_ends_the_connection_and_nothing_else(
    sandbox: Sandbox, service: Any, noise: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.ports["domain"])
    writer.write(noise)
    async with asyncio.timeout(10):
        assert b"1.3.6.1.4.1.1466.20036" in await reader.read()
    writer.close()
    assert names(service, "(uid=ivan.petrov)") == ["ivan.petrov"]


async def test_faults_reach_ldap_clients(sandbox: Sandbox) -> None:
    def attempt() -> str:
        with connect(sandbox) as connection:
            connection.receive_timeout = 1
            try:
                connection.bind()
            except LDAPExceptionError as error:
                return type(error).__name__
            return str(connection.result["description"])

    await sandbox.fault("domain", error_rate=1)
    assert await asyncio.to_thread(attempt) == "busy"
    for fault in ("hang", "half", "garbage"):
        await sandbox.fault("domain", **{fault: True})
        assert await asyncio.to_thread(attempt) != "success", fault
    await sandbox.fault("domain", slow_drip=True)
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert await asyncio.to_thread(attempt) == "success"
    assert loop.time() - start > 1
    await sandbox.fault("domain", outage=True)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", sandbox.ports["domain"])
    await sandbox.clear("domain")
    assert await asyncio.to_thread(attempt) == "success"
