"""Manifests of sources: every problem of every file at once, with its place."""

from pathlib import Path
from typing import Any

import pytest

from okno.clock import SystemClock
from okno.errors import ConfigurationError
from okno.sources.registry import KINDS
from okno.sources.service import ManifestError, Sources, load_sources_manifests
from okno.sources.sql import Statement
from tests.contract.peers.manifests import DIRECTORY

GOOD = """\
id: pki
kind: rest
title: {en: PKI, ru: Сертификаты}
endpoint:
  url: {env: PKI_URL}
auth:
  bearer: {env: PKI_TOKEN}
key: login
read:
  one:
    path: /people/{login}
section:
  field: pki
  type: PkiSection
  fields:
    - name: serial
      type: string
      path: serial
      title: {en: Serial, ru: Номер}
"""

LDAP = """\
id: domain
kind: ldap
title: {en: Domain, ru: Домен}
endpoint: {url: "ldap://localhost:389"}
auth: {bind_dn: "cn=okno,dc=x", password: {env: PASSWORD}}
key: login
read:
  base: dc=x
  filter: (uid={login})
  attributes: [uid, memberOf]
section:
  field: domain
  type: DomainSection
  fields:
    - {name: login, type: string, path: "uid[0]", title: {en: Login, ru: Логин}}
    - {name: groups, type: strings, path: memberOf, title: {en: Groups, ru: Группы}}
operations:
  - id: domain.join
    title: {en: Join, ru: Вступить}
    risk: low
    input:
      type: object
      additionalProperties: false
      properties: {group: {type: string, x-title: {en: Group, ru: Группа}}}
    preview:
      - {title: {en: Groups, ru: Группы}, field: groups, add: "{input.group}"}
    request:
      modify:
        - {dn: "cn={input.group},dc=x", add: member, values: ["{entry.dn}"]}
"""

SQL = """\
id: register
kind: sql
title: {en: Register, ru: Реестр}
endpoint: {url: {env: REGISTER_URL}}
key: personnel_number
read:
  one: SELECT serial FROM things WHERE owner = :personnel_number
section:
  field: register
  type: RegisterSection
  fields:
    - {name: serial, type: string, path: serial, title: {en: Serial, ru: Номер}}
"""


