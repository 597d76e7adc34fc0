"""The gallery shows every attack that ships."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simattack.registry import kinds, lookup

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "gallery.md").read_text()
SHIPPED = [
    kind
    for kind in kinds("attacks")
    if lookup("attacks", kind).__module__.startswith("simattack.attacks.")
    and kind != "learned"  # another attack, as somebody has trained it
]


@pytest.mark.parametrize("kind", SHIPPED)
def test_an_attack_has_its_entry_and_a_small_picture(kind):
    told = re.search(rf"^## `{kind}`\n\n(.*?)(?=\n## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert told, f"run python docs/gallery.py {kind}"
    (picture,) = re.findall(r"!\[.*?\]\((.*?)\)", told[1])
    assert 2_000 < (DOCS / picture).stat().st_size <= 60_000


def test_no_picture_is_left_of_an_attack_that_is_gone_and_all_are_small_together():
    pictures = [path for path in (DOCS / "images/gallery").iterdir()]
    assert {path.stem for path in pictures} == set(SHIPPED)
    assert sum(path.stat().st_size for path in pictures) <= 1_500_000
