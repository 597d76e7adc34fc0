"""The page of attacks names every registered one, and its examples are accepted."""

import re
from pathlib import Path

import pytest
import yaml

from simattack.errors import WeightsError
from simattack.registry import build, kinds, lookup

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "attacks.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \|.*\| `(\{.*\})` \|$", PAGE, re.MULTILINE))


def test_every_attack_has_its_row():
    shipped = {  # other tests may have registered their own
        kind for kind in kinds("attacks")
        if lookup("attacks", kind).__module__.startswith("simattack.attacks.")
    }  # fmt: skip
    assert "sticker" in shipped
    assert shipped <= set(ROWS), "write a row in docs/attacks.md"


@pytest.mark.parametrize("kind", sorted(ROWS))
def test_an_example_of_the_page_is_accepted(kind):
    options = yaml.safe_load(ROWS[kind])
    assert options.pop("kind") == kind
    if kind == "learned":  # needs a file that somebody has trained
        with pytest.raises(WeightsError, match="expected a trained adversary at adversaries/x"):
            build("attacks", kind, options, "docs/attacks.md")
        return
    assert build("attacks", kind, options, "docs/attacks.md") is not None
