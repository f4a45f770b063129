"""GraphQL over HTTP, by the audits of graphql-http against the running server."""

import pytest

from tests.contract.peers.okno import Okno, run_node

pytestmark = [pytest.mark.xdist_group("stack-graphql"), pytest.mark.timeout(120)]


def test_every_audit_of_graphql_http_passes(okno: Okno) -> None:
    # some of them introspect, which the policy grants to services with this scope
    given = {"endpoint": okno.endpoint, "token": okno.service_token("schema-reader", "schema.read")}
    audits = run_node("graphql-over-http.mjs", given)
    failed = {
        audit["id"]: f"{audit['name']}: {audit['status']}, {audit['reason']}"
        for audit in audits
        if audit["status"] != "ok"
    }
    assert failed == {}
    assert len(audits) == 61
