"""Whatever happened to the operation store: `halt` halts or says that it does not, and `flatten` sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.damage import OTHERS, Damage, brake, make_template, pages, values

VALUES = list(values())
SOME_VALUES = dict(VALUES[3::17])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "template"
    make_template(folder)
    return folder


@pytest.mark.requirement("G-21", "G-17")
@pytest.mark.parametrize("damage", OTHERS.values(), ids=OTHERS)
def test_a_store_that_is_cut_or_anothers_stops_neither_brake(template: Path, tmp_path: Path, damage: Damage) -> None:
    assert brake(template, tmp_path, damage).broken == []


@pytest.mark.requirement("G-21", "G-17")
@pytest.mark.parametrize("seed", range(12))
def test_damaged_pages_stop_neither_brake(template: Path, tmp_path: Path, seed: int) -> None:
    assert brake(template, tmp_path, pages(seed)).broken == []


@pytest.mark.requirement("G-21", "G-17")
@pytest.mark.parametrize("damage", SOME_VALUES.values(), ids=SOME_VALUES)
def test_a_value_that_is_none_stops_neither_brake(template: Path, tmp_path: Path, damage: Damage) -> None:
    assert brake(template, tmp_path, damage).broken == []
