"""The angles of spawn points: as the snapshot tells them, whichever way the road winds."""

import math

import pytest
from maproads import straight

from simattack.server.road import Road


@pytest.mark.parametrize("turns", [-2, -1, 0, 1, 2])
def test_a_spawn_point_turns_by_half_a_turn_at_most(turns):
    # OpenDRIVE turns anticlockwise, CARLA clockwise
    road = Road(straight(length=80, heading=-2.0 + turns * 2 * math.pi))
    assert road.spawn_points
    for spawn in road.spawn_points:
        assert spawn.yaw_rad == pytest.approx(2.0, abs=1e-5)
        assert spawn.pitch_rad == pytest.approx(0.0, abs=1e-5)
