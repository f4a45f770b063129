"""OpenLDAP's slapd with the memberof and ppolicy overlays, as an administrator would set it up for Okno."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap3

from tests.contract.peers import PEOPLE, Peer, find_program, free_port, listens, wait_until

SUFFIX = "dc=okno,dc=example"
SERVICE_DN = f"cn=okno,ou=services,{SUFFIX}"
PASSWORD = "bind-secret-of-okno"
_ADMIN_DN, _ADMIN_PASSWORD = f"cn=admin,{SUFFIX}", "admin-secret"

_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
pidfile {folder}/slapd.pid
require authc
database mdb
suffix "{suffix}"
rootdn "{admin}"
rootpw {password}
directory {folder}/data
dbnosync
index objectClass,uid,employeeNumber eq
lastbind on
limits dn.exact="{service}" size.soft=1000 size.hard=1000 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=people,{suffix}" by dn.exact="{service}" manage by users read
access to dn.subtree="ou=groups,{suffix}" by dn.exact="{service}" write by users read
access to * by users read
overlay ppolicy
ppolicy_default "cn=default,ou=policies,{suffix}"
overlay memberof
memberof-refint true
"""


@contextmanager
def running_slapd() -> Iterator[Peer]:
    """A slapd that holds PEOPLE; Ivan Petrov is locked after five failed sign-ins."""
    program = find_program("slapd", "slapd")
    for module in ("ppolicy.so", "memberof.so"):
        assert Path("/usr/lib/ldap", module).exists(), f"{module} is missing: sudo apt-get install slapd"
    with tempfile.TemporaryDirectory(prefix="okno-slapd-") as name:
        folder, port = Path(name), free_port()
        (folder / "data").mkdir()
        (folder / "slapd.conf").write_text(
            _CONFIGURATION.format(
                folder=folder, suffix=SUFFIX, admin=_ADMIN_DN, password=_ADMIN_PASSWORD, service=SERVICE_DN
            )
        )
        url = f"ldap://127.0.0.1:{port}"
        process = subprocess.Popen(
            [program, "-f", folder / "slapd.conf", "-h", url, "-d", "0"], env={**os.environ, "LANG": "C"}
        )
        try:
            wait_until(lambda: process.poll() is not None or listens(port), "slapd's start")
            assert process.poll() is None, f"slapd ended with {process.returncode}"
            _fill(url)
            yield Peer(
                name="slapd",
                source="domain",
                environment={
                    "OKNO_DOMAIN_URL": url,
                    "OKNO_DOMAIN_BIND_DN": SERVICE_DN,
                    "OKNO_DOMAIN_PASSWORD": PASSWORD,
                },
                expected={
                    "login": "ivan.petrov",
                    "dn": f"uid=ivan.petrov,ou=people,{SUFFIX}",
                    "enabled": True,
                    "locked": True,
                    "failedLogons": 5,
                },
                secret=PASSWORD,
                powerless={
                    "OKNO_DOMAIN_BIND_DN": person_dn("anna.sorokina"),
                    "OKNO_DOMAIN_PASSWORD": "right-100005",
                },
            )
        finally:
            process.terminate()
            process.wait(20)


def _fill(url: str) -> None:
    server = ldap3.Server(url, get_info=ldap3.NONE)
    admin: Any = ldap3.Connection(server, _ADMIN_DN, _ADMIN_PASSWORD, auto_bind=True, raise_exceptions=True)
    try:
        admin.add(SUFFIX, ["dcObject", "organization"], {"dc": "okno", "o": "Okno"})
        for unit in ("people", "groups", "services", "policies"):
            admin.add(f"ou={unit},{SUFFIX}", "organizationalUnit")
        admin.add(SERVICE_DN, ["organizationalRole", "simpleSecurityObject"], {"userPassword": PASSWORD})
        policy = {
            "pwdAttribute": "userPassword",
            "pwdLockout": "TRUE",
            "pwdMaxFailure": "5",
            "pwdMaxAge": "7776000",
        }
        admin.add(f"cn=default,ou=policies,{SUFFIX}", ["device", "pwdPolicy"], policy)
        for number, login, name, family, displayed in PEOPLE:
            attributes = {
                "cn": name,
                "sn": family,
                "displayName": displayed,
                "employeeNumber": number,
                "mail": f"{login}@okno.example",
                "userPassword": f"right-{number}",
            }
            admin.add(person_dn(login), ["inetOrgPerson"], attributes)
        everybody = [person_dn(login) for _, login, *_ in PEOPLE]
        admin.add(f"cn=All staff,ou=groups,{SUFFIX}", "groupOfNames", {"member": everybody})
        for group in ("Vpn users", "Wi-Fi guests", "Кириллица, с запятой", "app-tracker", "vpn-ru"):
            name = group.replace(",", "\\,")
            admin.add(f"cn={name},ou=groups,{SUFFIX}", "groupOfNames", {"member": everybody[:1]})
        disabled = {"pwdAccountLockedTime": [(ldap3.MODIFY_ADD, ["000001010000Z"])]}
        admin.modify(person_dn("dastan.akhmetov"), disabled)
    finally:
        admin.unbind()
    for _ in range(5):
        guess = ldap3.Connection(server, person_dn("ivan.petrov"), "wrong")
        assert not guess.bind()
        guess.unbind()


def person_dn(login: str) -> str:
    """DN of a person."""
    return f"uid={login},ou=people,{SUFFIX}"
