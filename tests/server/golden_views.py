"""The views of the golden pictures: one town street by day, in rain, fog, low sun, dusk and night.

``python -m tests.server.golden_views`` draws them all again, into ``tests/server/golden/``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from simattack.server.render import GBuffer, Mover, Renderer, View
from simattack.server.road import Road
from simattack.server.town import build_town
from simattack.types import Image, Pose, Weather

FOLDER = Path(__file__).parent / "golden"
WIDTH_PX, HEIGHT_PX = 320, 240
LANES = """<lane id="{0}1" type="driving" level="false">
<width sOffset="0" a="3.5" b="0" c="0" d="0"/>
<roadMark sOffset="0" type="solid" color="white" width="0.15"/></lane>
<lane id="{0}2" type="sidewalk" level="false"><width sOffset="0" a="3" b="0" c="0" d="0"/>
<height sOffset="0" inner="0.12" outer="0.12"/></lane>"""
STREET = f"""<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1"
north="0" south="0" east="0" west="0"/>
<road name="" length="120" id="1" junction="-1"><planView>
<geometry s="0" x="0" y="0" hdg="0" length="120"><line/></geometry></planView><lanes>
<laneSection s="0"><left>{LANES.format("")}</left><center><lane id="0" type="none" level="false">
<roadMark sOffset="0" type="broken" color="yellow" width="0.15"/></lane></center>
<right>{LANES.format("-")}</right></laneSection></lanes><signals>
<signal s="52" t="-4.2" id="7" name="" dynamic="no" orientation="+" zOffset="2.2" country=""
type="206" subtype="-1" value="-1" height="0.75" width="0.75"/></signals></road></OpenDRIVE>"""
DAY = Weather(cloudiness=15, sun_altitude_angle=42, sun_azimuth_angle=215)
RAIN = replace(DAY, cloudiness=80, precipitation=60, precipitation_deposits=70, wetness=90)
LOW_BEAM, BRAKE = 2, 8
VIEW = View(Pose(22.0, 1.6, 1.6), WIDTH_PX, HEIGHT_PX, float(np.deg2rad(65)))


@dataclass(frozen=True)
class Scene:
    """One golden picture."""

    weather: Weather
    flags: int = 0
    """CARLA's VehicleLightState of all vehicles."""
    is_close: bool = False
    """People near the camera instead of traffic."""


SCENES = {
    "day": Scene(DAY),
    "people": Scene(DAY, is_close=True),
    "rain": Scene(RAIN, LOW_BEAM | BRAKE),
    "fog": Scene(replace(DAY, fog_density=45, fog_distance=5), LOW_BEAM),
    "glare": Scene(replace(DAY, sun_altitude_angle=9, sun_azimuth_angle=6)),
    "dusk": Scene(replace(DAY, sun_altitude_angle=2, sun_azimuth_angle=150), LOW_BEAM),
    "night": Scene(replace(DAY, sun_altitude_angle=-30), LOW_BEAM),
}


def _vehicle(
    number: int, mesh: str, size: tuple[float, float, float], x: float, y: float, flags: int
) -> Mover:
    colors = ((0.75, 0.75, 0.78), (0.1, 0.25, 0.6), (0.65, 0.1, 0.08), (0.1, 0.1, 0.11))
    yaw = 0.0 if y > 0 else np.pi
    tag = 16 if mesh == "bus" else 14
    return Mover(number, mesh, size, colors[number % 4], Pose(x, y, yaw_rad=yaw), tag, 0.0, flags)


def _walker(number: int, x: float, y: float, phase: float, yaw_rad: float) -> Mover:
    colors = ((0.2, 0.4, 0.7), (0.7, 0.1, 0.1), (0.85, 0.85, 0.8), (0.15, 0.15, 0.16))
    z = 0.12 if abs(y) > 3.5 else 0.0
    pose = Pose(x, y, z, yaw_rad=yaw_rad)
    return Mover(
        number, "walker", (0.6, 0.56, 1.78), colors[number % 4], pose, 12, gait_phase=phase
    )


def movers(scene: Scene) -> list[Mover]:
    """Who is on the street."""
    if scene.is_close:
        return [
            _walker(20 + k, 27.0 + 0.4 * k, -0.9 + 0.95 * k, 0.9 * k, 1.3 * k) for k in range(6)
        ]
    f = scene.flags
    return [
        _vehicle(4, "car", (4.7, 2.1, 1.5), 33.0, 1.75, f),
        _vehicle(5, "car", (4.0, 1.95, 1.5), 38.0, -1.75, f & ~BRAKE),
        _vehicle(6, "van", (5.6, 2.3, 2.45), 52.0, 1.75, f & ~BRAKE),
        _vehicle(7, "bus", (11.5, 2.75, 3.2), 60.0, -1.75, f & ~BRAKE),
        _walker(10, 31.0, 4.6, 1.2, 0.0),
        _walker(11, 34.5, 5.4, 2.5, 3.1),
        _walker(13, 36.0, -5.0, 0.0, 1.0),
    ]


class Studio:
    """A renderer with the street in it."""

    def __init__(self) -> None:
        road = Road(STREET, "golden")
        self.renderer = Renderer()
        self.renderer.load(road, build_town(road))

    def draw(self, name: str) -> Image:
        """The picture of that scene as it is drawn now, (H, W, 3)."""
        return self.picture(SCENES[name]).rgb

    def picture(self, scene: Scene, view: View = VIEW, is_rich: bool = False) -> GBuffer:
        """The scene through another camera, with all that is behind its pixels."""
        return self.renderer.render(view, movers(scene), scene.weather, {}, is_rich=is_rich)

    def close(self) -> None:
        self.renderer.release()


def golden(name: str) -> Image:
    """The picture as it is kept."""
    with Picture.open(FOLDER / f"{name}.png") as picture:
        return np.asarray(picture.convert("RGB"))


def main() -> None:
    """Draw and keep all of them."""
    studio = Studio()
    FOLDER.mkdir(exist_ok=True)
    for name in SCENES:
        Picture.fromarray(studio.draw(name)).save(FOLDER / f"{name}.png", optimize=True)
    studio.close()


if __name__ == "__main__":
    main()