def problems_of(folder: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        load_sources_manifests(folder)
    assert all(str(problem) in caught.value.message for problem in caught.value.problems)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_the_shipped_manifests_are_right() -> None:
    manifests = load_sources_manifests(DIRECTORY)
    assert {manifest.kind for manifest in manifests.values()} == set(KINDS)
    assert {manifest.section.type for manifest in manifests.values()} == {
        "HrSection",
        "DirectorySection",
        "DomainSection",
        "EquipmentSection",
    }
    assert [operation.id for operation in manifests["domain"].operations] == [
        "domain.unlock",
        "domain.add_to_group",
        "domain.remove_from_group",
        "domain.disable",
        "domain.enable",
        "domain.grant_vpn",
        "domain.revoke_vpn",
        "domain.grant_application",
        "domain.revoke_application",
    ]


def test_good_manifests_of_the_other_kinds_load(tmp_path: Path) -> None:
    for name, text in {"pki": GOOD, "domain": LDAP, "register": SQL}.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    assert set(load_sources_manifests(tmp_path)) == {"pki", "domain", "register"}


def test_all_problems_of_all_files_are_told_at_once_with_file_line_and_key(tmp_path: Path) -> None:
    first = (
        GOOD.replace("key: login", "key: passport")
        .replace("deadline", "")
        .replace("type: string", "type: text")
    )
    second = SQL.replace("title: {en: Register, ru: Реестр}", "titel: {en: Register}")
    found = problems_of(tmp_path, pki=first, register=second)
    places = [problem.split(": ")[0:2] for problem in found]
    assert ["pki.yaml:8", "key"] in places
    assert ["pki.yaml:17", "section.fields[0].type"] in places
    assert ["register.yaml:3", "titel"] in places
    assert len(found) == 4
    assert any("did you mean title?" in problem for problem in found)
    assert any("register.yaml:1: title: required key is missing" in problem for problem in found)


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        (
            GOOD,
            "kind: rest",
            "kind: carrier_pigeon",
            "pki.yaml:2: kind: the kind is one of ldap, rest, scim, sql",
        ),
        (
            GOOD,
            "path: serial",
            "path: 'a['",
            "pki.yaml:18: section.fields[0].path: not a JMESPath expression",
        ),
        (GOOD, "path: serial", "path: frobnicate(a)", "unknown function frobnicate"),
        (GOOD, "bearer: {env: PKI_TOKEN}", "bearer: s3cret", "pki.yaml:7: auth.bearer"),
        (GOOD, "/people/{login}", "/people/{email}", "unknown placeholder {email}; allowed here: {login}"),
        (GOOD, "/people/{login}", "/people/all", "names nobody"),
        (GOOD, "/people/{login}", "/people/{login", "a brace is neither opened nor closed"),
        (GOOD, "{en: PKI, ru: Сертификаты}", "{en: PKI}", "pki.yaml:3: title: a text is needed in ru"),
        (GOOD, "key: login", "key: login\nkey: email", "pki.yaml:9: key: the key is given twice"),
        (
            GOOD,
            "key: login",
            "key: login\ncache_seconds: 900",
            "cache_seconds must not exceed freshness.warn_after",
        ),
        (GOOD, "key: login", "key: login\nindex: {shoe_size: a}", "unknown column shoe_size"),
        (GOOD, "key: login", "key: login\nindex: {login: a}", "index needs read.list"),
        (GOOD, "id: pki", "id: other", "pki.yaml:1: id: the file is named after the id"),
        (GOOD, "name: serial", "name: meta", "meta is the section's own field"),
        (GOOD, "title: {en: PKI", "title: [en: PKI", "not YAML"),
        (GOOD, GOOD, "", "a manifest is a mapping"),
        (GOOD, "type: string", "type: objects", "belong to type objects"),
        (LDAP, "(uid={login})", "(uid={login}", "not an LDAP filter"),
        (LDAP, "(uid={login})", "({login}=x)", "is the whole value of an attribute"),
        (LDAP, "(uid={login})", "(uid=a{login})", "is the whole value of an attribute"),
        (LDAP, 'dn: "cn={input.group},dc=x"', 'dn: "{input.group}"', "not a DN"),
        (LDAP, 'dn: "cn={input.group},dc=x"', 'dn: "{input.group}=x,dc=x"', "whole value of a component"),
        (LDAP, 'dn: "cn={input.group},dc=x"', 'dn: "cn=a,{entry.dn}"', "it stands alone"),
        (LDAP, "add: member, values", "frob: member, values", "unknown key"),
        (LDAP, ', values: ["{entry.dn}"]', "", "add needs values"),
        (LDAP, "id: domain.join", "id: other.join", "the id starts with the source's"),
        (LDAP, "field: groups, add", "field: nothing, add", "the section has no field nothing"),
        (LDAP, "field: groups, add", "field: login, add", "need a field of type strings"),
        (LDAP, "x-title: {en: Group, ru: Группа}", "maxLength: 3", "property group, x-title"),
        (LDAP, "additionalProperties: false", "additionalProperties: true", "the input is a closed object"),
        (LDAP, "{type: string, x-title", "{type: strong, x-title", "not a JSON Schema"),
        (LDAP, "risk: low", "risk: none", "operations[0].risk"),
        (LDAP, "key: login", "key: dn", "not supported by kind ldap"),
        (SQL, "= :personnel_number", "= $1", "named"),
        (SQL, "= :personnel_number", "= :login", "unknown parameter :login"),
        (SQL, "= :personnel_number", "= 'x'", "parameter :personnel_number is not used"),
        (SQL, "SELECT serial FROM", "DELETE FROM", "a statement reads"),
        (SQL, "= :personnel_number", "= :personnel_number; DROP TABLE things", "one statement only"),
        (SQL, "{env: REGISTER_URL}", "postgresql://u:p@h/d", "endpoint.url"),
        (
            GOOD,
            "section:",
            "  many: {path: /people, records: items, key: login}\nsection:",
            "pki.yaml:12: read.many: give either parameter (keys in the query) or body",
        ),
        (
            GOOD,
            "section:",
            "  many: {path: /people, parameter: of, body: of, records: items, key: login}\nsection:",
            "pki.yaml:12: read.many: give either parameter",
        ),
        (
            GOOD,
            "section:",
            "  many:\n    path: /people/{login}\n    body: of\n    records: items\n    key: login\nsection:",
            "pki.yaml:13: read.many.path",
        ),
        (
            GOOD,
            "section:",
            "  many:\n    path: /people\n    body: of\n    records: 'a['\n    keys: login\nsection:",
            "pki.yaml:15: read.many.records: not a JMESPath expression",
        ),
        (
            GOOD,
            "section:",
            "  many:\n    path: /people\n    body: of\n    records: a\n    key: b\n    size: 1\nsection:",
            "pki.yaml:17: read.many.size",
        ),
        (
            LDAP,
            "  attributes: [uid, memberOf]",
            "  attributes: [uid, memberOf]\n  many: {key: mail}",
            "domain.yaml:11: read.many: key mail is none of the attributes that are read as text; known: memberOf, uid",
        ),
        (
            SQL,
            "section:",
            "  many:\n    key: owner\n    statement: SELECT 1 WHERE owner = ANY(:owners)\nsection:",
            "register.yaml:10: read.many.statement: the statement: unknown parameter :owners; allowed here: :keys",
        ),
        (
            SQL,
            "section:",
            "  many:\n    key: owner\n    statement: SELECT 1 WHERE owner IN ($1)\nsection:",
            "register.yaml:10: read.many.statement",
        ),
    ],
)
def test_a_mistake_is_named_with_what_to_do(
    tmp_path: Path, text: str, old: str, new: str, expected: str
) -> None:
    assert old in text
    name = "pki" if text is GOOD else "domain" if text is LDAP else "register"
    found = problems_of(tmp_path, **{name: text.replace(old, new, 1)})
    assert any(expected in problem for problem in found), found
    assert not any("s3cret" in problem or "u:p@" in problem for problem in found)


