"""The documentation's table of CARLA's API is complete and up to date."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from simattack.server.blueprints import DEFINITIONS
from simattack.server.methods import METHODS

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "carla_support.py"


@pytest.fixture(scope="module")
def support():
    spec = importlib.util.spec_from_file_location("carla_support", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_committed_table_is_what_the_tests_say(support):
    fresh = support.table()
    message = "docs/carla_support.md is stale: run python docs/carla_support.py"
    assert support.TABLE.read_text(encoding="utf-8") == fresh, message


def test_every_call_and_sensor_of_the_server_has_a_row(support):
    sections = support.known()
    sensors, _ = set(sections.pop(support.SENSORS)), sections.pop(support.COMMANDS)
    assert set(METHODS) <= {name for section in sections.values() for name in section}
    listed = {made.id for made in DEFINITIONS if made.id.startswith("sensor.")}
    assert listed <= sensors


def test_a_name_without_a_test_and_a_test_of_no_name_are_errors(support, tmp_path):
    (tmp_path / "protocol.json").write_text(
        '{"calls": {"Part": {"version": "", "tick_cue": ""}}, "sensors": [], "commands": []}'
    )
    (tmp_path / "test_some.py").write_text('@api("version")\ndef test_it(): ...\n')
    with pytest.raises(ValueError, match=r"none for: \['tick_cue'\]"):
        support.table(tmp_path)
    (tmp_path / "test_more.py").write_text(
        '@api("tick_cue", "coffee", partly="cold")\ndef test_other(): ...\n'
    )
    with pytest.raises(ValueError, match=r"got: \['coffee'\]"):
        support.table(tmp_path)
