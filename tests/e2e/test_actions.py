"""Acting on an account from the card: what will change, the deed, the record of it."""

import pytest

pytestmark = pytest.mark.xdist_group("stack")


def test_an_operator_unlocks_an_account(signed_in, systems, stack, take):
    from tests.e2e.card import open_card, act
    from playwright.sync_api import expect
    person = systems.somebody()
    systems.lock(person["login"])
    page = signed_in("anna.sorokina")
    open_card(page, systems.id_of(person["personnelNumber"]))
    take(page, "employee-card")
    sheet = act(page)
    take(page, "form")
    sheet.get_by_test_id("preview").click()
    expect(sheet.get_by_test_id("changes")).to_be_visible()
    take(page, "action-preview")
    sheet.get_by_test_id("run").click()
    expect(sheet.get_by_test_id("result")).to_be_visible()
    take(page, "action-done")
    assert not systems.is_locked(person["login"])
    print(stack.okno("audit", "tail").stdout)
