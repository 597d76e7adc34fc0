"""A bare name finds what ships, a path finds the user's own."""

from pathlib import Path

import pytest

from simattack.errors import ConfigError
from simattack.resources import find, locate, sha256, shipped


def test_the_town_ships() -> None:
    assert "town" in shipped("scenarios/maps", ".xodr")
    assert locate("town", "scenarios/maps", ".xodr") == find("scenarios/maps/town.xodr")


def test_a_users_path_wins(tmp_path: Path) -> None:
    mine = tmp_path / "town.xodr"
    mine.write_text("mine")
    assert locate(str(mine), "scenarios/maps", ".xodr") == mine


def test_an_unknown_name_lists_what_ships() -> None:
    with pytest.raises(ConfigError, match=r"'tonw'.*shipped: .*town"):
        locate("tonw", "scenarios/maps", ".xodr")


def test_a_path_to_nothing_is_not_taken_for_a_shipped_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        locate(str(tmp_path / "town.xodr"), "scenarios/maps", ".xodr")


def test_sha256_is_the_standard_one(tmp_path: Path) -> None:
    file = tmp_path / "abc"
    file.write_bytes(b"abc")
    assert sha256(file).startswith("ba7816bf8f01cfea")


def test_a_folder_is_called_one(tmp_path):
    with pytest.raises(ConfigError, match="is a folder; shipped: "):
        locate(str(tmp_path), "patches", ".png")
