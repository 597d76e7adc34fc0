"""A straight road along x, drawn in this process: what tests of image sensors look at."""

from __future__ import annotations

from functools import cache

from simattack.server.render import GBuffer, Mover, Renderer, View
from simattack.server.road import Road
from simattack.server.sensors.eye import Moment
from simattack.server.town import build_town
from simattack.types import Pose, Weather

_LANE = """<lane id="{}1" type="driving" level="false">
<width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane>"""
_STREET = f"""<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1"
north="0" south="0" east="0" west="0"><geoReference>+proj=tmerc +lat_0=49 +lon_0=2
</geoReference></header>
<road name="" length="200" id="1" junction="-1"><planView>
<geometry s="0" x="0" y="0" hdg="0" length="200"><line/></geometry></planView><lanes>
<laneSection s="0"><left>{_LANE.format("")}</left><center><lane id="0" type="none" level="false"/>
</center><right>{_LANE.format("-")}</right></laneSection></lanes></road></OpenDRIVE>"""
SUN = Weather(cloudiness=0, sun_azimuth_angle=180, sun_altitude_angle=50)
NIGHT = Weather(cloudiness=0, sun_azimuth_angle=180, sun_altitude_angle=-30)
TICK_S = 0.05


class Street:
    """Pictures of the road, with movers on it."""

    def __init__(self) -> None:
        road = Road(_STREET, "street")
        self.renderer = Renderer()
        self.renderer.load(road, build_town(road))

    def draw(
        self, view: View, *movers: Mover, weather: Weather = SUN, is_rich: bool = False
    ) -> GBuffer:
        return self.renderer.render(view, movers, weather, {}, is_rich=is_rich)


@cache
def small_street() -> Street:
    """The one of this test run."""
    return Street()


def moment(tick: int, *movers: Mover) -> Moment:
    """A tick at which these movers were where they are."""
    return Moment(tick * TICK_S, TICK_S, {mover.id: mover for mover in movers})


def wall(x_m: float, size_m: float = 40.0) -> Mover:
    """A wall across the road whose near face stands at x."""
    return Mover(
        5, "box", (1.0, size_m, size_m), (0.5, 0.5, 0.5), Pose(x_m=x_m + 0.5, z_m=-size_m / 2), 20
    )
