"""The angles of spawn points: as the snapshot tells them, whichever way the road winds."""

import math

import pytest

from simattack.server.road import Road

ROAD = """<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1"/>
<road name="straight" length="80" id="1" junction="-1"><link/>
<planView><geometry s="0" x="0" y="0" hdg="{heading}" length="80"><line/></geometry></planView>
<lanes><laneSection s="0"><center><lane id="0" type="none" level="false"/></center>
<right><lane id="-1" type="driving" level="false"><link/>
<width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></right></laneSection></lanes>
</road></OpenDRIVE>"""


@pytest.mark.parametrize("turns", [-2, -1, 0, 1, 2])
def test_a_spawn_point_turns_by_half_a_turn_at_most(turns):
    # OpenDRIVE turns anticlockwise, CARLA clockwise
    road = Road(ROAD.format(heading=-2.0 + turns * 2 * math.pi))
    assert road.spawn_points
    for spawn in road.spawn_points:
        assert spawn.yaw_rad == pytest.approx(2.0, abs=1e-5)
        assert spawn.pitch_rad == pytest.approx(0.0, abs=1e-5)