def test_two_sources_cannot_add_the_same_section(tmp_path: Path) -> None:
    found = problems_of(tmp_path, pki=GOOD, pkitwo=GOOD.replace("id: pki", "id: pkitwo"))
    assert any("PkiSection is already taken by source pki" in problem for problem in found)
    assert any(problem.startswith("pkitwo.yaml:13: section.field") for problem in found)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match=r"x\.yaml:1"):
        load_sources_manifests(tmp_path)


def test_references_that_lead_nowhere_are_all_named_before_anything_starts() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Sources.load(DIRECTORY, SystemClock(), {"OKNO_HR_URL": "http://127.0.0.1:1"})
    for name in ("OKNO_HR_TOKEN", "OKNO_DIRECTORY_URL", "OKNO_DOMAIN_BIND_DN", "OKNO_EQUIPMENT_URL"):
        assert name in caught.value.message or name == "OKNO_DOMAIN_BIND_DN"
    for source in ("hr", "directory", "domain", "equipment"):
        assert f"config/sources/{source}.yaml" in caught.value.message


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("OKNO_HR_URL", "ftp://x"),
        ("OKNO_DOMAIN_URL", "localhost"),
        ("OKNO_EQUIPMENT_URL", "mysql://u:secret@h/d"),
    ],
)
def test_an_address_of_the_wrong_kind_stops_the_start_without_telling_it(name: str, url: str) -> None:
    environment = {
        "OKNO_HR_URL": "http://h",
        "OKNO_HR_TOKEN": "t",
        "OKNO_DIRECTORY_URL": "http://h",
        "OKNO_DIRECTORY_TOKEN": "t",
        "OKNO_DOMAIN_URL": "ldap://h",
        "OKNO_DOMAIN_BIND_DN": "cn=x",
        "OKNO_DOMAIN_PASSWORD": "p",
        "OKNO_EQUIPMENT_URL": "postgresql://h/d",
    }
    with pytest.raises(ConfigurationError) as caught:
        Sources.load(DIRECTORY, SystemClock(), {**environment, name: url})
    assert "endpoint.url has to" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "sql", "names"),
    [
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1", ("a", "b")),
        ("SELECT x::text, ':a', \":a\" -- :a\n/* :a */ FROM t WHERE y = :a", None, ("a",)),
        ("SELECT $tag$ :a $tag$, $$ :b $$, :c::int", None, ("c",)),
        ("SELECT 'it''s :a'", None, ()),
    ],
)
def test_parameters_are_found_only_where_sql_has_them(text: str, sql: str | None, names: Any) -> None:
    statement = Statement(text)
    assert statement.names == names
    if sql is not None:
        assert statement.sql == sql
    assert statement.sql.count("$1") == (text.count(":a") if sql else len(names))
