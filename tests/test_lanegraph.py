from __future__ import annotations

import carla
import numpy as np
import pytest
from maproads import section, straight

from simattack import resources
from simattack.errors import ConfigError
from simattack.lanegraph import LaneGraph

_LANE = """<lane id="{id}" type="driving" level="false"><link><{end} id="{id}"/></link>
<width sOffset="0" a="3.5" b="0" c="0" d="0"/><roadMark sOffset="0" type="{mark}"
weight="standard" color="white" width="0.15" laneChange="{change}"/></lane>"""


def two_lanes(change: str) -> LaneGraph:
    """120 m along x in two sections, lanes at y = 1.75 and 5.25, both towards +x."""
    mark = "broken" if change == "both" else "solid"

    def right(end: str) -> str:
        return "".join(_LANE.format(id=i, end=end, change=change, mark=mark) for i in (-1, -2))

    sections = section(0, right=right("successor")) + section(60, right=right("predecessor"))
    return LaneGraph(carla.Map("two", straight(sections, length=120)))


@pytest.fixture(scope="module")
def town() -> LaneGraph:
    text = resources.find("scenarios/maps/town.xodr").read_text()
    return LaneGraph(carla.Map("town", text))


def test_a_straight_way_has_a_point_a_metre_from_start_to_end(town):
    found = town.trace([(-60.0, 1.75), (-20.0, 1.75)])
    assert len(found) == 41  # 40 m, both ends included
    np.testing.assert_allclose(found[:, 0], np.arange(-60.0, -19.0), atol=0.6)
    assert np.abs(found[:, 1] - 1.75).max() < 0.01


def test_the_way_turns_where_it_has_to_and_goes_on_to_the_end(town):
    # Right at the crossing in the middle of the town: east, then south (y grows).
    found = town.trace([(-60.0, 1.75), (-1.75, 60.0)])
    step = found[-1] - found[-2]
    assert np.hypot(*(found[-1][:2] - (-1.75, 60.0))) < 0.6
    assert step[1] > 0.4 and abs(step[0]) < 0.01
    spacing = np.linalg.norm(np.diff(found, axis=0), axis=1)
    assert spacing[:-1] == pytest.approx(1.0, abs=0.1)


def test_a_position_on_the_way_makes_it_longer_and_is_passed(town):
    short = town.trace([(-60.0, 1.75), (60.0, 1.75)])
    long = town.trace([(-60.0, 1.75), (-1.75, 60.0), (60.0, 1.75)])
    assert len(short) == 121 and len(long) > 300
    assert np.linalg.norm(long[:, :2] - (-1.75, 60.0), axis=1).min() < 0.6


def test_an_end_behind_the_start_is_reached_by_going_round(town):
    found = town.trace([(-20.0, 1.75), (-60.0, 1.75)])
    assert len(found) > 300 and found[-1] == pytest.approx([-60.0, 1.75, 0.0], abs=0.6)


def test_a_lane_is_changed_within_twenty_metres_where_that_is_allowed():
    found = two_lanes("both").trace([(5.0, 1.75), (100.0, 5.25)])
    assert found[0, 1] == pytest.approx(1.75) and found[-1, 1] == pytest.approx(5.25)
    moving = (found[:, 1] > 1.8) & (found[:, 1] < 5.2)
    assert 10 <= moving.sum() <= 20
    assert np.diff(found[:, 1]).max() < 0.35  # 3.5 m in half a wave of 20 m: at most 0.275 a metre


def test_a_lane_is_not_changed_over_a_solid_line():
    with pytest.raises(ConfigError, match=r"a way along lanes .* from \(5.0, 1.8\) to \(100.0"):
        two_lanes("none").trace([(5.0, 1.75), (100.0, 5.25)])


def test_a_position_off_the_road_and_a_start_against_the_traffic_are_told(town):
    with pytest.raises(ConfigError, match=r"\(-60.0, 40.0\) is 38 m from the nearest"):
        town.trace([(-60.0, 40.0), (-20.0, 1.75)])
    with pytest.raises(ConfigError, match=r"traffic towards 180 degrees at .* goes to 0"):
        town.trace([(-60.0, 1.75), (-20.0, 1.75)], np.pi)
