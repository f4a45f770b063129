"""No table and no column holds data about people of which no domain speaks."""

import importlib
import pkgutil
from dataclasses import replace

from sqlalchemy import Column, MetaData, Table, Text

import okno
from okno.privacy.registry import DOMAINS, problems
from okno.settings import RetentionSettings
from okno.storage.models import Base
from okno.storage.personal_data import Kind, PersonalData, PersonalTable


def _all_tables() -> MetaData:
    """Every `models.py` that there is, so that a new domain is met on arrival."""
    for module in pkgutil.walk_packages(okno.__path__, "okno."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)
    return Base.metadata


def test_every_table_and_column_is_said_to_be_personal_or_not() -> None:
    assert problems(_all_tables()) == []


def test_a_new_table_or_column_that_nobody_speaks_of_is_found() -> None:
    metadata = MetaData()
    Table("visits", metadata, Column("login", Text))
    Table("badges", metadata, Column("owner", Text), Column("color", Text))
    speaks = PersonalTable("badges", {"owner": Kind.IDENTIFIER, "gone": Kind.WORK}, frozenset(), "a year")
    found = problems(metadata, [PersonalData("badges", tables=(speaks,))])
    assert found == [
        "column badges.color: okno/badges/personal_data.py does not say what it tells of a person",
        "column badges.gone does not exist",
        "table visits: no domain says whether it holds personal data; add it to the personal_data.py of its domain",
    ]
    twice = [PersonalData("a", others={"badges": "no people"}), PersonalData("b", tables=(replace(speaks),))]
    assert "table badges: both a and b speak of it" in problems(metadata, twice)


def test_a_table_with_personal_data_says_how_long_it_keeps_them_and_its_domain_can_show_and_erase_them() -> (
    None
):
    empty = PersonalData("empty")
    for domain in DOMAINS:
        assert all(table.kept for table in domain.tables)
        assert all(domain.others.values()) if domain.others else True
        if domain.tables:
            assert domain.export is not empty.export, (
                f"{domain.domain} shows nothing of its {len(domain.tables)} tables"
            )
        if domain.domain not in ("audit", "privacy"):  # the journal erases itself, and an erasure must remain
            assert not domain.tables or domain.erase is not empty.erase, domain.domain


def test_every_limit_has_a_setting_and_every_setting_a_limit() -> None:
    used = {limit.setting for domain in DOMAINS for limit in domain.limits}
    assert used | {"erased_deeds_days"} == set(RetentionSettings.model_fields)
