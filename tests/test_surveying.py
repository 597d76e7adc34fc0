"""The survey of stop signs that ships, and what the command refuses."""

from __future__ import annotations

import numpy as np
import pytest

from simattack import registry
from simattack.config import read_scenario
from simattack.errors import ConfigError
from simattack.geodesy import world_from_gnss
from simattack.inputs import part_files
from simattack.scenario import Part
from simattack.surfaces import approaches
from simattack.surveying import survey

ORIGIN = (49.0, 8.0)
"""Of the town."""


def test_the_shipped_survey_has_each_sign_of_the_scenario_where_it_stands():
    known = registry.build("defenses", "sign_memory", {"signs": "town"}, "test").known
    found = np.array([world_from_gnss(s.latitude_deg, s.longitude_deg, ORIGIN) for s in known])
    surfaces = approaches("town")
    for site in read_scenario("stop_sign").sites:
        middle = surfaces[site].surface.corners_m.mean(axis=0)
        away_m = np.hypot(*(found - middle[:2]).T)
        assert away_m.min() < 2.0, site
        assert known[int(away_m.argmin())].height_m == pytest.approx(middle[2], abs=0.5), site


def test_results_know_the_survey_by_its_bytes():
    (path,) = part_files("defenses", Part("sign_memory", {"signs": "town"}))
    assert path.name == "town.yaml" and part_files("defenses", Part("sign_memory")) == []


def test_a_survey_of_no_signs_by_no_drive_or_into_no_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'straight': expected stop signs as its sites, got str"):
        survey("straight")
    with pytest.raises(ConfigError, match=r"at least 1 drive to each sign, got --drives 0"):
        survey("stop_sign", drives=0)
    with pytest.raises(ConfigError, match=r"can be written, got --out .*: it is a folder"):
        survey("stop_sign", out=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"can be written, got --out .*x.yaml: .*[Ff]ile exists"):
        survey("stop_sign", out=tmp_path / "file" / "x.yaml")
    with pytest.raises(ConfigError, match=r"surveys, got 'twon'"):
        registry.build("defenses", "sign_memory", {"signs": "twon"}, "test")
