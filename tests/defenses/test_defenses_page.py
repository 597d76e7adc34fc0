"""The page of defenses names every registered one, and its examples are accepted."""

import re
from pathlib import Path

import pytest
import yaml

from simattack.registry import build, kinds, lookup

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "defenses.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \|.*\| `(\{.*\})` \|$", PAGE, re.MULTILINE))


def test_every_defense_has_its_row():
    shipped = {  # other tests may have registered their own
        kind for kind in kinds("defenses")
        if lookup("defenses", kind).__module__.startswith("simattack.defenses.")
    }  # fmt: skip
    assert "jpeg" in shipped
    assert shipped == set(ROWS), "write a row in docs/defenses.md"


@pytest.mark.parametrize("kind", sorted(ROWS))
def test_an_example_of_the_page_is_accepted(kind):
    options = yaml.safe_load(ROWS[kind])
    assert options.pop("kind") == kind
    assert build("defenses", kind, options, "docs/defenses.md") is not None
